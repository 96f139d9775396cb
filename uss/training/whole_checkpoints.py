"""Checkpoints that appear under their name only when they are complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from uss.core.files import written_whole

_URL = "://"


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the checkpoint, then renames; a killed run leaves the last one or the next.

    Lightning's own writes to the folder for temporary files, and copies from there where that is
    another file system.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Save a checkpoint; elsewhere than on this machine's file systems as Lightning does."""
        if storage_options is not None or _URL in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as part:
            torch.save(checkpoint, part)
