"""The classes of other data sets in AudioSet's terms."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

from uss.core.errors import InputError


@functools.cache
def class_mids(benchmark: str) -> Mapping[str, tuple[str, ...]]:
    """Return the AudioSet ids of each class of a benchmark; none where AudioSet has no such class.

    Several ids stand for all of these classes together. Chosen by hand, by the names of both.
    """
    text = resources.files("uss.benchmarks").joinpath("classes.csv").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            row["class"]: tuple(row["mids"].split(";")) if row["mids"] else ()
            for row in csv.DictReader(text.splitlines())
            if row["benchmark"] == benchmark
        }
    )


def class_of_caption(caption: str, benchmark: str) -> str:
    """Return the class that a caption such as "the sound of washing machine" means.

    Raises:
        InputError: if it means none of the benchmark's classes.
    """
    name = " ".join(caption.replace("_", " ").casefold().split()).removeprefix("the sound of ")
    for class_name in class_mids(benchmark):
        if class_name.replace("_", " ").casefold() == name:
            return class_name
    raise InputError(
        f"the caption {caption!r} means no class of {benchmark}; give a class, such as "
        f"{next(iter(class_mids(benchmark)))}"
    )
