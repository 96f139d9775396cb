"""How far work on shards is, shown by a bar."""

from __future__ import annotations

from tqdm import tqdm

from pipelines.streams import Unbreakable


class MiningBar:
    """Shows how far mining is by a bar on stderr, if that is a terminal.

    Args:
        what: is being done.
        unit: what is counted.
    """

    def __init__(self, what: str = "mining", unit: str = "clip") -> None:
        self._what = what
        self._unit = unit
        self._bar: tqdm[None] | None = None

    def __enter__(self) -> MiningBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bar as it is; what is printed then comes below it."""
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        """Show how many are done; a count that starts again begins another bar."""
        if self._bar is not None and done < self._bar.n:
            self._bar.close()
            self._bar = None
        if self._bar is None:
            # Not before the networks are loaded, so that the rate is that of the mining.
            self._bar = tqdm(
                total=total,
                unit=self._unit,
                unit_scale=self._unit == "B",
                desc=self._what,
                file=Unbreakable(),
                disable=None,
            )
        self._bar.update(done - self._bar.n)
