"""Tiny models, synthetic recordings and a way to run commands as a person would."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from ontology import load_ontology
from uss.bundle import Bundle, save_bundle
from uss.checkpoints import save_tagger
from uss.models import ResUNet
from uss.queries import ClassQueries, EmbeddingEncoder
from uss.taggers import NUM_CLASSES, EfficientAT

ROOT = Path(__file__).parents[2]
SAMPLE_RATE = 32_000
SEGMENT_SECONDS = 0.5

Waveform = NDArray[np.float32]
WriteNoise = Callable[..., Path]
MakeBundle = Callable[..., Path]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def tiny_tagger(seed: int = 0, heard: Sequence[str] = ()) -> EfficientAT:
    """A random tagger; for the classes heard noise is near 1 and silence near 0, others are 0.

    Its last layer is a projection on the difference that noise makes to the layer before.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tagger = EfficientAT(width=0.1, name="tiny").eval()
    if not heard:
        return tagger
    rng = np.random.default_rng(seed)
    noise = torch.from_numpy(noise_waveform(rng, 1, 2 * SAMPLE_RATE))
    with torch.inference_mode():
        sound, silence = (
            tagger.classifier[:2](tagger(waveform).embedding)[0]
            for waveform in (noise, torch.zeros_like(noise))
        )
        direction = 20.0 * (sound - silence) / (sound - silence).square().sum()
        last = tagger.classifier[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight.zero_()
        last.bias.fill_(-20.0)
        for name in heard:
            index = load_ontology().find(name).class_index
            last.weight[index] = direction
            last.bias[index] = -(direction @ (sound + silence)) / 2.0
    return tagger


def noise_waveform(rng: np.random.Generator, num_channels: int, num_samples: int) -> Waveform:
    return (0.1 * rng.standard_normal((num_channels, num_samples))).astype(np.float32)


@pytest.fixture(scope="session")
def write_noise() -> WriteNoise:
    """Writes noise, in the first ``loud_seconds`` only if they are given, as 32-bit float WAV."""

    def write(
        path: Path,
        seconds: float,
        *,
        sample_rate: int = SAMPLE_RATE,
        num_channels: int = 1,
        seed: int = 0,
        loud_seconds: float | None = None,
    ) -> Path:
        num_samples = max(1, round(seconds * sample_rate))
        noise = noise_waveform(np.random.default_rng(seed), num_channels, num_samples)
        if loud_seconds is not None:
            noise[:, round(loud_seconds * sample_rate) :] = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise.T, sample_rate, subtype="FLOAT")
        return path

    return write


@pytest.fixture(scope="session")
def tagger_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tagger") / "tiny.safetensors"
    save_tagger(path, tiny_tagger(), licence="CC0-1.0", provenance={"made": "by a test"})
    return path


@pytest.fixture(scope="session")
def make_bundle() -> MakeBundle:
    """Saves a bundle of random networks that hears the classes given and knows all queries."""

    def make(
        path: Path,
        heard: Sequence[str] = ("Dog", "Speech", "Music"),
        *,
        class_indexes: Sequence[int] = range(NUM_CLASSES),
    ) -> Path:
        tagger = tiny_tagger(heard=heard)
        space = EmbeddingEncoder(tagger).space
        with torch.random.fork_rng():
            torch.manual_seed(1)
            separator = ResUNet(
                space,
                tagger.embedding_size,
                channels=(4, 8),
                n_fft=256,
                hop_length=64,
                segment_seconds=SEGMENT_SECONDS,
            )
        vectors = np.random.default_rng(2).standard_normal(
            (len(class_indexes), tagger.embedding_size)
        )
        queries = ClassQueries(space, tuple(class_indexes), vectors.astype(np.float32))
        save_bundle(path, Bundle(tagger, separator, queries, licence="CC0-1.0"))
        return path

    return make


@pytest.fixture(scope="session")
def bundle_file(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "tiny.safetensors")


@pytest.fixture(scope="session")
def command_environment() -> dict[str, str]:
    """The environment in which a subprocess finds this checkout from any folder."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture
def run_command(tmp_path: Path, command_environment: dict[str, str]) -> Command:
    """Runs ``python -m MODULE ARGUMENTS`` in an empty folder."""

    def run(module: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        folder = tmp_path / "elsewhere"
        folder.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=folder,
            env=command_environment,
            timeout=120,
        )

    return run
