import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipelines.evaluate.command import main
from tests.pipelines.conftest import Command, WriteNoise

Evaluate = Callable[..., int]
RATE = 32_000


@pytest.fixture
def mixtures(tmp_path: Path, write_noise: WriteNoise) -> Path:
    """A list of three mixtures of a second; paths start from its folder."""
    for name, seed in (("dog.wav", 1), ("music.wav", 2), ("speech.wav", 3)):
        write_noise(tmp_path / "audio" / name, 1.0, seed=seed)
    rows = [
        "target,interferer,class,interferer_class,query,group",
        "dog.wav,music.wav,Dog,Music,dog.wav,a",
        "music.wav,speech.wav,Music,Speech,music.wav,a",
        "speech.wav,dog.wav,Speech,Dog,speech.wav,b",
    ]
    path = tmp_path / "audio" / "list.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def evaluate(tmp_path: Path, bundle_file: Path) -> Evaluate:
    """Runs uss-evaluate with the tiny bundle into the folder ``out``; later options win."""

    def run(*arguments: str | Path) -> int:
        options = ("--model", bundle_file, "--device", "cpu", "--precision", "fp32")
        words = (*arguments[:1], *options, "-o", tmp_path / "out", *arguments[1:])
        return main([str(word) for word in words])

    return run


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text())


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_list_is_measured_with_oracle_and_class_average(
    evaluate: Evaluate, mixtures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(mixtures) == 0
    found = results(tmp_path / "out")
    assert found["num_mixtures"] == 3 and found["num_skipped"] == 0
    assert set(found["outputs"]) == {
        *("oracle", "oracle, swapped", "class-average", "class-average, swapped"),
        *("mixture", "half mixture"),
    }
    rows = table(tmp_path / "out")
    values = [float(row["oracle: SI-SDRi"]) for row in rows]
    assert found["mean"]["SI-SDRi"] == pytest.approx(np.mean(values), abs=1e-4)
    assert found["median"]["SI-SDRi"] == pytest.approx(np.median(values), abs=1e-4)
    assert found["outputs"]["half mixture"]["mean"]["SDRi"] == pytest.approx(3.01, abs=0.1)
    assert found["groups"].keys() == {"a", "b"} and found["classes"].keys() == {
        "Dog",
        "Music",
        "Speech",
    }
    assert found["command"].startswith("uss-evaluate ") and str(mixtures) in found["command"]
    assert len(found["model"]["separator_hash"]) == 16
    assert (tmp_path / "out" / "classes.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert shown.startswith("3 mixtures, 0 skipped -> ") and "class-average, swapped" in shown


def test_the_scores_are_those_of_what_uss_separate_would_write(
    evaluate: Evaluate, mixtures: Path, tmp_path: Path, bundle_file: Path
) -> None:
    """``--class`` with threshold 0 asks with the class's query, as a class average does."""
    from pipelines.separate.command import main as separate

    audio = mixtures.parent
    mixture = sum(soundfile.read(audio / name)[0] for name in ("dog.wav", "music.wav"))
    soundfile.write(audio / "mixture.wav", mixture, RATE, subtype="FLOAT")
    mixtures.write_text("mixture,target,class\nmixture.wav,dog.wav,Whimper (dog)\n")
    assert evaluate(mixtures, "--condition", "class-average") == 0
    options = ["--model", bundle_file, "--class", "Whimper (dog)", "--threshold", "0"]
    options += ["--device", "cpu", "--precision", "fp32", "-o", tmp_path / "separated"]
    assert separate([str(word) for word in (audio / "mixture.wav", *options)]) == 0
    (file,) = (tmp_path / "separated" / "mixture" / "queries").glob("Whimper*.wav")
    stem, target = soundfile.read(file)[0], soundfile.read(audio / "dog.wav")[0]
    expected = 10.0 * np.log10(np.sum(target**2) / np.sum((target - stem) ** 2))
    assert results(tmp_path / "out")["mean"]["SDR"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("condition", ["oracle", "class-average", "soft-masked", "query"])
def test_each_condition(evaluate: Evaluate, mixtures: Path, tmp_path: Path, condition: str) -> None:
    assert evaluate(mixtures, "--condition", condition, "--limit", "1") == 0
    found = results(tmp_path / "out")
    assert found["num_mixtures"] == 1
    assert all(math.isfinite(value) for value in found["mean"].values())
    assert found["mean"] == found["outputs"][condition]["mean"]


def test_speech_and_music_metrics(evaluate: Evaluate, mixtures: Path, tmp_path: Path) -> None:
    pytest.importorskip("pesq", reason="the extra 'eval' is not installed")
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        pytest.skip("museval needs the programs ffmpeg and ffprobe")
    metrics = ("sdr", "pesq", "ssnr", "bss-eval")
    assert evaluate(mixtures, "--condition", "oracle", "--limit", "1", "--metrics", *metrics) == 0
    names = ["SDR", "SDRi", "PESQ", "SSNR", *(f"BSSEval {n}" for n in ("SDR", "ISR", "SIR", "SAR"))]
    assert list(results(tmp_path / "out")["mean"]) == names


def test_a_metric_whose_package_is_missing(
    evaluate: Evaluate,
    mixtures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pesq", None)
    assert evaluate(mixtures, "--metrics", "pesq", "--keep-going") == 2
    assert "pip install 'uss-pipeline[eval]'" in capsys.readouterr().err


def test_a_stopped_evaluation_goes_on(evaluate: Evaluate, mixtures: Path, tmp_path: Path) -> None:
    """A source of the last two mixtures cannot be read at first."""
    speech = mixtures.parent / "speech.wav"
    content = speech.read_bytes()
    speech.write_bytes(b"no audio")
    assert evaluate(mixtures) == 2
    # Rows of one batch are scored in turn, so what came before the broken one is kept.
    kept = (tmp_path / "out" / "results.jsonl.part").read_bytes()
    assert kept.count(b'"row"') == 1
    assert not (tmp_path / "out" / "results.json").exists()
    speech.write_bytes(content)
    assert evaluate(mixtures) == 0
    whole = results(tmp_path / "out")
    assert (tmp_path / "out" / "results.jsonl").read_bytes().startswith(kept)
    assert evaluate(mixtures, "-o", tmp_path / "again") == 0
    assert whole["outputs"] == results(tmp_path / "again")["outputs"]


def test_a_finished_evaluation_is_not_made_again(
    evaluate: Evaluate, mixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert evaluate(mixtures) == 0
    before = results(tmp_path / "out")

    def refuse(*_: Any) -> None:
        raise AssertionError("nothing is left to separate")

    monkeypatch.setattr("uss.evaluation.lists.evaluating.ListEvaluation._separate", refuse)
    assert evaluate(mixtures) == 0
    assert results(tmp_path / "out")["outputs"] == before["outputs"]


def test_the_results_of_another_evaluation_are_not_mixed_in(
    evaluate: Evaluate, mixtures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(mixtures, "--condition", "oracle") == 0
    assert evaluate(mixtures, "--condition", "query") == 2
    error = capsys.readouterr().err
    assert "other settings (conditions); choose another output folder" in error
    assert error.count("\n") == 1


BROKEN = {
    "missing": ("gone.wav", "gone.wav: no such file"),
    "rate": ("16k.wav", "16k.wav 16000 Hz; bring them to one rate"),
    "length": ("longer.wav", "longer.wav 32001; cut them alike"),
    "nan": ("nan.wav", "nan.wav holds samples that are NaN"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_rows(
    evaluate: Evaluate,
    mixtures: Path,
    tmp_path: Path,
    write_noise: WriteNoise,
    capsys: pytest.CaptureFixture[str],
    case: str,
) -> None:
    audio = mixtures.parent
    write_noise(audio / "16k.wav", 1.0, sample_rate=16_000)
    write_noise(audio / "longer.wav", 1.0 + 1.0 / RATE)
    soundfile.write(audio / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    name, message = BROKEN[case]
    mixtures.write_text(mixtures.read_text().replace("music.wav,speech.wav", f"music.wav,{name}"))
    assert evaluate(mixtures) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"uss-evaluate: {mixtures}, row 3: ") and message in error
    assert error.count("\n") == 1
    assert evaluate(mixtures, "--keep-going") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("2 mixtures, 1 skipped") and "\n  row 3: " in shown
    found = results(tmp_path / "out")
    assert found["num_skipped"] == 1 and message in found["skipped"][0]["error"]
    assert found["outputs"]["oracle"]["num"]["SDR"] == 2
    assert [bool(row["error"]) for row in table(tmp_path / "out")] == [False, True, False]


def test_the_audio_may_lie_elsewhere(evaluate: Evaluate, mixtures: Path, tmp_path: Path) -> None:
    moved = mixtures.rename(tmp_path / "list.csv")
    assert evaluate(moved) == 2
    assert evaluate(moved, "--audio-root", tmp_path / "audio") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["esc-50"], "no such list, and no benchmark of that name"),
        (["esc50"], "--audio-root is missing; name the folder that esc50"),
        (["LIST", "--compare-tagger", "cnn14"], "are for scenes; leave them out"),
        (["LIST", "--psds"], "are for scenes; leave them out"),
        (["LIST", "--threshold", "0.5"], "are for scenes; leave them out"),
        (["LIST", "--clap", "x.pt"], "--clap is for --metrics clap-score"),
        (["LIST", "--metrics", "clap-score"], "needs a CLAP, and the model holds none; name one"),
        (["LIST", "--metrics", "clap-score", "--clap", "x.pt"], "x.pt: no such file or folder"),
        (["LIST", "--metrics", "clap-score-a"], "needs a CLAP, and the model holds none; name one"),
        (["LIST", "--metrics", "fad", "--embedder", "clap"], "needs a CLAP, and the model holds"),
        (["LIST", "--metrics", "fad", "--embedder", "x.pt"], "x.pt: no such file"),
        (["LIST", "--metrics", "fad", "--clap", "x.pt"], "--clap is for --metrics clap-score"),
        (["LIST", "--embedder", "cnn14"], "--embedder is for --metrics embedding-error or fad"),
        (["LIST", "--references", "."], "--references is for --metrics fad or kad; give that"),
        (["LIST", "--metrics", "kad", "--references", "x"], "x: no such folder; name one"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_line(
    evaluate: Evaluate,
    mixtures: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    words = [str(mixtures) if word == "LIST" else word for word in arguments]
    assert evaluate(*words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_scores_without_phases_are_printed_and_written(
    evaluate: Evaluate,
    mixtures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("USS_CACHE", str(tmp_path / "cache"))
    metrics = ("lsd", "tagger-score", "embedding-error", "fad", "kad")
    assert evaluate(mixtures, "--metrics", *metrics, "--condition", "oracle") == 0
    shown = capsys.readouterr().out
    heads = [line.split()[0] for line in shown.splitlines() if line.endswith(("median", "medians"))]
    assert heads == ["LSD", "tagger", "tagger", "tagger", "embedding"]
    assert "all outputs" in shown and "FAD of 3 embeddings in" in shown
    sets = results(tmp_path / "out")["sets"]
    assert set(sets["outputs"]) == {"oracle", "oracle, swapped", "mixture", "half mixture"}
    assert sets["outputs"]["oracle"]["FAD"] > 0.0
    assert "oracle: tagger F1" in table(tmp_path / "out")[0]
    (kept,) = (tmp_path / "cache" / "references").iterdir()
    assert evaluate(mixtures, "--metrics", *metrics, "--condition", "oracle") == 0
    assert results(tmp_path / "out")["sets"] == sets and kept.is_file()


def test_a_list_without_rows_or_columns(evaluate: Evaluate, mixtures: Path) -> None:
    for text in ("", "mixture,target\n", "src_wav,noise_wav\na,b\n"):
        mixtures.write_text(text)
        assert evaluate(mixtures) == 2


def test_the_command_stands_alone(
    run_command: Command, mixtures: Path, bundle_file: Path, tmp_path: Path
) -> None:
    done = run_command(
        "pipelines.evaluate", mixtures, "--model", bundle_file, "-o", tmp_path / "o", "--limit", "1"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 mixture, 0 skipped")
    assert "Warning" not in done.stderr


def test_nothing_left_is_no_result(
    evaluate: Evaluate, mixtures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(mixtures, "--audio-root", tmp_path / "nowhere", "--keep-going") == 2
    error = capsys.readouterr().err
    assert "none of 3 mixtures could be evaluated; the first: " in error
    assert error.count("\n") == 1


def test_other_audio_of_the_same_names_is_another_evaluation(
    evaluate: Evaluate, mixtures: Path, tmp_path: Path, write_noise: WriteNoise
) -> None:
    assert evaluate(mixtures) == 0
    other = tmp_path / "other"
    for name in ("dog.wav", "music.wav", "speech.wav"):
        write_noise(other / name, 1.0, seed=9)
    assert evaluate(mixtures, "--audio-root", other) == 2


@pytest.mark.parametrize("name", ["results.json", "results.csv", "classes.png"])
def test_an_output_folder_of_something_else(
    evaluate: Evaluate, mixtures: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    assert evaluate(mixtures) == 2
    assert evaluate(mixtures, "-o", mixtures) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_rows_of_classes_without_a_query_are_measured_with_the_oracle_alone(
    evaluate: Evaluate, mixtures: Path, tmp_path: Path
) -> None:
    """Unless class averages are asked for by name; then it is an error of the row."""
    mixtures.write_text(mixtures.read_text().replace("music.wav,Music,", "music.wav,can_opening,"))
    mixtures.write_text(mixtures.read_text().replace("wav,Dog,Music,", "wav,vacuum_cleaner,Music,"))
    assert evaluate(mixtures) == 0
    outputs = results(tmp_path / "out")["outputs"]
    assert outputs["oracle"]["num"]["SDR"] == 3
    assert outputs["class-average"]["num"]["SDR"] == 2
    other = ("-o", tmp_path / "other", "--condition", "oracle", "class-average")
    assert evaluate(mixtures, *other) == 2


def test_a_fault_is_neither_skipped_nor_blamed_on_the_list(
    evaluate: Evaluate,
    mixtures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def misfit(*_: Any) -> Any:
        return np.zeros(2) + np.zeros(3)

    monkeypatch.setattr("uss.evaluation.lists.row_scoring.score", misfit)
    # Reached only after the metrics were tried on silence.
    monkeypatch.setattr("uss.evaluation.lists.evaluating.check_metrics", lambda _: None)
    assert evaluate(mixtures, "--keep-going") == 1
    error = capsys.readouterr().err
    assert "a fault of this program, ValueError: operands could not be broadcast" in error
    assert not (tmp_path / "out" / "results.json").exists()
