import sys
from pathlib import Path

import pytest
import torch

from uss.core.compilers import has_compiler

CPU = torch.device("cpu")


def test_only_a_compiler_that_torch_calls_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("CXX", raising=False)

    def install(name: str) -> None:
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)

    install("clang++")
    assert not has_compiler(CPU)
    install("g++")
    assert has_compiler(CPU)
    monkeypatch.setenv("CXX", "icpx")
    assert not has_compiler(CPU)
    install("icpx")
    assert has_compiler(CPU)
    assert not has_compiler(torch.device("mps"))
