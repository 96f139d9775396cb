import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

SAMPLE_RATE = 2_000

WriteTone = Callable[..., Path]
WriteTable = Callable[[Path, Sequence[Mapping[str, object]]], Path]


@pytest.fixture
def write_tone() -> WriteTone:
    """Writes a tone as 32-bit float WAV, 0.3 s at 2 kHz unless told otherwise."""

    def write(
        path: Path,
        amplitude: float = 0.5,
        *,
        seconds: float = 0.3,
        frequency_hz: float = 100.0,
        sample_rate: int = SAMPLE_RATE,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        times = np.arange(round(seconds * sample_rate)) / sample_rate
        tone = amplitude * np.sin(2.0 * np.pi * frequency_hz * times)
        soundfile.write(path, tone.astype(np.float32), sample_rate, subtype="FLOAT")
        return path

    return write


@pytest.fixture
def write_table() -> WriteTable:
    def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write
