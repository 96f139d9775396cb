"""What is said where memory is short."""

from pathlib import Path

import pytest
import torch

from uss.core import memory
from uss.core.errors import InputError
from uss.core.memory import available_bytes, check_memory, told_of_memory


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 3 MB free, whose container may have 1 MB, of which it uses half."""
    system = tmp_path / "meminfo"
    system.write_text("MemTotal:  9000 kB\nMemAvailable:  3000 kB\n")
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 200000\n")
    monkeypatch.setattr(memory, "_SYSTEM", system)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    return tmp_path


def test_the_smaller_of_machine_and_container_counts(machine: Path) -> None:
    assert available_bytes() == 500_000
    (machine / "memory.max").write_text("max\n")
    assert available_bytes() == 3000 * 1024
    (machine / "meminfo").unlink()
    assert available_bytes() is None


def test_what_does_not_fit_is_refused(machine: Path) -> None:
    check_memory(500_000, "a network")
    with pytest.raises(InputError, match=r"too little memory: a network needs 2.0 GiB, 0.0 GiB"):
        check_memory(2 * 1024**3, "a network")
    for file in ("memory.max", "meminfo"):
        (machine / file).unlink()
    check_memory(2**60, "nobody knows")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_errors_of_every_allocator_are_told_alike(error: Exception) -> None:
    with pytest.raises(InputError, match="there is no room for a chunk"), told_of_memory("a chunk"):
        raise error
    with pytest.raises(RuntimeError, match="shapes"), told_of_memory("a chunk"):
        raise RuntimeError("shapes do not fit")
