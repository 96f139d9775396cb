"""Checking every byte and every value of a set of shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import h5py
import numpy as np

from uss.core.errors import InputError, one_line
from uss.shards.checking import missing_rows, stored_files
from uss.shards.checksums import measured_checksum
from uss.shards.index import INDEX_FILE, ShardIndex, load_index
from uss.shards.indexing import settings_of, update_index
from uss.shards.layout import CONDITIONS, ShardSettings, read_sidecar_name, shard_names
from uss.shards.shard_files import ShardFiles

Progress = Callable[[int, int], None]
"""Told how many bytes are read, and of how many."""

_COUNTED = ("class_index", "valid_samples", "start_seconds", "score", "clip_id", "caption")


@dataclass(frozen=True)
class Verified:
    """What a check found.

    Attributes:
        problems: what is wrong, each with the file's name and the remedy; nothing if all is well.
        notes: what was wrong with the index, which is repaired where nothing else is.
        num_files: how many files were read.
        num_bytes: how many bytes.
        index: as it is now; None where problems kept it from being written.
    """

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    num_files: int
    num_bytes: int
    index: ShardIndex | None


def verify(
    files: ShardFiles,
    min_purity: float | None = None,
    keep_top: int | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Read all of a set: checksums, schema and ranges; then write its index anew.

    Where a shard is damaged or missing the index stays as it is, so that training goes on refusing
    the set.

    Args:
        files: of the set.
        min_purity: anchors of less are left out from now on; None leaves that as it was.
        keep_top: likewise all but so many of each class, see ``Selection``.
        progress: shows how far it is.

    Raises:
        FileNotFoundError: if there are no shards.
    """
    states = files.states()
    names = shard_names(states)
    if not names:
        raise FileNotFoundError(f"{files} has no shards (anchors-*.h5); name a folder that has")
    sidecars = sorted(name for name in states if read_sidecar_name(name) is not None)
    older, notes = _older_index(files, INDEX_FILE in states)
    known = {} if older is None else dict(_checksums(older))
    problems = [f"{files}: {gap}" for gap in missing_rows(names)]
    problems += [
        f"{files.address(name)} is missing, which {INDEX_FILE} lists; {_remedy(name)}"
        for name in known
        if name not in states
    ]
    total, done = sum(states[name].size for name in (*names, *sidecars)), 0
    measured: dict[str, str] = {}
    first: ShardSettings | None = None
    for name in (*names, *sidecars):
        address = files.address(name)
        try:
            measured[name], damage = _measure(files, name, known.get(name, ""))
            if damage is None and name in names:
                settings = _check_shard(files, name)
                first = first or settings
                if not settings.fits(first):
                    damage = f"was mined with other settings than {names[0]}"
        except (OSError, InputError) as error:
            damage = one_line(error)
        if damage is not None:
            problems.append(f"{address} {damage}; {_remedy(name)}")
        done += states[name].size
        if progress is not None:
            progress(done, total)
    index = None
    if not problems:
        index = update_index(files, min_purity, keep_top, measured=measured)
    return Verified(tuple(problems), tuple(notes), len(names) + len(sidecars), total, index)


def _older_index(files: ShardFiles, is_there: bool) -> tuple[ShardIndex | None, list[str]]:
    if not is_there:
        return None, [f"{files.address(INDEX_FILE)} was missing"]
    try:
        return load_index(files), []
    except InputError as error:
        return None, [f"{str(error).rsplit('; ', 1)[0]}; which anchors it left out is not known"]


def _checksums(index: ShardIndex) -> Iterator[tuple[str, str]]:
    for name, file in stored_files(index):
        yield name, file.checksum


def _measure(files: ShardFiles, name: str, indexed: str) -> tuple[str, str | None]:
    """Read a file; its checksum, and what is wrong if that is not as it should be.

    That is as the file states it, or else as it was indexed: a shard that was mined anew states its
    own, which the index does not know yet.
    """
    measured, stated = measured_checksum(files.blocks(name))
    expected = stated or indexed
    if expected and measured != expected:
        wrong = f"is damaged: its bytes give checksum {measured}, they should give {expected}"
        return measured, wrong
    return measured, None


def _check_shard(files: ShardFiles, name: str) -> ShardSettings:
    """Check schema and ranges.

    Raises:
        ValueError: saying what is wrong.
    """
    address = files.address(name)
    try:
        with files.opened(name) as raw, h5py.File(raw, "r") as file:
            settings = settings_of(file, address)
            for complaint in _complaints(file, settings):
                raise InputError(complaint)
            return settings
    except InputError:
        raise
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"is not a readable shard ({one_line(error)})") from error


def _complaints(file: h5py.File, settings: ShardSettings) -> Iterator[str]:
    """Say what is wrong with the columns of a shard."""
    count = len(file["class_index"])
    shapes = {
        **{name: (count,) for name in _COUNTED},
        "waveform": (count, settings.segment_samples),
        "labels": (count, settings.num_classes),
        "tag_probabilities": (count, settings.num_classes),
        **{CONDITIONS + space: (count, size) for space, size in settings.spaces.items()},
    }
    for name, shape in shapes.items():
        if name not in file:
            yield f"lacks the column {name}"
        elif file[name].shape != shape:
            yield f"has a column {name} of shape {file[name].shape}, not {shape}"
    if not count:
        return
    for name, low, high in (
        ("class_index", 0, settings.num_classes - 1),
        ("valid_samples", 1, settings.segment_samples),
        ("start_seconds", 0.0, np.inf),
        ("score", 0.0, 1.0),
        ("tag_probabilities", 0.0, 1.0),
        *((CONDITIONS + space, -np.inf, np.inf) for space in settings.spaces),
    ):
        values = file[name][:]
        row = np.flatnonzero(~(np.isfinite(values) & (values >= low) & (values <= high)))
        if len(row):
            value = values.reshape(-1)[row[0]]
            yield f"has a {name} of {value}, which must be {_range(low, high)}"
    labels = file["labels"][:]
    if not labels[np.arange(count), file["class_index"][:]].all():
        yield "has an anchor whose class is not among the labels of its clip"


def _range(low: float, high: float) -> str:
    if high == np.inf:
        return "finite" if low == -np.inf else f"finite and at least {low:g}"
    return f"in [{low:g}, {high:g}]"


def _remedy(name: str) -> str:
    if read_sidecar_name(name) is not None:
        return "delete it and make it again with uss-mine-anchors --add-encoder"
    return (
        "bring back a good copy, or delete it and run the same uss-mine-anchors again, which mines "
        "its rows anew"
    )
