"""What uss-separate wrote."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray


def read(path: Path) -> NDArray[np.float64]:
    """(T, C)"""
    samples, _ = soundfile.read(path, dtype="float64", always_2d=True)
    return np.asarray(samples)


def stems(folder: Path) -> dict[str, NDArray[np.float64]]:
    """All files of a folder by name."""
    return {path.stem: read(path) for path in folder.iterdir()}


def record(folder: Path) -> dict[str, Any]:
    """Read ``detections.json``."""
    loaded: dict[str, Any] = json.loads((folder / "detections.json").read_text(encoding="utf-8"))
    return loaded


def energy(samples: NDArray[np.float64]) -> float:
    return float(np.square(samples).mean())


def assert_adds_up(folder: Path, recording: Path) -> None:
    total = np.sum(list(stems(folder).values()), axis=0)
    np.testing.assert_allclose(total, read(recording), rtol=0.0, atol=1e-6)
