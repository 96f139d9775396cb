"""The comparison of ways to learn from captions: one row, and one of one's own, on tones."""

import csv
import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
captioned_mixtures = importlib.import_module("captioned_mixtures")
measure_captions = importlib.import_module("measure_captions")

RATE = 32_000
DOG, RAIN, ANIMAL = "/m/0bt9lr", "/m/06mb1", "/m/0jbk"


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """Tones that pass for clips of a dog and of rain: one to train on and one to validate with."""
    folder = tmp_path / "audio"
    folder.mkdir()
    rows = []
    for number, mid in enumerate((DOG, RAIN)):
        for take, split in enumerate(("train", "validation")):
            name = f"{number}-{take}"
            tone = 0.2 * np.sin(2 * np.pi * 300.0 * (number + 1) * np.arange(2 * RATE) / RATE)
            soundfile.write(folder / f"{name}.wav", tone, RATE)
            rows.append([name, f"{name}.wav", mid, split])
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "mids", "split"])
        writer.writerows(rows)
    return folder


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(
        "caption,mids,split\n"
        f"A dog barks,{DOG},train\n"
        f"A dog barks and howls,{DOG},train\n"
        f"A dog barks twice,{DOG},test\n"
        f"A dog barks in the rain,{DOG};{RAIN},train\n"
        f"An animal howls,{ANIMAL};{DOG},train\n"
    )
    return path


def test_what_is_said_of_mixtures_is_said_of_their_sounds(
    audio: Path, captions: Path, tmp_path: Path
) -> None:
    said = captioned_mixtures.captions_of_classes(captions)
    # Of one label and those above it, of one phrase, of the training split.
    assert said == {DOG: ["a dog barks", "an animal howls"]}
    said[DOG].pop()
    manifest = captioned_mixtures.make_mixtures(audio, tmp_path / "work", said, 3, seed=0)
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for row in rows:
        assert sorted(row["caption"].split(" and ")) == ["a dog barks", "rain"]
        assert set(row["mids"].split(";")) == {DOG, RAIN}
        waveform, rate = soundfile.read(manifest.parent / row["path"])
        spectrum = np.abs(np.fft.rfft(waveform))
        heard = [spectrum[round(f * len(waveform) / rate)] for f in (300.0, 600.0)]
        assert rate == RATE and 0.5 < heard[0] / heard[1] < 2.0
    before = manifest.stat().st_mtime_ns
    captioned_mixtures.make_mixtures(audio, tmp_path / "work", said, 3, seed=0)
    assert manifest.stat().st_mtime_ns == before


def test_rows_are_trained_and_measured_and_a_stopped_run_goes_on(
    audio: Path, captions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Training and evaluation stand in: what is asked of them is looked at."""
    work = tmp_path / "work"
    trained: list[dict[str, Any]] = []
    evaluated: list[list[str]] = []

    def train(recipe: dict[str, Any], path: Path, resumes: bool = True) -> None:
        trained.append(recipe)
        root = Path(recipe["trainer"]["default_root_dir"])
        root.mkdir(parents=True, exist_ok=True)
        if resumes:
            (root / "bundle.safetensors").write_bytes(b"")

    def evaluate(words: list[str]) -> int:
        evaluated.append(words)
        output = Path(words[words.index("-o") + 1])
        output.mkdir(parents=True)
        kinds = ("oracle", "class-average", "text")
        outputs = {kind: {"mean": {"SI-SDRi": 1.0 + n}} for n, kind in enumerate(kinds)}
        outputs["text"]["mean"]["SI-SDRi"] = None  # type: ignore[assignment]
        (output / "results.json").write_text(json.dumps({"outputs": outputs}))
        return 0

    def prepare(words: list[str]) -> int:
        assert words[:2] == ["clips", str(audio)] and "--split" in words
        rows = ["target,interferer,class,mids", f"0-1.wav,1-1.wav,Dog,{DOG}"]
        # Of a class that not every model knows.
        rows.append(f"1-1.wav,0-1.wav,Rain,{RAIN}")
        Path(words[words.index("-o") + 1]).write_text("\n".join(rows) + "\n")
        return 0

    monkeypatch.setattr(measure_captions, "_run", train)
    monkeypatch.setattr(measure_captions, "prepare", prepare)
    monkeypatch.setattr(measure_captions, "known_classes", lambda _: {DOG})
    monkeypatch.setattr(measure_captions, "evaluate", evaluate)
    monkeypatch.setattr(measure_captions, "mine", lambda *_: None)
    own = tmp_path / "own.yaml"
    own.write_text("base: bimodal\ndata:\n  shards: ${WORK}/shards/train\n")
    words = [audio, work, "--captions", captions, "--mixtures", 2, "--per-class", 1]
    rows = ["--rows", "anchors only", "mixtures only, unsupervised", "semi-supervised"]
    own_rows = ["--row", f"own={own}@0.5", "--before", f"start={own}@0.2"]
    command = [str(word) for word in (*words, *rows, *own_rows)]
    assert measure_captions.main([*command, "--steps", "100"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-5].startswith("|---")
    assert lines[-4:] == [
        "| anchors only | 100 | 1.00 | 2.00 | - |",
        "| mixtures only, unsupervised | 100 | 1.00 | 2.00 | - |",
        "| semi-supervised | 100 | 1.00 | 2.00 | - |",
        "| own | 50 | 1.00 | 2.00 | - |",
    ]
    start, anchors, alone, both, mine = trained
    assert start["trainer"]["max_steps"] == 20
    shards = str(work / "shards/train")
    assert (anchors["data"]["shards"], anchors["data"]["captions"]) == (shards, None)
    assert alone["data"]["shards"] is None
    assert alone["model"]["objective"]["init_args"]["judge"] is None
    assert both["data"]["captions"]["manifest"] == str(work / "captions.csv")
    assert both["model"]["objective"]["init_args"]["judge"] is not None
    assert mine["data"]["shards"] == shards and mine["trainer"]["max_steps"] == 50
    assert {each["seed_everything"] for each in trained} == {0}
    # What is there is neither trained nor evaluated again, and the table is the same.
    assert measure_captions.main([*command, "--steps", "7"]) == 0
    assert capsys.readouterr().out.strip().splitlines()[-4:] == lines[-4:]
    assert (len(trained), len(evaluated)) == (5, 4)
    with (work / "validation.csv").open(newline="") as file:
        assert {row["caption"] for row in csv.DictReader(file)} == {"dog"}
    # By processor time: probes of 4 and 12 steps that take 8 and 12 s are half a second a step.
    spent = [(0.0, 0.0), (6.0, 2.0), (6.0, 2.0), (17.0, 3.0)]
    times = iter([SimpleNamespace(children_user=u, children_system=s) for u, s in spent])
    monkeypatch.setattr(measure_captions.os, "times", lambda: next(times))
    timed = [
        str(word) for word in (audio, work, "--minutes", 1, "--rows", "mixtures and our judge")
    ]
    assert measure_captions.main(timed) == 0
    assert trained[-1]["trainer"]["max_steps"] == 120


def test_a_row_without_a_recipe_is_refused(audio: Path, tmp_path: Path) -> None:
    for text in ("own", "=x.yaml", "own=", "own=@0.5"):
        with pytest.raises(SystemExit):
            measure_captions.main([str(audio), str(tmp_path), "--steps", "1", "--row", text])
