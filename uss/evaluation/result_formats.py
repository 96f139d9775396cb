"""How results are written, of lists and of scenes alike: JSON without NaN, columns for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uss.core.files import written_whole

REPORT_VERSION = 1


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``results.json``."""
    with written_whole(path) as part:
        text = json.dumps(without_nan(content), indent=2, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def without_nan(content: Any) -> Any:
    """Replace NaN, which JSON does not know, by None."""
    if isinstance(content, Mapping):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [without_nan(value) for value in content]
    if isinstance(content, (float, np.floating)):
        return None if math.isnan(content) else float(content)
    return content


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out a table: the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def with_interval(value: float, interval: Sequence[float]) -> str:
    """Write a number with the two ends of its interval."""
    low, high = interval
    return f"{two_digits(value)} [{two_digits(low)}, {two_digits(high)}]"


def two_digits(value: float) -> str:
    """Write a number without a sign where it rounds to zero."""
    return f"{round(value, 2) + 0.0:.2f}"
