"""Drawing which source is mixed with which."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from uss.benchmarks.benchmark import Track
from uss.benchmarks.mixed_rows import Source
from uss.core.errors import InputError

logger = logging.getLogger(__name__)

Partners = Literal["files", "classes"]

_MAX_DRAWS = 100


class Pair(NamedTuple):
    """Indexes of two sources."""

    target: int
    interferer: int


class PairDrawer:
    """Draws pairs of sources of different classes, both of which sound.

    A class's sources are targets in turn, in an order that is drawn anew when all were: each is a
    target about as often as any other.

    Args:
        sources: what is mixed, in an order that does not depend on the file system.
        rng: draws.
        sounds: whether a source can be heard; silent ones are not drawn.
        conflict: whether two sources, by their indexes, must not be mixed although their classes
            differ.
        partners: interferers are drawn from all files alike, or from all classes alike.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        rng: np.random.Generator,
        *,
        sounds: Callable[[Source], bool],
        conflict: Callable[[int, int], bool] | None = None,
        partners: Partners = "files",
    ) -> None:
        self.sources = sources
        self.rng = rng
        self.sounds = sounds
        self.conflict = conflict
        self.partners = partners
        self.members: dict[str, list[int]] = {}
        for index, source in enumerate(sources):
            self.members.setdefault(source.class_name, []).append(index)
        self.classes = sorted(self.members)
        self._waiting: dict[str, list[int]] = {name: [] for name in self.classes}

    def per_class(self, count: int, track: Track = list) -> list[Pair]:
        """Draw so many pairs for each class as the target's.

        Raises:
            InputError: if no two sources can be mixed.
        """
        return self._pairs(track([name for name in self.classes for _ in range(count)]))

    def in_all(self, count: int, track: Track = list) -> list[Pair]:
        """Draw so many pairs, whose targets are spread evenly over the classes.

        Raises:
            InputError: if no two sources can be mixed.
        """
        names: list[str] = []
        while len(names) < count and self.classes:
            names += [self.classes[i] for i in self.rng.permutation(len(self.classes))]
        return self._pairs(track(names[:count]))

    def each_once(self, track: Track = list) -> list[Pair]:
        """Draw an interferer for every source that sounds.

        Raises:
            InputError: if no two sources can be mixed.
        """
        pairs = []
        for target in track(range(len(self.sources))):
            partner = self._partner(target) if self.sounds(self.sources[target]) else None
            if partner is None:
                logger.warning("%s is left out", self.sources[target].file)
            else:
                pairs.append(Pair(target, partner))
        return _checked(pairs)

    def _pairs(self, names: Iterable[str]) -> list[Pair]:
        pairs = []
        left_out = set()
        for name in names:
            pair = None if name in left_out else self._pair(name)
            if pair is not None:
                pairs.append(pair)
            elif name not in left_out:
                left_out.add(name)
                logger.warning("class %s is left out: none of its sources can be mixed", name)
        return _checked(pairs)

    def _pair(self, name: str) -> Pair | None:
        for _ in self.members[name]:
            target = self._next(name)
            if self.sounds(self.sources[target]):
                partner = self._partner(target)
                if partner is not None:
                    return Pair(target, partner)
        return None

    def _next(self, name: str) -> int:
        waiting = self._waiting[name]
        if not waiting:
            waiting += self.rng.permutation(self.members[name]).tolist()
        return waiting.pop()

    def _partner(self, target: int) -> int | None:
        name = self.sources[target].class_name
        for candidate in self._candidates():
            other = self.sources[candidate]
            if (
                other.class_name != name
                and not (self.conflict is not None and self.conflict(target, candidate))
                and self.sounds(other)
            ):
                return candidate
        return None

    def _candidates(self) -> Iterator[int]:
        """Random sources first, then all of them, so that the search ends."""
        for _ in range(_MAX_DRAWS):
            if self.partners == "files":
                yield int(self.rng.integers(len(self.sources)))
            else:
                members = self.members[self.classes[self.rng.integers(len(self.classes))]]
                yield members[self.rng.integers(len(members))]
        yield from self.rng.permutation(len(self.sources)).tolist()


def draw_files(
    files: Mapping[str, Sequence[str]], count: int, rng: np.random.Generator
) -> dict[str, tuple[str, ...]]:
    """Draw at most so many files per key, all different; in the order of their names."""
    return {
        key: tuple(sorted(files[key][i] for i in rng.permutation(len(files[key]))[:count].tolist()))
        for key in sorted(files)
    }


def _checked(pairs: list[Pair]) -> list[Pair]:
    if not pairs:
        raise InputError(
            "no two sources of different classes that share no label can be heard; "
            "check the audio files and their labels"
        )
    return pairs
