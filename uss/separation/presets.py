"""Presets: stems that belong together, each of many classes, such as those of a film mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from ontology import Node, Ontology, OntologyError
from uss.conditions.queries import UnionQuery
from uss.core.errors import InputError
from uss.separation.preset_files import PresetFile, find_preset, read_preset


@dataclass(frozen=True)
class Preset:
    """Stems that are separated together, and add up with a residual.

    Attributes:
        name: of the group of its stems.
        description: one line for people.
        stems: no two of which share a class.
    """

    name: str
    description: str
    stems: tuple[UnionQuery, ...]


def load_presets(
    named: str | Path | Preset | Sequence[str | Path | Preset], ontology: Ontology
) -> list[Preset]:
    """Look up presets; what is one already stays as it is.

    Args:
        named: names, files and presets; a single one stands for a list of one.
        ontology: knows the classes.

    Raises:
        OSError, ValueError: if there is none of a name, a file cannot be read or is no preset, or
            two have the same name.
    """
    listed = [named] if isinstance(named, (str, Path, Preset)) else named
    presets = [load_preset(each, ontology) for each in listed]
    for first, second in combinations(presets, 2):
        if first.name.casefold() == second.name.casefold() and first != second:
            raise InputError(
                f"two presets are called {second.name}, and their stems would share a folder; "
                "rename one of the files"
            )
    return list({preset.name: preset for preset in presets}.values())


def load_preset(named: str | Path | Preset, ontology: Ontology) -> Preset:
    """Read a preset by its name, or from a file; see ``load_presets``."""
    if isinstance(named, Preset):
        return named
    return preset_of(read_preset(find_preset(named)), ontology)


def preset_of(file: PresetFile, ontology: Ontology) -> Preset:
    """Find the classes that a preset names.

    Raises:
        ValueError: if there is no class of a name, a stem has no class left, or two share one.
    """
    stems = []
    for name, listed in file.stems.items():
        classes, without = (
            _nodes(file, name, names, ontology) for names in (listed.classes, listed.without)
        )
        query = UnionQuery.of(name, classes, ontology, without)
        if not query.class_indexes:
            raise InputError(
                f"{file.path}: the stem {name!r} has no class that taggers know; name others"
            )
        stems.append(query)
    for first, second in combinations(stems, 2):
        shared = sorted(set(first.class_indexes).intersection(second.class_indexes))
        if shared:
            raise InputError(
                f'{file.path}: "{ontology.classes[shared[0]].name}" is in both {first.name} and '
                f'{second.name}; list it under "without" in one of them'
            )
    return Preset(file.name, file.description, tuple(stems))


def _nodes(
    file: PresetFile, stem: str, names: Sequence[str | int], ontology: Ontology
) -> list[Node]:
    try:
        nodes = [node for name in names for node in ontology.look_up(name)]
    except OntologyError as error:
        raise InputError(f"{file.path}, stem {stem!r}: {error}") from None
    for node in nodes:
        if node.mid in ontology.own:
            raise InputError(
                f"{file.path}, stem {stem!r}: {node.name!r} is a class of your own, which is not "
                "detected, so it cannot be part of a stem; ask for it with --class"
            )
    return nodes
