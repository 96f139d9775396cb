"""Tiny models, synthetic recordings and a way to run commands as a person would."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from ontology import load_ontology
from pipelines.separate.command import main as separate_command
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.loading import load_tagger, save_tagger
from uss.conditions.class_queries import ClassQueries
from uss.conditions.embedding import EmbeddingEncoder
from uss.models import ResUNet
from uss.shards import Anchor, ShardSettings, shard_path, write_shard
from uss.taggers import NUM_CLASSES, EfficientAT

ROOT = Path(__file__).parents[2]
SAMPLE_RATE = 32_000
SEGMENT_SECONDS = 0.5

Waveform = NDArray[np.float32]
WriteNoise = Callable[..., Path]
MakeBundle = Callable[..., Path]
Separate = Callable[..., int]
Command = Callable[..., "subprocess.CompletedProcess[str]"]
Train = Callable[..., int]


def tiny_tagger(seed: int = 1, heard: Sequence[str] = ()) -> EfficientAT:
    """A random tagger; with ``heard`` it gives these classes alone, wherever it hears noise.

    Its last layer is then a projection on the difference that noise makes to the layer before:
    logit -2 for silence, above 0 for a tenth of a second of noise in a window of four.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tagger = EfficientAT(width=0.1, name="tiny")
    windows = _windows_with_noise(np.random.default_rng(seed))
    _normalise(tagger, windows)
    if not heard:
        return tagger
    with torch.inference_mode():
        hidden = tagger.classifier[:2](tagger(windows).embedding)
        silence = hidden[0]
        difference = hidden[1:].mean(dim=0) - silence
        direction = 20.0 * difference / difference.square().sum()
        last = tagger.classifier[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight.zero_()
        last.bias.fill_(-20.0)
        for name in heard:
            index = load_ontology().find(name).class_index
            last.weight[index] = direction
            last.bias[index] = -2.0 - direction @ silence
    return tagger


def _windows_with_noise(rng: np.random.Generator) -> torch.Tensor:
    """(B, T): silence first, then noise here and there."""
    windows = torch.zeros(6, 4 * SAMPLE_RATE)
    spans = ((0.0, 4.0), (0.0, 0.5), (1.75, 2.25), (1.0, 3.0), (3.0, 4.0))
    for window, (start, end) in zip(windows[1:], spans, strict=True):
        piece = window[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        piece.copy_(torch.from_numpy(noise_waveform(rng, 1, len(piece))[0]))
    return windows


def _normalise(tagger: EfficientAT, windows: torch.Tensor) -> None:
    """Set the batch norms' statistics; a fresh network lets next to nothing through."""
    tagger.train()
    for module in tagger.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.random.fork_rng(), torch.inference_mode():
        tagger(windows)
    tagger.eval()


def noise_waveform(rng: np.random.Generator, num_channels: int, num_samples: int) -> Waveform:
    return (0.1 * rng.standard_normal((num_channels, num_samples))).astype(np.float32)


@pytest.fixture(autouse=True)
def no_signal_is_ignored() -> Iterator[None]:
    """Also where the tests run under ``nohup``, which commands and their children respect."""
    numbers = [getattr(signal, name) for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name)]
    ignored = [number for number in numbers if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


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


@pytest.fixture
def deaf_tagger(tmp_path: Path, tagger_file: Path) -> Path:
    """A tagger that hears nothing anywhere, so that labels alone exclude each other."""
    tagger = load_tagger(tagger_file)
    last = tagger.classifier[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(-20.0)
    path = tmp_path / "deaf.safetensors"
    save_tagger(path, tagger, licence="CC0-1.0", provenance={"made": "by a test"})
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


@dataclass(frozen=True)
class TrainingFiles:
    """What a training run starts from; all classes are tones of their own frequency.

    Attributes:
        recipe: a YAML file for a very small model on the CPU; it leaves out the root folder.
        shards, validation_shards: folders.
        tagger: the one whose space the conditions are said to lie in.
        space: its name.
    """

    recipe: Path
    shards: Path
    validation_shards: Path
    tagger: Path
    space: str


_TONES = ("Speech", "Dog", "Music", "Rain", "Siren", "Cat")
_RECIPE = """
seed_everything: 3
trainer:
  accelerator: cpu
  devices: 1
  precision: 32-true
  max_steps: 4
  num_sanity_val_steps: 0
  log_every_n_steps: 1
  enable_progress_bar: false
  enable_model_summary: false
  val_check_interval: 4
  check_val_every_n_epoch: null
model:
  model:
    class_path: uss.models.ResUNet
    init_args:
      condition_space: {space}
      condition_size: {size}
      channels: [4, 8]
      n_fft: 256
      hop_length: 64
      segment_seconds: {segment_seconds}
  warm_up_steps: 0
data:
  shards: {shards}
  validation_shards: {validation_shards}
  condition_space: {space}
  batch_size: 4
  num_validation_mixtures: 4
  class_average_probability: 0.3
checkpoint:
  every_n_train_steps: 2
export:
  tagger: {tagger}
  licence: CC0-1.0
"""


def write_tone_shard(
    folder: Path, space: str, size: int, seed: int = 0, seconds: float = SEGMENT_SECONDS
) -> Path:
    """Two anchors for each of six classes; a class's conditions lie close together."""
    rng = np.random.default_rng(seed)
    num_samples = round(seconds * SAMPLE_RATE)
    times = np.arange(num_samples) / SAMPLE_RATE
    centres = np.random.default_rng(99).standard_normal((len(_TONES), size))
    anchors = []
    for number, name in enumerate(_TONES):
        class_index = load_ontology().find(name).class_index
        assert class_index is not None
        for take in range(2):
            frequency_hz = 300.0 * (number + 1) + 5.0 * take
            tone = 0.3 * np.sin(2 * np.pi * frequency_hz * times + rng.uniform(0.0, 6.0))
            condition = centres[number] + 0.1 * rng.standard_normal(size)
            anchors.append(
                Anchor(
                    clip_id=f"{name}-{take}",
                    class_index=class_index,
                    start_seconds=0.0,
                    score=0.5,
                    waveform=tone.astype(np.float32),
                    labels=(class_index,),
                    tag_probabilities=np.zeros(NUM_CLASSES, np.float32),
                    conditions={space: condition.astype(np.float32)},
                )
            )
    settings = ShardSettings(
        SAMPLE_RATE, num_samples, NUM_CLASSES, "tiny", "0" * 16, {space: size}, {"strategy": "sed"}
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_shard(shard_path(folder, 0, len(anchors)), anchors, [], settings)
    return folder


@pytest.fixture(scope="session")
def training_files(tmp_path_factory: pytest.TempPathFactory, tagger_file: Path) -> TrainingFiles:
    folder = tmp_path_factory.mktemp("training")
    encoder = EmbeddingEncoder(tiny_tagger())
    files = TrainingFiles(
        recipe=folder / "recipe.yaml",
        shards=write_tone_shard(folder / "shards", encoder.space, encoder.size),
        validation_shards=write_tone_shard(folder / "validation", encoder.space, encoder.size, 1),
        tagger=tagger_file,
        space=encoder.space,
    )
    files.recipe.write_text(
        _RECIPE.format(
            space=files.space,
            size=encoder.size,
            segment_seconds=SEGMENT_SECONDS,
            shards=files.shards,
            validation_shards=files.validation_shards,
            tagger=files.tagger,
        )
    )
    return files


@pytest.fixture
def train(training_files: TrainingFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Runs the recipe into a folder of the test, ``run`` unless named; later options win."""
    # Lightning takes seconds to import, which tests of other commands need not wait for.
    from pipelines.train import main

    monkeypatch.setattr("sys.argv", ["uss-train"])

    def run(*options: str | Path, root: str = "run") -> int:
        recipe = ["--config", str(training_files.recipe)]
        root_option = ["--trainer.default_root_dir", str(tmp_path / root)]
        # Training seeds the global generators; other tests must not notice.
        with torch.random.fork_rng():
            return main([*recipe, *root_option, *map(str, options)])

    return run


@pytest.fixture
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares uss-separate the drawing, which takes longer than all the rest."""

    def draw(path: Path, *_: object) -> None:
        path.write_bytes(b"a picture")

    monkeypatch.setattr("uss.results.views.draw_timeline", draw)


@pytest.fixture
def separate(tmp_path: Path, bundle_file: Path, quick_pictures: None) -> Separate:
    """Runs uss-separate with the tiny bundle into the folder ``out``; later options win."""

    def run(*arguments: str | Path) -> int:
        options = ("--model", bundle_file, "--device", "cpu", "-o", tmp_path / "out")
        return separate_command([str(word) for word in (*options, *arguments)])

    return run


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
