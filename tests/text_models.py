"""Filled text encoders and small tokenizers, for tests of what is asked in words."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from uss.checkpoints.published import PUBLISHED, PublishedFile
from uss.checkpoints.published_words import BERT_TOKENIZER, CLIP_TOKENIZER, ROBERTA_TOKENIZER

State = dict[str, Tensor]

CONSTANTS = ("position_ids", "token_type_ids", "relative_position_index", "num_batches_tracked")
WORDS = ("dog", "barks", "rain", "the", "speech", "music", "a", "photo", "of")


def filled(shared: Path, name: str, prefix: str = "") -> State:
    """The state dict of a list, filled by its full names, without a prefix of them."""
    spec = importlib.util.spec_from_file_location("fill", shared / "parity" / "fill.py")
    assert spec is not None and spec.loader is not None
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    listed = json.loads((shared / "systems" / "shapes" / f"{name}.shapes.json").read_text())
    wanted = {key: tuple(shape) for key, shape in listed.items() if not key.endswith(CONSTANTS)}
    state: State = fill.fill_state_dict(wanted)
    return {key.removeprefix(prefix): value for key, value in state.items()}


def filled_clap(shared: Path) -> State:
    """CLAP by transformers' names, its batch norm centred on what log-mels are."""
    state = filled(shared, "clap_hf")
    norm = "audio_model.audio_encoder.batch_norm."
    state[f"{norm}running_mean"] = state[f"{norm}running_mean"] - 35.0
    state[f"{norm}running_var"] = state[f"{norm}running_var"] * 60.0
    return state


def as_laion(shared: Path, state: Mapping[str, Tensor]) -> State:
    """The same by LAION's names, with zeros for what transformers does not hold."""
    table = json.loads((shared / "systems" / "shapes" / "clap_laion_to_hf.json").read_text())
    renamed: State = {}
    for name, entry in table.items():
        parts = [entry["hf"]] if isinstance(entry["hf"], str) else entry["hf"] or []
        if parts and all(part in state for part in parts):
            renamed[name] = torch.cat([state[p] for p in parts]) if parts[1:] else state[parts[0]]
        else:
            renamed[name] = torch.zeros(()).expand(tuple(entry["shape"]))
    return renamed


def noise(seed: int, shape: tuple[int, ...], scale: float = 1.0) -> Tensor:
    """The fixtures' inputs."""
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape) * scale
    return torch.from_numpy(values.astype(np.float32))


def published_file(name: str, content: bytes, **changes: Any) -> PublishedFile:
    """A published file of this size, whose hash is not known."""
    values = vars(PUBLISHED[name]) | {"size_bytes": len(content), "checksum": None} | changes
    return PublishedFile(**values)


def write_tokenizers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put small tokenizers into a cache, and let them pass for the published ones.

    Those of byte pairs know all bytes and, as whole tokens, ``WORDS``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = dict(zip(ROBERTA_TOKENIZER, byte_pairs(), strict=True))
    files |= dict(zip(CLIP_TOKENIZER, byte_pairs(clip=True), strict=True))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, "##s", *"abcdefghijklmnopqrstuvwxyz"]
    files[BERT_TOKENIZER[0]] = "\n".join(pieces)
    for name, text in files.items():
        content = text.encode()
        (folder / PUBLISHED[name].file_name).write_bytes(content)
        monkeypatch.setitem(PUBLISHED, name, published_file(name, content))  # type: ignore[arg-type]
    monkeypatch.setenv("USS_CACHE", str(folder))
    # CLIP takes its vector at the token that ends a text, which has another number here.
    end = json.loads(files[CLIP_TOKENIZER[0]])["<|endoftext|>"]
    monkeypatch.setattr("uss.conditions.clip_text._END_ID", end)


def byte_pairs(clip: bool = False) -> tuple[str, str]:
    """Contents of ``vocab.json`` and ``merges.txt``."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    tokens = [] if clip else ["<s>", "<pad>", "</s>", "<unk>"]
    tokens += letters + ([letter + "</w>" for letter in letters] if clip else [])
    merges: list[str] = []
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"] if clip else ["Ġ", *word]
        while len(parts) > 1:
            merge = f"{parts[0]} {parts[1]}"
            parts = [parts[0] + parts[1], *parts[2:]]
            if merge not in merges:
                merges.append(merge)
                tokens.append(parts[0])
    if clip:
        tokens += ["<|startoftext|>", "<|endoftext|>"]
    ids = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    return json.dumps(ids), "#version: 0.2\n" + "\n".join(merges) + "\n"
