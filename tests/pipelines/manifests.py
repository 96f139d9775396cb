"""What tests of manifests share: reading them back, and refusals."""

import csv
from pathlib import Path

import pytest


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def refused(capsys: pytest.CaptureFixture[str], status: int) -> str:
    """The one line of bad input."""
    lines = capsys.readouterr().err.splitlines()
    assert status == 2
    assert len(lines) == 1, lines
    return lines[0]
