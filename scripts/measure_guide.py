"""Measure what --guide makes of generated stems that are as good as can be.

    python scripts/measure_guide.py AUDIO

AUDIO holds clips.csv and its clips. Pairs of validation clips of unlike classes are mixed at 0 dB.
For each, a generator that hears perfectly is imitated in two ways: "phases turned" has the
target's magnitudes and none of its phases (its Hilbert transform); "mel alone" is noise with the
target's levels in 64 mel bands, which is all that FlowSep's latents hold. Prints the SDR, in dB, of
these stems, of the mixture masked by them, and of the mixture masked by the target itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import scipy.signal
import torch

from uss.audio import AudioFile, resample
from uss.core.arrays import Float32
from uss.core.errors import INPUT_ERRORS, InputError
from uss.data.manifest import Clip, read_manifest
from uss.hearing.mel import slaney_filterbank
from uss.metrics.ratios import sdr
from uss.models.flowsep.level_fitting import fitted_gain, guided

RATE = 16_000
_SAMPLES = 4 * RATE
_N_FFT, _HOP_LENGTH, _BANDS = 1024, 160, 64
_QUIET = 1e-3


def phases_turned(target: Float32) -> Float32:
    """(T,) with the magnitudes of the target, every phase a quarter turn off."""
    turned: Float32 = np.imag(scipy.signal.hilbert(target)).astype(np.float32)
    return turned


def mel_alone(target: Float32, rng: np.random.Generator) -> Float32:
    """(T,) of noise whose levels in mel bands are those of the target."""
    filters = slaney_filterbank(_BANDS, _N_FFT, RATE, 0.0, RATE / 2)
    window = torch.hann_window(_N_FFT)

    def spectrum(samples: Float32) -> torch.Tensor:
        given = torch.from_numpy(samples)
        return torch.stft(given, _N_FFT, _HOP_LENGTH, window=window, return_complex=True)

    noise = spectrum(rng.standard_normal(len(target)).astype(np.float32))
    wanted, had = (filters @ each.abs() for each in (spectrum(target), noise))
    # From bands back to bins, as their triangles have it.
    spread = filters.T / filters.sum(dim=0).clamp(min=1e-9)[:, None]
    shaped = noise * (spread @ (wanted / had.clamp(min=1e-9)))
    made: Float32 = torch.istft(
        shaped, _N_FFT, _HOP_LENGTH, window=window, length=len(target)
    ).numpy()
    return made


def pairs(clips: Sequence[Clip], audio: Path, rng: np.random.Generator) -> Iterator[list[Float32]]:
    """Draw two clips that share no label, at equal energy, again and again."""
    while True:
        first, second = (clips[int(i)] for i in rng.choice(len(clips), 2, replace=False))
        if set(first.mids) & set(second.mids):
            continue
        waveforms = [_start_of(audio / clip.path) for clip in (first, second)]
        if min(np.abs(each).max() for each in waveforms) > _QUIET:
            yield [each / np.sqrt(np.mean(each**2)) * 0.05 for each in waveforms]


def _start_of(path: Path) -> Float32:
    """(T,) mono, the first four seconds, zeros behind."""
    file = AudioFile(path)
    whole = np.concatenate(list(file.blocks()), axis=1).mean(axis=0, keepdims=True)
    at_rate = resample(whole, file.sample_rate, RATE)[0, :_SAMPLES]
    return np.pad(at_rate, (0, _SAMPLES - len(at_rate)))


def measure(audio: Path, size: int, seed: int) -> dict[str, list[float]]:
    """Score mixtures; row name -> SDR of each.

    Raises:
        OSError, ValueError: if clips cannot be read, or there are too few.
    """
    clips = read_manifest(audio / "clips.csv", split="validation")
    if len(clips) < 2:
        raise InputError(f"{audio} has {len(clips)} validation clips; two are needed at least")
    rng = np.random.default_rng(seed)
    scores: dict[str, list[float]] = {}
    drawn = pairs(clips, audio, rng)
    for _ in range(size):
        target, other = next(drawn)
        mixture = torch.from_numpy(target + other)[None]
        reference = torch.from_numpy(target)[None]
        rows = {"mixture": mixture, "masked by the target": guided(reference, mixture)}
        for name, made in (
            ("phases turned", phases_turned(target)),
            ("mel alone", mel_alone(target, rng)),
        ):
            stem = torch.from_numpy(made)[None]
            stem = stem * fitted_gain(stem, mixture)[:, None]
            rows |= {name: stem, f"{name}, as a guide": guided(stem, mixture)}
        for name, estimate in rows.items():
            scores.setdefault(name, []).append(float(sdr(reference, estimate)))
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("audio", type=Path)
    parser.add_argument("--size", type=int, default=100, help="how many mixtures (100)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    try:
        scores = measure(arguments.audio, arguments.size, arguments.seed)
    except INPUT_ERRORS as error:
        print(f"measure_guide: {error}", file=sys.stderr)
        return 2
    for name, each in scores.items():
        print(f"{name:28} {np.mean(each):6.2f} dB (median {np.median(each):6.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
