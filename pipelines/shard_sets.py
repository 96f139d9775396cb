"""What ``uss-mine-anchors`` does with shards that are there: checking, selecting, adding."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipelines.cli import BAD_INPUT, at_least, between, counted
from pipelines.mining_bar import MiningBar
from pipelines.streams import complain
from uss.mining.adding import add_encoders
from uss.shards import INDEX_FILE, ShardFiles, kept_rows, verify


def add_set_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``uss-mine-anchors`` does with sets that are there."""
    group = parser.add_argument_group("sets of shards that are there")
    group.add_argument(
        "--append",
        action="store_true",
        help="add the manifest's shards to those of others in the folder, mined alike",
    )
    group.add_argument(
        "--min-purity",
        type=between(0.0, 1.0),
        default=None,
        metavar="X",
        help="from now on leave out anchors in which less of what the tagger hears belongs to "
        "their class; nothing is deleted, and 0 takes all again (also with --verify)",
    )
    group.add_argument(
        "--keep-top",
        type=at_least(0),
        default=None,
        metavar="N",
        help="from now on use only the N purest anchors of each class; 0 takes all again (also "
        "with --verify)",
    )
    group.add_argument(
        "--verify",
        metavar="DIR|URL",
        help="check every shard of a set (checksum, schema, ranges), name what is wrong, and write "
        "the index anew; mines nothing",
    )
    group.add_argument(
        "--add-encoder",
        nargs="+",
        metavar="NAME|FILE",
        help="compute the conditions of further encoders for the shards in -o, in files beside "
        "them; mines nothing",
    )


def verify_set(place: str, min_purity: float | None = None, keep_top: int | None = None) -> int:
    """Check a set of shards, say what is wrong with it, and return the exit status."""
    with MiningBar("verifying", "B") as bar:
        found = verify(ShardFiles(place), min_purity, keep_top, bar)
    for note in found.notes:
        print(note)
    for problem in found.problems:
        complain(f"uss-mine-anchors: {problem}")
    print(f"{counted(found.num_files, 'file')}, {found.num_bytes / 1e9:.2f} GB read")
    if found.index is None:
        complain(
            f"uss-mine-anchors: {counted(len(found.problems), 'problem')}; the index was not "
            "written, and training refuses the set as long as it does not fit"
        )
        return BAD_INPUT
    print(
        f"{counted(len(found.index.labels), 'anchor')}, {len(kept_rows(found.index))} of them "
        f"used; {INDEX_FILE} written"
    )
    return 0


def add_encoders_to_set(
    folder: Path, names: Sequence[str], *, device: str, trust_checkpoint: bool
) -> int:
    """Add the conditions of further encoders to a set, and return the exit status."""
    with MiningBar("encoding", "anchor") as bar:
        sizes = add_encoders(
            folder,
            names,
            device=device,
            trust_checkpoint=trust_checkpoint,
            progress=bar,
        )
    for space, size in sizes.items():
        print(f"{folder} holds conditions in {space} ({size} numbers) now")
    return 0
