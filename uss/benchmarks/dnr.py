"""Divide and Remaster: speech, music and effects, each separated from the mixtures of a minute."""

from __future__ import annotations

import logging
from pathlib import Path

from uss.benchmarks.benchmark import Benchmark, PrepareOptions, Track
from uss.benchmarks.class_names import class_mids
from uss.core.errors import InputError
from uss.evaluation.lists.mixture_list import ListRow

logger = logging.getLogger(__name__)

_NAME = "dnr"
_SPLITS = {
    "train": ("tr", "train"),
    "validation": ("cv", "val"),
    "test": ("tt", "test"),
}
"""What versions 2 and 3 call their folders."""

_NUM_MIXTURES = {"tr": 3_406, "cv": 487, "tt": 973}
"""Of version 2."""

_MIXTURES = ("mix", "mixture")
_SUFFIXES = (".wav", ".flac")
_PREFIXES = ("", "dnr_v2/")
_REMEDY = (
    "name the folder that holds tr, cv and tt (version 2), or train, val and test (version 3), "
    "with NUMBER/mix.wav, speech.wav, music.wav and sfx.wav in them"
)


def make_rows(folder: Path, options: PrepareOptions, track: Track = list) -> list[ListRow]:
    """Make the list; see ``Benchmark.make_rows``."""
    split = _split_folder(folder, options.split or "test")
    items = sorted(
        (path for path in (folder / split).glob("*") if _is_item(path)), key=_natural_order
    )
    if not items:
        raise FileNotFoundError(f"{folder / split} holds no mixtures; {_REMEDY}")
    expected = _NUM_MIXTURES.get(Path(split).name)
    if expected is not None and len(items) != expected:
        logger.warning("%d mixtures; version 2 has %d in %s", len(items), expected, split)
    mids = class_mids(_NAME)
    return [
        ListRow(
            target=(_audio_file(folder, item, (name,)),),
            mixture=_audio_file(folder, item, _MIXTURES),
            class_name=name,
            mids=mids[name],
            sample_rate=options.sample_rate,
        )
        for item in track(items)
        for name in mids
    ]


def _split_folder(folder: Path, split: str) -> str:
    """Find the folder of a split, relative to the user's.

    Raises:
        FileNotFoundError: if it is not there.
        InputError: if there is no such split.
    """
    if split not in _SPLITS:
        raise InputError(f"unknown split {split!r}; choose one of {', '.join(_SPLITS)}")
    for name in _SPLITS[split]:
        for prefix in _PREFIXES:
            if (folder / prefix / name).is_dir():
                return f"{prefix}{name}"
    names = " or ".join(_SPLITS[split])
    raise FileNotFoundError(f"{folder} holds no folder {names}; {_REMEDY}")


def _is_item(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _natural_order(path: Path) -> tuple[int, str]:
    """Folders are numbers: 2 comes before 10."""
    return (int(path.name) if path.name.isdecimal() else -1, path.name)


def _audio_file(folder: Path, item: Path, stems: tuple[str, ...]) -> str:
    """Find a file of a mixture's folder, relative to the user's."""
    for stem in stems:
        for suffix in _SUFFIXES:
            if (item / f"{stem}{suffix}").is_file():
                return (item / f"{stem}{suffix}").relative_to(folder).as_posix()
    raise FileNotFoundError(
        f"{item / stems[0]}{_SUFFIXES[0]}: no such file; unpack the mixture again"
    )


DNR = Benchmark(
    name=_NAME,
    title="Divide and Remaster: speech, music and effects of 973 mixtures of a minute",
    make_rows=make_rows,
    options=("split", "sample_rate"),
    defaults=PrepareOptions(split="test", sample_rate=None),
)
