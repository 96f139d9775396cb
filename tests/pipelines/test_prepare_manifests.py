import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.prepare import main
from tests.pipelines.manifests import refused, rows

WriteNoise = Callable[..., Path]

DOG, RAIN = "/m/0bt9lr", "/m/06mb1"


@pytest.fixture
def lists(tmp_path: Path) -> list[str]:
    """Three clips to train with, one of which nobody has, and one to evaluate with."""
    train, evaluation = tmp_path / "balanced_train_segments.csv", tmp_path / "eval_segments.csv"
    train.write_text(
        "# Segments csv\n# YTID, start_seconds, end_seconds, positive_labels\n"
        f'--PJHxphWEs, 30.000, 40.000, "{DOG},{RAIN}"\n_ZhevVpy1s-, 50.000, 60.000, "{DOG}"\n'
        f'-gone_______, 50.000, 60.000, "{DOG}"\n'
    )
    evaluation.write_text(f'# Segments csv\n--4gqARaEJE, 0.000, 10.000, "{DOG}"\n')
    return [str(train), str(evaluation)]


@pytest.fixture
def audio(tmp_path: Path, write_noise: WriteNoise) -> Path:
    folder = tmp_path / "my audio"
    write_noise(folder / "Y--PJHxphWEs_30000.wav", 0.5)
    write_noise(folder / "b" / "_ZhevVpy1s-_50_60.wav", 0.5, loud_seconds=0.0)
    write_noise(folder / "--4gqARaEJE.wav", 0.5)
    return folder


def test_audiosets_lists_and_a_folder_become_a_manifest(
    tmp_path: Path, lists: list[str], audio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "audioset.csv"
    assert main(["audioset", str(audio), "--segments", *lists, "-o", str(output)]) == 0
    assert [(row["clip_id"], row["mids"], row["split"]) for row in rows(output)] == [
        ("--PJHxphWEs", f"{DOG};{RAIN}", "train"),
        ("--4gqARaEJE", DOG, "evaluation"),
    ]
    report = tmp_path / "audioset.report.csv"
    assert [(row["clip_id"], row["problem"]) for row in rows(report)] == [
        ("-gone_______", "missing"),
        ("_ZhevVpy1s-", "silent"),
    ]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"2 of 4 clips in {output}"
    assert lines[1] == f"1 missing, 1 silent: see {report}"
    command = shlex.split(lines[2].partition(" with: ")[2])
    options = ["--audio-root", str(audio), "--split", "train", "-o", "shards/train"]
    assert command == ["uss-mine-anchors", str(output), *options]
    assert "--split evaluation" in lines[3]


def test_files_need_not_be_opened(tmp_path: Path, lists: list[str], audio: Path) -> None:
    (audio / "b" / "_ZhevVpy1s-_50_60.wav").write_text("")
    output = tmp_path / "audioset.csv"
    arguments = ["audioset", str(audio), "--segments", *lists, "-o", str(output), "--no-probe"]
    assert main(arguments) == 0
    assert len(rows(output)) == 3


def test_the_options_of_two_purposes_do_not_mix(
    tmp_path: Path, lists: list[str], audio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "audioset.csv"
    given = ["audioset", str(audio), "-o", str(output)]
    line = refused(capsys, main([*given, "--segments", *lists, "--per-class", "7"]))
    assert "--per-class is of the evaluation list, --segments makes a manifest" in line
    for option in (["--no-probe"], ["--workers", "3"]):
        line = refused(capsys, main([*given, *option]))
        assert f"{option[0]} is of a manifest for mining; name AudioSet's lists" in line
    assert not output.exists()


def test_an_audioset_that_is_not_there_is_one_line(
    tmp_path: Path, lists: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "audioset.csv"
    arguments = ["--segments", *lists, "-o", str(output)]
    line = refused(capsys, main(["audioset", str(tmp_path), *arguments]))
    assert "no audio file of any clip; the first clip's would be called one of" in line
    line = refused(capsys, main(["audioset", str(tmp_path / "nowhere"), *arguments]))
    assert "no such folder" in line
    assert not output.exists()


def test_a_folder_of_which_nothing_can_be_mined_leaves_nothing(
    tmp_path: Path, write_noise: WriteNoise, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = tmp_path / "sounds", tmp_path / "out" / "sounds.csv"
    output.parent.mkdir()
    write_noise(folder / "machine" / "quiet.wav", 0.5, loud_seconds=0.0)
    line = refused(capsys, main(["folder", str(folder), "-o", str(output)]))
    assert line.endswith(
        "no clip can be mined; the first, 'machine/quiet.wav': silent 0.500 s; correct the folder "
        "or the lists"
    )
    assert list(output.parent.iterdir()) == []
    assert main(["folder", str(folder), "-o", str(output), "--no-probe"]) == 0
    assert {path.name for path in output.parent.iterdir()} == {
        "sounds.csv",
        "sounds.report.csv",
        "sounds.classes.csv",
    }


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--labels", "gone.csv"], "gone.csv: no such file; name a CSV file with path,labels"),
        (["--classes", "gone.csv"], "gone.csv: no such file of classes; name a CSV file"),
        (["--validation", "1.5"], "1.5 is out of range; give 0 to 0.9"),
    ],
)
def test_bad_options_of_a_folder_are_one_line(
    tmp_path: Path,
    write_noise: WriteNoise,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    remedy: str,
) -> None:
    write_noise(tmp_path / "sounds" / "dog" / "a.wav", 0.5)
    output = tmp_path / "m.csv"
    assert remedy in refused(
        capsys, main(["folder", str(tmp_path / "sounds"), "-o", str(output), *options])
    )
    assert not output.exists()
