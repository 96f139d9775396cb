from pathlib import Path
from typing import Any

import pytest
import torch

from uss.training.whole_checkpoints import WholeCheckpoints


def test_a_checkpoint_is_saved_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.ckpt"
    saving = WholeCheckpoints()
    saving.save_checkpoint({"global_step": 3, "weights": torch.ones(2)}, path)
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]
    loaded = saving.load_checkpoint(path, weights_only=True)
    assert loaded["global_step"] == 3 and torch.equal(loaded["weights"], torch.ones(2))


def test_a_failure_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also nothing elsewhere, such as in the folder for temporary files."""
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"global_step": 1}, path)
    before = path.read_bytes()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))

    def fail(content: Any, file: Path) -> None:
        file.write_bytes(b"half of it")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="no space"):
        WholeCheckpoints().save_checkpoint({"global_step": 2}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
