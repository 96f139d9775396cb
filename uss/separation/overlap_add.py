"""From estimates of segments, as they come, to stems (Algorithm 3, step 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from uss.audio.buffers import Track
from uss.audio.segments import Segmentation
from uss.core.arrays import Bools, Float32
from uss.separation.consistency import Combination
from uss.separation.stem_order import StemOrder


class OverlapAdd:
    """Joins segments into stems; a segment is joined when all its estimates are there.

    Args:
        segmentation: where segments lie.
        active: (J, I) bool, which query is asked in which segment.
        combination: makes stems of the estimates.
        order: puts the estimates of each segment in order; None where they are in order.

    Attributes:
        tracks: one per stem, at the separator's rate.
    """

    def __init__(
        self,
        segmentation: Segmentation,
        active: Bools,
        combination: Combination,
        order: StemOrder | None = None,
    ) -> None:
        self.tracks = [Track() for _ in combination.sources]
        self._segmentation = segmentation
        self._combination = combination
        self._order = order
        self._unfinished: dict[int, dict[int, Float32 | None]] = {}
        of_stems = active[list(combination.sources)]
        # Families add up only if all their members are weighted alike.
        self._weighted = of_stems | of_stems.any(axis=0) if combination.families else of_stems

    @property
    def first_unfinished(self) -> int | None:
        """The first segment that was opened and lacks an estimate."""
        return min(self._unfinished, default=None)

    def open(
        self, index: int, waveform: Float32, rows: Sequence[int]
    ) -> list[Callable[[Float32], None]]:
        """Announce the estimates of a segment.

        Args:
            index: of the segment.
            waveform: (C, S) the mixture.
            rows: of the queries that are asked, ascending.

        Returns:
            What takes the (C, S) estimate of each.
        """
        estimates: dict[int, Float32 | None] = dict.fromkeys(rows)
        self._unfinished[index] = estimates

        def taker(row: int) -> Callable[[Float32], None]:
            def take(estimate: Float32) -> None:
                estimates[row] = estimate
                if all(each is not None for each in estimates.values()):
                    del self._unfinished[index]
                    self._join(
                        index, waveform, {r: e for r, e in estimates.items() if e is not None}
                    )

            return take

        return [taker(row) for row in rows]

    def forget(self, before: int) -> None:
        """Drop what ends before a position, which is not asked for again."""
        for track in self.tracks:
            track.forget(before)

    def _join(self, index: int, waveform: Float32, estimates: dict[int, Float32]) -> None:
        start = index * self._segmentation.hop_samples
        if self._order is not None:
            estimates = self._order(index, estimates)
        for stem, samples in self._combination(waveform, estimates).items():
            active = self._weighted[stem]
            weights = self._segmentation.weights(
                index,
                previous_active=bool(active[max(0, index - 1)]),
                next_active=bool(active[min(len(active) - 1, index + 1)]),
            )
            self.tracks[stem].add(start, samples * weights)
