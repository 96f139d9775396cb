"""Standard input, pipes, and a stem on standard output."""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.separate import streams

SAMPLE_RATE = 32_000

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]
Pipe = Callable[[Path], None]


class Input(io.BytesIO):
    """Bytes that a pipe gives: no seeking."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation("a pipe")


@pytest.fixture
def pipe_in(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Pipes a file into standard input."""

    def pipe(path: Path) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Input(path.read_bytes())))

    return pipe


@pytest.fixture(autouse=True)
def no_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)


@pytest.fixture
def take(tmp_path: Path, write_noise: WriteNoise) -> Path:
    return write_noise(tmp_path / "take.wav", 0.7, num_channels=2)


def total(folder: Path) -> np.ndarray:
    return np.sum([soundfile.read(path, always_2d=True)[0] for path in folder.iterdir()], axis=0)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input(
    tmp_path: Path, take: Path, separate: Separate, pipe_in: Pipe, name: str
) -> None:
    pipe_in(take)
    assert separate(name, "--level", "1") == 0
    assert names(tmp_path / "out") == {"stdin"}
    np.testing.assert_allclose(
        total(tmp_path / "out" / "stdin" / "level1"), soundfile.read(take)[0], atol=1e-6
    )
    noted = json.loads((tmp_path / "out" / "stdin" / "detections.json").read_text("utf-8"))
    assert noted["input"] == "stdin"


def test_wav_from_a_pipe_does_not_know_its_size(
    tmp_path: Path, take: Path, separate: Separate, pipe_in: Pipe, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(take.read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"
    place = content.index(b"data") + 4
    content[place : place + 4] = b"\xff\xff\xff\xff"
    streamed = tmp_path / "streamed"
    streamed.write_bytes(content)
    pipe_in(streamed)
    assert separate("-", "--level", "1") == 0
    np.testing.assert_allclose(
        total(tmp_path / "out" / "stdin" / "level1"), soundfile.read(take)[0], atol=1e-6
    )
    assert not [record for record in caplog.records if "damaged" in record.getMessage()]


def test_standard_input_beside_files(
    tmp_path: Path, take: Path, separate: Separate, pipe_in: Pipe
) -> None:
    pipe_in(take)
    assert separate(take, "-") == 0
    assert names(tmp_path / "out") == {"take", "stdin", "summary.csv"}
    assert "standard input,ok" in (tmp_path / "out" / "summary.csv").read_text("utf-8")


def test_empty_standard_input_stops_no_file(
    tmp_path: Path, take: Path, separate: Separate, pipe_in: Pipe
) -> None:
    (tmp_path / "empty").touch()
    pipe_in(tmp_path / "empty")
    assert separate("-", take) == 2
    assert names(tmp_path / "out") == {"take", "summary.csv"}
    assert "-,failed" in (tmp_path / "out" / "summary.csv").read_text("utf-8")


def test_a_fifo(tmp_path: Path, take: Path, separate: Separate) -> None:
    fifo = tmp_path / "live.wav"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(take.read_bytes()))
    writer.start()
    assert separate(fifo, "--level", "1") == 0
    writer.join()
    assert names(tmp_path / "out") == {"live"}
    np.testing.assert_allclose(
        total(tmp_path / "out" / "live" / "level1"), soundfile.read(take)[0], atol=1e-6
    )


@pytest.mark.parametrize("others", [("-",), ("/dev/stdin",)])
def test_standard_input_can_be_read_once(
    tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str], others: tuple[str]
) -> None:
    assert separate("-", *others, "--model", "never loaded") == 2
    assert "standard input is named 2 times" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_terminal_is_refused(
    separate: Separate,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_closed: bool,
) -> None:
    terminal = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", None if is_closed else terminal)
    assert separate("-", "--model", "never loaded") == 2
    assert "pipe a recording into it, as in ffmpeg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "standard input is empty"), (b"no audio\n" * 99, "standard input is not an audio")],
)
def test_what_is_no_recording_leaves_nothing(
    tmp_path: Path,
    separate: Separate,
    pipe_in: Pipe,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    says: str,
) -> None:
    (tmp_path / "content").write_bytes(content)
    pipe_in(tmp_path / "content")
    assert separate("-") == 2
    assert says in (error := capsys.readouterr().err)
    assert ".spooled" not in error
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_nothing(
    tmp_path: Path, take: Path, separate: Separate, pipe_in: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        assert list((tmp_path / "out").glob(".spooled.*/stdin"))
        raise KeyboardInterrupt

    monkeypatch.setattr("uss.results.opening.open_recording", interrupt)
    pipe_in(take)
    assert separate("-") == 130
    assert not (tmp_path / "out").exists()


def test_a_folder_for_what_is_spooled(
    tmp_path: Path, take: Path, separate: Separate, pipe_in: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy = tmp_path / "roomy"
    roomy.mkdir()
    monkeypatch.setenv("TMPDIR", str(roomy))
    seen = []
    opened = streams.spooled

    def spool(*arguments: object) -> object:
        seen.append(arguments)
        return opened(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(streams, "spooled", spool)
    pipe_in(take)
    assert separate("-") == 0
    assert len(seen) == 1
    assert names(roomy) == set()


@contextmanager
def filled(fifo: Path, content: bytes) -> Iterator[Path]:
    """A named pipe into which something is written."""
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(content))
    writer.start()
    yield fifo
    writer.join()


@pytest.mark.parametrize("times", ["", "@0.1-0.4"])
def test_examples_from_pipes_are_those_of_files(
    tmp_path: Path,
    take: Path,
    write_noise: WriteNoise,
    separate: Separate,
    pipe_in: Pipe,
    times: str,
) -> None:
    call = write_noise(tmp_path / "call.wav", 0.8, seed=5)
    options = (take, "--query", f"{call}{times}")
    assert separate(*options, "-o", tmp_path / "file") == 0
    expected = soundfile.read(tmp_path / "file" / "take" / "queries" / "call.wav")[0]
    with filled(tmp_path / "live.wav", call.read_bytes()) as fifo:
        assert separate(take, "--query", f"{fifo}{times}", "-o", tmp_path / "fifo") == 0
    pipe_in(call)
    assert separate(take, "--query", f"/dev/stdin{times}", "-o", tmp_path / "stdin") == 0
    for folder, name in (("fifo", "live"), ("stdin", "stdin")):
        given = soundfile.read(tmp_path / folder / "take" / "queries" / f"{name}.wav")[0]
        np.testing.assert_array_equal(given, expected)
        assert names(tmp_path / folder) == {"take"}


def test_unwanted_examples_from_pipes(
    tmp_path: Path, take: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    call = write_noise(tmp_path / "call.wav", 0.8, seed=5)
    assert separate(take, "--not", call, "-o", tmp_path / "file") == 0
    with filled(tmp_path / "live.wav", call.read_bytes()) as fifo:
        assert separate(take, "--not", fifo, "Rain", "-o", tmp_path / "fifo") == 0
    for kind in ("file", "fifo"):
        assert names(tmp_path / kind) == {"take"}
    noted = json.loads((tmp_path / "fifo" / "take" / "detections.json").read_text("utf-8"))
    assert noted["settings"]["without"] == ["live", "Rain"]


def test_what_a_shell_puts_in_the_place_of_a_command(
    tmp_path: Path,
    take: Path,
    write_noise: WriteNoise,
    bundle_file: Path,
    command_environment: dict[str, str],
) -> None:
    call = write_noise(tmp_path / "call.wav", 0.8, seed=5)
    command = (
        f"{sys.executable} -m pipelines.separate <(cat {take}) --query <(cat {call}) --device cpu "
        f"--model {bundle_file} -o {tmp_path / 'out'}"
    )
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=command_environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name.startswith("pipe")
    assert {path.stem[:4] for path in (folder / "queries").iterdir()} == {"pipe", "resi"}


def test_pipes_with_examples_that_are_none(
    tmp_path: Path,
    take: Path,
    separate: Separate,
    pipe_in: Pipe,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with filled(tmp_path / "text.wav", 100 * b"no sound") as fifo:
        assert separate(take, "--query", fifo) == 2
    error = capsys.readouterr().err
    assert f"{fifo} is not an audio or video file" in error and ".spooled" not in error
    (tmp_path / "empty").touch()
    pipe_in(tmp_path / "empty")
    assert separate(take, "--query", "-") == 2
    assert "standard input is empty" in capsys.readouterr().err
    pipe_in(take)
    assert separate("-", "--query", "-") == 2
    assert "standard input is named 2 times" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle_file: Path, quick_pictures: None
) -> Iterator[Callable[..., int]]:
    """Runs the command in an empty folder, without ``-o``."""
    from pipelines.separate.command import main

    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*arguments: str | Path) -> int:
        options = ("--model", bundle_file, "--device", "cpu")
        return main([str(word) for word in (*options, *arguments)])

    yield run


@pytest.mark.parametrize(("name", "file"), [("Dog", "Dog.wav"), ("residual", "residual.wav")])
def test_a_stem_on_standard_output(
    tmp_path: Path,
    take: Path,
    separate: Separate,
    elsewhere: Callable[..., int],
    capfdbinary: pytest.CaptureFixture[bytes],
    name: str,
    file: str,
) -> None:
    assert separate(take, "--class", "Dog") == 0
    stem = (tmp_path / "out" / "take" / "queries" / file).read_bytes()
    capfdbinary.readouterr()
    asked = ("--class", "Dog") if name == "residual" else ()
    assert elsewhere(take, *asked, "--stdout", name) == 0
    out, err = capfdbinary.readouterr()
    # PEAK notes when the file was written.
    assert len(out) == len(stem)
    np.testing.assert_array_equal(
        soundfile.read(io.BytesIO(out))[0], soundfile.read(io.BytesIO(stem))[0]
    )
    assert b"Dog.wav" in err and b"take.wav -> -" in err
    assert not list(Path.cwd().iterdir())


def test_the_folder_is_written_where_it_is_asked_for(
    tmp_path: Path, take: Path, separate: Separate, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert separate(take, "--level", "1", "--stdout", "dog", "--format", "flac") == 0
    folder = tmp_path / "out" / "take"
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"level1", "queries"}
    assert capfdbinary.readouterr().out == (folder / "queries" / "Dog.flac").read_bytes()


def test_a_class_that_is_not_there_is_silent(
    write_noise: WriteNoise,
    tmp_path: Path,
    elsewhere: Callable[..., int],
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    assert elsewhere(write_noise(tmp_path / "a.wav", 0.6), "--stdout", "Rain") == 0
    samples, _ = soundfile.read(io.BytesIO(capfdbinary.readouterr().out))
    assert len(samples) == round(0.6 * SAMPLE_RATE) and not samples.any()


def test_a_query_on_standard_output(
    take: Path, elsewhere: Callable[..., int], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert elsewhere(take, "--query", take, "--stdout", "take") == 0
    assert soundfile.info(io.BytesIO(capfdbinary.readouterr().out)).frames == 22_400


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("take.wav",), "name one input"),
        (("--track", "all"), "choose one track"),
        (("--detect-only",), "leave out one"),
    ],
)
def test_what_standard_output_cannot_take(
    take: Path,
    elsewhere: Callable[..., int],
    capfdbinary: pytest.CaptureFixture[bytes],
    options: tuple[str, ...],
    says: str,
) -> None:
    assert elsewhere(take, *options, "--stdout", "Dog") == 2
    out, err = capfdbinary.readouterr()
    assert out == b"" and says in err.decode()
    assert not list(Path.cwd().iterdir())


def test_standard_output_takes_one_recording_and_a_class_there_is(
    tmp_path: Path,
    write_noise: WriteNoise,
    elsewhere: Callable[..., int],
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    folder = write_noise(tmp_path / "tape" / "a.wav", 0.5).parent
    assert elsewhere(folder, "--stdout", "No such class") == 2
    assert "No such class" in capfdbinary.readouterr().err.decode()
    write_noise(folder / "b.wav", 0.5)
    assert elsewhere(folder, "--stdout", "Dog") == 2
    out, err = capfdbinary.readouterr()
    assert out == b"" and "not those of 2 recordings" in err.decode()


def test_a_failure_writes_no_sound(
    tmp_path: Path, elsewhere: Callable[..., int], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert elsewhere(tmp_path / "nowhere.wav", "--stdout", "Dog") == 2
    out, err = capfdbinary.readouterr()
    assert out == b"" and b"no such file" in err


def test_a_terminal_gets_no_sound(
    take: Path, elsewhere: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, errors = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setattr("sys.stderr", errors)
    assert elsewhere(take, "--stdout", "Dog") == 2
    assert "would write sound to a terminal" in errors.getvalue()


def test_a_shell_that_stops_reading(
    take: Path, tmp_path: Path, bundle_file: Path, command_environment: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "pipelines.separate", "-", "--stdout", "Dog"]
    command += ["--model", str(bundle_file), "--device", "cpu"]
    with take.open("rb") as sound:
        process = subprocess.Popen(
            command,
            stdin=sound,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=command_environment,
            cwd=tmp_path,
        )
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(60) == 0
    assert "Broken" not in said and "Traceback" not in said and "Exception" not in said
    assert names(tmp_path) == {"take.wav"}
