"""Scenes, and the command that evaluates them."""

import io
import logging
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tests.pipelines.conftest import WriteNoise, tiny_tagger
from tests.pipelines.evaluate_scenes.evaluated import (
    Evaluate,
    Run,
    run_evaluate,
    save_four,
    write_audio,
)
from uss.checkpoints.loading import save_tagger


@pytest.fixture
def audio(tmp_path: Path, write_noise: WriteNoise) -> Path:
    return write_audio(tmp_path / "audio", write_noise)


@pytest.fixture
def scenes(audio: Path) -> Path:
    return save_four(audio)


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, write_noise: WriteNoise, bundle_file: Path
) -> Run:
    """The same scenes, evaluated."""
    folder = tmp_path_factory.mktemp("measured")
    path = save_four(write_audio(folder / "audio", write_noise))
    with redirect_stdout(io.StringIO()) as shown:
        assert run_evaluate(bundle_file, path, folder / "out") == 0
    return Run(path, folder / "out", shown.getvalue())


@pytest.fixture
def evaluate(tmp_path: Path, bundle_file: Path) -> Evaluate:
    """Runs uss-evaluate with the tiny bundle into the folder ``out``; later options win."""

    def run(scenes: Path, *options: str | Path) -> int:
        return run_evaluate(bundle_file, scenes, tmp_path / "out", *options)

    return run


@pytest.fixture(autouse=True)
def unchanged_logging() -> Iterator[None]:
    """What is heard without a query is not logged while scenes are evaluated."""
    logger = logging.getLogger("uss.separation.separator")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="module")
def rain_tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hears rain alone, in all noise; its name is that of the bundle's own."""
    path = tmp_path_factory.mktemp("rain") / "rain.safetensors"
    save_tagger(path, tiny_tagger(heard=["Rain"]), licence="CC0-1.0", provenance={})
    return path
