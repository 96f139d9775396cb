"""Classes of somebody's own as a CSV file, which lies beside the manifest whose labels it names."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ontology import OntologyError, OwnClass, load_ontology, own_mid, with_own_classes
from uss.core.errors import InputError
from uss.core.files import written_whole
from uss.data.text_tables import read_table

COLUMNS = ("id", "name", "parent")


def own_classes_file(manifest: Path) -> Path:
    """Name the file of a manifest's own classes: ``sounds.classes.csv`` beside ``sounds.csv``."""
    return manifest.with_name(f"{manifest.stem}.classes.csv")


def read_own_classes(path: Path) -> tuple[OwnClass, ...]:
    """Read classes that AudioSet does not know.

    Args:
        path: CSV with ``name`` and, if wanted, ``id`` (else made of the name) and ``parent`` (what
            the class is a kind of: a name, mid or class index of AudioSet's).

    Raises:
        OSError, InputError: if there is no such file, or it is not as it should be.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file of classes; name a CSV file with the columns {','.join(COLUMNS)}"
        )
    table = read_table(path)
    if "name" not in table.columns:
        raise InputError(f"{path} lacks the column name; it has {','.join(COLUMNS)}")
    ids, parents = (
        table[name].tolist() if name in table.columns else [""] * len(table)
        for name in ("id", "parent")
    )
    found = []
    ontology = load_ontology()
    try:
        for name, mid, parent in zip(table["name"].tolist(), ids, parents, strict=True):
            above = ontology.find(parent, aliases=False).mid if parent.strip() else ""
            found.append(OwnClass(mid.strip() or own_mid(name), name.strip(), above))
        with_own_classes(ontology, found, indexed=True)
    except OntologyError as error:
        raise InputError(f"{path}: {error}") from None
    return tuple(found)


def own_classes_of(manifest: Path, named: Path | None = None) -> tuple[OwnClass, ...]:
    """Read the classes that go with a manifest: of a file that is named, else of the one beside.

    Raises:
        OSError, InputError: see ``read_own_classes``.
    """
    beside = own_classes_file(manifest)
    if named is None and not beside.is_file():
        return ()
    return read_own_classes(named or beside)


def write_own_classes(path: Path, own: Sequence[OwnClass]) -> None:
    """Write a file that ``read_own_classes`` reads; it appears when it is complete."""
    with written_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows((each.mid, each.name, each.parent) for each in own)
