"""What was asked for, as a hash: results of the same request need not be made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np


def request_hash(request: object) -> str:
    """Hash settings with all that is in them: records, arrays, sequences, paths, plain values.

    Fields at their defaults do not count, so that an option that is new changes no hash of runs
    that do not use it.

    Returns:
        The first 16 hex digits of a SHA-256.

    Raises:
        TypeError: if something of another kind is in it.
    """
    text = json.dumps(_plain(request), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """Bring a value into the words of JSON."""
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), digest]
    if is_dataclass(value):
        content = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
        changed = {
            each.name: content[each.name]
            for each in fields(value)
            if content[each.name] != _default(each)
        }
        return {type(value).__name__: changed}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_plain(each) for each in value]
    if isinstance(value, (Path, np.generic)):
        return _plain(value.item() if isinstance(value, np.generic) else str(value))
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} cannot be hashed")


def _default(field: Field[Any]) -> object:
    """Give the default of a field as ``_plain`` does; what equals nothing if it has none."""
    if field.default is not MISSING:
        return _plain(field.default)
    return MISSING
