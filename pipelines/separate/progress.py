"""Progress bars of uss-separate."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm


class ProgressBars:
    """Shows how far each file is, on the terminal, if there is one; see ``Progress``."""

    @contextmanager
    def listening(self, path: Path) -> Iterator[Callable[[float], object]]:
        """Count the seconds heard; the bar goes when they are all."""
        text = "{desc}: listening, {n:.0f} s in {elapsed}"
        with tqdm(
            desc=path.name, unit="s", bar_format=text, leave=False, file=sys.stderr, disable=None
        ) as bar:
            yield bar.update

    @contextmanager
    def separating(self, path: Path, num_pairs: int) -> Iterator[Callable[[int], object]]:
        """Count the pairs of segment and query; the bar stays."""
        with tqdm(
            desc=path.name, unit="segment", total=num_pairs, file=sys.stderr, disable=None
        ) as bar:
            yield bar.update
