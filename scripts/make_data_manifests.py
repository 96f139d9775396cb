"""Record in CSV which clips the embedded default was trained and validated on.

python scripts/make_data_manifests.py AUDIO/clips.csv data_manifests/labelled-clips.csv
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

_COLUMNS = (
    "clip_id",
    "path",
    "mids",
    "source",
    "licence",
    "attribution",
    "group",
    "split",
    "seconds",
    "sha256",
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clips", type=Path, help="the data set's clips.csv")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args(argv)
    table = pd.read_csv(arguments.clips, dtype=str, keep_default_na=False)
    kept = [column for column in _COLUMNS if column in table.columns]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    table[kept].sort_values("clip_id").to_csv(arguments.output, index=False, lineterminator="\n")
    print(f"{len(table)} clips, columns {', '.join(kept)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
