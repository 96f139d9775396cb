"""Scenes to teach a tagger with: mixtures whose truth is the union of what is in their parts.

A teacher that hears a mixture misses what is masked. Here it has heard every part alone and clean,
once, in windows of four seconds; the truth of a mixture is the union of its parts' probabilities
and of the labels that the teacher confirms, in time as well: a part is placed, or cut to a shorter
event, and what lies outside counts as silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uss.data.augmentation import Variation, vary
from uss.taggers import NUM_CLASSES, EfficientAT

SAMPLE_RATE = EfficientAT.sample_rate
WINDOW_SAMPLES = 4 * SAMPLE_RATE
_HOP_SAMPLES = 2 * SAMPLE_RATE
_SOURCE_PROBABILITIES = (0.25, 0.35, 0.25, 0.15)
_EVENT_PROBABILITY = 0.35
_EVENT_SECONDS = (0.6, 3.0)
_LEVEL_DB = 10.0
_LABEL_PROBABILITY = 0.9
_FADE_SAMPLES = 320


@dataclass(frozen=True)
class Heard:
    """What the teacher hears in every window of every clip.

    Attributes:
        clip, start: (W,) of each window; the start is in samples.
        clipwise: (W, K) float16.
        framewise: (W, F, K) float16, evenly spaced over the window.
    """

    clip: NDArray[np.int64]
    start: NDArray[np.int64]
    clipwise: NDArray[np.float16]
    framewise: NDArray[np.float16]


class Scenes(NamedTuple):
    """A batch.

    Attributes:
        waveform: (B, T) float32.
        clipwise: (B, K) the truth, as probabilities.
        framewise: (B, F, K).
    """

    waveform: Tensor
    clipwise: Tensor
    framewise: Tensor


def window(waveform: NDArray[np.int16], start: int) -> NDArray[np.float32]:
    """Cut a window of four seconds, padded with silence."""
    out = np.zeros(WINDOW_SAMPLES, np.float32)
    part = waveform[start : start + WINDOW_SAMPLES]
    out[: len(part)] = part / np.float32(32768.0)
    return out


def hear(
    teacher: EfficientAT, waveforms: Sequence[NDArray[np.int16]], batch_size: int = 24
) -> Heard:
    """Let the teacher hear every clip alone, in windows two seconds apart."""
    places = [
        (clip, start)
        for clip, waveform in enumerate(waveforms)
        for start in range(0, max(1, len(waveform) - _HOP_SAMPLES), _HOP_SAMPLES)
    ]
    clipwise, framewise = [], []
    with torch.inference_mode():
        for first in range(0, len(places), batch_size):
            some = places[first : first + batch_size]
            batch = np.stack([window(waveforms[clip], start) for clip, start in some])
            heard = teacher(torch.from_numpy(batch))
            clipwise.append(heard.clipwise.numpy().astype(np.float16))
            framewise.append(heard.framewise.numpy().astype(np.float16))
    clips, starts = np.array(places, np.int64).T
    return Heard(clips, starts, np.concatenate(clipwise), np.concatenate(framewise))


class SceneMixer:
    """Draws scenes of one to four parts.

    Half of the parts are drawn by class, so that rare ones are heard as often as common ones, the
    others from all windows.

    Args:
        waveforms: of the clips, int16.
        labels: class indexes of each clip; empty where there are none.
        heard: what the teacher hears in them.
        variation: of every part.
    """

    def __init__(
        self,
        waveforms: Sequence[NDArray[np.int16]],
        labels: Sequence[tuple[int, ...]],
        heard: Heard,
        variation: Variation,
    ) -> None:
        self.waveforms = waveforms
        self.labels = labels
        self.heard = heard
        self.variation = variation
        num_clips = len(waveforms)
        self.best = np.zeros((num_clips, NUM_CLASSES), np.float16)
        np.maximum.at(self.best, heard.clip, heard.clipwise)
        self.windows_of_clip = np.split(
            np.arange(len(heard.clip)), np.searchsorted(heard.clip, np.arange(1, num_clips))
        )
        clips_of: dict[int, list[int]] = {}
        for clip, indexes in enumerate(labels):
            for index in indexes:
                clips_of.setdefault(index, []).append(clip)
        self.clips_of_class = [np.array(clips) for _, clips in sorted(clips_of.items())]

    def batch(self, size: int, rng: np.random.Generator) -> Scenes:
        """Draw ``size`` scenes."""
        num_frames = self.heard.framewise.shape[1]
        waveform = np.zeros((size, WINDOW_SAMPLES), np.float32)
        absent = np.ones((size, num_frames, NUM_CLASSES), np.float32)
        absent_at_all = np.ones((size, NUM_CLASSES), np.float32)
        for row in range(size):
            for _ in range(
                1 + int(rng.choice(len(_SOURCE_PROBABILITIES), p=_SOURCE_PROBABILITIES))
            ):
                part, clipwise, framewise = self._part(rng)
                waveform[row] += part
                absent[row] *= 1.0 - framewise
                absent_at_all[row] *= 1.0 - clipwise
            level = 10.0 ** (rng.uniform(-45.0, -15.0) / 20.0)
            waveform[row] *= level / (np.sqrt(np.square(waveform[row]).mean()) + 1e-8)
        np.clip(waveform, -1.0, 1.0, out=waveform)
        return Scenes(
            torch.from_numpy(waveform),
            torch.from_numpy(1.0 - absent_at_all),
            torch.from_numpy(1.0 - absent),
        )

    def _part(
        self, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Draw one sound: (T,) at a random level, (K,) and (F, K) of what is in it."""
        row = self._draw(rng)
        clip, start = int(self.heard.clip[row]), int(self.heard.start[row])
        part = window(self.waveforms[clip], start)
        rms = np.sqrt(np.square(part).mean()) + 1e-8
        part = vary(part, SAMPLE_RATE, self.variation, rng)
        clipwise = self._confirmed(row, clip)
        framewise = self.heard.framewise[row].astype(np.float32)
        peak = framewise.max(axis=0)
        # In the frames where the teacher hears a class nearly as well as it ever does here, the
        # class is as probable as in the window.
        framewise = clipwise * np.minimum(1.0, framewise / np.maximum(0.6 * peak, 1e-6))
        part, active, shift = _place(part, len(self.waveforms[clip]) - start, len(framewise), rng)
        framewise = active[:, None] * np.roll(framewise, shift, axis=0)
        clipwise = np.minimum(clipwise, framewise.max(axis=0))
        level = 10.0 ** (rng.uniform(-_LEVEL_DB, _LEVEL_DB) / 20.0)
        return part * np.float32(level / rms), clipwise, framewise

    def _draw(self, rng: np.random.Generator) -> int:
        if rng.random() < 0.5:
            clips = self.clips_of_class[rng.integers(len(self.clips_of_class))]
            return int(rng.choice(self.windows_of_clip[int(rng.choice(clips))]))
        return int(rng.integers(len(self.heard.clip)))

    def _confirmed(self, row: int, clip: int) -> NDArray[np.float32]:
        """(K,) of a window: labels count where the teacher hears them as well as anywhere."""
        probabilities = self.heard.clipwise[row].astype(np.float32)
        labels = list(self.labels[clip])
        if labels:
            best = np.maximum(self.best[clip, labels].astype(np.float32), 1e-6)
            sure = _LABEL_PROBABILITY * np.minimum(1.0, probabilities[labels] / (0.5 * best))
            probabilities[labels] = np.maximum(probabilities[labels], sure)
        return probabilities


def _place(
    part: NDArray[np.float32], length: int, num_frames: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """Move a sound that is shorter than the window, or cut an event from a longer one.

    Returns:
        The sound (T,), the share of each frame in which it is heard (F,), and by how many frames
        it was moved.
    """
    total = len(part)
    frame = total / num_frames
    if length < total:
        shift = round(int(rng.integers(total - length + 1)) / frame)
        start = round(shift * frame)
        return np.roll(part, start), _share(start, start + length, total, num_frames), shift
    if rng.random() >= _EVENT_PROBABILITY:
        return part, np.ones(num_frames, np.float32), 0
    samples = round(rng.uniform(*_EVENT_SECONDS) * SAMPLE_RATE)
    start = int(rng.integers(total - samples + 1))
    fade = np.linspace(0.0, 1.0, _FADE_SAMPLES, dtype=np.float32)
    gate = np.zeros(total, np.float32)
    gate[start : start + samples] = 1.0
    gate[start : start + _FADE_SAMPLES] = fade
    gate[start + samples - _FADE_SAMPLES : start + samples] = fade[::-1]
    return part * gate, _share(start, start + samples, total, num_frames), 0


def _share(start: int, end: int, total: int, num_frames: int) -> NDArray[np.float32]:
    """(F,) how much of each frame lies between two samples."""
    edges = np.linspace(0.0, total, num_frames + 1)
    covered = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    share: NDArray[np.float32] = np.clip(covered / (total / num_frames), 0.0, 1.0)
    return share.astype(np.float32)
