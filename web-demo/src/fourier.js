// Short-time Fourier transforms as torch.stft and torch.istft compute them: centred frames, the
// signal mirrored at its ends.

/** A complex FFT of one size, a power of 2, in place. */
class FFT {
  constructor(size) {
    this.size = size;
    this.cos = new Float64Array(size / 2);
    this.sin = new Float64Array(size / 2);
    for (let i = 0; i < size / 2; i++) {
      this.cos[i] = Math.cos((2 * Math.PI * i) / size);
      this.sin[i] = Math.sin((2 * Math.PI * i) / size);
    }
    const bits = Math.log2(size);
    this.reversed = Uint32Array.from({ length: size }, (_, i) => {
      let out = 0;
      for (let bit = 0; bit < bits; bit++) out |= ((i >> bit) & 1) << (bits - 1 - bit);
      return out;
    });
  }

  forward(re, im) {
    const { size, cos, sin, reversed } = this;
    for (let i = 0; i < size; i++) {
      const j = reversed[i];
      if (j > i) {
        [re[i], re[j]] = [re[j], re[i]];
        [im[i], im[j]] = [im[j], im[i]];
      }
    }
    for (let half = 1; half < size; half *= 2) {
      const step = size / (2 * half);
      for (let start = 0; start < size; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const a = start + k;
          const b = a + half;
          const c = cos[k * step];
          const s = -sin[k * step];
          const x = re[b] * c - im[b] * s;
          const y = re[b] * s + im[b] * c;
          re[b] = re[a] - x;
          im[b] = im[a] - y;
          re[a] += x;
          im[a] += y;
        }
      }
    }
  }
}

const known = new Map();
function fftOf(size) {
  if (!known.has(size)) known.set(size, new FFT(size));
  return known.get(size);
}

/** A Hann window of `length` samples; periodic as for spectra, or symmetric. */
export function hann(length, periodic = true) {
  const period = periodic ? length : length - 1;
  return Float64Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / period));
}

/** Where position `i` of a signal of `length` samples comes from when its ends are mirrored. */
function mirrored(i, length) {
  if (i < 0) return -i;
  return i < length ? i : 2 * (length - 1) - i;
}

/**
 * Transform a signal.
 *
 * Returns {re, im, bins, frames}: Float32Array of bins x frames, frames side by side.
 */
export function stft(signal, window, hop) {
  const size = window.length;
  const bins = size / 2 + 1;
  const frames = 1 + Math.floor(signal.length / hop);
  const re = new Float32Array(bins * frames);
  const im = new Float32Array(bins * frames);
  const fft = fftOf(size);
  const x = new Float64Array(size);
  const y = new Float64Array(size);
  for (let frame = 0; frame < frames; frame++) {
    const start = frame * hop - size / 2;
    for (let i = 0; i < size; i++) {
      x[i] = window[i] * signal[mirrored(start + i, signal.length)];
    }
    y.fill(0);
    fft.forward(x, y);
    for (let bin = 0; bin < bins; bin++) {
      re[bin * frames + frame] = x[bin];
      im[bin * frames + frame] = y[bin];
    }
  }
  return { re, im, bins, frames };
}

/** Transform {re, im, bins, frames} back to a signal of `length` samples. */
export function istft({ re, im, bins, frames }, window, hop, length) {
  const size = window.length;
  const total = size + hop * (frames - 1);
  const sum = new Float64Array(total);
  const weight = new Float64Array(total);
  const fft = fftOf(size);
  const x = new Float64Array(size);
  const y = new Float64Array(size);
  for (let frame = 0; frame < frames; frame++) {
    // The inverse is the forward transform of the conjugate, conjugated and divided by the size.
    for (let bin = 0; bin < bins; bin++) {
      const real = re[bin * frames + frame];
      const imaginary = bin === 0 || bin === size / 2 ? 0 : im[bin * frames + frame];
      x[bin] = real;
      y[bin] = -imaginary;
      if (bin > 0 && bin < size / 2) {
        x[size - bin] = real;
        y[size - bin] = imaginary;
      }
    }
    fft.forward(x, y);
    for (let i = 0; i < size; i++) {
      sum[frame * hop + i] += (window[i] * x[i]) / size;
      weight[frame * hop + i] += window[i] * window[i];
    }
  }
  const out = new Float32Array(length);
  for (let i = 0; i < length && i + size / 2 < total; i++) {
    const at = i + size / 2;
    out[i] = weight[at] > 1e-11 ? sum[at] / weight[at] : 0;
  }
  return out;
}
