"""Mixtures of captioned mixtures (Mahmud et al. 2024): item n is batch n, drawn by seed and n."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from uss.conditions.meant_conditions import Wording
from uss.core.arrays import Float32
from uss.core.errors import INPUT_ERRORS, InputError, one_line
from uss.data.captioned_clips import CaptionedClip, read_excerpt
from uss.data.sharing import ALONE, Place

logger = logging.getLogger(__name__)

_MAX_DRAWS = 20
_STREAM = 1
"""Tells these draws from those of anchors with the same seed."""
_SPARE_STREAM = 2
"""Of the draws that take the place of clips that cannot be read."""
_LEAST_RMS = 1e-4
"""-80 dB: what is quieter is silence, which is not made loud."""

Texts = Sequence[Sequence[str]]


class CaptionedBatch(NamedTuple):
    """Mixtures of N parts, with K phrases each.

    Attributes:
        mixture: (B, 1, T), the sum of the parts.
        parts: (B, N, T).
        captions: (B, N, H) conditions of what is said of each part.
        phrases: (B, N, K, H) conditions of what is said of each of its sources.
        weights: (B, N, K) of the sources in their part: the inverse of how often one was drawn.
        caption_is_understood: (B, N) bool.
        phrase_is_understood: (B, N, K) bool.
        said: B by N by K phrases as they are written.
    """

    mixture: Tensor
    parts: Tensor
    captions: Tensor
    phrases: Tensor
    weights: Tensor
    caption_is_understood: Tensor
    phrase_is_understood: Tensor
    said: Sequence[Texts]


@dataclass(frozen=True)
class CaptionedMixing:
    """Which captioned clips are mixed, and how.

    Attributes:
        manifest: CSV file with ``clip_id``, ``path``, and ``caption`` or ``mids``.
        audio_root: the folder that its paths start from.
        split: keep only rows of this split.
        seconds: of the mixtures; None for what the model is trained on.
        num_mixtures: N, how many clips are mixed.
        num_phrases: K, how many of a clip's phrases are asked for; fewer are repeated.
        gain: least and greatest factor of a clip.
        rms: of each excerpt before its gain, so that all count alike; None leaves it as recorded.
        random_excerpt: where in a longer clip an excerpt lies is drawn; else it is the middle.
        queries: name or file of the model whose class queries make conditions of words, where there
            are no anchors whose averages do.
        text_encoder: name, file or folder of what makes them instead, for separators that are asked
            in words; None for the published one of their space.
    """

    manifest: str
    audio_root: str = "."
    split: str | None = None
    seconds: float | None = None
    num_mixtures: int = 2
    num_phrases: int = 3
    gain: tuple[float, float] = (0.5, 1.5)
    rms: float | None = None
    random_excerpt: bool = True
    queries: str = "default"
    text_encoder: str | None = None

    def __post_init__(self) -> None:
        """Check that there is something to mix."""
        low, high = self.gain
        if self.num_mixtures < 2 or self.num_phrases < 1 or not 0.0 < low <= high < math.inf:
            raise InputError(
                f"num_mixtures {self.num_mixtures} must be at least 2, num_phrases "
                f"{self.num_phrases} at least 1, gain {list(self.gain)} two positive factors, the "
                "smaller one first"
            )
        if self.seconds is not None and not 0.0 < self.seconds < math.inf:
            raise InputError(f"captioned mixtures of {self.seconds} s; give a length above 0")
        if self.rms is not None and not 0.0 < self.rms < 1.0:
            raise InputError(f"captions.rms {self.rms} is not in (0, 1); null leaves levels alone")


class CaptionedSources(NamedTuple):
    """A captioned batch before it is mixed, and before anybody read its words.

    Attributes:
        parts: (B, N, T), at their levels.
        captions: B by N.
        phrases: B by N by K.
        weights: (B, N, K).
    """

    parts: Tensor
    captions: Texts
    phrases: Sequence[Texts]
    weights: Tensor


class _DrawnPart(NamedTuple):
    """The number of a clip, where its excerpt lies, its level, and what is asked of it."""

    row: int
    place: float
    gain: float
    phrases: tuple[str, ...]
    weights: tuple[float, ...]


class CaptionedBatches(Dataset[CaptionedBatch]):
    """Item n is batch n, a pure function of seed and n: read by ``read``, mixed by ``mix``.

    Clips that cannot be read are passed over, and told in the log.

    Args:
        clips: what is mixed; two in one mixture have different captions, where there are such.
        mixing: how.
        wording: makes conditions of words.
        sample_rate: in Hz.
        num_samples: T.
        batch_size: B.
        seed: of the drawing.
        place: whose share of each batch is read and mixed.

    Raises:
        ValueError: if there are fewer clips than a mixture has, or the batches cannot be shared
            evenly.
    """

    def __init__(
        self,
        clips: Sequence[CaptionedClip],
        mixing: CaptionedMixing,
        wording: Wording,
        *,
        sample_rate: int,
        num_samples: int,
        batch_size: int,
        seed: int,
        place: Place = ALONE,
    ) -> None:
        if len(clips) < mixing.num_mixtures:
            raise InputError(
                f"a mixture of {mixing.num_mixtures} captioned clips, and {mixing.manifest} has "
                f"{len(clips)}; add clips, or mix fewer"
            )
        self.clips = clips
        self.mixing = mixing
        self.wording = wording
        self.sample_rate = sample_rate
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.seed = seed
        self.share = place.share(batch_size)
        self._unreadable: set[int] = set()

    def __getitem__(self, n: int) -> CaptionedBatch:
        return self.mix(self.read(n))

    def read(self, n: int) -> CaptionedSources:
        """Draw batch n, and read what this process's share of it holds.

        Raises:
            ValueError: if too many of the clips cannot be read.
        """
        rng = np.random.default_rng([self.seed, n, 0, 1, _STREAM])
        drawn = [self._draw(rng) for _ in range(self.batch_size)][self.share]
        numbers = range(self.batch_size)[self.share]
        # Each mixture by itself, so that it does not matter who reads the others.
        mixtures = [
            self._readable(parts, np.random.default_rng([self.seed, n, number, 1, _SPARE_STREAM]))
            for number, parts in zip(numbers, drawn, strict=True)
        ]
        drawn = [[part for part, _ in parts] for parts in mixtures]
        parts = np.array([[waveform for _, waveform in parts] for parts in mixtures], np.float32)
        weights = np.array([[part.weights for part in parts] for parts in drawn], np.float32)
        return CaptionedSources(
            torch.from_numpy(parts),
            [[self.clips[part.row].caption for part in parts] for parts in drawn],
            [[list(part.phrases) for part in parts] for parts in drawn],
            torch.from_numpy(weights),
        )

    def mix(self, read: CaptionedSources) -> CaptionedBatch:
        """Mix what was read, and make conditions of what is said, on the device where it is."""
        shape = read.weights.shape
        captions = [text for texts in read.captions for text in texts]
        phrases = [text for texts in read.phrases for some in texts for text in some]
        made = self.wording.words([*captions, *phrases])
        conditions = torch.from_numpy(made.conditions).to(read.parts.device)
        understood = torch.from_numpy(made.is_understood).to(read.parts.device)
        return CaptionedBatch(
            read.parts.sum(dim=1, keepdim=True),
            read.parts,
            conditions[: len(captions)].unflatten(0, shape[:2]),
            conditions[len(captions) :].unflatten(0, shape),
            read.weights,
            understood[: len(captions)].unflatten(0, shape[:2]),
            understood[len(captions) :].unflatten(0, shape),
            read.phrases,
        )

    def close(self) -> None:
        """Let go of files; none stays open."""

    def _draw(self, rng: np.random.Generator) -> list[_DrawnPart]:
        """Draw all that is random about a mixture."""
        count = self.mixing.num_mixtures
        for _ in range(_MAX_DRAWS):
            rows = rng.choice(len(self.clips), count, replace=False)
            if len({self.clips[row].caption.casefold() for row in rows}) == count:
                break
        return [self._draw_part(int(row), rng) for row in rows]

    def _draw_part(self, row: int, rng: np.random.Generator) -> _DrawnPart:
        clip = self.clips[row]
        place = float(rng.random())
        gain = float(rng.uniform(*self.mixing.gain))
        wanted, there = self.mixing.num_phrases, len(clip.phrases)
        asked = list(range(there))
        if there > wanted:
            asked = rng.choice(there, wanted, replace=False).tolist()
        elif there < wanted:
            asked += rng.integers(there, size=wanted - there).tolist()
        return _DrawnPart(
            row,
            place if self.mixing.random_excerpt else 0.5,
            gain,
            tuple(clip.phrases[each] for each in asked),
            tuple(1.0 / asked.count(each) for each in asked),
        )

    def _readable(
        self, parts: Sequence[_DrawnPart], rng: np.random.Generator
    ) -> list[tuple[_DrawnPart, Float32]]:
        """Read the parts of a mixture; others are drawn for those that cannot be read."""
        taken = {part.row for part in parts}
        found = []
        for part in parts:
            waveform = self._read(part)
            for _ in range(_MAX_DRAWS):
                if waveform is not None or len(taken) == len(self.clips):
                    break
                free = [row for row in range(len(self.clips)) if row not in taken]
                part = self._draw_part(int(rng.choice(free)), rng)
                taken.add(part.row)
                waveform = self._read(part)
            if waveform is None:
                raise InputError(
                    f"too few of the clips of {self.mixing.manifest} can be read for a mixture of "
                    f"{self.mixing.num_mixtures}, see the log; correct their rows or files"
                )
            found.append((part, waveform))
        return found

    def _read(self, part: _DrawnPart) -> Float32 | None:
        """Read a part at its level: clipped, and divided by how many there are, as released.

        Returns:
            (T,); None where it cannot be read, which is logged once.
        """
        if part.row in self._unreadable:
            return None
        clip = self.clips[part.row]
        try:
            waveform = read_excerpt(clip, self.sample_rate, self.num_samples, part.place)
        except INPUT_ERRORS as error:
            self._unreadable.add(part.row)
            logger.warning("left out: row %s: %s", clip.clip_id, one_line(error))
            return None
        gain = part.gain
        if self.mixing.rms is not None:
            rms = float(np.sqrt(np.mean(np.square(waveform))))
            gain *= self.mixing.rms / max(rms, _LEAST_RMS)
        levelled: Float32 = np.clip(gain * waveform, -1.0, 1.0) / self.mixing.num_mixtures
        return levelled
