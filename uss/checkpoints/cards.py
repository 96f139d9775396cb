"""What is to be known of weights before they are used: licence, training data, task, hash."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from uss.checkpoints import training_data
from uss.checkpoints.downloads import cache_folder
from uss.checkpoints.onnx_layout import ASKING, DESCRIPTION, is_onnx_folder
from uss.checkpoints.published import DEFAULT_MODEL, PUBLISHED, PublishedFile
from uss.checkpoints.published_file import NO_ASSERTION, TASKS
from uss.core.hashes import file_hash

TEXT_MODEL = "text"
"""The encoder of words inside the package."""
SAVED_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""What transformers calls them in its folders."""
_EMBEDDED = {
    DEFAULT_MODEL: ("default.safetensors", "separation, detection", training_data.DEFAULT),
    TEXT_MODEL: ("text.safetensors", "reading words", training_data.TEXT),
}
_BUNDLE, _TEXT_CLASSES = "uss_bundle", "text_classes"
_NOT_STATED = "not stated"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known of one file of weights.

    Attributes:
        name: what it is called here: a published name, ``default``, ``text``, or the file's.
        task: what it is for.
        spdx: its licence as an SPDX expression; ``NOASSERTION`` where nobody says.
        licence: in the words of its source; None where it says nothing.
        trained_on: on what.
        space: of the conditions that it takes or makes.
        source: a page where it comes from; None for what was trained here.
        path: the file, if it is here.
        size_bytes: of the file, or as published.
        checksum: the publisher's, as ``sha256:`` or ``md5:`` and the digits.
        provenance: what the file itself says of its making.
    """

    name: str
    task: str
    spdx: str = NO_ASSERTION
    licence: str | None = None
    trained_on: str = _NOT_STATED
    space: str | None = None
    source: str | None = None
    path: Path | None = None
    size_bytes: int | None = None
    checksum: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str | None:
        """Hash the file; None if it is not here."""
        return None if self.path is None else _hash_of(self.path, *_state(self.path))


def embedded_cards() -> list[ModelCard]:
    """Describe the weights inside the package."""
    return [embedded_card(name) for name in _EMBEDDED]


def embedded_card(name: str) -> ModelCard:
    """Describe one of them, ``default`` or ``text``."""
    file, task, trained_on = _EMBEDDED[name]
    with resources.as_file(resources.files("uss") / "weights" / file) as path:
        return _bundle_card(name, path, _noted_in(path), task, trained_on)


def card_of(name_or_file: str | Path) -> ModelCard:
    """Describe what ``load_model`` and its kin would load; nothing is fetched.

    A file that has the bytes of a published one has its card.

    Args:
        name_or_file: a published name, ``default``, a file, ``cnn14:FILE``, or a folder
            as transformers saves it, or with a model in ONNX.
    """
    path, named = Path(name_or_file), str(name_or_file)
    # In the order in which ``load_model`` looks.
    if named == DEFAULT_MODEL:
        return embedded_card(named)
    if not path.is_file():
        if named in PUBLISHED:
            return published_card(PUBLISHED[named])
        if is_onnx_folder(path):
            return _onnx_card(path)
        path = next(weights_in(path), Path(named.rpartition(":")[2]))
    if not path.is_file():
        return ModelCard(name=named, task="unknown")
    noted = _noted_in(path)
    if noted:
        return _bundle_card(path.name, path, noted)
    size = path.stat().st_size
    alike = next((each for each in PUBLISHED.values() if _has_bytes_of(path, size, each)), None)
    if alike is not None:
        return published_card(alike, path)
    return ModelCard(name=path.name, task="unknown", path=path, size_bytes=size)


def weights_in(folder: Path) -> Iterator[Path]:
    """List the weights in a folder as transformers saves it, the safer ones first."""
    return (path for path in (folder / name for name in SAVED_WEIGHTS) if path.is_file())


def published_card(published: PublishedFile, path: Path | None = None) -> ModelCard:
    """Describe a published file.

    Args:
        published: which.
        path: where it is; None for its place in the cache, if it is there.
    """
    place = path or cache_folder() / published.file_name
    is_there = place.is_file()
    return ModelCard(
        name=published.name,
        task=TASKS[published.kind],
        spdx=published.spdx,
        licence=published.licence,
        trained_on=published.trained_on,
        space=published.space,
        source=published.source,
        path=place if is_there else None,
        size_bytes=place.stat().st_size if is_there else published.size_bytes,
        checksum=published.checksum,
    )


def _bundle_card(
    name: str,
    path: Path,
    noted: Mapping[str, Any],
    task: str | None = None,
    trained_on: str | None = None,
) -> ModelCard:
    separator, licence = noted.get("separator"), str(noted.get("licence", "unknown"))
    spdx = licence.partition(";")[0].strip()
    provenance = noted.get("provenance") or {}
    told = "what its provenance says" if provenance else _NOT_STATED
    parts = {"separator": "separation", "tagger": "detection", "queries": "class queries"}
    return ModelCard(
        name=name,
        task=task or ", ".join(what for part, what in parts.items() if part in noted) or "unknown",
        spdx=NO_ASSERTION if spdx in ("", "unknown") else spdx,
        licence=licence,
        trained_on=trained_on or told,
        space=separator["hyperparameters"].get("condition_space") if separator else None,
        path=path,
        size_bytes=path.stat().st_size,
        provenance=provenance,
    )


def _onnx_card(folder: Path) -> ModelCard:
    """Describe an export; its description has the hashes of all that lies beside it."""
    described = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    noted = dict(_noted_in(folder / ASKING))
    for part in ("separator", "tagger"):
        if described.get(part):
            noted[part] = {"hyperparameters": described[part]}
    return _bundle_card(folder.name, folder / DESCRIPTION, noted)


def _noted_in(path: Path) -> Mapping[str, Any]:
    """Read what a safetensors file of ours says of itself; nothing of other files."""
    with suppress(SafetensorError, OSError, ValueError), safe_open(path, framework="np") as file:
        metadata = file.metadata() or {}
        stored = metadata.get(_BUNDLE) or metadata.get(_TEXT_CLASSES) or "{}"
        noted: Mapping[str, Any] = json.loads(stored)
        return noted
    return {}


def _has_bytes_of(path: Path, size: int, published: PublishedFile) -> bool:
    if published.checksum is None or published.size_bytes not in (None, size):
        return False
    algorithm, _, digits = published.checksum.partition(":")
    return _hash_of(path, *_state(path), algorithm) == digits


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


# Every result of a run notes the same files.
@functools.lru_cache(maxsize=64)
def _hash_of(path: Path, size_bytes: int, changed_ns: int, algorithm: str = "sha256") -> str:
    return file_hash(path, algorithm)
