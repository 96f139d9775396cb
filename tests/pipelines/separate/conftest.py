"""What tests of uss-separate share: a short recording, and runs in float32 where a module asks."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]


@pytest.fixture
def separate(separate: Separate, request: pytest.FixtureRequest) -> Separate:
    """As for all commands; with the ``PRECISION`` of a module that compares samples."""
    return functools.partial(separate, "--precision", getattr(request.module, "PRECISION", "auto"))


@pytest.fixture
def scene(tmp_path: Path, write_noise: WriteNoise) -> Path:
    return write_noise(tmp_path / "scene.wav", 1.3)
