// EfficientAT's log-mel images, as uss/hearing/mel.py makes them.

import { hann, stft } from "./fourier.js";

const SAMPLE_RATE = 32000;
const SIZE = 1024;
const WINDOW_SAMPLES = 800;
const HOP = 320;
export const BANDS = 128;
const TOP_HZ = 15000;
const PRE_EMPHASIS = 0.97;

const EAR_LEVEL = 0.05;
const EAR_TINY = 1e-6;
const EAR_MIN_SAMPLES = 2048;

const toMel = (hz) => 1127 * Math.log1p(hz / 700);

/** Triangles of height 1 on Kaldi's mel axis: for each band, its first bin and its weights. */
function melFilters() {
  const top = toMel(TOP_HZ);
  const point = (i) => (top * i) / (BANDS + 1);
  return Array.from({ length: BANDS }, (_, band) => {
    const [left, centre, right] = [point(band), point(band + 1), point(band + 2)];
    const weights = [];
    let first = 0;
    for (let bin = 0; bin < SIZE / 2; bin++) {
      const mel = toMel((bin * SAMPLE_RATE) / SIZE);
      const weight = Math.min((mel - left) / (centre - left), (right - mel) / (right - centre));
      if (weight <= 0) continue;
      if (!weights.length) first = bin;
      weights.push(weight);
    }
    return { first, weights };
  });
}

function paddedWindow() {
  const window = new Float64Array(SIZE);
  window.set(hann(WINDOW_SAMPLES, false), (SIZE - WINDOW_SAMPLES) / 2);
  return window;
}

let filters = null;
let window = null;

/** Make the image of a signal at 32 kHz: {data, frames}, Float32Array of bands x frames. */
export function logmel(signal) {
  filters ??= melFilters();
  window ??= paddedWindow();
  const emphasised = new Float32Array(signal.length - 1);
  for (let i = 0; i < emphasised.length; i++) {
    emphasised[i] = signal[i + 1] - PRE_EMPHASIS * signal[i];
  }
  const { re, im, frames } = stft(emphasised, window, HOP);
  const data = new Float32Array(BANDS * frames);
  for (let frame = 0; frame < frames; frame++) {
    filters.forEach(({ first, weights }, band) => {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) {
        const at = (first + i) * frames + frame;
        sum += weights[i] * (re[at] * re[at] + im[at] * im[at]);
      }
      data[band * frames + frame] = (Math.log(sum + 1e-5) + 4.5) / 5;
    });
  }
  return { data, frames };
}

/** Make the image that a separator's ear looks at, which does not depend on the level. */
export function earImage(signal) {
  let energy = 0;
  for (const sample of signal) energy += sample * sample;
  const scale = EAR_LEVEL / (Math.sqrt(energy / signal.length) + EAR_TINY);
  const scaled = new Float32Array(Math.max(EAR_MIN_SAMPLES, signal.length));
  for (let i = 0; i < signal.length; i++) scaled[i] = scale * signal[i];
  return logmel(scaled);
}
