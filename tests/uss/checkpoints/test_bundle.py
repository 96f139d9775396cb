import json
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ontology import OwnClass
from uss.checkpoints.bundle import Bundle, load_bundle, save_bundle
from uss.conditions.class_queries import ClassQueries
from uss.conditions.embedding import EmbeddingEncoder
from uss.conditions.query_nets import QUERY_NETS, Adaptor, QueryNet, Shortcut, TaggerQueryNet
from uss.models import BACKBONES, QueryUNet, ResUNet, SeparatorNetwork
from uss.taggers import HTSAT, NUM_CLASSES, TAGGERS, Cnn6, Cnn10, Cnn14, EfficientAT, TaggerNetwork

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


def refusal_of(path: Path) -> str:
    """The one line with which a bundle is refused."""
    with pytest.raises(ValueError) as refusal:
        load_bundle(path)
    line = str(refusal.value)
    assert line.startswith(str(path))
    assert "\n" not in line
    return line


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
    assert loaded.class_queries is not None and bundle.class_queries is not None
    assert loaded.class_queries.space == bundle.class_queries.space
    assert loaded.class_queries.class_indexes == (3, 8)
    np.testing.assert_array_equal(loaded.class_queries.vectors, bundle.class_queries.vectors)
    np.testing.assert_array_equal(loaded.thresholds, bundle.thresholds)
    assert loaded.licence == "CC-BY-4.0"
    assert loaded.provenance == bundle.provenance


def test_classes_of_ones_own_come_back(tmp_path: Path, bundle: Bundle) -> None:
    own = (OwnClass("/own/a", "A thing", "/m/02mk9"), OwnClass("/own/ü", "Übung"))
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    queries = ClassQueries("space-2", (3, 527, 528), vectors, own)
    path = tmp_path / "queries.safetensors"
    save_bundle(path, replace(bundle, class_queries=queries))
    loaded = load_bundle(path).class_queries
    assert loaded is not None
    assert (loaded.own, loaded.class_indexes) == (own, (3, 527, 528))
    found = loaded.own_vectors()
    assert {mid: vector.tolist() for mid, vector in found.items()} == {
        "/own/a": [2.0, 3.0],
        "/own/ü": [4.0, 5.0],
    }
    few = ClassQueries("space-2", (3, 528), vectors[:2], own)
    assert list(few.own_vectors()) == ["/own/ü"]


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
    np.testing.assert_array_equal(loaded.class_queries.vectors, bundle.class_queries.vectors)


def test_a_bundle_may_hold_a_tagger_alone(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "tagger.safetensors"
    save_bundle(path, Bundle(bundle.tagger))
    loaded = load_bundle(path)
    assert_same(loaded.tagger, bundle.tagger)
    assert loaded.separator is loaded.class_queries is loaded.thresholds is None
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


@pytest.mark.parametrize("version", [0, 3])
def test_another_version_is_refused(tmp_path: Path, bundle: Bundle, version: int) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda tensors, metadata: metadata.update(version=version))
    said = f"version {version}, this program reads versions 1 to 2; install the matching release"
    assert said in refusal_of(path)


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


# Networks of every class

SMALL_BACKBONES: dict[str, dict[str, Any]] = {
    "LASSNet": {"channels": (2, 3), "text_size": 4, "n_fft": 64, "hop_length": 16},
    "CLIPSep": {
        "num_maps": 3,
        "width": 2,
        "depth": 3,
        "num_rows": 16,
        "noise_heads": 2,
        "n_fft": 64,
        "hop_length": 16,
    },
    "QueryUNet": {
        "channels": (2, 3),
        "fold": 2,
        "num_maps": 3,
        "query_size": 8,
        "num_heads": 2,
        "ear_width": None,
        "n_fft": 64,
        "hop_length": 16,
    },
    "BlindUNet": {"channels": (2, 3), "fold": 2, "n_fft": 64, "hop_length": 16},
    "MRPCNN": {"gene": 0, "n_fft": 64, "hop_length": 16, "sample_rate": 32_000},
    "ResUNet": {"channels": (2, 3), "fold": 2, "n_fft": 64, "hop_length": 16, "min_gain": 0.03},
    "ResUNet30": {"channels": (2, 3), "n_fft": 64, "hop_length": 16},
    "ResUNet60": {"channels": (2, 3), "n_fft": 64, "hop_length": 16},
    "UNet": {"channels": (2, 3), "n_fft": 64, "hop_length": 16},
    "ConvTasNet": {
        "num_filters": 6,
        "window_samples": 16,
        "bottleneck_channels": 4,
        "hidden_channels": 5,
        "skip_channels": 3,
        "blocks_per_repeat": 2,
        "num_repeats": 1,
    },
    "DiffusionSep": {"unet_base": 32, "vae_base": 32, "vocoder_channels": 32},
    "FlowSep": {"unet_base": 32, "vae_base": 32, "vocoder_channels": 32},
    "OpenUnmix": {"hidden_size": 8, "num_layers": 1, "n_fft": 64, "hop_length": 16},
    "BiModalUNet": {"width": 2, "depth": 5, "num_maps": 3, "n_fft": 62, "hop_length": 16},
}


def disturb(module: torch.nn.Module, seed: int = 5, by: float = 0.1) -> None:
    """Give every weight and statistic a value that no constructor gives."""
    generator = torch.Generator().manual_seed(seed)
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.add_(by * torch.rand(value.shape, generator=generator))


def small_separator(name: str) -> SeparatorNetwork:
    # One is asked for one of its stems alone.
    asked = (5,) if name == "BlindUNet" else ("own-5", 5)
    separator = BACKBONES[name](*asked, segment_seconds=0.75, **SMALL_BACKBONES[name])
    # What is fed back ten times must not grow each time.
    disturb(separator, by=0.003 if name in ("DiffusionSep", "FlowSep") else 0.1)
    return separator.eval()


def output_of(module: Any, *inputs: torch.Tensor) -> Any:
    with torch.inference_mode():
        return module(*inputs)


def assert_half_of(loaded: torch.nn.Module, original: torch.nn.Module) -> None:
    """Everything in float32, matrices rounded to float16."""
    state = loaded.state_dict()
    for name, value in original.state_dict().items():
        rounded = value.is_floating_point() and value.dim() > 1
        assert state[name].dtype == value.dtype, name
        assert torch.equal(state[name], value.half().float() if rounded else value), name


def test_there_is_a_small_version_of_every_backbone() -> None:
    assert SMALL_BACKBONES.keys() == BACKBONES.keys()


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_comes_back(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of fifty, which would take as many times longer than a pass of any other.
    monkeypatch.setattr("uss.models.DiffusionSep.default_steps", 2)
    separator = small_separator(name)
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_bundle(full, Bundle(separator=separator))
    save_bundle(half, Bundle(separator=separator), half=True)
    loaded = load_bundle(full).separator
    assert loaded is not None
    assert type(loaded) is type(separator)
    assert_same(loaded, separator)
    assert loaded.hyperparameters == separator.hyperparameters
    space = "blind-5" if name == "BlindUNet" else "own-5"
    assert (loaded.condition_space, loaded.segment_seconds) == (space, 0.75)
    generator = torch.Generator().manual_seed(1)
    mixture = torch.randn(2, 1, 500, generator=generator)
    condition = torch.randn(2, 5, generator=generator)
    expected = output_of(separator, mixture, condition)
    torch.testing.assert_close(output_of(loaded, mixture, condition), expected)
    rounded = load_bundle(half).separator
    assert rounded is not None
    assert_half_of(rounded, separator)


TAGGERS_HERE: dict[str, Callable[[], TaggerNetwork]] = {
    "EfficientAT": lambda: EfficientAT(width=0.05, name="tiny"),
    "Cnn6": Cnn6,
    "Cnn10": Cnn10,
    "HTSAT": HTSAT,
}


def test_there_is_every_tagger_that_is_written_here() -> None:
    assert TAGGERS.keys() - TAGGERS_HERE.keys() == {"Cnn14", "Cnn14DecisionLevelMax"}


@pytest.mark.parametrize("name", TAGGERS_HERE)
def test_taggers_written_here_come_back(tmp_path: Path, name: str) -> None:
    tagger = TAGGERS_HERE[name]()
    disturb(tagger)
    tagger.eval()
    path = tmp_path / "tagger.safetensors"
    save_bundle(path, Bundle(tagger))
    loaded = load_bundle(path).tagger
    assert loaded is not None
    assert type(loaded) is type(tagger)
    assert_same(loaded, tagger)
    assert loaded.hyperparameters == tagger.hyperparameters
    assert EmbeddingEncoder(loaded).space == EmbeddingEncoder(tagger).space
    waveform = 0.1 * torch.randn(1, 32_000, generator=torch.Generator().manual_seed(1))
    expected = output_of(tagger, waveform)
    for got, wanted in zip(output_of(loaded, waveform), expected, strict=True):
        torch.testing.assert_close(got, wanted)
    save_bundle(path, Bundle(tagger), half=True)
    rounded = load_bundle(path).tagger
    assert rounded is not None
    assert_half_of(rounded, tagger)


def test_a_wrapped_tagger_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The library wants a class list in the home folder.
    monkeypatch.setenv("HOME", str(tmp_path))
    tagger = Cnn14().eval()
    path = tmp_path / "tagger.safetensors"
    save_bundle(path, Bundle(tagger), half=True)
    loaded = load_bundle(path).tagger
    assert loaded is not None
    assert type(loaded) is type(tagger)
    assert_half_of(loaded, tagger)
    assert EmbeddingEncoder(loaded).space == EmbeddingEncoder(tagger).space


QUERY_NETS_HERE: dict[str, Callable[[], QueryNet]] = {
    "Adaptor": lambda: Adaptor("own-5", "other-5", 5),
    "TaggerQueryNet": lambda: TaggerQueryNet("own-512", "Cnn6", "weights.pth", trained=False),
    "Shortcut": lambda: Shortcut("own-512", "cnn6-512", "Cnn6"),
}


def test_there_is_every_query_net() -> None:
    assert QUERY_NETS_HERE.keys() == QUERY_NETS.keys()


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", QUERY_NETS)
def test_every_query_net_comes_back(tmp_path: Path, name: str, half: bool) -> None:
    net = QUERY_NETS_HERE[name]()
    disturb(net)
    net.eval()
    path = tmp_path / "model.safetensors"
    save_bundle(path, Bundle(query_net=net, separator=small_separator("OpenUnmix")), half=half)
    loaded = load_bundle(path).query_net
    assert loaded is not None
    assert type(loaded) is type(net)
    (assert_half_of if half else assert_same)(loaded, net)
    assert loaded.hyperparameters == net.hyperparameters
    assert (loaded.space, loaded.stored_space) == (net.space, net.stored_space)
    assert (loaded.hears, loaded.pretrained) == (net.hears, net.pretrained)
    trained, expected = (
        {name: p.requires_grad for name, p in each.named_parameters()} for each in (loaded, net)
    )
    assert trained == expected


def test_a_bundle_may_hold_class_queries_alone(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "queries.safetensors"
    save_bundle(path, Bundle(class_queries=bundle.class_queries), half=True)
    loaded = load_bundle(path)
    assert loaded.networks() == {}
    assert loaded.thresholds is None
    assert loaded.class_queries is not None and bundle.class_queries is not None
    assert (loaded.class_queries.space, loaded.class_queries.class_indexes) == (
        "efficientat-48",
        (3, 8),
    )
    assert loaded.class_queries.vectors.dtype == np.float32
    np.testing.assert_array_equal(loaded.class_queries.vectors, bundle.class_queries.vectors)


def test_the_bundle_inside_the_package_fits_together() -> None:
    with resources.as_file(resources.files("uss") / "weights" / "default.safetensors") as path:
        loaded = load_bundle(path)
    assert isinstance(loaded.tagger, EfficientAT)
    assert isinstance(loaded.separator, QueryUNet)
    assert loaded.class_queries is not None and loaded.thresholds is not None
    assert sorted(loaded.sensitivities) == ["high", "low", "medium"]
    assert 0.0 < loaded.thresholds.min() < loaded.thresholds.max() < 1.0
    spaces = {loaded.separator.condition_space, loaded.class_queries.space}
    assert spaces == {EmbeddingEncoder(loaded.tagger).space} == {"uss-scenes-384"}


def test_a_loaded_bundle_does_not_depend_on_its_file(tmp_path: Path) -> None:
    """Not even where the file is overwritten in its place."""
    path = tmp_path / "bundle.safetensors"
    with resources.as_file(resources.files("uss") / "weights" / "default.safetensors") as default:
        path.write_bytes(default.read_bytes())
        expected = load_bundle(default)
    loaded = load_bundle(path)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert loaded.class_queries is not None and expected.class_queries is not None
    np.testing.assert_array_equal(loaded.class_queries.vectors, expected.class_queries.vectors)
    np.testing.assert_array_equal(loaded.thresholds, expected.thresholds)
    for name, network in expected.networks().items():
        entries = loaded.networks()[name].state_dict()
        for key, value in network.state_dict().items():
            torch.testing.assert_close(entries[key], value, rtol=0.0, atol=0.0)


# The first version, which had one class of each kind


def test_a_bundle_of_the_first_version(tmp_path: Path, bundle: Bundle) -> None:
    tagger, separator = bundle.tagger, bundle.separator
    assert tagger is not None and separator is not None
    tensors = {f"tagger.{name}": value for name, value in tagger.state_dict().items()}
    tensors |= {f"separator.{name}": value for name, value in separator.state_dict().items()}
    metadata = {
        "version": 1,
        "licence": "MIT",
        "provenance": {"steps": 7},
        "tagger": {"width": 0.05, "name": "tiny"},
        "separator": {
            "condition_space": "efficientat-48",
            "condition_size": 48,
            "channels": [2, 3],
            "fold": 4,
            "n_fft": 64,
            "hop_length": 16,
        },
    }
    path = tmp_path / "model.safetensors"
    save_file(tensors, path, metadata={"uss_bundle": json.dumps(metadata)})
    loaded = load_bundle(path)
    assert loaded.tagger is not None and loaded.separator is not None
    assert_same(loaded.tagger, tagger)
    assert_same(loaded.separator, separator)
    assert (loaded.licence, loaded.provenance) == ("MIT", {"steps": 7})
    assert loaded.class_queries is loaded.thresholds is loaded.query_net is None
    save_bundle(path, loaded)
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["uss_bundle"])["version"] == 2


# Broken metadata


@pytest.mark.parametrize("prefix", ["tagger", "separator"])
def test_an_unknown_class_of_network_is_named(tmp_path: Path, bundle: Bundle, prefix: str) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda tensors, metadata: metadata[prefix].update({"class": "Cnn99"}))
    assert "Cnn99" in refusal_of(path)


def test_an_unknown_hyperparameter_is_named(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda _, metadata: metadata["separator"]["hyperparameters"].update(depth=3))
    assert "depth" in refusal_of(path)


@pytest.mark.parametrize("name", ["separator.film.linear.weight", "separator.bin_norm.running_var"])
def test_a_separator_without_an_entry_is_refused_in_one_line(
    tmp_path: Path, bundle: Bundle, name: str
) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda tensors, metadata: tensors.pop(name))
    assert name.removeprefix("separator.") in refusal_of(path)


@pytest.mark.parametrize("key", ["version", "licence", "provenance"])
def test_metadata_without_a_key_are_refused(tmp_path: Path, bundle: Bundle, key: str) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda _, metadata: metadata.pop(key))
    assert key in refusal_of(path)


@pytest.mark.parametrize("key", ["class", "hyperparameters"])
def test_networks_without_a_key_are_refused(tmp_path: Path, bundle: Bundle, key: str) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda _, metadata: metadata["tagger"].pop(key))
    assert key in refusal_of(path)


@pytest.mark.parametrize("key", ["space", "class_indexes"])
def test_queries_without_a_key_are_refused(tmp_path: Path, bundle: Bundle, key: str) -> None:
    path = tmp_path / "model.safetensors"
    save_bundle(path, bundle)
    rewrite(path, lambda _, metadata: metadata["queries"].pop(key))
    assert key in refusal_of(path)


def test_metadata_that_are_not_json_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata={"uss_bundle": "{"})
    assert "damaged" in refusal_of(path)
