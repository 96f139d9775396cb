"""From a folder of ONNX graphs (``onnx_layout``) to a model that is used as others are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from uss.checkpoints.bundle import Bundle, load_bundle
from uss.checkpoints.onnx_layout import (
    ASKING,
    DESCRIPTION,
    ENCODER,
    MASKS,
    TAGGER,
    VERSION,
    VERSION_KEY,
)
from uss.core.errors import InputError
from uss.core.onnx_graphs import OnnxGraph
from uss.models.onnx_separator import OnnxSeparator
from uss.taggers.onnx_tagger import OnnxTagger


def load_onnx_folder(folder: Path) -> Bundle:
    """Load what ``export_onnx`` wrote.

    Raises:
        OSError: if a file cannot be read.
        ValueError: if one is damaged or missing, of another version, or onnxruntime is not
            installed.
    """
    try:
        described = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        version, hashes = described[VERSION_KEY], dict(described["files"])
        separator, tagger = described["separator"], described["tagger"]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder / DESCRIPTION, repr(error)) from error
    if version != VERSION:
        raise InputError(
            f"{folder} is a model in ONNX of version {version}, this program reads version "
            f"{VERSION}; export it again"
        )
    digests = {name: _checked(folder / name, expected) for name, expected in hashes.items()}
    bundle = load_bundle(folder / ASKING)
    try:
        return replace(
            bundle,
            separator=None if separator is None else _separator(folder, separator, digests),
            tagger=None if tagger is None else _tagger(folder, tagger, digests),
        )
    except (KeyError, TypeError) as error:
        raise _damaged(folder / DESCRIPTION, repr(error)) from error


def _separator(
    folder: Path, described: Mapping[str, Any], digests: Mapping[str, bytes]
) -> OnnxSeparator:
    digest = hashlib.sha256(digests[ENCODER] + digests[MASKS]).digest()
    encoder, masks = OnnxGraph(folder / ENCODER), OnnxGraph(folder / MASKS)
    return OnnxSeparator(encoder, masks, described, digest).eval()


def _tagger(folder: Path, described: Mapping[str, Any], digests: Mapping[str, bytes]) -> OnnxTagger:
    return OnnxTagger(OnnxGraph(folder / TAGGER), described, digests[TAGGER]).eval()


def _checked(path: Path, expected: str) -> bytes:
    """Return the SHA-256 of a file that is as it was written."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; export the model again")
    digest = hashlib.sha256(path.read_bytes())
    if digest.hexdigest() != expected:
        raise _damaged(path, "its SHA-256 is another than it was written with")
    return digest.digest()


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is damaged ({reason}); export the model again")
