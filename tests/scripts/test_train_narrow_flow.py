"""The narrow FlowSep's training: its clips, its parts in turn, what it prints."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ontology import load_ontology
from scripts.train_narrow_flow import CLASSES, choose_clips, main
from tests.pipelines.conftest import noise_waveform
from uss.checkpoints.bundle import load_bundle
from uss.models import FlowSep

RATE = 16_000


def write_clips(folder: Path, per_class: int, classes: tuple[str, ...] = CLASSES) -> Path:
    with (folder / "clips.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["clip_id", "path", "mids", "split", "licence"])
        table.writeheader()
        for name in classes:
            for split in ("train", "validation"):
                for take in range(per_class):
                    clip = f"{name.split(',')[0]}-{split}-{take}"
                    row = {"clip_id": clip, "path": f"{clip}.wav", "split": split}
                    table.writerow(row | {"mids": load_ontology().find(name).mid})
    return folder


def test_so_many_clips_of_each_class_are_chosen(tmp_path: Path) -> None:
    audio = write_clips(tmp_path, per_class=30)
    for name in ("first.csv", "second.csv"):
        choose_clips(audio, tmp_path / name)
    assert (tmp_path / "first.csv").read_text() == (tmp_path / "second.csv").read_text()
    with (tmp_path / "first.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["clip_id", "path", "mids", "split"]
    counts = {(row["mids"], row["split"]): 0 for row in rows}
    for row in rows:
        counts[row["mids"], row["split"]] += 1
    mids = [load_ontology().find(name).mid for name in CLASSES]
    assert counts == {(m, s): n for m in mids for s, n in (("train", 24), ("validation", 6))}


def test_a_class_without_clips_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio = write_clips(tmp_path, 1, CLASSES[:-1])
    assert main([str(audio), "-o", str(tmp_path / "out")]) == 2
    assert f"no train clips of {CLASSES[-1]}" in capsys.readouterr().err


@pytest.mark.slow
def test_it_trains_every_part_and_says_what_came_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["uss-train"])
    audio = write_clips(tmp_path, per_class=1)
    rng = np.random.default_rng(0)
    with (audio / "clips.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            soundfile.write(audio / row["path"], noise_waveform(rng, 1, 2 * RATE).T, RATE)
    out = tmp_path / "out"
    steps = [f"--{part}-steps=1" for part in ("vae", "vocoder", "flow")]
    with torch.random.fork_rng():
        assert main([str(audio), "-o", str(out), *steps, "--mixtures", "2", "--steps", "1"]) == 0
    printed = capsys.readouterr().out
    for row in ("mixture, dB", "asked for the target, dB", "asked for the other, dB", "SDRi"):
        assert row in printed
    assert isinstance(load_bundle(out / "flowsep" / "bundle.safetensors").separator, FlowSep)
    with (out / "curve.csv").open(newline="") as file:
        figures = {row["figure"] for row in csv.DictReader(file)}
    assert "validation/error oracle" in figures
    assert (out / "curve.png").stat().st_size > 1_000
