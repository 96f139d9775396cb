// What is in a recording, and when (Algorithms 3 and 4), by the rules of model.json.

import { BANDS, logmel } from "./logmel.js";
import { tensor } from "./model.js";
import { cut, segmentsOf } from "./segments.js";

/**
 * Tag every segment.
 *
 * Returns {segments, probabilities, sounding}: one Float32Array of 527 per segment, and whether it
 * holds any sound.
 */
export async function analyse(model, channels, tell) {
  const { rules } = model.detection;
  const { sample_rate: rate } = model.tagger;
  const mono = channels[0].map(
    (_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length,
  );
  const segments = segmentsOf(mono.length, model.separator, rules.overlap);
  const width = Math.max(segments.length, Math.round(rules.window_seconds * rate));
  const probabilities = [];
  const sounding = [];
  for (let index = 0; index < segments.count; index++) {
    tell(index, segments.count);
    const start = index * segments.hop;
    const centre = start + Math.floor(segments.length / 2);
    const { data, frames } = logmel(cut(mono, centre - Math.floor(width / 2), width));
    const heard = await model.graphs.tagger.run({ logmel: tensor(data, [1, BANDS, frames]) });
    const peak = cut(mono, start, segments.length).reduce((p, x) => Math.max(p, Math.abs(x)), 0);
    sounding.push(peak >= rules.silence_peak);
    const row = Float32Array.from(heard.clipwise.data);
    probabilities.push(peak >= rules.silence_peak ? row : row.fill(0));
  }
  return { segments, probabilities, sounding };
}

function thresholdsOf(model, isNamed) {
  const { threshold } = model.detection.rules;
  // What is named is likelier to be there, so it is held against medium sensitivity.
  const own = (isNamed && model.mediumThresholds) || model.ownThresholds;
  return own ?? new Float32Array(model.detection.classes.length).fill(threshold);
}

/** Look for a node: when it is active, and how probable it is in each segment. */
export function lookFor(model, analysis, node, isNamed = false) {
  const { rules } = model.detection;
  const thresholds = thresholdsOf(model, isNamed);
  // A class without a query cannot be asked for, and wakes nothing.
  const classes = node.classes.filter((index) => model.queryRows.has(index));
  const isDoubted = node.doubted && model.ownThresholds !== null;
  const surely = (threshold) => {
    const odds = (threshold / Math.max(1 - threshold, 1e-12)) * Math.exp(rules.surely_logits);
    return odds / (1 + odds);
  };
  const reached = [];
  const sustained = [];
  const probabilities = [];
  let isExceeded = false;
  for (const row of analysis.probabilities) {
    const above = classes.filter((index) => row[index] >= thresholds[index]);
    isExceeded ||= classes.some((index) => row[index] > thresholds[index]);
    reached.push(
      isDoubted
        ? above.length > 1 || classes.some((index) => row[index] >= surely(thresholds[index]))
        : above.length > 0,
    );
    sustained.push(classes.some((index) => row[index] >= rules.release * thresholds[index]));
    probabilities.push(classes.reduce((best, index) => Math.max(best, row[index]), 0));
  }
  return {
    node,
    classes,
    active: held(reached, sustained),
    probabilities,
    probability: Math.max(...probabilities),
    isExceeded,
  };
}

/** Find the active nodes of a level, most probable first. */
export function detectLevel(model, analysis, level) {
  return model.detection.nodes
    .filter((node) => node.levels.includes(level))
    .map((node) => lookFor(model, analysis, node))
    .filter((found) => found.isExceeded && found.active.some(Boolean))
    .sort((a, b) => b.probability - a.probability);
}

/** Of the runs of sustained segments, those that reach the threshold somewhere. */
function held(reached, sustained) {
  const active = new Array(reached.length).fill(false);
  let start = 0;
  while (start < reached.length) {
    let end = start;
    while (end < reached.length && (sustained[end] || reached[end])) end++;
    if (reached.slice(start, end).some(Boolean)) active.fill(true, start, end);
    start = Math.max(end, start + 1);
  }
  return active;
}
