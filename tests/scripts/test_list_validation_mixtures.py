import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.mine_anchors import main as mine
from uss.evaluation.lists.mixture_list import read_list
from uss.evaluation.lists.mixtures import load_mixture

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
list_validation_mixtures = importlib.import_module("list_validation_mixtures")
RATE = 32_000


@pytest.fixture
def audio(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two clips of different classes and levels."""
    folder = tmp_path / "audio"
    folder.mkdir()
    rows = ["clip_id,path,mids"]
    # Unlike each other also for the tagger, which else excludes them from one mixture.
    noise = 0.1 * rng.standard_normal(3 * RATE)
    chirps = 0.02 * np.sin(3e3 * np.square(np.arange(3 * RATE) / RATE % 0.5))
    for name, mid, waveform in (("dog", "/m/0bt9lr", chirps), ("rain", "/m/06mb1", noise)):
        soundfile.write(folder / f"{name}.wav", waveform, RATE, subtype="FLOAT")
        rows.append(f"{name},{name}.wav,{mid}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_the_mixtures_are_those_of_the_shards(audio: Path, tmp_path: Path) -> None:
    shards, output = tmp_path / "shards", tmp_path / "list.csv"
    words = [audio / "clips.csv", "--audio-root", audio, "-o", shards, "--labels", "specific"]
    assert mine([str(word) for word in words]) == 0
    words = [audio, shards, "-o", output, "--size", "4"]
    assert list_validation_mixtures.main([str(word) for word in words]) == 0
    rows = read_list(output)
    assert len(rows) == 4 and {row.class_name for row in rows} <= {"Dog", "Rain"}
    for row in rows:
        assert {row.class_name, row.interferer_class} == {"Dog", "Rain"}
        mixture = load_mixture(row, audio)
        assert mixture.target.shape == (1, 2 * RATE)
        # At 0 dB, but for the rounding of what the shards hold.
        energies = [np.square(each).sum() for each in (mixture.target, mixture.interferer)]
        assert 10.0 * np.log10(energies[0] / energies[1]) == pytest.approx(0.0, abs=0.01)


def test_missing_shards_are_one_line(
    audio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [audio, tmp_path / "gone", "-o", tmp_path / "list.csv"]
    assert list_validation_mixtures.main([str(word) for word in words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("list_validation_mixtures: ") and error.count("\n") == 1
    assert not (tmp_path / "list.csv").exists()
