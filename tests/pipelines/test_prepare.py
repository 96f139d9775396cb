import csv
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from pipelines.prepare import main, prepare
from uss.benchmarks import BENCHMARKS, PrepareOptions
from uss.checkpoints import load_tagger, save_tagger
from uss.evaluation.lists import read_list
from uss.shards import list_shards

WriteNoise = Callable[..., Path]

DOG, RAIN = "/m/0bt9lr", "/m/06mb1"


@pytest.fixture
def voicebank(tmp_path: Path, write_noise: WriteNoise) -> Path:
    folder = tmp_path / "voice bank"
    for split in ("clean", "noisy"):
        write_noise(folder / f"{split}_testset_wav/p232_001.wav", 0.3, sample_rate=2_000)
    return folder


@pytest.fixture
def clips(tmp_path: Path, write_noise: WriteNoise) -> Path:
    folder = tmp_path / "clips"
    write_noise(folder / "dog.wav", 0.6, seed=1)
    write_noise(folder / "rain.wav", 0.6, seed=2)
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "mids", "split"])
        writer.writerow(["dog", "dog.wav", DOG, "validation"])
        writer.writerow(["rain", "rain.wav", RAIN, "validation"])
        writer.writerow(["gone", "gone.wav", RAIN, "train"])
    return folder


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


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_list_is_written_and_the_next_command_named(
    tmp_path: Path, voicebank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "list.csv"
    assert main(["voicebank-demand", str(voicebank), "-o", str(output)]) == 0
    assert read_list(output) == prepare("voicebank-demand", voicebank)
    written, following = capsys.readouterr().out.splitlines()
    assert written == f"1 mixtures of 1 classes in {output}"
    assert following.endswith(
        f"uss-evaluate {output} --audio-root '{voicebank}' --metrics sdr si-sdr pesq ssnr"
    )


def test_the_options_given_go_before_the_protocols(tmp_path: Path, voicebank: Path) -> None:
    output = tmp_path / "list.csv"
    arguments = ["voicebank-demand", str(voicebank), "-o", str(output)]
    assert main([*arguments, "--sample-rate", "16000"]) == 0
    assert [row.sample_rate for row in read_list(output)] == [16_000]


def mine_clips(clips: Path, output: Path, tagger: Path) -> int:
    options = ["--split", "validation", "--tagger", str(tagger), "--count", "3"]
    return main(["clips", str(clips), "-o", str(output), *options])


def test_anchors_are_mined_beside_the_list_once(
    tmp_path: Path, clips: Path, deaf_tagger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "list.csv"
    assert mine_clips(clips, output, deaf_tagger) == 0
    rows = read_list(output)
    assert {row.class_name for row in rows} == {"Dog", "Rain"}
    assert {row.target for row in rows} == {("dog.wav",), ("rain.wav",)}
    # What the miner prints does not mix with what the command says.
    assert len(capsys.readouterr().out.splitlines()) == 2
    (shard,) = list_shards(tmp_path / "list.shards")
    made = shard.stat().st_mtime_ns
    # The tagger is not needed any more.
    assert mine_clips(clips, output, tmp_path / "gone.pt") == 0
    assert (shard.stat().st_mtime_ns, read_list(output)) == (made, rows)


def test_anchors_that_cannot_be_mined_are_one_more_line(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mine_clips(clips, tmp_path / "list.csv", tmp_path / "gone.pt") == 2
    first, second = errors(capsys)
    assert first.startswith("uss-mine-anchors: ")
    assert second == "uss-prepare: the anchors could not be mined; see the line above"
    assert not (tmp_path / "list.csv").exists()


def test_a_stopped_miner_stops_the_command(
    tmp_path: Path,
    clips: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("pipelines.prepare.mine_anchors", lambda _: 130)
    assert mine_clips(clips, tmp_path / "list.csv", tmp_path / "any.pt") == 130
    assert errors(capsys) == [
        "uss-prepare: interrupted; started again, it goes on where it was stopped"
    ]


def test_mined_benchmarks_say_how_their_lists_are_made(clips: Path) -> None:
    with pytest.raises(ValueError, match="make its list with uss-prepare clips"):
        prepare("clips", clips)


def test_an_older_list_survives_an_error(tmp_path: Path, voicebank: Path) -> None:
    output = tmp_path / "list.csv"
    output.write_text("older")
    for path in voicebank.glob("noisy_testset_wav/*"):
        path.unlink()
    assert main(["voicebank-demand", str(voicebank), "-o", str(output)]) == 2
    assert output.read_text() == "older"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "required: NAME; see uss-prepare --help"),
        (["nothing", "folder", "-o", "list.csv"], "invalid choice: 'nothing'"),
        (["esc50", "folder"], "-o/--output; see uss-prepare esc50 --help"),
        (["esc50", "folder", "-o", "list.csv", "--split", "train"], "--split train"),
        (["musdb18", "folder", "-o", "list.csv", "--seed", "-1"], "--seed: -1 is too small"),
        (["esc50", "folder", "-o", "gone/list.csv"], "gone: no such folder; make it"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    (line,) = errors(capsys)
    assert line.startswith("uss-prepare: ")
    assert problem in line


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_names_what_an_empty_folder_lacks(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, str(tmp_path), "-o", str(tmp_path / "list.csv")]) == 2
    (line,) = errors(capsys)
    assert line.startswith(f"uss-prepare: {tmp_path}")
    assert not list(tmp_path.iterdir())


def test_benchmarks_heed_options_that_there_are() -> None:
    known = {field.name for field in fields(PrepareOptions)}
    for name, benchmark in BENCHMARKS.items():
        assert benchmark.name == name
        assert set(benchmark.options) <= known


def test_an_unknown_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown benchmark 'nothing'; choose one of audioset"):
        prepare("nothing", tmp_path)


@pytest.fixture(autouse=True)
def quiet_logging(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Keeps warnings, such as too few utterances, out of what the tests read as errors."""
    with caplog.at_level("ERROR", "uss.benchmarks"):
        yield
