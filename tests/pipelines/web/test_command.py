"""``uss-web`` as a command: what it refuses, and how it ends."""

import importlib.util
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.web.command import SHARE_WORD, main

ROOT = Path(__file__).parents[3]


def test_the_example_is_the_demo_scene() -> None:
    example = ROOT / "pipelines" / "web" / "assets" / "scene.flac"
    assert example.read_bytes() == (ROOT / "demo" / "scene.flac").read_bytes()


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize("words", [["--share"], ["--share", "yes"]])
def test_share_wants_a_word_that_says_what_it_does(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *words)
    assert "anyone on the internet who has the link" in line
    assert f"--share {SHARE_WORD}" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max-minutes", "0"], "give more than 0"),
        (["--max-minutes", "x"], "'x' is not a number"),
        (["--max-stems", "0"], "give 1 or more"),
        (["--keep-minutes", "inf"], "give more than 0"),
        (["--model", "a.ckpt", "b/a.ckpt"], "two models are called a"),
    ],
)
def test_wrong_options_are_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gradio", reason="needs the extra 'web'")
    assert message in refused(capsys, *words)


def test_without_gradio_it_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "gradio" else find(name)
    )
    assert "pip install 'uss-pipeline[web]'" in refused(capsys)


def test_a_model_that_is_not_there_is_told_before_anybody_comes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("gradio", reason="needs the extra 'web'")
    assert "xyz" in refused(capsys, "--model", "xyz", "--port", "0")


def test_a_port_that_is_taken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gradio", reason="needs the extra 'web'")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = refused(capsys, "--port", str(port))
    assert f"port {port} of 127.0.0.1" in line and "--port" in line


def test_it_serves_this_machine_alone_until_ctrl_c() -> None:
    pytest.importorskip("gradio", reason="needs the extra 'web'")
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.web", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("the page is http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, err.strip()) == (130, "", "uss-web: interrupted")
