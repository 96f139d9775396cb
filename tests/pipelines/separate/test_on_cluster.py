"""``uss-separate --ray``: a folder of recordings, shared out among processes."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from pipelines.separate.command import main

Separate = Callable[..., int]
WriteNoise = Callable[..., Path]


@pytest.mark.slow
def test_a_folder_is_shared_out(
    tmp_path: Path,
    bundle_file: Path,
    write_noise: WriteNoise,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("ray")
    folder = tmp_path / "in"
    for number in range(3):
        write_noise(folder / f"{number}.wav", 1.0 + number / 4, seed=number)
    (folder / "broken.wav").write_text("no audio")
    options = ("--class", "Speech", "--threshold", "0", "--overlap", "0", "--precision", "fp32")
    # Files share batches in one process, and have their own where they are shared out.
    assert separate(folder, *options) == 2
    capsys.readouterr()
    words = [folder, "-o", tmp_path / "shared", "--model", bundle_file, *options]
    assert main([*map(str, words), "--ray", "local", "--workers", "2"]) == 2
    said = capsys.readouterr()
    assert "broken.wav" in said.err and "Traceback" not in said.err
    assert "2.wav" in said.out
    stems = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.wav"))
    assert len(stems) == 6
    for stem in stems:
        alone, shared = (soundfile.read(tmp_path / name / stem)[0] for name in ("out", "shared"))
        assert alone == pytest.approx(shared, abs=1e-5)
    with (tmp_path / "shared" / "summary.csv").open() as table:
        rows = [(Path(row["input"]).name, row["status"]) for row in csv.DictReader(table)]
    assert rows == [("0.wav", "ok"), ("1.wav", "ok"), ("2.wav", "ok"), ("broken.wav", "failed")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--workers", "2"), "--workers are processes of a cluster; name one by --ray"),
        (("--cpus-per-worker", "2"), "--cpus-per-worker is for processes of a cluster"),
        (("--gpus-per-worker", "0.5"), "--gpus-per-worker is for processes of a cluster"),
        (("--ray", "local", "--stdout", "Speech"), "--ray shares out many files; leave out one"),
        (("--ray", "local", "--query", "-"), "- is a pipe, which no other process can read"),
    ],
)
def test_what_makes_no_sense_with_a_cluster_is_refused(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    recording = write_noise(tmp_path / "a.wav", 1.0)
    assert separate(recording, *words) == 2
    assert message in capsys.readouterr().err
