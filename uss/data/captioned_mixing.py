"""Mixtures of captioned mixtures (Mahmud et al. 2024): item n is batch n, drawn by seed and n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from uss.conditions.meant_conditions import Wording
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.data.captioned_clips import CaptionedClip, read_excerpt
from uss.data.sharing import ALONE, Place

_MAX_DRAWS = 20
_STREAM = 1
"""Tells these draws from those of anchors with the same seed."""

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
    random_excerpt: bool = True
    queries: str = "default"
    text_encoder: str | None = None

    def __post_init__(self) -> None:
        """Check that there is something to mix."""
        low, high = self.gain
        if self.num_mixtures < 2 or self.num_phrases < 1 or not 0.0 < low <= high:
            raise InputError(
                f"num_mixtures {self.num_mixtures} must be at least 2, num_phrases "
                f"{self.num_phrases} at least 1, gain {list(self.gain)} two positive factors, the "
                "smaller one first"
            )
        if self.seconds is not None and not self.seconds > 0.0:
            raise InputError(f"captioned mixtures of {self.seconds} s; give a length above 0")


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
    """A clip, where its excerpt lies, its level, and what is asked of it."""

    clip: CaptionedClip
    place: float
    gain: float
    phrases: tuple[str, ...]
    weights: tuple[float, ...]


class CaptionedBatches(Dataset[CaptionedBatch]):
    """Item n is batch n, a pure function of seed and n: read by ``read``, mixed by ``mix``.

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

    def __getitem__(self, n: int) -> CaptionedBatch:
        return self.mix(self.read(n))

    def read(self, n: int) -> CaptionedSources:
        """Draw batch n, and read what this process's share of it holds."""
        rng = np.random.default_rng([self.seed, n, 0, 1, _STREAM])
        drawn = [self._draw(rng) for _ in range(self.batch_size)][self.share]
        parts = np.array([[self._read(part) for part in parts] for parts in drawn], np.float32)
        weights = np.array([[part.weights for part in parts] for parts in drawn], np.float32)
        return CaptionedSources(
            torch.from_numpy(parts),
            [[part.clip.caption for part in parts] for parts in drawn],
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
        return [self._draw_part(self.clips[row], rng) for row in rows]

    def _draw_part(self, clip: CaptionedClip, rng: np.random.Generator) -> _DrawnPart:
        place = float(rng.random())
        gain = float(rng.uniform(*self.mixing.gain))
        wanted, there = self.mixing.num_phrases, len(clip.phrases)
        rows = list(range(there))
        if there > wanted:
            rows = rng.choice(there, wanted, replace=False).tolist()
        elif there < wanted:
            rows += rng.integers(there, size=wanted - there).tolist()
        return _DrawnPart(
            clip,
            place if self.mixing.random_excerpt else 0.5,
            gain,
            tuple(clip.phrases[row] for row in rows),
            tuple(1.0 / rows.count(row) for row in rows),
        )

    def _read(self, part: _DrawnPart) -> Float32:
        """Read a part at its level: clipped, and divided by how many there are, as released."""
        waveform = read_excerpt(part.clip, self.sample_rate, self.num_samples, part.place)
        levelled: Float32 = np.clip(part.gain * waveform, -1.0, 1.0) / self.mixing.num_mixtures
        return levelled
