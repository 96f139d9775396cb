"""MUSDB18 and MUSDB18-HQ: 50 songs of four stems, each separated from their sum (section 4.4)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uss.benchmarks.benchmark import Benchmark, PrepareOptions, Track
from uss.benchmarks.class_names import class_mids
from uss.benchmarks.pairs import draw_files
from uss.evaluation.lists.mixture_list import ListRow

_NAME = "musdb18"
_FILM = ".stem.mp4"
_TRACKS = {"drums": 2, "bass": 3, "other": 4, "vocals": 5}
"""Of a stem file; its first track is the mixture."""


def make_rows(folder: Path, options: PrepareOptions, track: Track = list) -> list[ListRow]:
    """Make the list; see ``Benchmark.make_rows``."""
    songs = _stems_of_songs(folder, "test")
    if not songs:
        raise FileNotFoundError(
            f"{folder} holds no songs: neither test/SONG/vocals.wav (MUSDB18-HQ) nor "
            f"test/SONG{_FILM} (MUSDB18); name the folder that holds test and train"
        )
    queries = _queries(folder, options)
    mids = class_mids(_NAME)
    return [
        ListRow(
            target=(stems[name],),
            interferer=tuple(stems[other] for other in _TRACKS if other != name),
            query=queries.get(name, ()),
            class_name=name,
            mids=mids[name],
            group=song,
            sample_rate=options.sample_rate,
            seed=options.seed if queries else None,
        )
        for song, stems in track(sorted(songs.items()))
        for name in _TRACKS
    ]


def _stems_of_songs(folder: Path, split: str) -> dict[str, dict[str, str]]:
    """Map song to stem to file, as lists name it.

    Raises:
        FileNotFoundError: if a song's folder lacks a stem.
    """
    songs = {}
    for path in sorted((folder / split).glob("*")):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            for name in _TRACKS:
                if not (path / f"{name}.wav").is_file():
                    raise FileNotFoundError(
                        f"{path / f'{name}.wav'}: no such file; unpack the song again"
                    )
            songs[path.name] = {name: f"{split}/{path.name}/{name}.wav" for name in _TRACKS}
        elif path.name.endswith(_FILM):
            songs[path.name.removesuffix(_FILM)] = {
                name: f"{split}/{path.name}#{number}" for name, number in _TRACKS.items()
            }
    return songs


def _queries(folder: Path, options: PrepareOptions) -> dict[str, tuple[str, ...]]:
    """Stems of training songs, the same songs for each stem; none where there is no such folder."""
    songs = _stems_of_songs(folder, "train") if options.queries_per_class else {}
    if not songs:
        return {}
    rng = np.random.default_rng(options.seed)
    chosen = draw_files({"songs": sorted(songs)}, options.queries_per_class, rng)["songs"]
    return {name: tuple(songs[song][name] for song in chosen) for name in _TRACKS}


MUSDB18 = Benchmark(
    name=_NAME,
    title="MUSDB18 or MUSDB18-HQ: vocals, drums, bass and other of 50 songs",
    make_rows=make_rows,
    options=("seed", "queries_per_class", "sample_rate"),
    # A query is a whole song.
    defaults=PrepareOptions(queries_per_class=3, sample_rate=None),
    metrics=("bss-eval",),
)
