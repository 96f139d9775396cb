"""What the results of an evaluation depend on, and the folder that they go to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uss import __version__
from uss.checkpoints.loading import weight_hash
from uss.core.errors import InputError
from uss.evaluation.journal import Journal
from uss.separation.separator import Separator

_JOURNAL_NAME = "results.jsonl"
_RESULTS = ("results.json", "results.csv", "classes.png")


def describe_models(separator: Separator) -> dict[str, Any]:
    """What the scores depend on, of the models and how they run."""
    queries = separator.queries
    vectors = b"" if queries is None else queries.vectors.tobytes()
    return {
        "version": __version__,
        "separator_hash": separator.separator_hash,
        "tagger_hash": weight_hash(separator.tagger),
        "encoder_hash": weight_hash(separator.encoder),
        "class_queries_hash": hashlib.sha256(vectors).hexdigest()[:16] if vectors else None,
        "precision": str(separator.runtime.dtype).removeprefix("torch."),
    }


def root_hash(root: Path) -> str:
    """Identify the folder of the audio, without saying where it is."""
    return hashlib.sha256(str(root.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]


def open_journal(output: Path, settings: Mapping[str, Any]) -> Journal:
    """Make the output folder if it is missing, and open the journal in it.

    Raises:
        OSError, ValueError: if the folder is none, or holds something else or other results.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; choose another output folder")
    for name in (*_RESULTS, _JOURNAL_NAME):
        if (output / name).is_dir():
            raise InputError(f"{output / name} is a folder; choose another output folder")
    output.mkdir(parents=True, exist_ok=True)
    return Journal(output / _JOURNAL_NAME, settings)


def hashes(described: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``describe_models`` that identify weights."""
    return {key: value for key, value in described.items() if key.endswith("_hash")}
