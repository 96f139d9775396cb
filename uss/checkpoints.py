"""Models by name or file: the embedded default, bundles, published EfficientAT files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from uss.bundle import Bundle, load_bundle, save_bundle
from uss.taggers import EfficientAT

DEFAULT_MODEL = "default"


def load_model(name_or_file: str | Path = DEFAULT_MODEL) -> Bundle:
    """Load a bundle: ``default`` for the one inside the package, else a file.

    Raises:
        FileNotFoundError, ValueError: as ``load_bundle``.
    """
    if str(name_or_file) == DEFAULT_MODEL:
        with resources.as_file(resources.files("uss") / "weights" / "default.safetensors") as path:
            return load_bundle(path)
    return load_bundle(name_or_file)


def load_tagger(name_or_file: str | Path = DEFAULT_MODEL) -> EfficientAT:
    """Load a tagger: ``default``, a bundle, or a published EfficientAT state dict (``.pt``).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is of no known kind, or entries are missing or misshapen.
    """
    path = Path(name_or_file)
    if str(name_or_file) == DEFAULT_MODEL or path.suffix == ".safetensors":
        return load_model(name_or_file).tagger
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such tagger file; name a bundle or an EfficientAT .pt")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    # The unpickler raises whatever the bytes of a file that is none lead it to.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else "it ends too early"
        raise ValueError(
            f"{path} is not a PyTorch weights file, or not a whole one ({reason}); download it "
            "again, or name another"
        ) from error
    if not isinstance(state, Mapping):
        raise ValueError(f"{path} holds a {type(state).__name__}, not a state dict")
    return EfficientAT.from_state_dict(state, name=path.stem.split("_mAP")[0])


def save_tagger(
    path: str | Path, tagger: EfficientAT, *, licence: str, provenance: Mapping[str, Any]
) -> None:
    """Write a bundle that holds a tagger alone."""
    save_bundle(path, Bundle(tagger, licence=licence, provenance=provenance))


def weight_hash(module: torch.nn.Module) -> str:
    """Identify weights: the first 16 hex digits of a SHA-256 over names and float32 values."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().to(torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
