import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch

from uss.separation import compiling
from uss.separation.compiling import LazyCompiler

CPU = torch.device("cpu")


def double(encoded: torch.Tensor, modulation: Any) -> torch.Tensor:
    return 2.0 * encoded


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch) -> list[Callable[..., Any]]:
    """Stands for torch.compile, and remembers what it compiled."""
    compiled: list[Callable[..., Any]] = []

    def fake(network: Callable[..., Any], dynamic: bool) -> Callable[..., Any]:
        compiled.append(network)
        return network

    monkeypatch.setattr(torch, "compile", fake)
    monkeypatch.setattr(compiling, "has_compiler", lambda device: True)
    return compiled


def run(lazy: LazyCompiler, num_batches: int, seconds: float, is_full: bool = True) -> None:
    for _ in range(num_batches):
        lazy.note(4, seconds, is_full)


def test_a_long_job_is_compiled_once_and_says_so(
    compiler: list[Callable[..., Any]], caplog: pytest.LogCaptureFixture
) -> None:
    lazy = LazyCompiler(double, CPU)
    lazy.expect(4_000)
    with caplog.at_level(logging.INFO):
        run(lazy, 100, seconds=4.0)
    assert compiler == [double]
    assert lazy.is_compiled
    assert [record.getMessage() for record in caplog.records] == [
        "compiling the separator, which takes about a minute, as some 65 minutes of work are left"
    ]
    assert lazy.mask(torch.ones(2), None).tolist() == [2.0, 2.0]


def test_a_job_that_is_too_short_or_nearly_done_is_not(
    compiler: list[Callable[..., Any]],
) -> None:
    short = LazyCompiler(double, CPU)
    short.expect(400)
    run(short, 100, seconds=4.0)
    unannounced = LazyCompiler(double, CPU)
    run(unannounced, 100, seconds=4.0)
    assert not compiler


def test_only_full_batches_count(compiler: list[Callable[..., Any]]) -> None:
    lazy = LazyCompiler(double, CPU)
    lazy.expect(1_000_000)
    run(lazy, 100, seconds=4.0, is_full=False)
    assert not compiler


def test_without_a_compiler_nothing_is_compiled(
    compiler: list[Callable[..., Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    lazy = LazyCompiler(double, CPU)
    lazy.expect(1_000_000)
    run(lazy, 100, seconds=4.0)
    assert not lazy.is_compiled


def test_a_compiler_that_fails_is_reported_and_the_job_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(encoded: torch.Tensor, modulation: Any) -> torch.Tensor:
        raise RuntimeError("no such header\nand more")

    monkeypatch.setattr(torch, "compile", lambda network, dynamic: fail)
    lazy = LazyCompiler(double, CPU)
    lazy.expect(1_000_000)
    run(lazy, 30, seconds=4.0)
    assert lazy.mask(torch.ones(1), None).tolist() == [2.0]
    assert "runs uncompiled: no such header" in caplog.text
    assert lazy.mask is double
    assert not lazy.is_compiled


@pytest.mark.parametrize("fails_at_once", [False, True])
def test_a_compiler_that_failed_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fails_at_once: bool
) -> None:
    asked = []

    def compiler(network: Callable[..., Any], dynamic: bool) -> Callable[..., Any]:
        asked.append(network)
        if fails_at_once:
            raise RuntimeError("not on this system")

        def fail(encoded: torch.Tensor, modulation: Any) -> torch.Tensor:
            raise RuntimeError

        return fail

    monkeypatch.setattr(torch, "compile", compiler)
    lazy = LazyCompiler(double, CPU)
    lazy.expect(1_000_000)
    for _ in range(3):
        run(lazy, 30, seconds=4.0)
        lazy.compile()
        assert lazy.mask(torch.ones(1), None).tolist() == [2.0]
    assert asked == [double]
    assert not lazy.is_compiled
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    reason = "not on this system" if fails_at_once else "RuntimeError"
    assert warnings == [f"the separator runs uncompiled: {reason}"]


def test_asking_twice_compiles_once(compiler: list[Callable[..., Any]]) -> None:
    lazy = LazyCompiler(double, CPU)
    lazy.compile()
    lazy.compile()
    assert compiler == [double]
