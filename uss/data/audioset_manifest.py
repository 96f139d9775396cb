"""A manifest of AudioSet's clips: the official lists, and the files that were downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ontology import load_ontology
from uss.core.errors import InputError
from uss.data.audioset_lists import (
    clip_ids,
    is_segment_list,
    is_strong_list,
    read_segment_list,
    read_strong_list,
)
from uss.data.clip_files import ClipFiles, stems
from uss.data.locating import nothing_found
from uss.data.new_manifest import ManifestRow, NewManifest, Probing, Problem, probed

_EVALUATION = "eval"


def make_audioset_manifest(lists: Sequence[Path], root: Path, probing: Probing) -> NewManifest:
    """Find the files of AudioSet's clips.

    Args:
        lists: ``unbalanced_train_segments.csv`` and its like, and the strong labels' TSV files. A
            clip of several lists has the labels of all. Clips of lists whose name holds ``eval``
            are of the split ``evaluation``, all others of ``train``.
        root: folder of the files, see ``ClipFiles`` for their names.
        probing: how files are looked at.

    Raises:
        OSError, InputError: if a list or the folder is missing or is none, or there is no file of
            any clip.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; name the one that holds the clips")
    table, notes = _joined(lists)
    files = ClipFiles(root, frozenset(table["ytid"]))
    rows, problems, unknown = _located(table, files)
    if not rows and table["ytid"].size:
        first = table.iloc[0]
        names = stems(first["ytid"], first["start_seconds"], is_only=True)
        raise nothing_found(root, names)
    if unknown:
        some = ", ".join(sorted(unknown)[:5])
        notes.append(f"{len(unknown)} labels are not in the ontology and left out: {some}")
    unused = files.num_files - len(rows)
    if unused > 0:
        notes.append(f"{unused} other audio files in {root} belong to no clip of the lists")
    good, bad = probed(rows, root, probing)
    return NewManifest(good, [*problems, *bad], ("start_seconds", "end_seconds"), notes)


def _joined(lists: Sequence[Path]) -> tuple[pd.DataFrame, list[str]]:
    """Join the lists; clips that are in several get one row."""
    tables = []
    for path in lists:
        split = "evaluation" if _EVALUATION in path.stem else "train"
        tables.append(_read(path).assign(split=split))
    table = pd.concat(tables, ignore_index=True)
    keys = ["ytid", "start_seconds"]
    repeated = table.duplicated(keys)
    notes = []
    if repeated.any():
        notes.append(f"{int(repeated.sum())} rows are of clips that another row names too")
        table = table[~repeated].join(
            table[table.duplicated(keys, keep=False)]
            .groupby(keys, sort=False)["positive_labels"]
            .agg(",".join)
            .rename("all_labels"),
            on=keys,
        )
        table["positive_labels"] = table["all_labels"].fillna(table["positive_labels"])
    table = table.reset_index(drop=True)
    return table.assign(clip_id=clip_ids(lists[0], table["ytid"], table["start_seconds"])), notes


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such list; fetch AudioSet's segments CSV files, and name them"
        )
    if is_strong_list(path):
        return read_strong_list(path)
    if is_segment_list(path):
        return read_segment_list(path)
    raise InputError(
        f"{path} is no list of AudioSet's; name unbalanced_train_segments.csv, "
        "balanced_train_segments.csv, eval_segments.csv or a TSV of strong labels, as published"
    )


def _located(
    table: pd.DataFrame, files: ClipFiles
) -> tuple[list[ManifestRow], list[Problem], set[str]]:
    """Give rows of clips with a file, the other clips, and labels that nobody knows."""
    known = load_ontology().nodes
    unknown: set[str] = set()
    labels: dict[str, str] = {}
    rows: list[ManifestRow] = []
    problems: list[Problem] = []
    columns = ("clip_id", "ytid", "start_seconds", "end_seconds", "positive_labels", "split")
    for clip_id, ytid, start, end, listed, split in zip(
        *(table[name].tolist() for name in columns), strict=True
    ):
        if listed not in labels:
            # Few combinations of labels are most of the rows.
            mids = [mid for mid in dict.fromkeys(listed.split(",")) if mid]
            unknown.update(mid for mid in mids if mid not in known)
            labels[listed] = ";".join(mid for mid in mids if mid in known)
        path = files.find(ytid, start, is_only=clip_id == ytid)
        if not path:
            problems.append(Problem(clip_id, "", "missing"))
        elif not labels[listed]:
            problems.append(Problem(clip_id, path, "unlabelled", listed))
        else:
            others = (f"{start:g}", f"{end:g}")
            rows.append(ManifestRow(clip_id, path, labels[listed], split, others))
    return rows, problems, unknown
