"""Clips, taggers, and the command that mines them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from pipelines.mine_anchors import main
from tests.pipelines.mine_anchors.mined import Row, WriteNoise, write_manifest
from uss.checkpoints.loading import save_tagger
from uss.taggers import EfficientAT


@pytest.fixture
def audio(tmp_path: Path, write_noise: WriteNoise) -> Path:
    """Three good clips: long with two labels, stereo at 44.1 kHz, shorter than a segment."""
    folder = tmp_path / "audio"
    write_noise(folder / "dog.wav", 4.0, seed=1)
    write_noise(folder / "speech.wav", 3.0, sample_rate=44_100, num_channels=2, seed=2)
    write_noise(folder / "music.wav", 1.25, seed=3)
    return folder


@pytest.fixture
def mine(tmp_path: Path, audio: Path, tagger_file: Path) -> Callable[..., int]:
    """Mines rows into a folder; relative to the folder of the test."""

    def run(rows: Sequence[Row], output: str = "shards", *options: str | Path) -> int:
        manifest = write_manifest(tmp_path / "manifest.csv", rows)
        return main(
            [
                str(manifest),
                *("--audio-root", str(audio)),
                *("-o", str(tmp_path / output)),
                *("--tagger", str(tagger_file)),
                *map(str, options),
            ]
        )

    return run


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of two further taggers."""
    folder = tmp_path_factory.mktemp("others")
    files = {name: folder / f"{name}.safetensors" for name in ("first", "second")}
    with torch.random.fork_rng():
        for seed, (name, path) in enumerate(files.items()):
            torch.manual_seed(seed)
            tagger = EfficientAT(width=0.05, name=name).eval()
            with torch.no_grad():
                # So that its probabilities are not all 0.5.
                tagger.classifier[-1].bias.uniform_(-2.0, 2.0)
            save_tagger(path, tagger, licence="CC0-1.0", provenance={})
    return files
