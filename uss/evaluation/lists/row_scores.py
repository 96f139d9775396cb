"""What one mixture of a list scored, as it is kept and read again."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from uss.core.arrays import Float32
from uss.core.errors import InputError

TARGET = "target"
"""Names the embeddings of the true source."""


@dataclass(frozen=True)
class RowScores:
    """What one row of a list scored.

    Attributes:
        row: its position in the list, from 0.
        class_name, group: of the row.
        scores: output to name to value; outputs are the conditions, these swapped, the mixture and
            half of it. NaN where a score is undefined.
        error: why there are no scores; empty if all went well.
        embeddings: (W, H) of outputs and ``TARGET``; none where no metric needs them.
    """

    row: int
    class_name: str
    group: str
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    error: str = ""
    embeddings: dict[str, Float32] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what JSON holds; None stands for NaN."""
        content = asdict(self)
        content["scores"] = {
            output: {name: None if math.isnan(v) else v for name, v in values.items()}
            for output, values in self.scores.items()
        }
        content["embeddings"] = {name: _packed(each) for name, each in self.embeddings.items()}
        if not self.embeddings:
            # Journals of lists without them stay what they were.
            del content["embeddings"]
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> RowScores:
        """Make one of what ``as_json`` returned.

        Raises:
            InputError: if it is something else.
        """
        try:
            scores = {
                output: {name: math.nan if v is None else v for name, v in values.items()}
                for output, values in content["scores"].items()
            }
            packed = content.get("embeddings", {})
            embeddings = {name: _unpacked(each) for name, each in packed.items()}
            return cls(**{**content, "scores": scores, "embeddings": embeddings})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"there are no scores of a mixture in {content}; choose another output folder"
            ) from error


def _packed(embeddings: Float32) -> dict[str, Any]:
    """What JSON holds of (W, H): the bytes of its float32, little-endian."""
    values = np.ascontiguousarray(embeddings, "<f4")
    return {
        "shape": list(values.shape),
        "float32": base64.b64encode(values.tobytes()).decode(),
    }


def _unpacked(content: Mapping[str, Any]) -> Float32:
    values = np.frombuffer(base64.b64decode(content["float32"]), "<f4")
    return values.astype(np.float32).reshape(content["shape"])
