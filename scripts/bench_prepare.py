"""How long ``uss-prepare audioset`` takes: as many rows and empty files as are asked for.

Files are named in the ways of three download tools, and every fiftieth is missing. They are empty,
so what probing finds in files is not measured here, only that they are found.
"""

from __future__ import annotations

import argparse
import random
import resource
import string
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from uss.data.audioset_manifest import make_audioset_manifest
from uss.data.new_manifest import Probing, write_manifest

_LETTERS = string.ascii_letters + string.digits + "-_"
_MIDS = ("/m/09x0r", "/m/04rlf", "/m/0bt9lr", "/m/06mb1")
_NAMES = ("Y{ytid}.wav", "{ytid}_{start}.wav", "{ytid}_{start}000_{end}000.flac")
_ONE_MISSING_IN = 50
_Made = TypeVar("_Made")


def main() -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, help="for the files (if not given, a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        root = Path(folder)
        segments = _write(root, arguments.rows)
        manifest = _timed(
            "made",
            lambda: make_audioset_manifest([segments], root / "audio", Probing(is_wanted=False)),
        )
        _timed("written", lambda: write_manifest(root / "m.csv", root / "r.csv", manifest))
        print(f"{len(manifest.rows)} rows, {manifest.counts()}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"at most {peak:.0f} MiB in memory")
    return 0


def _timed(what: str, work: Callable[[], _Made]) -> _Made:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what} in {wall:.1f} s, {cpu:.1f} s of it computing")
    return result


def _write(root: Path, count: int) -> Path:
    """Write the list and the files; returns the list."""
    rng = random.Random(0)
    path = root / "unbalanced_train_segments.csv"
    (root / "audio").mkdir()
    with path.open("w", encoding="utf-8") as file:
        file.write("# YTID, start_seconds, end_seconds, positive_labels\n")
        for number in range(count):
            ytid = "".join(rng.choices(_LETTERS, k=11))
            start = rng.randrange(0, 600, 10)
            mids = ",".join(rng.sample(_MIDS, rng.randint(1, 3)))
            file.write(f'{ytid}, {start}.000, {start + 10}.000, "{mids}"\n')
            name = _NAMES[number % len(_NAMES)].format(ytid=ytid, start=start, end=start + 10)
            if number % _ONE_MISSING_IN:
                (root / "audio" / name).touch()
    return path


if __name__ == "__main__":
    sys.exit(main())
