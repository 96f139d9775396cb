"""From a row of a scene list to waveforms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.evaluation.excerpts import load_excerpt
from uss.evaluation.scenes.scene import Background, Scene, SceneEvent

FADE_SECONDS = 0.01
# Below it all exponents give the same power; the lowest bins would else hold most of it.
_LOWEST_HZ = 20.0


@dataclass(frozen=True)
class RenderedScene:
    """A scene and what it is the sum of.

    Attributes:
        mixture: (1, T) float32, the background and the sources added in order.
        sources: (N, 1, T), one per event, with its fades and gain.
        background: (1, T); zeros where the scene has none.
        sample_rate: in Hz.
    """

    mixture: Waveform
    sources: Waveform
    background: Waveform
    sample_rate: int


def render(scene: Scene, root: Path) -> RenderedScene:
    """Make the waveforms of a scene; the same scene and clips always give the same samples.

    Args:
        scene: what it is made of.
        root: the folder its paths start from.

    Raises:
        OSError, InputError: if a clip is missing or cannot be read, an excerpt starts behind its
            end or is silent, or so is the whole.
    """
    sources = np.zeros((len(scene.events), 1, scene.num_samples), np.float32)
    for source, event in zip(sources, scene.events, strict=True):
        onset = round(event.onset_seconds * scene.sample_rate)
        excerpt = _excerpt(scene, event, root)
        source[:, onset : onset + excerpt.shape[1]] = excerpt
    background = np.zeros((1, scene.num_samples), np.float32)
    if scene.background is not None:
        background = coloured_noise(scene.background, scene.num_samples, scene.sample_rate)
    mixture = background.copy()
    for source in sources:
        mixture += source
    if not mixture.any():
        raise InputError("it is silent; give it another level")
    return RenderedScene(mixture, sources, background, scene.sample_rate)


def faded(excerpt: Waveform, sample_rate: int, *, fade_in: bool) -> Waveform:
    """Ramp (1, T) down at its end, and up at its start where it was cut there.

    A clip's own start is left alone: many sounds begin at full level.
    """
    length = min(round(FADE_SECONDS * sample_rate), excerpt.shape[1] // 2)
    ramp = ((np.arange(length) + 0.5) / max(1, length)).astype(np.float32)
    out = excerpt.copy()
    if fade_in:
        out[:, :length] *= ramp
    out[:, out.shape[1] - length :] *= ramp[::-1]
    return out


def coloured_noise(noise: Background, num_samples: int, sample_rate: int) -> Waveform:
    """(1, T) Gaussian noise with power 1/f^a above 20 Hz, at exactly its level."""
    rng = np.random.default_rng(noise.seed)
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequencies_hz = np.fft.rfftfreq(num_samples, 1.0 / sample_rate)
    spectrum *= np.maximum(frequencies_hz, _LOWEST_HZ) ** (-noise.exponent / 2.0)
    waveform = np.fft.irfft(spectrum, num_samples)
    gain = 10.0 ** (noise.level_dbfs / 20.0) / np.sqrt(np.mean(np.square(waveform)))
    samples: Waveform = (gain * waveform).astype(np.float32)[None]
    return samples


def _excerpt(scene: Scene, event: SceneEvent, root: Path) -> Waveform:
    """(1, n) of an event."""
    recording = load_excerpt(
        event.path,
        root,
        start_seconds=event.start_seconds,
        seconds=scene.samples_of(event) / scene.sample_rate,
        sample_rate=scene.sample_rate,
    )
    if not np.any(recording.waveform):
        raise InputError(
            f"{event.path} is silent for {event.seconds:g} s from {event.start_seconds:g} s; "
            f"choose another excerpt for the scene {scene.name}"
        )
    excerpt = faded(recording.waveform, scene.sample_rate, fade_in=event.start_seconds > 0.0)
    gain = np.float32(10.0 ** (event.gain_db / 20.0))
    return (gain * excerpt).astype(np.float32, copy=False)
