// Where segments lie in a recording, and how they are cross-faded (uss/audio/segments.py).

export function segmentsOf(numSamples, separator, overlap) {
  const length = Math.round(separator.segment_seconds * separator.sample_rate);
  const hop = length - Math.trunc(overlap * length);
  const count = 1 + Math.ceil(Math.max(0, numSamples - length) / hop);
  return { length, hop, count };
}

/** Cut `length` samples from `start` on; zeros beyond the ends. */
export function cut(signal, start, length) {
  const out = new Float32Array(length);
  const first = Math.max(0, start);
  const last = Math.min(signal.length, start + length);
  if (last > first) out.set(signal.subarray(first, last), first - start);
  return out;
}

/** The weights of a segment; those of all segments add up to 1 everywhere. */
export function crossFade({ length, hop, count }, index, isPreviousActive, isNextActive) {
  const weights = new Float32Array(length).fill(1);
  const overlap = length - hop;
  if (!overlap) return weights;
  const short = Math.min(overlap, Math.max(1, Math.floor(length / 100)));
  if (index > 0) {
    const fade = isPreviousActive ? overlap : short;
    for (let i = 0; i < fade; i++) weights[i] = (i + 0.5) / fade;
  }
  if (index < count - 1) {
    const fade = isNextActive ? overlap : short;
    for (let i = 0; i < fade; i++) weights[length - fade + i] = 1 - (i + 0.5) / fade;
  }
  return weights;
}
