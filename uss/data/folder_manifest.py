"""A manifest of somebody's own sounds: a folder per class, or a CSV file that names the classes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ontology import (
    Node,
    OntologyError,
    OwnClass,
    load_ontology,
    own_mid,
    same_name,
    with_own_classes,
)
from uss.audio.listing import find_recordings
from uss.core.errors import InputError
from uss.data.new_manifest import ManifestRow, NewManifest, Probing, Problem, probed
from uss.data.text_tables import read_table

_PATH_COLUMNS = ("path", "filename", "file")
_LABEL_COLUMNS = ("labels", "label", "class", "category")


class _Sound(NamedTuple):
    """A file with the names of its classes; a split only where a list gives one."""

    path: str
    names: tuple[str, ...]
    split: str = ""


@dataclass(frozen=True)
class FolderManifest:
    """What a folder became.

    Attributes:
        manifest: its rows and problems.
        own: the classes that AudioSet does not know.
        meanings: what each class was called, to its mid.
    """

    manifest: NewManifest
    own: tuple[OwnClass, ...]
    meanings: Mapping[str, str]


def make_folder_manifest(
    folder: Path,
    probing: Probing,
    *,
    labels: Path | None = None,
    own: Sequence[OwnClass] = (),
    validation: float = 0.1,
) -> FolderManifest:
    """Find out what is in a folder of labelled sounds.

    A class called as AudioSet calls one, but for case, plural, hyphens and underscores, is
    AudioSet's; any other is a class of the user's own.

    Args:
        folder: of the sounds. Without ``labels``, those in and below each folder in it are of the
            class that the folder is called like.
        probing: how files are looked at.
        labels: CSV with ``path`` (or ``filename``, ``file``), relative to the folder, and
            ``labels`` (or ``label``, ``class``, ``category``), several separated by ``;``, and
            maybe ``split``.
        own: classes that are known to be the user's own, perhaps with parents.
        validation: the share of each class's clips that are of the split ``validation``, at least
            one of two; 0 for none. All others are of the split ``train``.

    Raises:
        OSError, InputError: if there is no such folder or file, it holds nothing, or a class can
            be none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; name the one that holds the sounds")
    sounds, problems = _in_folders(folder) if labels is None else _listed(labels)
    if not sounds:
        raise InputError(
            f"{folder} holds no audio file in a folder that is called like a class; make one per "
            "class, or name a CSV file with --labels"
        )
    names = dict.fromkeys(name for sound in sounds for name in sound.names)
    meanings, classes = _understood(names, own)
    splits = _splits(sounds, validation)
    rows = [
        ManifestRow(
            sound.path,
            sound.path,
            ";".join(dict.fromkeys(meanings[name] for name in sound.names)),
            splits[sound.path],
        )
        for sound in sounds
    ]
    good, bad = probed(rows, folder, probing)
    return FolderManifest(NewManifest(good, [*problems, *bad]), classes, meanings)


def _in_folders(folder: Path) -> tuple[list[_Sound], list[Problem]]:
    sounds: list[_Sound] = []
    problems: list[Problem] = []
    for found in find_recordings([folder], recursive=True):
        if found.path == folder:
            continue
        path = found.path.relative_to(folder).as_posix()
        if found.below.parts:
            sounds.append(_Sound(path, (_plain(found.below.parts[0]),)))
        else:
            problems.append(Problem(path, path, "unlabelled", "it lies in no folder of a class"))
    return sounds, problems


def _listed(labels: Path) -> tuple[list[_Sound], list[Problem]]:
    if not labels.is_file():
        raise FileNotFoundError(f"{labels}: no such file; name a CSV file with path,labels")
    table = read_table(labels)
    paths, listed = (
        next((table[name].tolist() for name in known if name in table.columns), None)
        for known in (_PATH_COLUMNS, _LABEL_COLUMNS)
    )
    if paths is None or listed is None:
        lacking = _PATH_COLUMNS if paths is None else _LABEL_COLUMNS
        raise InputError(f"{labels} has no column {', '.join(lacking)}; name one of its so")
    splits = table["split"].tolist() if "split" in table.columns else [""] * len(table)
    sounds: dict[str, _Sound] = {}
    problems: list[Problem] = []
    for path, text, split in zip(paths, listed, splits, strict=True):
        names = tuple(filter(None, (_plain(each) for each in text.split(";"))))
        if path in sounds:
            # Some lists have a row per label.
            names = (*sounds[path].names, *names)
        if names:
            sounds[path] = _Sound(path, names, split)
        else:
            problems.append(Problem(path, path, "unlabelled", "its row names no class"))
    return list(sounds.values()), problems


def _plain(name: str) -> str:
    """Read a class's name as people write it in names of files; ids stay as they are."""
    stripped = name.strip()
    return stripped if stripped.startswith("/") else " ".join(name.replace("_", " ").split())


def _understood(
    names: Mapping[str, None], own: Sequence[OwnClass]
) -> tuple[dict[str, str], tuple[OwnClass, ...]]:
    """Map names to mids; what AudioSet does not know is added to the own classes."""
    known = {key: each.mid for each in own for key in (each.mid, same_name(each.name))}
    classes = list(own)
    meanings: dict[str, str] = {}
    for name in names:
        mid = known.get(name) or known.get(same_name(name)) or _audiosets(name)
        if mid is None and name.startswith("/"):
            raise InputError(
                f"{name!r} is no id of AudioSet's, nor of the classes of your own that were named; "
                "correct it, or write the class's name"
            )
        if mid is None:
            mid = own_mid(name)
            classes.append(OwnClass(mid, name))
            known[same_name(name)] = mid
        meanings[name] = mid
    try:
        with_own_classes(load_ontology(), classes, indexed=True)
    except OntologyError as error:
        raise InputError(str(error)) from None
    return meanings, tuple(classes)


def _audiosets(name: str) -> str | None:
    """Find AudioSet's class of a name; aliases are not taken, data are not guessed at."""
    if name.isdecimal():
        return None
    ontology = load_ontology()
    try:
        nodes: tuple[Node, ...] = ontology.look_up(name)
    except OntologyError:
        if any(node.name.casefold() == name.casefold() for node in ontology.nodes.values()):
            raise
        return None
    (node, *others) = nodes
    if others or (node.mid != name and same_name(node.name) != same_name(name)):
        return None
    if node.class_index is None:
        below = [ontology.classes[index].name for index in ontology.class_indexes(node)]
        raise InputError(
            f'"{name}" is a heading of AudioSet\'s, no class; sort its sounds into '
            f"{', '.join(below[:3]) or 'classes'}, or give them another name"
        )
    return node.mid


def _splits(sounds: Sequence[_Sound], validation: float) -> dict[str, str]:
    """Choose clips of each class by a hash of their paths, so that more files move few."""
    splits = {sound.path: sound.split or "train" for sound in sounds}
    if validation == 0.0 or any(sound.split for sound in sounds):
        return splits
    of_class: dict[str, list[str]] = {}
    for sound in sounds:
        of_class.setdefault(sound.names[0], []).append(sound.path)
    for paths in of_class.values():
        if len(paths) > 1:
            number = min(len(paths) - 1, max(1, round(validation * len(paths))))
            splits |= dict.fromkeys(sorted(paths, key=_hash)[:number], "validation")
    return splits


def _hash(path: str) -> bytes:
    return hashlib.sha256(os.fsencode(path)).digest()
