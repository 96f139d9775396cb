"""What uss-separate leaves behind when it is stopped: by the user, or by a disk that is full."""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

resource = pytest.importorskip("resource", reason="signals and limits of POSIX")
pty = pytest.importorskip("pty", reason="terminals of POSIX")

SAMPLE_RATE = 32_000
_PATIENCE_SECONDS = 60.0

WriteNoise = Callable[..., Path]
Start = Callable[..., "subprocess.Popen[str]"]

# Importing takes seconds, in which Python itself answers signals.
_TELL_WHEN_READING = """
import sys
from pathlib import Path
from pipelines.separate.command import main
from uss.audio import AudioFile

read = AudioFile.blocks

def tell(self):
    Path(sys.argv[1]).touch()
    return read(self)

AudioFile.blocks = tell
sys.exit(main(sys.argv[2:]))
"""

_SLOW_TO_TIDY_UP = """
import shutil, sys, time
from pathlib import Path

def rmtree(*_, **__):
    Path(sys.argv[1]).with_name("tidying").touch()
    time.sleep(3600.0)

shutil.rmtree = rmtree
"""


@pytest.fixture
def start(
    tmp_path: Path, bundle_file: Path, command_environment: dict[str, str]
) -> Iterator[Start]:
    """Starts the command in a process of its own, which makes the file ``reading`` when it reads.

    Results go to the folder ``out``; no file may become larger than ``max_bytes``.
    """
    started = []

    def run(
        *arguments: str | Path,
        max_bytes: int | None = None,
        ignored: int | None = None,
        slow_to_tidy_up: bool = False,
    ) -> "subprocess.Popen[str]":
        options = ("--model", bundle_file, "--device", "cpu", "-o", tmp_path / "out")
        code = (_SLOW_TO_TIDY_UP if slow_to_tidy_up else "") + _TELL_WHEN_READING
        limit = resource.RLIM_INFINITY if max_bytes is None else max_bytes

        def prepare() -> None:
            # Shells without job control start what runs in the background deaf to it.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            if ignored is not None:
                signal.signal(ignored, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        process = subprocess.Popen(
            [
                *(sys.executable, "-c", code, str(tmp_path / "reading")),
                *map(str, (*options, *arguments)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=command_environment,
            preexec_fn=prepare,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory, write_noise: WriteNoise) -> Path:
    """A recording that no test waits for the end of, though it is tagged to its end."""
    return write_noise(tmp_path_factory.mktemp("long") / "hours.wav", 60.0)


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def parts(folder: Path) -> list[Path]:
    """Stems that grow, with something in them."""
    return [path for path in folder.glob(".*.part/*/*") if path.stat().st_size > 100_000]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_interrupted(
    process: "subprocess.Popen[str]", name: str, number: int = signal.SIGINT
) -> str:
    """Also that it takes no more than a few seconds; returns what was printed."""
    process.send_signal(number)
    out, err = process.communicate(timeout=15.0)
    assert err == f"uss-separate: interrupted; nothing of {name} was written\n"
    assert process.returncode == 128 + number
    return out


def test_an_interruption_while_tagging_leaves_nothing(
    hours: Path, tmp_path: Path, start: Start
) -> None:
    process = start(hours, "--level", "1", "2")
    wait_until((tmp_path / "reading").exists, process)
    time.sleep(0.3)
    assert assert_interrupted(process, "hours.wav") == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_so_do_kill_and_hang_up(hours: Path, tmp_path: Path, start: Start, number: int) -> None:
    """As of ``docker stop`` and of a terminal that is closed."""
    process = start(hours, "--level", "1", "2")
    wait_until(lambda: bool(parts(tmp_path / "out")), process)
    assert assert_interrupted(process, "hours.wav", number) == ""
    assert not (tmp_path / "out").exists()


def test_a_signal_that_comes_twice_at_once_is_one(
    hours: Path, tmp_path: Path, start: Start
) -> None:
    """``timeout`` sends it to the process and to its group."""
    process = start(hours)
    wait_until(lambda: bool(parts(tmp_path / "out")), process)
    process.send_signal(signal.SIGTERM)
    assert assert_interrupted(process, "hours.wav", signal.SIGTERM) == ""
    assert not (tmp_path / "out").exists()


def test_a_run_that_ignores_hang_ups_goes_on(
    tmp_path: Path, start: Start, write_noise: WriteNoise
) -> None:
    """As ``nohup`` has it."""
    recording = write_noise(tmp_path / "scene.wav", 10.0)
    process = start(recording, ignored=signal.SIGHUP)
    wait_until((tmp_path / "reading").exists, process)
    process.send_signal(signal.SIGHUP)
    assert process.wait(_PATIENCE_SECONDS) == 0
    assert names(tmp_path / "out") == {"scene"}


def test_a_second_signal_ends_the_run_at_once(hours: Path, tmp_path: Path, start: Start) -> None:
    """Here the tidying up takes an hour; the next run does it."""
    process = start(hours, slow_to_tidy_up=True)
    wait_until(lambda: bool(parts(tmp_path / "out")), process)
    process.send_signal(signal.SIGTERM)
    wait_until((tmp_path / "tidying").exists, process)
    time.sleep(1.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(5.0) == -signal.SIGTERM
    assert len(list((tmp_path / "out").glob(".separating.*.part"))) == 1


def test_the_next_run_sweeps_what_a_killed_one_has_left(
    hours: Path, tmp_path: Path, start: Start, write_noise: WriteNoise, separate: Callable[..., int]
) -> None:
    """But not what a living one works on, in the same folder."""
    dead, living = start(hours, "--level", "1"), start(hours, "--level", "2")
    wait_until(lambda: len({path.parents[1] for path in parts(tmp_path / "out")}) == 2, living)
    dead.kill()
    dead.wait()
    assert separate(write_noise(tmp_path / "scene.wav", 0.6)) == 0
    wait_until(lambda: bool(parts(tmp_path / "out")), living)
    (left,) = {path.parents[1] for path in parts(tmp_path / "out")}
    assert names(left) == {"level2"}
    assert assert_interrupted(living, "hours.wav") == ""
    assert names(tmp_path / "out") == {"scene"}


# At a terminal


class Terminal:
    """The command at a terminal of its own, as a shell in a window starts it."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], words, environment)
        self.shown = b""
        self._status: int | None = None

    def press_ctrl_c(self) -> None:
        os.write(self._master, b"\x03")

    def close(self) -> None:
        os.close(self._master)
        self._master = -1

    def wait_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            assert self.poll() is None, self.shown
            assert time.monotonic() < end
            self._read()

    def wait(self, seconds: float = 15.0) -> int:
        """Returns the exit status."""
        end = time.monotonic() + seconds
        while (status := self.poll()) is None:
            assert time.monotonic() < end, self.shown
            self._read()
        self._read()
        return status

    def poll(self) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def _read(self) -> None:
        """What is shown would fill the terminal, and stop the command, if nobody read it."""
        if self._master < 0:
            time.sleep(0.01)
        elif select.select([self._master], [], [], 0.01)[0]:
            with suppress(OSError):
                self.shown += os.read(self._master, 65_536)

    def end(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self._master >= 0:
            self.close()


@pytest.fixture
def at_a_terminal(
    tmp_path: Path, bundle_file: Path, command_environment: dict[str, str]
) -> Iterator[Callable[..., Terminal]]:
    started = []

    def run(*arguments: str | Path, **variables: str) -> Terminal:
        options = ("--model", bundle_file, "--device", "cpu", "-o", tmp_path / "out")
        words = [sys.executable, "-m", "pipelines.separate", *map(str, (*options, *arguments))]
        terminal = Terminal(words, {**command_environment, **variables})
        started.append(terminal)
        return terminal

    yield run
    for terminal in started:
        terminal.end()


def test_ctrl_c_at_a_terminal_leaves_nothing(
    hours: Path, tmp_path: Path, at_a_terminal: Callable[..., Terminal]
) -> None:
    terminal = at_a_terminal(hours, "--level", "1", "2")
    terminal.wait_until(lambda: bool(parts(tmp_path / "out")))
    terminal.press_ctrl_c()
    assert terminal.wait() == 130
    said = terminal.shown.decode()
    assert said.rstrip().endswith("uss-separate: interrupted; nothing of hours.wav was written")
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_terminal_that_is_closed_leaves_nothing(
    hours: Path, tmp_path: Path, at_a_terminal: Callable[..., Terminal]
) -> None:
    """The last words and the progress bars have nowhere to go then."""
    terminal = at_a_terminal(hours, "--level", "1", "2")
    terminal.wait_until(lambda: bool(parts(tmp_path / "out")))
    terminal.close()
    assert terminal.wait() == 128 + signal.SIGHUP
    assert not (tmp_path / "out").exists()


_TELL_WHEN_IMPORTING = """
import os, sys
from pathlib import Path

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["TELL_OF"]:
            Path(os.environ["TELL_IN"]).touch()

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    "module",
    [
        "numpy",
        "torch",
        "torch.distributed",
        "soundfile",
        "av",
        "uss.separation.separator",
    ],
)
def test_ctrl_c_at_a_terminal_while_all_is_imported(
    tmp_path: Path,
    at_a_terminal: Callable[..., Terminal],
    command_environment: dict[str, str],
    module: str,
) -> None:
    told = tmp_path / "importing"
    (tmp_path / "site" / "sitecustomize.py").parent.mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_TELL_WHEN_IMPORTING)
    paths = os.pathsep.join([str(tmp_path / "site"), command_environment["PYTHONPATH"]])
    terminal = at_a_terminal(
        tmp_path / "nowhere.wav", PYTHONPATH=paths, TELL_OF=module, TELL_IN=str(told)
    )
    terminal.wait_until(told.exists)
    terminal.press_ctrl_c()
    assert terminal.wait() == 130, terminal.shown
    assert terminal.shown.decode().split("^C")[-1].strip() == "uss-separate: interrupted"


def test_an_interruption_while_flac_is_written_leaves_nothing(
    hours: Path, tmp_path: Path, start: Start
) -> None:
    process = start(hours, "--level", "1", "2", "--format", "flac")
    wait_until(lambda: bool(parts(tmp_path / "out")), process)
    assert assert_interrupted(process, "hours.wav") == ""
    assert not (tmp_path / "out").exists()


def test_an_interruption_keeps_what_was_done_before(
    hours: Path, tmp_path: Path, write_noise: WriteNoise, start: Start
) -> None:
    short = write_noise(tmp_path / "short.wav", 0.7)
    (tmp_path / "out" / "hours").mkdir(parents=True)
    (tmp_path / "out" / "hours" / "detections.json").write_text("{}")
    process = start(short, hours, write_noise(tmp_path / "never.wav", 0.7))
    # The short one's stems are smaller.
    wait_until(lambda: bool(parts(tmp_path / "out")), process)
    assert "level2" in assert_interrupted(process, "hours.wav")
    assert names(tmp_path / "out") == {"short", "hours", "summary.csv"}
    assert {"level2", "detections.json", "report.html"} <= names(tmp_path / "out" / "short")
    assert names(tmp_path / "out" / "hours") == {"detections.json"}
    table = (tmp_path / "out" / "summary.csv").read_text().splitlines()
    assert len(table) == 2 and "short.wav,ok" in table[1]


def assert_full(process: "subprocess.Popen[str]") -> None:
    out, err = process.communicate(timeout=_PATIENCE_SECONDS)
    (line,) = err.splitlines()
    assert line.startswith("uss-separate: ") and "the disk is full" in line
    assert (process.returncode, out) == (2, "")


def test_a_disk_that_becomes_full_leaves_nothing(
    tmp_path: Path, write_noise: WriteNoise, start: Start
) -> None:
    recording = write_noise(tmp_path / "scene.wav", 10.0)
    assert_full(start(recording, "--format", "flac", max_bytes=10_000))
    assert not (tmp_path / "out").exists()


def test_a_full_disk_keeps_the_earlier_result(
    tmp_path: Path, write_noise: WriteNoise, start: Start
) -> None:
    recording = write_noise(tmp_path / "scene.wav", 10.0)
    result = tmp_path / "out" / "scene"
    result.mkdir(parents=True)
    (result / "detections.json").write_text("{}")
    assert_full(start(recording, max_bytes=400_000))
    assert names(tmp_path / "out") == {"scene"}
    assert (result / "detections.json").read_text() == "{}"


def test_what_would_fill_the_disk_is_refused_before_it_is_separated(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    free_bytes = 400_000
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(total=10**12, used=10**12, free=free_bytes)
    )
    recording = write_noise(tmp_path / "scene.wav", 1.0)
    # Of 128 kB each: three files have room, seven have not.
    assert separate(recording, "--level", "1", "2") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "7 files of 1 s need" in line and "--format flac" in line
    assert not (tmp_path / "out").exists()
    assert separate(recording, "--level", "2") == 0
    assert separate(recording, "--level", "1", "2", "--detect-only", "-o", tmp_path / "other") == 0


def test_a_file_in_the_place_of_the_result_is_kept(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    recording = write_noise(tmp_path / "scene.wav", 0.6)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scene").write_text("mine")
    assert separate(recording) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is no earlier result" in line
    assert names(tmp_path / "out") == {"scene"}
    assert (tmp_path / "out" / "scene").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written_to_is_left_alone(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    recording = write_noise(tmp_path / "scene.wav", 0.6)
    (tmp_path / "out").mkdir(mode=0o555)
    assert separate(recording) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Permission denied" in line
    assert names(tmp_path / "out") == set()
