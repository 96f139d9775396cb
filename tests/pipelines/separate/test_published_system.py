"""The published system, from files with the published entries to the stems of the paper."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from pipelines.separate.command import main
from uss.core.arrays import Float32

pytestmark = pytest.mark.usefixtures("no_initialisation")


PAPER = ("--overlap", "0", "--precision", "fp32", "--subtype", "FLOAT")
MIDS = {"Human sounds": "/m/0dgw9r", "Music": "/m/04rlf", "Dog": "/m/0bt9lr"}


@pytest.fixture(scope="module")
def files(
    published: Callable[[str], dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Write a Lightning checkpoint, a CNN14 file and the recording."""
    folder = tmp_path_factory.mktemp("published")
    separator = published("resunet30_at_soft")
    lightning = {
        "state_dict": {f"ss_model.{name}": value for name, value in separator.items()},
        "pytorch-lightning_version": "1.9.0",
        "optimizer_states": [{"state": {0: {"step": 1, "exp_avg": torch.zeros(3)}}}],
        "global_step": 1_000_000,
    }
    torch.save(lightning, folder / "separator.ckpt")
    torch.save({"iteration": 600_000, "model": published("cnn14")}, folder / "tagger.pth")
    levels = np.repeat([1.0, 0.02, 0.5, 0.0, 1.0], 32_000)
    noise = np.random.Generator(np.random.PCG64(12)).standard_normal(160_000) * 0.1
    recording = (noise * levels).astype(np.float32)
    soundfile.write(folder / "noise.wav", recording, 32_000, "FLOAT")
    # The fourth second is silent, as what lies beyond an end is.
    soundfile.write(folder / "first.wav", recording[: 3 * 32_000], 32_000, "FLOAT")
    return {
        "recording": str(folder / "noise.wav"),
        "first seconds": str(folder / "first.wav"),
        "separator": str(folder / "separator.ckpt"),
        "tagger": str(folder / "tagger.pth"),
    }


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Float32]:
    reference = np.load(shared / "parity" / "hierarchy.npz")
    return {name: reference[f"stem:{mid}"] for name, mid in MIDS.items()}


def read(path: Path) -> Float32:
    waveform, sample_rate = soundfile.read(path, dtype="float32")
    assert sample_rate == 32_000
    return np.asarray(waveform)


@pytest.mark.slow
def test_the_published_files_give_the_published_stems(
    files: dict[str, str], expected: dict[str, Float32], tmp_path: Path
) -> None:
    """Algorithm 3 by the command, at the threshold of the reference."""
    recording = files["first seconds"]
    command = [recording, "--level", "1", "--class", "Dog", "-o", str(tmp_path)]
    command += ["--model", files["separator"], "--tagger", files["tagger"]]
    assert main([*command, "--threshold", "0.2", *PAPER]) == 0
    folder = tmp_path / "first"
    for name, relative in (
        ("Human sounds", "level1/Human sounds.wav"),
        ("Music", "level1/Music.wav"),
        ("Dog", "queries/Dog.wav"),
    ):
        wanted = expected[name][: 3 * 32_000]
        np.testing.assert_allclose(read(folder / relative), wanted, atol=1e-4, rtol=0.0)
    for part in ("level1", "queries"):
        total = sum(read(path).astype(np.float64) for path in (folder / part).glob("*.wav"))
        np.testing.assert_allclose(total, read(Path(recording)), atol=1e-6, rtol=0.0)


@pytest.mark.slow
def test_below_the_threshold_there_are_exact_zeros(
    files: dict[str, str], expected: dict[str, Float32], tmp_path: Path
) -> None:
    command = [files["recording"], "--class", *MIDS, "-o", str(tmp_path)]
    command += ["--separator", files["separator"], "--tagger", files["tagger"]]
    assert main([*command, "--threshold", "0.75", *PAPER]) == 0
    for name in MIDS:
        stem = read(tmp_path / "noise" / "queries" / f"{name}.wav")
        assert not stem[:64_000].any()
        np.testing.assert_allclose(stem[64_000:], expected[name][64_000:], atol=1e-4, rtol=0.0)


def test_a_separator_alone_asks_for_a_tagger(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [files["recording"], "--model", files["separator"], "-o", str(tmp_path / "out")]
    assert main(command) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "--tagger" in message and "cnn14" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_bfloat16_is_close_to_float32(
    files: dict[str, str], expected: dict[str, Float32], tmp_path: Path
) -> None:
    """Its error lies at least 35 dB below the stem."""
    command = [files["recording"], "--class", "Dog", "-o", str(tmp_path), "--overlap", "0"]
    command += ["--model", files["separator"], "--tagger", files["tagger"], "--threshold", "0.2"]
    assert main([*command, "--precision", "bf16"]) == 0
    error = read(tmp_path / "noise" / "queries" / "Dog.wav") - expected["Dog"]
    ratio = np.square(expected["Dog"]).sum() / np.square(error).sum()
    assert 35.0 < 10.0 * np.log10(ratio) < 70.0
