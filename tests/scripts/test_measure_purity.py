import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from ontology import load_ontology
from scripts.measure_purity import main
from tests.pipelines.conftest import tiny_tagger
from uss.checkpoints.loading import save_tagger

CLASSES = {"Dog": "/m/0bt9lr", "Speech": "/m/09x0r", "Music": "/m/04rlf", "Siren": "/m/03kmc9"}


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """Tones of four classes, three clips each to train on and two to validate with."""
    folder = tmp_path / "audio"
    folder.mkdir()
    rows = []
    times = np.arange(64_000) / 32_000
    for number, (name, mid) in enumerate(CLASSES.items()):
        for take in range(5):
            path = f"{name}-{take}.wav"
            tone = 0.3 * np.sin(2 * np.pi * (300.0 * (number + 1) + 7.0 * take) * times)
            soundfile.write(folder / path, tone, 32_000)
            rows.append([f"{name}-{take}", path, mid, "train" if take < 3 else "validation"])
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "mids", "split"])
        writer.writerows(rows)
    return folder


@pytest.mark.slow
def test_equal_trainings_differ_in_purity_alone(audio: Path, tmp_path: Path, capsys: Any) -> None:
    tagger = tmp_path / "tagger.safetensors"
    network = tiny_tagger()
    with torch.no_grad():
        # It hears nothing for certain, or no two anchors could be mixed.
        network.classifier[-1].bias -= 6.0
    save_tagger(tagger, network, licence="CC0-1.0", provenance={"made": "by a test"})
    work = tmp_path / "work"
    words = [audio, work, "--clips", "12", "--steps", "2", "--channels", "4", "--batch-size", "2"]
    words += ["--validation-mixtures", "2", "--precision", "32-true", "--tagger", tagger]
    words += ["--ways", "without", "drawn by purity", "the purest of each class"]
    assert main([str(word) for word in words]) == 0
    results = json.loads((work / "results.json").read_text())
    assert list(results["ways"]) == ["without", "drawn by purity", "the purest of each class"]
    assert all("validation/SI-SDRi oracle" in found for found in results["ways"].values())
    assert results["purity"]["clean anchors"] + results["purity"]["impure anchors"] == 12
    assert "| drawn by purity | " in capsys.readouterr().out

    # Of a spoilt clip the foreign tone is as long as its own, and up to 10 dB softer.
    with (work / "train.csv").open() as file:
        rows = list(csv.DictReader(file))
    spoilt = [row for row in rows if row["clip_id"].startswith("impure-")]
    assert 0 < len(spoilt) < 12
    for row in spoilt:
        waveform, _ = soundfile.read(work / row["path"])
        half_seconds = np.abs(np.fft.rfft(waveform.reshape(4, -1), axis=1)).mean(axis=0)
        peaks = np.flatnonzero(half_seconds > half_seconds.max() / 5.0)
        assert np.ptp(peaks) > 100, row
        names = {load_ontology().nodes[mid].name for mid in row["mids"].split(";")}
        assert names == {row["clip_id"].removeprefix("impure-").split("-")[0]}

    # What is there is not made again.
    made = (work / "runs" / "without" / "bundle.safetensors").stat().st_mtime_ns
    assert main([str(word) for word in words]) == 0
    assert (work / "runs" / "without" / "bundle.safetensors").stat().st_mtime_ns == made


def test_clips_of_one_class_cannot_spoil_each_other(tmp_path: Path, capsys: Any) -> None:
    rows = "".join(f"c{k},c{k}.wav,/m/0bt9lr,train\n" for k in range(3))
    (tmp_path / "clips.csv").write_text("clip_id,path,mids,split\n" + rows)
    for k in range(3):
        soundfile.write(tmp_path / f"c{k}.wav", np.full(64_000, 0.1), 32_000)
    assert main([str(tmp_path), str(tmp_path / "work"), "--impure", "1"]) == 2
    assert "use clips of more classes" in capsys.readouterr().err
