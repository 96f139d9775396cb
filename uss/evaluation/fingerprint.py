"""What the scores of an evaluation depend on, told by hashes: models, lists, folders."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from uss import __version__
from uss.checkpoints.loading import weight_hash
from uss.core.hashes import short_hash
from uss.detection.defaults import Threshold
from uss.separation.separator import Separator


def describe_models(separator: Separator) -> dict[str, Any]:
    """What the scores depend on, of the models and how they run."""
    queries = separator.class_queries
    content = b"" if queries is None else queries.content()
    return {
        "version": __version__,
        "separator_hash": separator.separator_hash,
        "tagger_hash": weight_hash(separator.tagger),
        "encoder_hash": weight_hash(separator.encoder),
        "class_queries_hash": short_hash(content) if content else None,
        "precision": str(separator.runtime.dtype).removeprefix("torch."),
        # Journals of models that draw nothing stay what they were.
        **({} if separator.drawing is None else {"drawing": asdict(separator.drawing)}),
    }


def hashes(described: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``describe_models`` that identify weights."""
    return {key: value for key, value in described.items() if key.endswith("_hash")}


def thresholds_hash(separator: Separator, threshold: Threshold) -> str:
    """Identify the thresholds of detection that ``threshold`` leads to."""
    return short_hash(np.asarray(separator.detector.thresholds(threshold), np.float32).tobytes())


def root_hash(root: Path) -> str:
    """Identify the folder of the audio, without saying where it is."""
    return short_hash(str(root.resolve()).encode(errors="surrogateescape"))


def file_sha256(path: Path) -> str:
    """Identify a list by its content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
