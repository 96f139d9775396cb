import csv
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import soundfile

from pipelines.evaluate.command import main as evaluate
from pipelines.prepare import main
from uss.benchmarks import BENCHMARKS, PrepareOptions
from uss.benchmarks.preparing import prepare
from uss.evaluation.lists.mixture_list import read_list
from uss.evaluation.scenes.scene_list import read_scenes
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


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_list_is_written_and_the_next_command_named(
    tmp_path: Path, voicebank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "list.csv"
    assert main(["voicebank-demand", str(voicebank), "-o", str(output)]) == 0
    assert read_list(output) == prepare("voicebank-demand", voicebank)
    written, following = capsys.readouterr().out.splitlines()
    assert written == f"1 mixture of 1 class in {output}"
    assert following.endswith(
        f"uss-evaluate {output} --audio-root '{voicebank}' --metrics sdr si-sdr pesq ssnr"
    )


def test_the_options_given_go_before_the_protocols(tmp_path: Path, voicebank: Path) -> None:
    output = tmp_path / "list.csv"
    arguments = ["voicebank-demand", str(voicebank), "-o", str(output)]
    assert main([*arguments, "--sample-rate", "16000"]) == 0
    assert [row.sample_rate for row in read_list(output)] == [16_000]


def test_the_stems_of_films_can_be_measured(
    tmp_path: Path, write_noise: WriteNoise, bundle_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked as --preset film asks, of the sum of three noises."""
    folder, output = tmp_path / "dnr_v2", tmp_path / "dnr.csv"
    noises = {}
    for seed, stem in enumerate(("speech", "music", "sfx")):
        path = write_noise(folder / "tt" / "7" / f"{stem}.wav", 1.2, seed=seed)
        noises[stem], rate = soundfile.read(path, dtype="float32")
    soundfile.write(folder / "tt" / "7" / "mix.wav", sum(noises.values()), rate, subtype="FLOAT")
    assert main(["dnr", str(folder), "-o", str(output)]) == 0
    assert "3 mixtures of 3 classes" in capsys.readouterr().out
    options = ["--model", str(bundle_file), "--device", "cpu", "--precision", "fp32"]
    arguments = [str(output), "--audio-root", str(folder), "--condition", "soft-masked"]
    assert evaluate([*arguments, *options, "-o", str(tmp_path / "scores")]) == 0
    results = json.loads((tmp_path / "scores" / "results.json").read_text())
    text = json.dumps(results)
    for name in ("speech", "music", "sfx"):
        assert f'"{name}"' in text
    # Of three noises alike, each is 3 dB below the sum of the others.
    assert results["mean"]["SDR"] - results["mean"]["SDRi"] == pytest.approx(-3.0, abs=0.3)


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
    assert mine_clips(clips, output, deaf_tagger) == 0
    assert (shard.stat().st_mtime_ns, read_list(output)) == (made, rows)


def test_anchors_of_another_tagger_are_not_taken_for_these(
    tmp_path: Path,
    clips: Path,
    deaf_tagger: Path,
    tagger_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "list.csv"
    assert mine_clips(clips, output, deaf_tagger) == 0
    capsys.readouterr()
    assert mine_clips(clips, output, tagger_file) == 2
    (error,) = errors(capsys)
    assert error.startswith("uss-prepare: ") and "comes from another manifest, tagger" in error


def test_anchors_that_cannot_be_mined_are_one_line(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mine_clips(clips, tmp_path / "list.csv", tmp_path / "gone.pt") == 2
    (error,) = errors(capsys)
    assert error.startswith(f"uss-prepare: {tmp_path / 'gone.pt'}: no such file")
    assert not (tmp_path / "list.csv").exists()


def test_a_stopped_miner_stops_the_command(
    tmp_path: Path,
    clips: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("uss.benchmarks.preparing.mine_manifest", interrupt)
    assert mine_clips(clips, tmp_path / "list.csv", tmp_path / "any.pt") == 130
    assert errors(capsys) == [
        "uss-prepare: interrupted; started again, it goes on after the last whole shard"
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
        (["scenes", "folder"], "-o/--output; see uss-prepare scenes --help"),
        (["scenes", "folder", "-o", "gone/scenes.csv"], "gone: no such folder; make it"),
        (["scenes", "folder", "-o", "scenes.csv"], "folder/clips.csv: no such manifest; name"),
        (["scenes", "folder", "-o", "scenes.csv", "--count", "0"], "--count: 0 is too small"),
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


def draw_scenes(clips: Path, output: Path, *options: str) -> int:
    return main(["scenes", str(clips), "-o", str(output), "--split", "validation", *options])


def test_scenes_are_written_and_the_next_command_works(
    tmp_path: Path,
    voicebank: Path,
    clips: Path,
    bundle_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also from a folder whose name has to be quoted."""
    folder = clips.rename(voicebank / "my clips")
    output = tmp_path / "scenes.csv"
    assert draw_scenes(folder, output, "--count", "3", "--seed", "2") == 0
    scenes = read_scenes(output)
    assert [scene.name for scene in scenes] == ["scene-0000", "scene-0001", "scene-0002"]
    assert {(scene.seconds, scene.sample_rate) for scene in scenes} == {(10.0, 32_000)}
    events = [event for scene in scenes for event in scene.events]
    assert {(event.path, event.mids) for event in events} == {
        ("dog.wav", (DOG,)),
        ("rain.wav", (RAIN,)),
    }
    # The clips are short; they are taken whole.
    assert {(event.start_seconds, event.seconds) for event in events} == {(0.0, 0.6)}
    written, following = capsys.readouterr().out.splitlines()
    assert written == f"3 scenes with {len(events)} events in {output}"
    command = following.removeprefix("measure a model on them with: ")
    name, *words = shlex.split(command)
    assert name == "uss-evaluate"
    assert words == [str(output), "--audio-root", str(folder)]
    options = ["--model", str(bundle_file), "--device", "cpu", "-o", str(tmp_path / "out")]
    assert evaluate([*words, *options, "--threshold", "1"]) == 0
    assert json.loads((tmp_path / "out" / "results.json").read_text())["num_scenes"] == 3


def test_the_seed_decides_which_scenes_are_drawn(tmp_path: Path, clips: Path) -> None:
    runs = {
        "first": ["--seed", "1", "--count", "4"],
        "again": ["--seed", "1", "--count", "4"],
        "longer": ["--seed", "1", "--count", "5"],
        "other": ["--seed", "2", "--count", "4"],
        "default": ["--count", "4"],
        "zero": ["--seed", "0", "--count", "4"],
    }
    for name, options in runs.items():
        assert draw_scenes(clips, tmp_path / name, *options) == 0
    text = {name: (tmp_path / name).read_bytes() for name in runs}
    assert text["again"] == text["first"] != text["other"]
    assert text["longer"].startswith(text["first"]) and text["longer"] != text["first"]
    assert text["default"] == text["zero"] != text["first"]


def test_two_hundred_scenes_are_drawn_by_default(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uss.evaluation.scenes.drawing.limit_peak", lambda scene, _: scene)
    assert draw_scenes(clips, tmp_path / "scenes.csv") == 0
    scenes = read_scenes(tmp_path / "scenes.csv")
    assert len(scenes) == 200
    # Wanted are 0 to 5 events, alike often; two clips allow for two of them.
    counts = [sum(len(scene.events) == number for scene in scenes) for number in range(3)]
    assert counts == pytest.approx([200 / 6, 200 / 6, 800 / 6], abs=20)


def test_scenes_are_drawn_from_one_split(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The only clip for training is not there, so that whatever draws it fails."""
    output = tmp_path / "scenes.csv"
    assert draw_scenes(clips, output, "--count", "8") == 0
    older = output.read_bytes()
    capsys.readouterr()
    for options in (["--split", "train"], ["--split", "test"]):
        assert draw_scenes(clips, output, "--count", "8", *options) == 2
    missing, unknown = errors(capsys)
    assert missing.startswith(f"uss-prepare: {clips / 'gone.wav'}: no such file")
    assert "has no rows of split 'test'; it has train, validation" in unknown
    assert output.read_bytes() == older
    # Without a choice all are taken.
    assert main(["scenes", str(clips), "-o", str(output), "--count", "8"]) == 2
    assert "gone.wav" in capsys.readouterr().err


def test_the_manifest_of_scenes_may_lie_elsewhere(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = (clips / "clips.csv").rename(tmp_path / "mine.csv")
    output = tmp_path / "scenes.csv"
    assert draw_scenes(clips, output, "--count", "1") == 2
    (line,) = errors(capsys)
    assert line.startswith(f"uss-prepare: {clips / 'clips.csv'}: no such manifest; name a CSV file")
    assert not output.exists()
    assert draw_scenes(clips, output, "--count", "1", "--manifest", str(manifest)) == 0
    assert len(read_scenes(output)) == 1


def test_scenes_need_labels(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "clips.csv").write_text("clip_id,path,mids,split\ndog,dog.wav,,validation\n")
    assert draw_scenes(clips, tmp_path / "scenes.csv") == 2
    (line,) = errors(capsys)
    assert "no clip has both a path and labels" in line
    assert not (tmp_path / "scenes.csv").exists()


@pytest.fixture(autouse=True)
def quiet_logging(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Keeps warnings, such as too few utterances, out of what the tests read as errors."""
    with caplog.at_level("ERROR", "uss.benchmarks"):
        yield
