// Stems of what was detected: every segment is encoded once, and asked for all its stems.

import { hann, istft, stft } from "./fourier.js";
import { BANDS, earImage } from "./logmel.js";
import { tensor } from "./model.js";
import { crossFade, cut } from "./segments.js";

const MAX_GAIN = 1 - 1e-5;
const TINY = 1e-12;
const LEAST_PRIOR = 1e-3;

/**
 * Separate.
 *
 * Returns one list of channels per detection, and the residual's behind them; all add up to what
 * came.
 */
export async function separate(model, channels, analysis, detections, tell) {
  const { segments } = analysis;
  const stems = detections.map(() => channels.map((channel) => new Float32Array(channel.length)));
  for (let index = 0; index < segments.count; index++) {
    tell(index, segments.count);
    const asked = detections.filter((found) => found.active[index]);
    if (!asked.length) continue;
    const estimates = await separateSegment(model, channels, analysis, index, asked);
    asked.forEach((found, row) => {
      const { active } = found;
      const weights = crossFade(
        segments,
        index,
        active[Math.max(0, index - 1)],
        active[Math.min(active.length - 1, index + 1)],
      );
      const stem = stems[detections.indexOf(found)];
      estimates[row].forEach((estimate, c) => {
        const start = index * segments.hop;
        const last = Math.min(segments.length, stem[c].length - start);
        for (let i = 0; i < last; i++) stem[c][start + i] += weights[i] * estimate[i];
      });
    });
  }
  const residual = channels.map((channel, c) =>
    channel.map((sample, i) => stems.reduce((rest, stem) => rest - stem[c][i], sample)),
  );
  return [...stems, residual];
}

async function separateSegment(model, channels, analysis, index, asked) {
  const { n_fft: size, hop_length: hop } = model.separator;
  const { segments } = analysis;
  const window = hann(size);
  const spectra = channels.map((channel) =>
    stft(cut(channel, index * segments.hop, segments.length), window, hop),
  );
  const encoded = await encode(model, meanOf(spectra), window);
  const conditions = asked.map((found) => condition(model, found, analysis.probabilities[index]));
  const masks = await askFor(model, encoded, conditions);
  if (model.separator.joint) {
    const priors = asked.map((found) => Math.max(found.probabilities[index], LEAST_PRIOR));
    compete(masks, priors, model.separator.competition);
  }
  return masks.map((mask) =>
    spectra.map((spectrum) => istft(masked(spectrum, mask), window, hop, segments.length)),
  );
}

function meanOf(spectra) {
  if (spectra.length === 1) return spectra[0];
  const mean = (part) =>
    spectra[0][part].map((_, i) => spectra.reduce((s, each) => s + each[part][i], 0) / spectra.length);
  return { ...spectra[0], re: mean("re"), im: mean("im") };
}

async function encode(model, spectrum, window) {
  const { re, im, bins, frames } = spectrum;
  // Without the top bin, which networks do not see.
  const power = new Float32Array((bins - 1) * frames);
  for (let i = 0; i < power.length; i++) power[i] = re[i] * re[i] + im[i] * im[i];
  const given = { power: tensor(power, [1, bins - 1, frames]) };
  if (model.separator.has_ear) {
    const hop = model.separator.hop_length;
    const image = earImage(istft(spectrum, window, hop, (frames - 1) * hop));
    given.ear_image = tensor(image.data, [1, BANDS, image.frames]);
  }
  return model.graphs.encoder.run(given);
}

/** Ask with the mean of the queries of a node's classes, weighted by how probable they are. */
function condition(model, found, heard) {
  const size = model.separator.condition_size;
  const total = found.classes.reduce((sum, index) => sum + heard[index], 0);
  const out = new Float64Array(size);
  for (const index of found.classes) {
    const weight = total > 0 ? heard[index] / total : 1 / found.classes.length;
    const row = model.queryRows.get(index) * size;
    for (let i = 0; i < size; i++) out[i] += weight * model.queries[row + i];
  }
  return Float32Array.from(out);
}

/** The masks of some conditions: {re, im} each, im null where masks are gains. */
async function askFor(model, encoded, conditions) {
  const { condition_size: size, queries_at_once: most, encoded: names } = model.separator;
  const parts = Object.fromEntries(names.map((name) => [name, encoded[name]]));
  const masks = [];
  const step = most ?? conditions.length;
  for (let start = 0; start < conditions.length; start += step) {
    const some = conditions.slice(start, start + step);
    const given = new Float32Array(some.length * size);
    some.forEach((each, row) => given.set(each, row * size));
    const out = (await model.graphs.masks.run({ ...parts, conditions: tensor(given, [some.length, size]) })).masks;
    const [, planes, bins, frames] = out.dims;
    const length = bins * frames;
    some.forEach((_, row) => {
      const plane = (p) => out.data.slice((row * planes + p) * length, (row * planes + p + 1) * length);
      masks.push({ re: plane(0), im: planes === 2 ? plane(1) : null });
    });
  }
  return masks;
}

/** Share out the bins of a segment among its queries and a residual (uss/models/competition.py). */
export function compete(masks, priors, { sharpness, rest }) {
  if (masks.length === 1) return;
  const highest = Math.max(...priors);
  const odds = new Float64Array(masks.length);
  for (let i = 0; i < masks[0].re.length; i++) {
    let sum = 0;
    masks.forEach(({ re, im }, row) => {
      const gain = Math.min(im ? Math.hypot(re[i], im[i]) : re[i], MAX_GAIN);
      odds[row] = (gain / (1 - gain)) ** sharpness * (priors[row] / highest);
      sum += odds[row];
    });
    masks.forEach(({ re, im }, row) => {
      const share = odds[row] / (rest + sum);
      if (im) {
        const scale = share / Math.max(Math.hypot(re[i], im[i]), TINY);
        re[i] *= scale;
        im[i] *= scale;
      } else {
        re[i] = share;
      }
    });
  }
}

function masked({ re, im, bins, frames }, mask) {
  if (!mask.im) {
    return { re: re.map((x, i) => x * mask.re[i]), im: im.map((x, i) => x * mask.re[i]), bins, frames };
  }
  return {
    re: re.map((x, i) => x * mask.re[i] - im[i] * mask.im[i]),
    im: re.map((x, i) => x * mask.im[i] + im[i] * mask.re[i]),
    bins,
    frames,
  };
}
