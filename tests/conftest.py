"""Fixtures shared by all tests."""

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with reference weights, parity files and audio, or skip without it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference data (../shared, beside the checkout) is not here")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fixed seed; each test gets a fresh one."""
    return np.random.default_rng(0)
