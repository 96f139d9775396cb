"""From a bundle to a folder of ONNX graphs, with the transforms outside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.onnx_layout import (
    ASKING,
    DESCRIPTION,
    ENCODER,
    MASKS,
    TAGGER,
    TEXT,
    VERSION,
    VERSION_KEY,
    WORDS,
    is_onnx_folder,
)
from uss.checkpoints.onnx_writing import Signature, check_writing, write_graph
from uss.conditions.text_classes import TextClasses
from uss.conditions.text_network import TextNetwork
from uss.core.errors import InputError
from uss.core.files import folder_written_whole
from uss.models.onnx_separator import OnnxSeparator
from uss.models.portable import PortableNetwork, parts_of
from uss.taggers.efficientat import EfficientAT
from uss.taggers.onnx_tagger import OnnxTagger

DEFAULT_OPSET = 18
_TAG_FRAMES = 400


def export_onnx(
    bundle: Bundle,
    folder: str | Path,
    *,
    opset: int = DEFAULT_OPSET,
    text: TextClasses | None = None,
    beside: Mapping[str, Any] | None = None,
) -> None:
    """Write the networks of a model as ONNX graphs; the folder appears when it is complete.

    The graphs are compared with the networks before that.

    Args:
        bundle: its separator, its tagger, or both.
        folder: to be written; an earlier export there is replaced.
        opset: of the graphs.
        text: the embedded text encoder; None to leave it out.
        beside: what else ``model.json`` is to hold.

    Raises:
        OSError: if nothing can be written there.
        ValueError: if a network cannot be exported, the opset is unknown, something else lies in
            the folder, or packages are missing.
    """
    folder = Path(folder)
    check_export(bundle, folder, opset)
    separator, tagger = bundle.separator, bundle.tagger
    described: dict[str, Any] = {
        VERSION_KEY: VERSION,
        "opset": opset,
        "licence": bundle.licence,
        "provenance": dict(bundle.provenance),
        "separator": None,
        "tagger": None,
        "text": None,
        **(beside or {}),
    }
    with folder_written_whole(folder) as part, torch.no_grad():
        if separator is not None:
            assert isinstance(separator, PortableNetwork)
            described["separator"] = _export_separator(separator, part, opset)
        if tagger is not None:
            assert isinstance(tagger, EfficientAT)
            described["tagger"] = _export_tagger(tagger, part, opset)
        if text is not None:
            described["text"] = _export_text(text, part, opset)
        save_bundle(part / ASKING, replace(bundle, tagger=None, separator=None))
        described["files"] = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(part.iterdir())
        }
        text_of = json.dumps(described, ensure_ascii=False, indent=1)
        (part / DESCRIPTION).write_text(text_of + "\n", "utf-8")


def check_export(bundle: Bundle, folder: Path, opset: int) -> None:
    """See, before the work, whether a model can be exported.

    Raises:
        ValueError: if not, with the reason.
    """
    separator, tagger = bundle.separator, bundle.tagger
    if separator is None and tagger is None:
        raise InputError("the model holds neither separator nor tagger to export; name another")
    if isinstance(separator, OnnxSeparator) or isinstance(tagger, OnnxTagger):
        raise InputError("the model is one in ONNX already; name the one that it was exported from")
    if separator is not None and not isinstance(separator, PortableNetwork):
        raise InputError(
            f"a separator of the kind {type(separator).__name__} cannot be exported to ONNX; "
            "QueryUNet and ResUNet can, such as the default model"
        )
    if tagger is not None and not isinstance(tagger, EfficientAT):
        raise InputError(
            f"a tagger of the kind {type(tagger).__name__} cannot be exported to ONNX; EfficientAT "
            "can, such as the default model's or mn04_as: name it with --tagger"
        )
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder.absolute().parent}: no such folder; make it, or name another")
    if folder.is_dir() and any(folder.iterdir()) and not is_onnx_folder(folder):
        raise InputError(f"{folder} holds something else than an export; name another folder")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder")
    check_writing(opset)


class _Encoder(nn.Module):
    def __init__(self, network: PortableNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *transformed: Tensor) -> tuple[Tensor, ...]:
        return parts_of(self.network.encode_transformed(*transformed))


class _Masks(nn.Module):
    def __init__(self, network: PortableNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *given: Tensor) -> Tensor:
        *encoded, conditions = given
        return self.network.planes(encoded[0] if len(encoded) == 1 else tuple(encoded), conditions)


class _Tagger(nn.Module):
    def __init__(self, network: EfficientAT) -> None:
        super().__init__()
        self.network = network

    def forward(self, logmel: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network.hear(logmel))


def _export_separator(network: PortableNetwork, folder: Path, opset: int) -> dict[str, Any]:
    fast = network.for_inference(torch.float32)
    num_samples = round(network.segment_seconds * network.sample_rate)
    transformed = fast.transformed(fast.spectrogram(_sounds(num_samples)))
    inputs = ("power", "ear_image")[: len(transformed)]
    encoded = parts_of(fast.encode_transformed(*transformed))
    names = ("encoded",) if len(encoded) == 1 else ("maps", "memory")
    of_encoder = Signature(inputs, names, ["batch"] * len(inputs))
    write_graph(_Encoder(fast), transformed, of_encoder, folder / ENCODER, opset)
    asked = (*(part[:1] for part in encoded), _noise(3, network.condition_size))
    of_masks = Signature((*names, "conditions"), ("masks",), [*(None for _ in names), "queries"])
    write_graph(_Masks(fast), asked, of_masks, folder / MASKS, opset)
    return {
        "network": type(network).__name__,
        "sample_rate": network.sample_rate,
        "segment_seconds": network.segment_seconds,
        "condition_space": network.condition_space,
        "condition_size": network.condition_size,
        "n_fft": network.n_fft,
        "hop_length": network.hop_length,
        "num_frames": transformed[0].shape[-1],
        "joint": network.joint,
        "competition": network.competition._asdict(),
        "has_ear": network.has_ear,
        "encoded": list(names),
        "queries_at_once": None if network.looks_once else network.cpu_batch_size,
    }


def _export_tagger(network: EfficientAT, folder: Path, opset: int) -> dict[str, Any]:
    image = network.logmel(_sounds(_TAG_FRAMES * network.logmel.hop_length))
    outputs = ("clipwise", "framewise", "embedding")
    signature = Signature(("logmel",), outputs, ["batch"], frames_of="logmel")
    write_graph(_Tagger(network.for_inference()), (image,), signature, folder / TAGGER, opset)
    return {
        "network": type(network).__name__,
        "name": network.name,
        "sample_rate": network.sample_rate,
        "frames_per_second": network.frames_per_second,
        "embedding_size": network.embedding_size,
    }


def _export_text(encoder: TextClasses, folder: Path, opset: int) -> dict[str, Any]:
    signature = Signature(("rows",), ("probabilities",), ["words"])
    rows = torch.arange(3)
    write_graph(TextNetwork(encoder).eval(), (rows,), signature, folder / TEXT, opset)
    words = json.dumps(encoder.spoken, ensure_ascii=False, separators=(",", ":"))
    (folder / WORDS).write_text(words, "utf-8")
    return {"space": encoder.space, "abstaining": encoder.abstaining}


def _noise(*shape: int) -> Tensor:
    """Noise that is the same at every export."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def _sounds(num_samples: int) -> Tensor:
    """(2, T): noise, and noise that falls silent, where only floors keep logarithms finite."""
    sounds = 0.1 * _noise(2, num_samples)
    sounds[1, num_samples // 3 :] = 0.0
    return sounds
