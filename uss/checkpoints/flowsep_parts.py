"""FlowSep in several files: each is told by its entries, and put where a checkpoint has it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from uss.core.errors import InputError
from uss.models.flowsep import is_flowsep
from uss.models.flowsep.bigvgan import without_weight_norms

logger = logging.getLogger(__name__)

_SUFFIXES = {".bin", ".ckpt", ".pt", ".pth", ".safetensors"}
_GENERATOR = "g_"
"""BigVGAN's generators have no suffix: ``g_01000000``."""


class _Part(NamedTuple):
    """A part that has a file of its own.

    Attributes:
        name: what messages call it.
        told_by: how entries of its file begin.
        place: the prefix in a checkpoint.
    """

    name: str
    told_by: tuple[str, ...]
    place: str


_PARTS = (
    _Part("autoencoder", ("encoder.conv_in.", "decoder.conv_in."), "first_stage_model."),
    _Part("vocoder", ("conv_pre.weight",), "first_stage_model.vocoder."),
    _Part("text encoder", ("encoder.block.",), "cond_stage_models.0.model."),
)


def part_in(state: Mapping[str, Tensor]) -> str | None:
    """Name the part of FlowSep that a state dict holds alone; None if it is none."""
    part = _part_of(state)
    return None if part is None else part.name


def placed_part(state: Mapping[str, Tensor], source: str) -> dict[str, Tensor] | None:
    """Bring the entries of a part's file to the names of a checkpoint; None if it is none.

    Args:
        state: entry name -> tensor, as in the file.
        source: what an error calls the file.

    Raises:
        ValueError: if weight norms of it are broken.
    """
    part = _part_of(state)
    return None if part is None else _placed(state, part, source)


def is_part_file(path: Path) -> bool:
    """Whether a file may hold a part, by its name."""
    return path.is_file() and (path.suffix in _SUFFIXES or path.name.startswith(_GENERATOR))


def gather_parts(
    folder: Path, read: Callable[[Path], dict[str, Tensor]]
) -> tuple[dict[str, Tensor], Path | None]:
    """Put the parts in a folder, and in folders in it, together.

    What the U-Net's own checkpoint holds comes before what other files do, as released.

    Args:
        folder: holds at least the checkpoint of the U-Net.
        read: reads the entries of one file.

    Returns:
        Entry name -> tensor as in one checkpoint, and the folder of the text encoder, where its
        tokenizer may lie; None where the checkpoint holds the encoder.

    Raises:
        OSError, ValueError: if a file cannot be read, there is no U-Net, or a part is there twice.
    """
    files = sorted(path for path in folder.rglob("*") if is_part_file(path))
    whole: dict[str, Tensor] = {}
    others: dict[str, Tensor] = {}
    found: dict[str, Path] = {}
    for path in files:
        state = read(path)
        part = _part_of(state)
        if is_flowsep(state):
            _note(found, "U-Net", path)
            whole = state
        elif part is None:
            logger.info("%s holds no part of FlowSep; it is left aside", path)
        else:
            _note(found, part.name, path)
            others |= _placed(state, part, str(path))
    if not whole:
        there = ", ".join(path.name for path in files[:3]) or "no weights"
        raise InputError(
            f"{folder} holds no U-Net of FlowSep (it holds {there}); put its checkpoint there, or "
            "name a file"
        )
    of_text = found.get("text encoder")
    return {**others, **whole}, None if of_text is None else of_text.parent


def _part_of(state: Mapping[str, Tensor]) -> _Part | None:
    for part in _PARTS:
        if any(name.startswith(part.told_by) for name in state):
            return part
    return None


def _note(found: dict[str, Path], name: str, path: Path) -> None:
    if name in found:
        raise InputError(
            f"{found[name]} and {path} both hold FlowSep's {name}; leave one in the folder"
        )
    found[name] = path


def _placed(state: Mapping[str, Tensor], part: _Part, source: str) -> dict[str, Tensor]:
    """Bring the entries of a part's file to the names of a checkpoint."""
    if part.name == "vocoder":
        state = without_weight_norms(state, source)
    if part.name == "text encoder":
        kept = ("encoder.", "shared.")
        state = {name: value for name, value in state.items() if name.startswith(kept)}
    return {part.place + name: value for name, value in state.items()}
