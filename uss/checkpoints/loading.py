"""Models by name or file: the embedded default, bundles, published checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uss.checkpoints.bundle import Bundle, is_bundle, load_bundle, read_tensors, save_bundle
from uss.checkpoints.downloads import fetch
from uss.checkpoints.flowsep_parts import gather_parts
from uss.checkpoints.onnx_folder import load_onnx_folder
from uss.checkpoints.onnx_layout import is_onnx_folder
from uss.checkpoints.pickled import read_state_dict
from uss.checkpoints.published import DEFAULT_MODEL, PUBLISHED
from uss.checkpoints.recognition import CHOICES, check_choice, recognise, template_of
from uss.checkpoints.text_loading import text_encoder_of
from uss.conditions.class_queries import ClassQueries
from uss.core.errors import InputError
from uss.taggers import TaggerNetwork


def load_model(
    name_or_file: str | Path = DEFAULT_MODEL, *, trust_checkpoint: bool = False
) -> Bundle:
    """Load a model: ``default`` for the one inside the package, a published name, or a file.

    A published name is downloaded once into the cache. A file is a bundle, or a published
    checkpoint whose networks are recognised by their entries. Two taggers have the same entries;
    ``cnn14:FILE`` and ``cnn14-decision-level-max:FILE`` say which one a file holds. A folder holds
    a model in ONNX (``uss-export-onnx``), or the parts of FlowSep in files of their own.

    Args:
        name_or_file: which model.
        trust_checkpoint: unpickle whatever the file holds. That can run any code.

    Raises:
        FileNotFoundError: if there is no such file, nor a model of that name.
        OSError, ValueError: if the download fails; if the file is broken, of no known kind, not
            what the user chose, or holds more than weights and is not trusted.
    """
    return _load(name_or_file, "separator", trust_checkpoint)


def _load(name_or_file: str | Path, kind: str, trust_checkpoint: bool) -> Bundle:
    """Load a model; ``kind`` says which published ones an error names."""
    if str(name_or_file) == DEFAULT_MODEL:
        with resources.as_file(resources.files("uss") / "weights" / "default.safetensors") as path:
            return load_bundle(path)
    if Path(name_or_file).is_dir() and str(name_or_file) not in PUBLISHED:
        return _of_parts(Path(name_or_file), trust_checkpoint)
    path, choice = _find(name_or_file, kind)
    if is_bundle(path):
        bundle = load_bundle(path)
        if choice is not None:
            check_choice(choice, bundle.tagger, path)
        return bundle
    tensors = _entries(path, trust_checkpoint)
    separator, tagger = recognise(tensors, path, choice)
    return Bundle(
        tagger,
        separator,
        provenance={"file": path.name},
        text_encoder=None if separator is None else text_encoder_of(tensors, path),
        template=template_of(separator),
    )


def _of_parts(folder: Path, trust: bool) -> Bundle:
    """Load a model in ONNX, or FlowSep from a folder of its parts."""
    if is_onnx_folder(folder):
        return load_onnx_folder(folder)
    tensors, of_text = gather_parts(folder, lambda path: _entries(path, trust))
    separator, _ = recognise(tensors, folder)
    return Bundle(
        separator=separator,
        provenance={"folder": folder.name},
        text_encoder=text_encoder_of(tensors, folder, of_text),
        template=template_of(separator),
    )


def _entries(path: Path, trust: bool) -> dict[str, Tensor]:
    tensors = read_tensors(path)
    return read_state_dict(path, trust_checkpoint=trust) if tensors is None else tensors


def load_tagger(
    name_or_file: str | Path = DEFAULT_MODEL, *, trust_checkpoint: bool = False
) -> TaggerNetwork:
    """Load the tagger of a model; see ``load_model``.

    Raises:
        FileNotFoundError, OSError, ValueError: as ``load_model``, and if the model has no tagger.
    """
    tagger = _load(name_or_file, "tagger", trust_checkpoint).tagger
    if tagger is None:
        raise InputError(f"{name_or_file} holds no tagger; name one, such as cnn14 or mn04_as")
    return tagger


def load_class_queries(name_or_file: str | Path, *, trust_checkpoint: bool = False) -> ClassQueries:
    """Load the class queries of a model or of a file that mining wrote; see ``load_model``.

    Raises:
        FileNotFoundError, OSError, ValueError: as ``load_model``, and if there are no queries.
    """
    queries = load_model(name_or_file, trust_checkpoint=trust_checkpoint).class_queries
    if queries is None:
        raise InputError(
            f"{name_or_file} holds no class queries; name a bundle, or a queries-*.safetensors "
            "that uss-mine-anchors wrote beside its shards"
        )
    return queries


def _find(name_or_file: str | Path, kind: str) -> tuple[Path, str | None]:
    """Resolve a published name to its file in the cache, or check that a file is there.

    A file in the working folder comes before a published model of the same name, and one whose
    name holds a colon before the architecture of another.

    Returns:
        The file, and which of ``CHOICES`` the user says it is, if any.
    """
    path = Path(name_or_file)
    if path.is_file():
        return path, None
    published = PUBLISHED.get(str(name_or_file))
    if published is not None:
        return fetch(published), None
    choice, _, file = str(name_or_file).partition(":")
    if file and choice in CHOICES:
        path = Path(file)
        if path.is_file():
            return path, choice
        raise FileNotFoundError(f"{path}: no such file; check the path after {choice + ':'!r}")
    if file and Path(file).is_file():
        raise InputError(
            f"{path}: there is no architecture {choice!r} to choose; write "
            f"{' or '.join(f'{name}:{file}' for name in CHOICES)}, or {file} alone, which is "
            "enough for all others"
        )
    known = [name for name, published in PUBLISHED.items() if published.kind == kind]
    raise FileNotFoundError(
        f"{path}: no such file, and no model of that name; check the path, or choose "
        f"{', '.join([DEFAULT_MODEL, *known])}"
    )


def save_tagger(
    path: str | Path, tagger: TaggerNetwork, *, licence: str, provenance: Mapping[str, Any]
) -> None:
    """Write a bundle that holds a tagger alone."""
    save_bundle(path, Bundle(tagger, licence=licence, provenance=provenance))


def weight_hash(module: torch.nn.Module) -> str:
    """Identify weights: the first 16 hex digits of a SHA-256 over names and float32 values."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().to(torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
