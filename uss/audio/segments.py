"""Cutting a recording into segments and joining them again without steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uss.core.arrays import Float32, Indexes
from uss.core.errors import InputError


@dataclass(frozen=True)
class Segmentation:
    """Where the segments of a recording lie.

    Attributes:
        num_samples: T of the recording.
        segment_samples: length of a segment.
        hop_samples: from one start to the next.
    """

    num_samples: int
    segment_samples: int
    hop_samples: int

    @classmethod
    def of(cls, num_samples: int, segment_samples: int, overlap: float) -> Segmentation:
        """Lay segments over a recording.

        Args:
            num_samples: T > 0.
            segment_samples: length of a segment.
            overlap: fraction of a segment that the next one shares, 0 to 0.5.

        Raises:
            ValueError: if the overlap is out of range.
        """
        if not 0.0 <= overlap <= 0.5:
            raise InputError(f"overlap {overlap} is out of range; choose 0 to 0.5")
        return cls(num_samples, segment_samples, segment_samples - int(overlap * segment_samples))

    @property
    def num_segments(self) -> int:
        """I; the last segment may reach beyond the end."""
        beyond_first = max(0, self.num_samples - self.segment_samples)
        return 1 + -(-beyond_first // self.hop_samples)

    @property
    def starts(self) -> Indexes:
        """(I,) first sample of each segment."""
        return np.arange(self.num_segments) * self.hop_samples

    def weights(
        self, index: int, previous_active: bool = True, next_active: bool = True
    ) -> Float32:
        """Cross-fade of segment ``index``; the weights of all segments sum to 1 everywhere.

        Args:
            index: of the segment.
            previous_active: whether the one before it takes part; else this one fades in shortly.
            next_active: whether the one after it takes part; else this one fades out shortly.

        Returns:
            (segment_samples,) linear ramps where the neighbours overlap, else 1.
        """
        overlap = self.segment_samples - self.hop_samples
        weights = np.ones(self.segment_samples, np.float32)
        if overlap == 0:
            return weights
        short = min(overlap, _fade_samples(self.segment_samples))
        if index > 0:
            length = overlap if previous_active else short
            weights[:length] = _ramp(length)
        if index < self.num_segments - 1:
            length = overlap if next_active else short
            weights[-length:] = 1.0 - _ramp(length)
        return weights


def _ramp(length: int) -> Float32:
    return ((np.arange(length) + 0.5) / length).astype(np.float32)


def _fade_samples(segment_samples: int) -> int:
    """A hundredth of a segment: long enough not to click, short enough to keep an onset."""
    return max(1, segment_samples // 100)
