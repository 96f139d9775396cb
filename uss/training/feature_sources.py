"""Where what hears the mixture beside a separator gets its weights, when training begins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uss.checkpoints.bundle import read_tensors
from uss.checkpoints.loading import load_tagger
from uss.checkpoints.pickled import read_state_dict
from uss.core.errors import InputError
from uss.hearing.feature_maps import TaggerMaps
from uss.hearing.patch_encoder import PatchEncoder
from uss.models import ResUNet30

_WEIGHTS = (".bin", ".ckpt", ".pt", ".pth", ".safetensors")
_IN_FOLDER = ("model.safetensors", "pytorch_model.bin")


def start_features(model: ResUNet30) -> None:
    """Give the features of a model, if it has any, the weights of ``features_from``.

    Raises:
        FileNotFoundError, OSError, ValueError: if nothing is named, it cannot be read, or it does
            not fit.
    """
    if model.branch is None:
        return
    source, encoder = model.features_from, model.branch.encoder
    if source is None:
        raise InputError(
            "features that nobody has taught hear nothing; name their weights "
            "(model.model.init_args.features_from)"
        )
    if isinstance(encoder, TaggerMaps):
        _take_tagger(encoder, source)
        return
    architecture = "ViTMAEModel" if isinstance(encoder, PatchEncoder) else "Wav2Vec2Model"
    encoder.load(_state(source, architecture), source)


def _take_tagger(maps: TaggerMaps, source: str) -> None:
    """Take the first convolutions of an EfficientAT tagger."""
    features = getattr(load_tagger(source), "features", None)
    given = {} if features is None else features.state_dict()
    own = maps.features.state_dict()
    if any(name not in given or given[name].shape != own[name].shape for name in own):
        raise InputError(
            f"{source} is no EfficientAT tagger of the width of the features; name another, or set "
            "width to its"
        )
    maps.features.load_state_dict({name: given[name] for name in own})


def _state(source: str, architecture: str) -> Mapping[str, Any]:
    """Read the entries of a file, of a folder as transformers saves it, or of a model by name."""
    path = Path(source)
    if path.is_dir():
        found = [path / name for name in _IN_FOLDER if (path / name).is_file()]
        if not found:
            raise FileNotFoundError(f"{path} holds none of {', '.join(_IN_FOLDER)}; name a file")
        path = found[0]
    if path.is_file():
        tensors = read_tensors(path)
        return read_state_dict(path) if tensors is None else tensors
    if path.suffix in _WEIGHTS:
        raise FileNotFoundError(f"{path}: no such file of weights; check features_from")
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            f"{source} is no file; to fetch it by name, install transformers (pip install "
            "'uss-pipeline[speech]')"
        ) from error
    try:
        network = getattr(transformers, architecture).from_pretrained(source)
    except OSError as error:
        raise OSError(
            f"transformers cannot get the model {source!r} ({' '.join(str(error).split())}); name "
            "a file or folder that holds it"
        ) from error
    state: Mapping[str, Any] = network.state_dict()
    return state
