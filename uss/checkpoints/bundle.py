"""The model bundle: tagger, separator, class queries and thresholds in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ontology import OwnClass
from uss.conditions.class_queries import ClassQueries
from uss.conditions.class_words import DEFAULT_TEMPLATE
from uss.conditions.query_nets import QUERY_NETS, QueryNet
from uss.conditions.text_encoders import TextEncoder
from uss.core.errors import InputError
from uss.core.files import written_whole
from uss.models import BACKBONES, SeparatorNetwork
from uss.taggers import NUM_CLASSES, TAGGERS, TaggerNetwork

_METADATA_KEY = "uss_bundle"
_VERSION = 2
_FIRST_VERSION = 1
_SENSITIVITIES = "thresholds."
_STORABLE = {*TAGGERS, *BACKBONES, *QUERY_NETS}
_Network = TypeVar("_Network", bound=nn.Module)


@dataclass(frozen=True)
class Bundle:
    """What separation needs, or a part of it.

    Attributes:
        tagger: detects classes, and encodes audio in the separator's condition space.
        separator: what separates.
        class_queries: one condition vector per class, in the separator's condition space.
        thresholds: (K,) detection threshold per class.
        sensitivities: others by the name of a sensitivity.
        licence: of the weights, as an SPDX expression.
        provenance: data, steps, figures; anything that JSON holds.
        query_net: what was trained together with the separator to make its conditions.
        text_encoder: makes conditions of words; of published files alone, bundles do not store it.
        template: the words in which classes are asked for, see ``class_words``.
    """

    tagger: TaggerNetwork | None = None
    separator: SeparatorNetwork | None = None
    class_queries: ClassQueries | None = None
    thresholds: np.ndarray[Any, np.dtype[np.float32]] | None = None
    licence: str = "unknown"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    query_net: QueryNet | None = None
    sensitivities: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]] = field(default_factory=dict)
    text_encoder: TextEncoder | None = None
    template: str = DEFAULT_TEMPLATE

    def networks(self) -> dict[str, TaggerNetwork | SeparatorNetwork | QueryNet]:
        """The networks that there are, under the prefixes of their entries."""
        parts = {"tagger": self.tagger, "separator": self.separator, "query_net": self.query_net}
        return {prefix: network for prefix, network in parts.items() if network is not None}


def save_bundle(path: str | Path, bundle: Bundle, *, half: bool = False) -> None:
    """Write a bundle; it appears under its name only when complete.

    Args:
        path: the ``.safetensors`` file.
        bundle: what to store.
        half: store floating-point weights of the networks as float16.

    Raises:
        ValueError: if a network lies in files of its own, as one in ONNX does.
    """
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, Any] = {
        "version": _VERSION,
        "licence": bundle.licence,
        "provenance": dict(bundle.provenance),
    }
    if bundle.template != DEFAULT_TEMPLATE:
        metadata["template"] = bundle.template
    for prefix, network in bundle.networks().items():
        if type(network).__name__ not in _STORABLE:
            raise InputError("a bundle cannot hold a model in ONNX; name what it was exported from")
        tensors |= _module_entries(prefix, network, half)
        metadata[prefix] = {
            "class": type(network).__name__,
            "hyperparameters": network.hyperparameters,
        }
    if bundle.class_queries is not None:
        tensors["queries.vectors"] = torch.from_numpy(bundle.class_queries.vectors)
        metadata["queries"] = bundle.class_queries.described()
    if bundle.thresholds is not None:
        tensors["thresholds"] = torch.from_numpy(bundle.thresholds)
    for name, thresholds in bundle.sensitivities.items():
        # A copy: one of them may be the model's own, and entries must not share memory.
        tensors[f"{_SENSITIVITIES}{name}"] = torch.from_numpy(thresholds.copy())
    with written_whole(path) as part:
        # Not save_file: its files can be read by their owner only.
        part.write_bytes(save(tensors, {_METADATA_KEY: json.dumps(metadata, sort_keys=True)}))


def fits_half(bundle: Bundle) -> bool:
    """Whether ``half`` loses nothing, as of a bundle that was stored so before."""
    return all(
        torch.equal(value.half().float(), value.float())
        for network in bundle.networks().values()
        for value in network.state_dict().values()
        if value.is_floating_point() and value.dim() > 1
    )


def is_bundle(path: Path) -> bool:
    """Whether a file is one of safetensors whose header says that it is a bundle."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return _METADATA_KEY in (file.metadata() or {})
    except SafetensorError:
        return False


def read_tensors(path: Path) -> dict[str, Tensor] | None:
    """Read the entries of a safetensors file; None if it is none.

    Raises:
        ValueError: if it is called one and is not whole.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        if path.suffix == ".safetensors":
            raise InputError(
                f"{path} is not a complete safetensors file ({error}); copy or export it again"
            ) from error
        return None


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle; networks come back in float32 and in evaluation mode.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no bundle, of another version, or entries are missing or misshapen.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model file; check the path")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            stored = (file.metadata() or {}).get(_METADATA_KEY)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path} is not a complete safetensors file ({error})") from error
    if stored is None:
        raise InputError(
            f"{path} is a safetensors file but no model bundle: it has no {_METADATA_KEY}; name a "
            "file that uss-train exported, or a checkpoint as it was published"
        )
    metadata = _read_metadata(path, stored)
    try:
        tagger = _build(metadata, "tagger", TAGGERS, "EfficientAT")
        separator = _build(metadata, "separator", BACKBONES, "ResUNet")
        query_net = _build(metadata, "query_net", QUERY_NETS)
        licence, provenance = metadata["licence"], metadata["provenance"]
        template = metadata.get("template", DEFAULT_TEMPLATE)
        described = metadata.get("queries")
        queries = None if described is None else _load_queries(path, described, tensors)
    except (KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    _check_described(path, metadata, tensors)
    for prefix, network in (
        ("tagger", tagger),
        ("separator", separator),
        ("query_net", query_net),
    ):
        if network is not None:
            _load_entries(path, prefix, network, tensors)
    # Copies: the tensors are views of the file, which may be overwritten while the bundle is used.
    thresholds = _load_thresholds(path, tensors)
    own = thresholds.pop("thresholds", None)
    sensitivities = {name.removeprefix(_SENSITIVITIES): v for name, v in thresholds.items()}
    return Bundle(
        tagger,
        separator,
        queries,
        own,
        licence,
        provenance,
        query_net,
        sensitivities,
        template=template,
    )


def _load_thresholds(
    path: Path, tensors: Mapping[str, Tensor]
) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Copy the thresholds by the names of their entries.

    Raises:
        InputError: if some are of another shape.
    """
    found = {
        name: value.numpy().copy()
        for name, value in tensors.items()
        if name.partition(".")[0] == "thresholds"
    }
    for name, value in found.items():
        if value.shape != (NUM_CLASSES,):
            raise InputError(f"{path}: {name} of shape {value.shape}, not ({NUM_CLASSES},)")
    return found


def _read_metadata(path: Path, stored: str) -> dict[str, Any]:
    try:
        metadata: dict[str, Any] = json.loads(stored)
        is_known = _FIRST_VERSION <= metadata["version"] <= _VERSION
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    if not is_known:
        raise InputError(
            f"{path} is a bundle of version {metadata['version']}, this program reads versions "
            f"{_FIRST_VERSION} to {_VERSION}; install the matching release"
        )
    return metadata


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: its metadata are damaged ({error!r}); export it again")


def _build(
    metadata: Mapping[str, Any],
    prefix: str,
    classes: Mapping[str, type[_Network]],
    first_class: str = "",
) -> _Network | None:
    """Build the network that the metadata describe; version 1 knew one class of each kind."""
    described = metadata.get(prefix)
    if described is None:
        return None
    if metadata["version"] == _FIRST_VERSION:
        return classes[first_class](**described)
    return classes[described["class"]](**described["hyperparameters"])


def _check_described(
    path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Refuse tensors of a part that the metadata do not know; loading would leave them out."""
    for name in tensors:
        part = name.partition(".")[0]
        if part != "thresholds" and part not in metadata:
            raise InputError(
                f"{path}: its metadata do not describe the entry {name}; the file is damaged, "
                "export it again"
            )


def _load_queries(
    path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> ClassQueries:
    vectors = tensors.get("queries.vectors")
    indexes = tuple(metadata["class_indexes"])
    if vectors is None or vectors.dim() != 2 or len(vectors) != len(indexes):
        shape = None if vectors is None else tuple(vectors.shape)
        raise InputError(
            f"{path}: queries.vectors must have one row for each of {len(indexes)} classes, its "
            f"shape is {shape}; the file is damaged"
        )
    own = tuple(OwnClass(*each) for each in metadata.get("own", ()))
    return ClassQueries(metadata["space"], indexes, vectors.numpy().copy(), own)


def _module_entries(prefix: str, module: nn.Module, half: bool) -> dict[str, Tensor]:
    entries = {}
    for name, value in module.state_dict().items():
        # Running variances span more orders of magnitude than float16 holds.
        shrink = half and value.is_floating_point() and value.dim() > 1
        tensor = value.detach().to("cpu", torch.float16 if shrink else value.dtype)
        entries[f"{prefix}.{name}"] = tensor.contiguous()
    return entries


def _load_entries(
    path: Path, prefix: str, module: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    start = len(prefix) + 1
    state = {key[start:]: value for key, value in tensors.items() if key.startswith(f"{prefix}.")}
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from error
    module.eval()
