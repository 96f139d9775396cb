"""How far an evaluation is, on stderr."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from pipelines.streams import Unbreakable
from uss.evaluation.journal import Progress


@contextmanager
def progress_bar(unit: str) -> Iterator[Progress]:
    """Show a bar, if stderr is a terminal, from the first call on."""
    bar: tqdm[None] | None = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, initial=done, unit=unit, file=Unbreakable(), disable=None)
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


@contextmanager
def quiet_detection() -> Iterator[None]:
    """Keep quiet about classes without a query; lines for each scene would bury the progress."""
    logger = logging.getLogger("uss.detection")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
