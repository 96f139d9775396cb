import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from uss.bundle import Bundle, load_bundle, save_bundle
from uss.models import ResUNet
from uss.queries import ClassQueries
from uss.taggers import NUM_CLASSES, EfficientAT

Edit = Callable[[dict[str, torch.Tensor], dict[str, Any]], None]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Tiny networks with random weights and running statistics that are not the initial ones."""
    torch.manual_seed(0)
    separator = ResUNet("efficientat-48", 48, channels=(2, 3), fold=4, n_fft=64, hop_length=16)
    tagger = EfficientAT(width=0.05, name="tiny")
    for module in (separator, tagger):
        for name, buffer in module.named_buffers():
            if name.endswith(("running_mean", "running_var", "condition_mean")):
                buffer.uniform_(1e-9, 1e6)
    queries = ClassQueries("efficientat-48", (3, 8), np.eye(2, 48, dtype=np.float32))
    thresholds = np.linspace(0.1, 0.9, NUM_CLASSES, dtype=np.float32)
    provenance = {"steps": 3, "data": ["ä", {"SDRi": 1.5}]}
    return Bundle(tagger, separator, queries, thresholds, "CC-BY-4.0", provenance)


def rewrite(path: Path, edit: Edit) -> None:
    """Change a stored bundle's entries and metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()["uss_bundle"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    edit(tensors, metadata)
    save_file(tensors, path, metadata={"uss_bundle": json.dumps(metadata)})


def assert_same(loaded: torch.nn.Module, original: torch.nn.Module) -> None:
    assert not loaded.training
    state, expected = loaded.state_dict(), original.state_dict()
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(state[name], value), name


def test_round_trip(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]
    loaded = load_bundle(path)
    assert loaded.separator is not None and bundle.separator is not None
    assert_same(loaded.separator, bundle.separator)
    assert_same(loaded.tagger, bundle.tagger)
    assert loaded.separator.hyperparameters == bundle.separator.hyperparameters
    assert (loaded.tagger.name, loaded.tagger.width) == ("tiny", 0.05)
    assert loaded.queries is not None and bundle.queries is not None
    assert loaded.queries.space == bundle.queries.space
    assert loaded.queries.class_indexes == (3, 8)
    np.testing.assert_array_equal(loaded.queries.vectors, bundle.queries.vectors)
    np.testing.assert_array_equal(loaded.thresholds, bundle.thresholds)
    assert loaded.licence == "CC-BY-4.0"
    assert loaded.provenance == bundle.provenance


def test_round_trip_in_half_precision(tmp_path: Path, bundle: Bundle) -> None:
    """Matrices are rounded to float16; what may not fit there keeps its values."""
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_bundle(full, bundle)
    save_bundle(half, bundle, half=True)
    assert half.stat().st_size < 0.7 * full.stat().st_size
    loaded = load_bundle(half)
    assert loaded.separator is not None and bundle.separator is not None
    for got, original in (
        (loaded.separator, bundle.separator),
        (loaded.tagger, bundle.tagger),
    ):
        for name, value in original.state_dict().items():
            stored = got.state_dict()[name]
            assert stored.dtype == value.dtype
            expected = value.half().float() if value.dim() > 1 else value
            assert torch.equal(stored, expected), name
    np.testing.assert_array_equal(loaded.queries.vectors, bundle.queries.vectors)


def test_a_bundle_may_hold_a_tagger_alone(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "tagger.safetensors"
    save_bundle(path, Bundle(bundle.tagger))
    loaded = load_bundle(path)
    assert_same(loaded.tagger, bundle.tagger)
    assert loaded.separator is loaded.queries is loaded.thresholds is None
    assert (loaded.licence, loaded.provenance) == ("unknown", {})


def test_saving_does_not_change_the_networks_mode(tmp_path: Path, bundle: Bundle) -> None:
    bundle.tagger.train()
    save_bundle(tmp_path / "model.safetensors", bundle, half=True)
    assert bundle.tagger.training
    assert next(bundle.tagger.parameters()).dtype == torch.float32


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_bundle(path, replace(bundle, provenance={"not": object()}))
    assert path.read_bytes() == before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.safetensors: no such model file"):
        load_bundle(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("content", [b"", b"text", b"\x00" * 100], ids=["empty", "text", "zeros"])
def test_a_file_that_is_not_safetensors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors is not a complete"):
        load_bundle(path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_truncated_file(tmp_path: Path, bundle: Bundle, share: float) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"model\.safetensors is not a complete"):
        load_bundle(path)


def test_safetensors_that_are_no_bundle(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": torch.zeros(2)}, path, metadata=metadata)
        with pytest.raises(ValueError, match="no model bundle"):
            load_bundle(path)


def test_another_version_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda tensors, metadata: metadata.update(version=2))
    with pytest.raises(ValueError, match="version 2, this program reads version 1"):
        load_bundle(path)


@pytest.mark.parametrize(
    "name",
    [
        "separator.bottleneck.conv1.weight",
        "separator.condition_scale",
        "tagger.classifier.5.bias",
        "queries.vectors",
    ],
)
def test_a_missing_entry_is_named(tmp_path: Path, bundle: Bundle, name: str) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda tensors, metadata: tensors.pop(name))
    with pytest.raises(ValueError, match=name.partition(".")[2].replace(".", r"\.")):
        load_bundle(path)


@pytest.mark.parametrize("name", ["separator.after_conv.bias", "thresholds"])
def test_a_misshapen_entry_is_named(tmp_path: Path, bundle: Bundle, name: str) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda tensors, metadata: tensors.update({name: torch.zeros(5)}))
    with pytest.raises(ValueError, match=name.partition(".")[2] or name):
        load_bundle(path)


def test_an_unknown_entry_of_a_network_is_named(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda tensors, metadata: tensors.update({"tagger.extra": torch.zeros(5)}))
    with pytest.raises(ValueError, match="extra"):
        load_bundle(path)


def test_queries_whose_number_is_not_that_of_their_classes(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda tensors, metadata: tensors.update({"queries.vectors": torch.zeros(1, 48)}))
    with pytest.raises(ValueError, match=r"queries"):
        load_bundle(path)
