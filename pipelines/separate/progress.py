"""Progress bars of uss-separate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from pipelines.streams import Unbreakable


class ProgressBars:
    """Shows how far each file is, on the terminal, if there is one; see ``Progress``."""

    @contextmanager
    def listening(self, path: Path) -> Iterator[Callable[[float], object]]:
        """Count the seconds heard; the bar goes when they are all."""
        text = "{desc}: listening, {n:.0f} s in {elapsed}"
        with tqdm(
            desc=path.name, unit="s", bar_format=text, leave=False, file=Unbreakable(), disable=None
        ) as bar:
            yield bar.update

    @contextmanager
    def separating(self, path: Path, num_pairs: int) -> Iterator[Callable[[int], object]]:
        """Count the pairs of segment and query; the bar stays."""
        with tqdm(
            desc=path.name, unit="segment", total=num_pairs, file=Unbreakable(), disable=None
        ) as bar:
            yield bar.update
