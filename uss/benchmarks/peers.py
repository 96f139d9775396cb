"""Other systems' lists of pairs, read as they were published."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from uss.benchmarks.benchmark import PrepareOptions, Track
from uss.benchmarks.class_names import class_of_caption
from uss.benchmarks.drawn_rows import query_for
from uss.benchmarks.gains import ExcerptGains
from uss.benchmarks.mixed_rows import Excerpt, Source, mixed_row
from uss.core.errors import INPUT_ERRORS, InputError
from uss.evaluation.csv_tables import read_table
from uss.evaluation.lists.mixture_list import ListRow

_AUDIOSEP = ("caption", "src_wav", "noise_wav")
_CLAPSEP = ("source_file", "positive_caption", "noise_file", "negative_caption")


class PeerPair(NamedTuple):
    """A row of a peer's list.

    Attributes:
        number: of the row, of which the header is the first.
        target, interferer: file names.
        caption: of the target.
        interferer_caption: empty where the list has none.
    """

    number: int
    target: str
    caption: str
    interferer: str
    interferer_caption: str


@dataclass(frozen=True)
class PeerList:
    """A peer's list; CLAPSep keeps its mixtures from clipping, AudioSep does not say so."""

    path: Path
    pairs: Sequence[PeerPair]
    is_clapsep: bool


def read_pairs(path: Path) -> PeerList:
    """Read a list of AudioSep (caption, src_wav, noise_wav) or CLAPSep (source_file, ...).

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no CSV file, has other columns or no rows.
    """
    is_clapsep = "source_file" in _header(path)
    records = read_table(path, *(_CLAPSEP if is_clapsep else _AUDIOSEP))
    if not records:
        raise InputError(f"{path} has no rows; name a list of pairs")
    pairs = [
        PeerPair(number, *(record[column] for column in _CLAPSEP))
        if is_clapsep
        else PeerPair(number, record["src_wav"], record["caption"], record["noise_wav"], "")
        for number, record in records
    ]
    return PeerList(path, pairs, is_clapsep)


def read_query_samples(
    path: Path, benchmark: str, files: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Read CLAPSep's example files (class, file), where ``file`` is a list as Python writes it.

    Args:
        path: the CSV file.
        benchmark: whose classes the captions mean.
        files: the data set's file names, to paths relative to its folder.

    Returns:
        The paths of each class.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such list, or names a file or class the data set has not.
    """
    queries = {}
    for where, caption, names in samples_of(path):
        missing = [name for name in names if name not in files]
        if missing:
            raise InputError(f"{where}: the data set has no file {missing[0]!r}; correct it")
        class_name = _class_of(caption, benchmark, where)
        queries[class_name] = tuple(files[name] for name in names)
    return queries


def samples_of(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Read CLAPSep's example files as they are: the row for messages, the caption, file names.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such list.
    """
    for number, record in read_table(path, "class", "file"):
        where = f"{path}, row {number}"
        try:
            names = ast.literal_eval(record["file"])
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            names = None
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise InputError(f"{where}: {record['file']!r} is no list of files; correct it")
        yield where, record["class"], names


def peer_rows(
    options: PrepareOptions,
    benchmark: str,
    sources: Mapping[str, Source],
    mixing: ExcerptGains,
    queries: Mapping[str, tuple[str, ...]],
    *,
    track: Track = list,
) -> list[ListRow]:
    """Make the rows of a peer's pairs, in their order.

    Args:
        options: name the list; the seed is that of the queries.
        benchmark: whose classes the captions mean.
        sources: the data set's by file name.
        mixing: measures them.
        queries: files for each class, or for each target's path.
        track: shows how far it is.

    Raises:
        OSError, InputError: if a row names a file the data set has not, calls it by another class,
            or its audio cannot be read or is silent; the message names the row.
    """
    assert options.pairs is not None, "without a list the pairs are drawn"
    peers = read_pairs(options.pairs)
    seed = None if options.query_samples is not None or not queries else options.seed
    rows = []
    for pair in track(peers.pairs):
        where = f"{peers.path}, row {pair.number}"
        target = _source(pair.target, pair.caption, benchmark, sources, where)
        interferer = _source(pair.interferer, pair.interferer_caption, benchmark, sources, where)
        try:
            gains = (mixing.limited if peers.is_clapsep else mixing.matched)(target, interferer)
        except INPUT_ERRORS as error:
            raise InputError(f"{where}: {error}") from error
        query = query_for(target, queries)
        row = mixed_row(target, interferer, mixing.excerpt, gains, query=query, seed=seed)
        captions = {"caption": pair.caption, "interferer_caption": pair.interferer_caption}
        rows.append(replace(row, **captions))
    return rows


def mixture_rows(
    peers: PeerList, folder: Path, excerpt: Excerpt, mids: Mapping[str, str], track: Track = list
) -> list[ListRow]:
    """Make the rows of AudioSep's AudioSet list, whose column ``noise_wav`` names the mixture.

    Args:
        peers: the list; its paths begin with ``evaluation/data/audioset``, of which the user's
            folder may hold all or the end.
        folder: the user's.
        excerpt: how the files are read.
        mids: of AudioSet's classes by name.
        track: shows how far it is.

    Raises:
        FileNotFoundError, InputError: if a file is missing or a class unknown; the message names
            the row.
    """
    if peers.is_clapsep:
        raise InputError(f"{peers.path} is no list of mixtures; name AudioSep's for AudioSet")
    rows = []
    for pair in track(peers.pairs):
        where = f"{peers.path}, row {pair.number}"
        if pair.caption not in mids:
            raise InputError(f"{where}: AudioSet has no class {pair.caption!r}; correct it")
        target, mixture = (end_of(name, folder, where) for name in (pair.target, pair.interferer))
        rows.append(
            ListRow(
                target=(target,),
                mixture=mixture,
                class_name=pair.caption,
                caption=pair.caption,
                mids=(mids[pair.caption],),
                seconds=excerpt.seconds,
                sample_rate=excerpt.sample_rate,
            )
        )
    return rows


def _header(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such list of pairs; check the path")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            return next(csv.reader([file.readline()]), [])
        except csv.Error:
            # ``read_table`` says what is wrong with it.
            return []


def _class_of(caption: str, benchmark: str, where: str) -> str:
    try:
        return class_of_caption(caption, benchmark)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _source(
    file: str, caption: str, benchmark: str, sources: Mapping[str, Source], where: str
) -> Source:
    if file not in sources:
        raise InputError(
            f"{where}: {benchmark} has no file {file!r}; is this a list for another data set?"
        )
    source = sources[file]
    if caption and _class_of(caption, benchmark, where) != source.class_name:
        raise InputError(
            f"{where}: it calls {file} {caption!r}, the data set {source.class_name}; correct it"
        )
    return source


def end_of(name: str, folder: Path, where: str) -> str:
    """Find a file by its whole path or by the end of it.

    Args:
        name: as a list has it.
        folder: the user's.
        where: the row, for the message.

    Returns:
        The path that the folder has.

    Raises:
        FileNotFoundError: if there is none; the message names the row.
    """
    parts = Path(name).parts
    for first in range(len(parts)):
        end = Path(*parts[first:]).as_posix()
        if (folder / end).is_file():
            return end
    raise FileNotFoundError(
        f"{where}: {folder / name}: no such file, nor by the end of its path; name the folder "
        "that the evaluation data were unpacked into"
    )
