"""What the scripts that make clips write about them: labels and the manifest."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ontology import Ontology

COLUMNS = ("clip_id", "path", "mids", "names", "seconds", "licence")
ORIGIN_COLUMNS = ("attribution", "group")


def labels_of(names: Sequence[str], ontology: Ontology) -> tuple[list[str], list[str]]:
    """Mids and names of a sound: its own classes, then the classes above them."""
    own = [ontology.find(name) for name in names]
    above = [node for start in own for node in ontology.ancestors(start)]
    nodes = dict.fromkeys(node for node in own + above if node.class_index is not None)
    return [node.mid for node in nodes], [node.name for node in nodes]


def manifest_row(
    path: Path, names: Sequence[str], seconds: float, licence: str, ontology: Ontology
) -> dict[str, str]:
    """The row of one clip; ``path`` is relative to the manifest, its stem names the clip."""
    mids, all_names = labels_of(names, ontology)
    return {
        "clip_id": path.stem,
        "path": path.as_posix(),
        "mids": ";".join(mids),
        "names": ";".join(all_names),
        "seconds": f"{seconds:.3f}",
        "licence": licence,
    }


def write_manifest(
    path: Path, rows: Iterable[Mapping[str, str]], columns: Sequence[str] = COLUMNS
) -> None:
    """Writes the rows as CSV, in the order given."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
