"""What a program wants of one recording, as one group of stems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ontology import Ontology
from uss.conditions.class_queries import ClassQueries
from uss.conditions.class_words import ClassWords
from uss.conditions.placed_queries import placed_queries
from uss.conditions.queries import Query, named_queries
from uss.core.errors import InputError
from uss.separation.plan import Wanted
from uss.separation.presets import Preset, load_preset


def want(
    ontology: Ontology,
    level: int,
    classes: Sequence[str | int],
    queries: Sequence[Query],
    preset: str | Path | Preset | None,
    without: Sequence[Any],
    **options: Any,
) -> Wanted:
    """Want stems that have one residual; see ``Separator.separate``.

    Args:
        ontology: knows the classes.
        level: of the ontology, where nothing else is asked for.
        classes: by name, mid, index or alias, perhaps with times.
        queries: sounds by example.
        preset: whose stems to separate instead.
        without: what must be in no stem.
        options: the others of ``Wanted``.

    Raises:
        ValueError: if a class is unknown, or a preset's stems are mixed with others.
    """
    asked = [*placed_queries(classes, ontology), *queries]
    levels = () if options.get("blind") else (level,)
    wanted = _one_group(levels, asked, preset, ontology)
    return replace(wanted, without=named_queries(without, ontology), **options)


def _one_group(
    levels: Sequence[int],
    asked: Sequence[Query],
    preset: str | Path | Preset | None,
    ontology: Ontology,
) -> Wanted:
    """Want stems that have one residual: those of a preset, or what is named, or of a level."""
    if asked and preset is not None:
        raise InputError(
            "stems of a preset and named classes add up each for themselves; ask for them in two "
            "calls"
        )
    if preset is not None:
        return Wanted(presets=[load_preset(preset, ontology)])
    return Wanted(queries=asked) if asked else Wanted(levels=levels)


def check_words(queries: ClassQueries | None, wanted: Wanted) -> None:
    """See, before anything is separated, whether classes that are asked for in words can be.

    Raises:
        OSError, ValueError: if the text encoder lacks a file, a package or entries.
    """
    if not isinstance(queries, ClassWords):
        return
    if (
        wanted.levels
        or wanted.presets
        or any(query.class_indexes for query in (*wanted.queries, *wanted.without))
    ):
        queries.check()
