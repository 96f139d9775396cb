"""What all commands share: who is blamed for an error, and how it is shown."""

import argparse
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ontology import load_ontology
from pipelines import start
from pipelines.cli import CommandParser, UsageError, reported, run_command
from uss.core.errors import InputError

COMMANDS = {
    "uss-evaluate": start.evaluate,
    "uss-mine-anchors": start.mine_anchors,
    "uss-models": start.models,
    "uss-prepare": start.prepare,
    "uss-separate": start.separate,
    "uss-train": start.train,
}


def add_shapes_that_do_not_fit(_: argparse.Namespace) -> int:
    np.zeros(2) + np.zeros(3)
    return 0


def ask_for_a_class_that_is_not_there(_: argparse.Namespace) -> int:
    load_ontology().find("Dgo")
    return 0


def refuse(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def command(_: argparse.Namespace) -> int:
        raise error

    return command


def run(command: Callable[[argparse.Namespace], int], *words: str) -> int:
    return run_command(CommandParser("uss-thing", "Does a thing."), words, command)


@pytest.fixture(autouse=True)
def no_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USS_DEBUG", raising=False)


def test_an_error_of_numpy_is_a_fault_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Though it is a ValueError, as those of the input are."""
    assert run(add_shapes_that_do_not_fit) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("uss-thing: a fault of this program, ValueError: operands could not be")
    assert "--debug or USS_DEBUG=1" in line


@pytest.mark.parametrize("how", ["option", "environment"])
def test_debugging_shows_where(
    how: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "environment":
        monkeypatch.setenv("USS_DEBUG", "1")
    assert run(add_shapes_that_do_not_fit, *["--debug"] * (how == "option")) == 1
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert "add_shapes_that_do_not_fit" in shown
    assert shown.splitlines()[-1].startswith("uss-thing: a fault of this program, ValueError")


def test_debugging_is_off_where_the_variable_says_0(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USS_DEBUG", "0")
    assert run(add_shapes_that_do_not_fit) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        InputError("the value is 3; choose 1 or 2"),
        UsageError("the value is 3; choose 1 or 2"),
        FileNotFoundError("the value is 3;\nchoose 1 or 2"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_input_is_to_blame_for_is_one_line(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(refuse(error)) == 2
    assert capsys.readouterr().err == "uss-thing: the value is 3; choose 1 or 2\n"


def test_so_is_what_the_ontology_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ask_for_a_class_that_is_not_there) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('uss-thing: unknown class "Dgo"; did you mean')


def test_an_error_without_words_is_called_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(refuse(RuntimeError())) == 1
    assert "a fault of this program, RuntimeError: RuntimeError" in capsys.readouterr().err


def test_a_command_may_name_other_errors_of_the_input(capsys: pytest.CaptureFixture[str]) -> None:
    with reported("uss-thing", also_input=(ZeroDivisionError,)) as report:
        1 / 0  # noqa: B018
    assert report.status == 2
    assert capsys.readouterr().err == "uss-thing: division by zero\n"


@pytest.mark.parametrize("program", COMMANDS)
def test_an_interruption_while_importing_is_one_line(
    program: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.start.import_module", interrupted)
    assert COMMANDS[program]() == 130
    assert capsys.readouterr().err == f"{program}: interrupted\n"


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_while_torch_is_imported_shows_no_traceback(
    tmp_path: Path, command_environment: dict[str, str]
) -> None:
    """The real command, with a torch that takes a minute to import."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        textwrap.dedent(
            """
            import pathlib, time
            pathlib.Path(__file__).with_name("started").touch()
            time.sleep(60.0)
            """
        )
    )
    path = os.pathsep.join([str(tmp_path), command_environment["PYTHONPATH"]])
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.separate", "scene.wav"],
        env={**command_environment, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )
    started = tmp_path / "torch" / "started"
    for _ in range(600):
        if started.exists() or process.poll() is not None:
            break
        signal.sigtimedwait([], 0.05)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=30)
    assert (process.returncode, shown) == (130, "uss-separate: interrupted\n")


def test_help_does_not_wait_for_torch(command_environment: dict[str, str]) -> None:
    code = (
        "import sys; from pipelines.separate.command import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=command_environment
    )
    assert done.stdout.startswith("usage: uss-separate")
    assert done.stdout.splitlines()[-1] == "[]"


def test_importing_the_package_imports_nothing_heavy(command_environment: dict[str, str]) -> None:
    code = "import sys, uss; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=command_environment
    )
    assert done.stdout == "[]\n"


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_kill_and_hang_up_end_any_command_like_ctrl_c(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    tidied_up = []

    def work(_: argparse.Namespace) -> int:
        try:
            os.kill(os.getpid(), number)
            time.sleep(30.0)
        finally:
            tidied_up.append(True)
        return 0

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert run(work) == 128 + number
    assert tidied_up
    assert capsys.readouterr().err == "uss-thing: interrupted\n"
    after = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert after == before


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_an_interruption_that_became_another_error_is_still_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """NumPy makes a TypeError of it where it compares arrays."""

    def work(_: argparse.Namespace) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30.0)
        except KeyboardInterrupt:
            raise TypeError("cannot compare structured arrays") from None
        return 0

    assert run(work) == 143
    assert capsys.readouterr().err == "uss-thing: interrupted\n"


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_what_a_program_does_with_a_signal_stays_so() -> None:
    """Here it counts them; a command that it calls must not end it."""
    counted: list[int] = []

    def work(_: argparse.Namespace) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
        return 0

    before = signal.signal(signal.SIGTERM, lambda number, _: counted.append(number))
    try:
        assert run(work) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert counted == [signal.SIGTERM]


def test_in_a_thread_no_handler_can_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    statuses: list[int] = []
    thread = threading.Thread(
        target=lambda: statuses.append(run(ask_for_a_class_that_is_not_there))
    )
    thread.start()
    thread.join()
    assert statuses == [2]
