"""Mixtures of mixtures, from any clips: what they hold need not be known (MixIT)."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from uss.core.arrays import Float32
from uss.core.errors import INPUT_ERRORS, InputError, one_line
from uss.data.clip_spans import WHOLE, read_part, read_spans
from uss.data.locating import locate
from uss.data.manifest import Clip, read_manifest
from uss.data.sharing import ALONE, Place

logger = logging.getLogger(__name__)

NUM_PARTS = 2
"""Mixtures in a mixture of mixtures."""

_MAX_SILENT = 20
_SILENCE_RMS = 1e-4
_TINY = 1e-8


class MixtureOfMixtures(NamedTuple):
    """What MixIT learns from.

    Attributes:
        mixture: (B, 1, T) the sum of the parts.
        parts: (B, 2, T) the mixtures that it is of.
    """

    mixture: Tensor
    parts: Tensor


class ClipParts(NamedTuple):
    """A batch before it is mixed.

    Attributes:
        parts: (B, 2, T).
    """

    parts: Tensor


class ClipSegments:
    """Segments of the clips of a manifest, decoded when they are asked for.

    Args:
        manifest: CSV with ``clip_id,path``, perhaps ``group`` and the part of the file that a row
            means, ``start_seconds,end_seconds``; labels are not read.
        audio_root: the folder its paths start from.
        split: keep only rows whose column ``split`` says so.
        sample_rate: to which clips are brought, as one channel.
        segment_samples: length of a segment.

    Attributes:
        clips: those that have a file.
        segment_samples: see above.

    Raises:
        FileNotFoundError, ValueError: if the manifest cannot be read, or fewer than two recordings
            of it have a file.
    """

    def __init__(
        self,
        manifest: str | Path,
        audio_root: str | Path,
        *,
        split: str | None,
        sample_rate: int,
        segment_samples: int,
    ) -> None:
        listed = locate(read_manifest(manifest, split, labelled=False), audio_root)
        self.root = Path(audio_root)
        self.clips = [each for each in listed if each.path and (self.root / each.path).is_file()]
        self.spans = read_spans(manifest)
        self.sample_rate = sample_rate
        self.segment_samples = segment_samples
        if len(self.clips) < len(listed):
            missing = len(listed) - len(self.clips)
            logger.warning("%d of the %d clips of %s have no file", missing, len(listed), manifest)
        if len({group_of_clip(clip) for clip in self.clips}) < NUM_PARTS:
            raise InputError(
                f"{manifest} has files of fewer than two recordings in {audio_root}, and one alone "
                "makes no mixture of mixtures; name more clips, or their folder"
            )

    def segment(self, index: int, place: float) -> Float32 | None:
        """Cut a segment out of a clip, or put a shorter clip somewhere into one.

        Args:
            index: of the clip.
            place: where, 0 to less than 1.

        Returns:
            (T,); None where the clip cannot be read, which is logged, or is silent there.
        """
        clip = self.clips[index]
        span = self.spans.get(clip.clip_id, WHOLE)
        try:
            waveform = read_part(self.root / clip.path, span, self.sample_rate)
        except INPUT_ERRORS as error:
            logger.warning("left out: %s", one_line(error))
            return None
        free = len(waveform) - self.segment_samples
        start = int(place * (abs(free) + 1))
        if free >= 0:
            segment = waveform[start : start + self.segment_samples]
        else:
            segment = np.zeros(self.segment_samples, np.float32)
            segment[start : start + len(waveform)] = waveform
        return segment if float(np.square(segment).mean()) > _SILENCE_RMS**2 else None


class ClipMixtures(Dataset[MixtureOfMixtures]):
    """Item n is batch n, a pure function of seed and n: read by ``read``, mixed by ``mix``.

    Clips are drawn alike, and those of one recording are never mixed.

    Args:
        segments: of the clips.
        level_db: of each part around equal energy, at most; None leaves clips at their levels.
        batch_size: B.
        mixture_rms: level every mixture is brought to; None keeps it.
        seed: of the drawing.
        place: whose share of each batch is read and mixed.

    Raises:
        ValueError: if the level is negative, or batches cannot be shared evenly.
    """

    def __init__(
        self,
        segments: ClipSegments,
        *,
        level_db: float | None,
        batch_size: int,
        mixture_rms: float | None,
        seed: int,
        place: Place = ALONE,
    ) -> None:
        if level_db is not None and level_db < 0.0:
            raise InputError(f"level_db {level_db} is negative; choose 0 or more, or null")
        self.segments = segments
        self.level_db = level_db
        self.batch_size = batch_size
        self.mixture_rms = mixture_rms
        self.seed = seed
        self.share = place.share(batch_size)

    def __getitem__(self, n: int) -> MixtureOfMixtures:
        return self.mix(self.read(n))

    def read(self, n: int) -> ClipParts:
        """Draw batch n, and read what this process's share of it holds.

        Raises:
            ValueError: if too many of the clips are silent or cannot be read.
        """
        rows = range(self.batch_size)[self.share]
        # Every mixture by itself, so that it does not matter who reads the others.
        parts = np.stack([self._parts(np.random.default_rng([self.seed, n, row])) for row in rows])
        return ClipParts(torch.from_numpy(parts))

    def mix(self, read: ClipParts) -> MixtureOfMixtures:
        """Mix what was read, on the device where it is."""
        parts = read.parts
        mixture = parts.sum(dim=1, keepdim=True)
        if self.mixture_rms is not None:
            level = mixture.square().mean(dim=2, keepdim=True).sqrt()
            scale = self.mixture_rms / level.clamp(min=_TINY)
            mixture, parts = scale * mixture, scale * parts
        return MixtureOfMixtures(mixture, parts)

    def close(self) -> None:
        """Nothing is open: clips are read one by one."""

    def _parts(self, rng: np.random.Generator) -> Float32:
        """Draw the parts of one mixture: (2, T) of different recordings, at their levels."""
        groups: set[str] = set()
        parts = []
        for _ in range(NUM_PARTS):
            group, segment = self._audible(groups, rng)
            groups.add(group)
            if self.level_db is not None:
                level = 10.0 ** (rng.uniform(-self.level_db, self.level_db) / 20.0)
                segment = segment * np.float32(level / np.sqrt(np.square(segment).mean()))
            parts.append(segment)
        return np.stack(parts)

    def _audible(self, taken: Collection[str], rng: np.random.Generator) -> tuple[str, Float32]:
        """Draw a segment that sounds, of none of the recordings that are taken."""
        clips = self.segments.clips
        for _ in range(_MAX_SILENT):
            index = int(rng.integers(len(clips)))
            while group_of_clip(clips[index]) in taken:
                index = int(rng.integers(len(clips)))
            segment = self.segments.segment(index, float(rng.random()))
            if segment is not None:
                return group_of_clip(clips[index]), segment
        raise InputError(
            f"of {_MAX_SILENT} clips drawn at random none sounds and can be read; leave silent and "
            "broken clips out of the manifest"
        )


def group_of_clip(clip: Clip) -> str:
    """Name what was recorded together; a clip without a group is its own."""
    return clip.group or clip.clip_id
