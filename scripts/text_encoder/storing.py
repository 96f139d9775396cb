"""The trained text encoder as the package's file: eight bits a weight, a scale a row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from text_encoder.network import TextNetwork
from uss.core.files import written_whole


def store(
    path: Path,
    network: TextNetwork,
    words: Sequence[str],
    kinds: Sequence[int],
    synonyms: Mapping[str, str],
    facts: Mapping[str, Any],
) -> None:
    """Write what ``load_text_classes`` reads.

    Args:
        path: the ``.safetensors`` file.
        network: trained.
        words: of the lexicon; those that are no names have vectors, in this order.
        kinds: of the words.
        synonyms: words without a vector, to one that has one.
        facts: ``abstaining``, ``licence`` and ``provenance``.
    """
    convolution = network.convolution.weight.detach().permute(0, 2, 1).flatten(1)
    matrices = {
        "vectors": network.word_vectors().detach(),
        "convolution": convolution,
        "hidden": network.hidden.weight.detach(),
        "classes": network.classes.weight.detach(),
    }
    tensors: dict[str, NDArray[Any]] = {}
    for name, matrix in matrices.items():
        tensors[name], tensors[f"{name}.scale"] = _quantised(matrix.numpy())
    for name in ("convolution", "hidden", "classes"):
        bias = getattr(network, name).bias.detach().numpy()
        tensors[f"{name}.bias"] = bias.astype(np.float16)
    tensors["words"] = _text(words)
    tensors["kinds"] = np.array(kinds, np.uint8)
    tensors["synonyms"] = _text([f"{word}\t{known}" for word, known in synonyms.items()])
    with written_whole(path) as part:
        part.write_bytes(save(tensors, {"text_classes": json.dumps(facts, sort_keys=True)}))


def _quantised(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    scales = (np.abs(matrix).max(axis=1) / 127.0).astype(np.float16)
    safe = np.maximum(scales.astype(np.float32), 1e-7)[:, None]
    return np.clip(np.round(matrix / safe), -127, 127).astype(np.int8), scales


def _text(lines: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(lines).encode(), np.uint8)
