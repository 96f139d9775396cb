"""What one mixture of a list scored, as it is kept and read again."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from uss.core.errors import InputError


@dataclass(frozen=True)
class RowScores:
    """What one row of a list scored.

    Attributes:
        row: its position in the list, from 0.
        class_name, group: of the row.
        scores: output to name to value; outputs are the conditions, these swapped, the mixture and
            half of it. NaN where a score is undefined.
        error: why there are no scores; empty if all went well.
    """

    row: int
    class_name: str
    group: str
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what JSON holds; None stands for NaN."""
        content = asdict(self)
        content["scores"] = {
            output: {name: None if math.isnan(v) else v for name, v in values.items()}
            for output, values in self.scores.items()
        }
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
            return cls(**{**content, "scores": scores})
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(
                f"there are no scores of a mixture in {content}; choose another output folder"
            ) from error
