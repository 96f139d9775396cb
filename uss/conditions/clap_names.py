"""LAION's names of CLAP's entries, from those of transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from uss.core.errors import InputError
from uss.core.state_dicts import is_constant

UNUSED = (
    "audio_branch.spectrogram_extractor.stft.conv_*",
    "audio_branch.logmel_extractor.melW",
    "audio_branch.*.attn_mask",
    "audio_branch.*.relative_position_index",
    "audio_branch.tscam_conv.*",
    "audio_branch.head.*",
    "text_transform.*",
    "audio_transform.*",
    "*.position_ids",
    "*.token_type_ids",
    "*.num_batches_tracked",
    "logit_scale_[at]",
)
"""LAION's entries that embeddings do not need: constants, other heads, the loss's scale."""

_BRANCHES = {
    "text": ("text_branch.", "text_projection."),
    "audio": ("audio_branch.", "audio_projection."),
}
_THIRDS = {"query": 0, "key": 1, "value": 2}
_THIRD = re.compile(r"attention\.self\.(query|key|value)\.")
# In this order: what ends as output.dense is one of two things.
_RENAMED = (
    (re.compile(r"^text_model\."), "text_branch."),
    (re.compile(r"^audio_model\.audio_encoder\."), "audio_branch."),
    (re.compile(r"^audio_branch\.batch_norm\."), "audio_branch.bn0."),
    (re.compile(r"(?<=^audio_branch\.layers)(.*)\.layernorm_before\."), r"\1.norm1."),
    (re.compile(r"(?<=^audio_branch\.layers)(.*)\.layernorm_after\."), r"\1.norm2."),
    (re.compile(r"(?<=^audio_branch\.layers)(.*)\.attention\.self\."), r"\1.attn."),
    (re.compile(r"(?<=^audio_branch\.layers)(.*)\.attention\.output\.dense\."), r"\1.attn.proj."),
    (re.compile(r"(?<=^audio_branch\.layers)(.*)\.intermediate\.dense\."), r"\1.mlp.fc1."),
    (re.compile(r"(?<=^audio_branch\.layers)(.*)\.output\.dense\."), r"\1.mlp.fc2."),
    (re.compile(r"^(text|audio)_projection\.linear1\."), r"\1_projection.0."),
    (re.compile(r"^(text|audio)_projection\.linear2\."), r"\1_projection.2."),
)


class LaionEntry(NamedTuple):
    """Where LAION keeps an entry.

    Attributes:
        name: of the entry.
        third: which third of its first axis it is; None for all of it.
    """

    name: str
    third: int | None


def laion_entry(name: str) -> LaionEntry:
    """Tell where LAION keeps what transformers calls ``name``."""
    third = None
    if name.startswith("audio_model.") and (found := _THIRD.search(name)):
        third = _THIRDS[found[1]]
        name = f"{name[: found.start()]}attention.self.qkv.{name[found.end() :]}"
    for pattern, replacement in _RENAMED:
        name = pattern.sub(replacement, name)
    return LaionEntry(name, third)


def from_laion(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str, branch: str
) -> dict[str, Tensor]:
    """Take the entries of one branch of CLAP from a LAION state dict.

    Args:
        state: LAION's entry name -> tensor, without a prefix.
        wanted: transformers' entry name -> tensor of the right shape.
        source: what an error calls the file.
        branch: ``text`` or ``audio``.

    Returns:
        Transformers' entry name -> tensor.

    Raises:
        ValueError: if entries are missing, unknown or misshapen; it names them as LAION does.
    """
    entries = {name: laion_entry(name) for name in wanted}
    kept = {name: e for name, e in entries.items() if not is_constant(e.name, UNUSED)}
    needed = {entry.name for entry in kept.values()}
    missing = [name for name in sorted(needed) if name not in state]
    own = [n for n in state if n.startswith(_BRANCHES[branch]) and not is_constant(n, UNUSED)]
    unknown = [name for name in own if name not in needed]
    wrong = []
    taken = {}
    for name, (laion, third) in kept.items():
        if laion not in state:
            continue
        value = state[laion]
        if third is not None and value.shape[0] % 3 == 0:
            value = torch.chunk(value, 3)[third]
        if value.shape != wanted[name].shape:
            wrong.append(f"{laion} ({tuple(state[laion].shape)})")
        taken[name] = value
    problems = [
        _listed("it lacks", missing),
        _listed("it has unknown entries", unknown),
        _listed("entries of the wrong shape:", list(dict.fromkeys(wrong))),
    ]
    found = "; ".join(filter(None, problems))
    if found:
        raise InputError(
            f"{source} does not hold the {branch} tower of CLAP (HTSAT-base, RoBERTa) that it "
            f"looks like: {found}; it is damaged or of another model, download it again"
        )
    return taken


def _listed(problem: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{problem} {', '.join(names[:3])}{more}"
