"""AudioCaps, Clotho, MUSIC and VGGSound as AudioSep's and CLAPSep's lists define them.

The evaluation data that AudioSep published hold the mixtures as audio. A folder of one of the four
has its files (``segment-3.wav`` and ``mixture-3.wav``, or what the list names), and the list of its
captions lies in it or is named. CLAPSep's lists pair the clips of AudioCaps and MUSIC themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from uss.benchmarks.benchmark import Benchmark, PrepareOptions, Track
from uss.benchmarks.gains import ExcerptGains
from uss.benchmarks.mixed_rows import Excerpt, Source, mixed_row
from uss.benchmarks.peers import PeerList, end_of, read_pairs, samples_of
from uss.core.errors import INPUT_ERRORS, InputError
from uss.evaluation.csv_tables import read_table
from uss.evaluation.lists.mixture_list import ListRow

_SAMPLE_RATE = 32_000
_CLIP_SECONDS = 10.0
_NUMBERED = ("idx", "caption")
_NAMED = ("mix_wav", "s0_wav", "s0_text", "s1_text")


def make_rows(
    name: str, by_class: bool, folder: Path, options: PrepareOptions, track: Track = list
) -> list[ListRow]:
    """Make the list; see ``Benchmark.make_rows``.

    Args:
        name: of AudioSep's list, ``<name>_eval.csv`` in the folder unless ``--pairs`` names it.
        by_class: captions are classes, and scores are averaged by them.
        folder: holds the audio.
        options: name the list, examples of its classes, and the sample rate.
        track: shows how far it is.
    """
    path = options.pairs or folder / f"{name}_eval.csv"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; name the one that the evaluation data were unpacked into"
        )
    if options.pairs is None and not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; name the folder that AudioSep's evaluation data were unpacked "
            "into, or a list of AudioSep's or CLAPSep's with --pairs"
        )
    records = read_table(path)
    if not records:
        raise InputError(f"{path} has no rows; name AudioSep's list {name}_eval.csv")
    columns = set(records[0][1])
    if "source_file" in columns:
        return clip_pair_rows(read_pairs(path), by_class, folder, options, track)
    if options.query_samples is not None:
        raise InputError("--query-samples is for CLAPSep's lists; name one with --pairs")
    if not (columns.issuperset(_NUMBERED) or columns.issuperset(_NAMED)):
        raise InputError(
            f"{path} has neither the columns {', '.join(_NUMBERED)} nor {', '.join(_NAMED)}; name "
            f"the list {name}_eval.csv of AudioSep or CLAPSep"
        )
    return [
        _row(record, f"{path}, row {number}", folder, options.sample_rate, by_class)
        for number, record in track(records)
    ]


def _row(
    record: Mapping[str, str], where: str, folder: Path, sample_rate: int | None, by_class: bool
) -> ListRow:
    is_named = "mix_wav" in record
    if is_named:
        target, mixture, caption = record["s0_wav"], record["mix_wav"], record["s0_text"]
    else:
        number, caption = record["idx"], record["caption"]
        target, mixture = f"segment-{number}.wav", f"mixture-{number}.wav"
    if not caption.strip():
        raise InputError(f"{where}: it has no caption; take the list as it was published")
    return ListRow(
        target=(end_of(target, folder, where),),
        mixture=end_of(mixture, folder, where),
        caption=caption.strip(),
        interferer_caption=record["s1_text"].strip() if is_named else "",
        group=caption.strip() if by_class else "",
        sample_rate=sample_rate,
    )


def clip_pair_rows(
    peers: PeerList, by_class: bool, folder: Path, options: PrepareOptions, track: Track = list
) -> list[ListRow]:
    """Make the rows of pairs of captioned clips: ten seconds each, at 0 dB.

    Args:
        peers: the list.
        by_class: captions are classes, and scores are averaged by them.
        folder: holds the clips.
        options: name examples of the classes, and the sample rate.
        track: shows how far it is.

    Raises:
        OSError, InputError: if a clip is missing, cannot be read or is silent; the message names
            the row.
    """
    examples = {} if options.query_samples is None else _examples(options.query_samples, folder)
    mixing = ExcerptGains(folder, Excerpt(_CLIP_SECONDS, "zeros", options.sample_rate))
    rows = []
    for pair in track(peers.pairs):
        where = f"{peers.path}, row {pair.number}"
        target, interferer = (
            Source(end_of(file, folder, where), "") for file in (pair.target, pair.interferer)
        )
        try:
            gains = mixing.limited(target, interferer)
        except INPUT_ERRORS as error:
            raise InputError(f"{where}: {error}") from error
        query = examples.get(pair.caption.casefold(), ())
        row = mixed_row(target, interferer, mixing.excerpt, gains, query=query)
        captions = {"caption": pair.caption, "interferer_caption": pair.interferer_caption}
        rows.append(replace(row, **captions, group=pair.caption if by_class else ""))
    return rows


def _examples(path: Path, folder: Path) -> dict[str, tuple[str, ...]]:
    """The files of each caption, whose case differs from list to list."""
    return {
        caption.casefold(): tuple(end_of(name, folder, where) for name in names)
        for where, caption, names in samples_of(path)
    }


def _benchmark(name: str, title: str, by_class: bool = False) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        make_rows=partial(make_rows, name, by_class),
        options=("pairs", "query_samples", "sample_rate"),
        defaults=PrepareOptions(queries_per_class=0, sample_rate=_SAMPLE_RATE),
    )


AUDIOCAPS = _benchmark("audiocaps", "AudioCaps: AudioSep's mixtures of its test clips, by caption")
CLOTHO = _benchmark("clotho", "Clotho: AudioSep's mixtures of its evaluation clips, by caption")
MUSIC = _benchmark("music", "MUSIC: AudioSep's mixtures of ten instruments, by name", by_class=True)
VGGSOUND = _benchmark("vggsound", "VGGSound: AudioSep's mixtures of its test clips, by label")
