"""A model in ONNX computes what it was exported from, and bad input is told in one line."""

import copy
import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.loading import load_model, weight_hash
from uss.checkpoints.onnx_export import export_onnx
from uss.conditions.class_queries import ClassQueries
from uss.conditions.text_classes import load_text_classes
from uss.conditions.text_words import words_in
from uss.core.errors import InputError
from uss.core.onnx_graphs import OnnxGraph
from uss.models import ConvTasNet, QueryUNet, ResUNet, SeparatorNetwork
from uss.models.competition import compete
from uss.models.onnx_separator import OnnxSeparator
from uss.taggers import Cnn6

pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")

SPACE, SIZE = "tiny-5", 5
SAMPLES = 16_000


def _query_unet(**options: object) -> QueryUNet:
    sizes = {"channels": (8, 8), "num_maps": 4, "query_size": 16, "num_heads": 2, "num_layers": 1}
    given = {**sizes, "ear_width": None, "segment_seconds": 0.5, **options}
    return QueryUNet(SPACE, SIZE, **given)


def _with_ear() -> QueryUNet:
    return _query_unet(channels=(8,) * 6, ear_width=0.1)


def _res_unet() -> ResUNet:
    return ResUNet(SPACE, SIZE, channels=(8, 8), segment_seconds=0.5, min_gain=0.1)


def _trained(network: torch.nn.Module) -> torch.nn.Module:
    """Norms of a network that has seen data are not the identity."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


@pytest.fixture(
    scope="module",
    params=[
        "res_unet",
        "query_unet",
        pytest.param("with_ear", marks=pytest.mark.slow),
    ],
)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SeparatorNetwork, OnnxSeparator]:
    torch.manual_seed(0)
    build = {"res_unet": _res_unet, "query_unet": _query_unet, "with_ear": _with_ear}
    network = _trained(build[request.param]())
    assert isinstance(network, SeparatorNetwork)
    queries = ClassQueries(SPACE, (0, 7), np.ones((2, SIZE), np.float32))
    thresholds = np.full(527, 0.3, np.float32)
    bundle = Bundle(None, network, queries, thresholds, licence="CC0-1.0")
    folder = tmp_path_factory.mktemp("onnx") / "model"
    export_onnx(bundle, folder)
    loaded = load_model(folder)
    assert loaded.licence == "CC0-1.0"
    assert loaded.tagger is None
    assert loaded.class_queries is not None and loaded.class_queries.class_indexes == (0, 7)
    assert loaded.thresholds is not None and loaded.thresholds[0] == np.float32(0.3)
    assert isinstance(loaded.separator, OnnxSeparator)
    return network, loaded.separator


def test_separates_as_the_network_does(exported: tuple[SeparatorNetwork, OnnxSeparator]) -> None:
    network, graphs = exported
    generator = torch.Generator().manual_seed(2)
    mixture = 0.1 * torch.randn(3, 2, SAMPLES, generator=generator)
    mixture[1, :, 5_000:] = 0.0
    mixture[2] = 0.0
    condition = torch.randn(3, SIZE, generator=generator)
    with torch.inference_mode():
        expected, given = network(mixture, condition), graphs(mixture, condition)
    assert (given - expected).abs().max() < 1e-5
    assert expected[0].abs().max() > 1e-2


@pytest.mark.parametrize("num_queries", [1, 2, 9])
def test_encodes_once_and_is_asked_for_many(
    exported: tuple[SeparatorNetwork, OnnxSeparator], num_queries: int
) -> None:
    network, graphs = exported
    generator = torch.Generator().manual_seed(3)
    spectrogram = graphs.spectrogram(torch.randn(2, SAMPLES, generator=generator))
    conditions = torch.randn(2, num_queries, SIZE, generator=generator)
    with torch.inference_mode():
        expected = compete(network.masks(network.encode(spectrogram), conditions))
        given = compete(graphs.masks(graphs.encode(spectrogram), conditions))
    assert given.shape == expected.shape
    assert given.is_complex() == isinstance(network, ResUNet)
    assert (given - expected).abs().max() < 1e-4


def test_attributes_are_those_of_the_network(
    exported: tuple[SeparatorNetwork, OnnxSeparator],
) -> None:
    network, graphs = exported
    for name in ("sample_rate", "segment_seconds", "condition_space", "condition_size", "joint"):
        assert getattr(graphs, name) == getattr(network, name)


def test_weights_are_identified_by_the_graphs(
    exported: tuple[SeparatorNetwork, OnnxSeparator],
) -> None:
    network, graphs = exported
    assert weight_hash(graphs) != weight_hash(network)
    other = OnnxSeparator.__new__(OnnxSeparator)
    torch.nn.Module.__init__(other)
    other.register_buffer("digest", graphs.digest + 1)
    assert weight_hash(graphs) != weight_hash(other)


def test_copies_compute_the_same(exported: tuple[SeparatorNetwork, OnnxSeparator]) -> None:
    _, graphs = exported
    mixture, condition = torch.ones(1, 1, SAMPLES), torch.ones(1, SIZE)
    for copied in (pickle.loads(pickle.dumps(graphs)), copy.deepcopy(graphs)):
        torch.testing.assert_close(copied(mixture, condition), graphs(mixture, condition))


def test_segments_of_another_length_are_refused(
    exported: tuple[SeparatorNetwork, OnnxSeparator],
) -> None:
    _, graphs = exported
    with pytest.raises(InputError, match=r"takes segments of 0\.5 s"):
        graphs(torch.zeros(1, 1, 2 * SAMPLES), torch.zeros(1, SIZE))


def test_a_bundle_cannot_hold_it(
    exported: tuple[SeparatorNetwork, OnnxSeparator], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="exported from"):
        save_bundle(tmp_path / "bundle.safetensors", Bundle(None, exported[1]))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def with_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text") / "model"
    export_onnx(Bundle(None, _trained(_query_unet())), folder, text=load_text_classes())
    return folder


@pytest.mark.parametrize("text", ["a dog barks", "rain on a tin roof in the night", "siren"])
def test_text_encoder_reads_what_it_read(with_text: Path, text: str) -> None:
    encoder = load_text_classes()
    words = json.loads((with_text / "words.json").read_text("utf-8"))
    rows = encoder.rows(words_in(text))
    assert [words[row] for row in rows]
    (given,) = OnnxGraph(with_text / "text.onnx")(torch.tensor(rows))
    np.testing.assert_allclose(given.numpy(), encoder.encode([text])[0], atol=1e-5)


def test_graphs_say_nothing_of_the_machine_they_come_from(with_text: Path) -> None:
    for path in with_text.glob("*.onnx"):
        assert b".py" not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("bundle", "message"),
    [
        (Bundle(), "holds neither separator nor tagger"),
        (Bundle(None, ConvTasNet(SPACE, SIZE)), "kind ConvTasNet cannot be exported"),
        (Bundle(Cnn6()), "kind Cnn6 cannot be exported"),
    ],
)
def test_what_cannot_be_exported_is_told(tmp_path: Path, bundle: Bundle, message: str) -> None:
    with pytest.raises(InputError, match=message):
        export_onnx(bundle, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opset", [17, 24])
def test_an_unknown_opset_is_told(tmp_path: Path, opset: int) -> None:
    with pytest.raises(InputError, match=f"opset {opset} cannot be written; choose 18 to 23"):
        export_onnx(Bundle(None, _res_unet()), tmp_path / "model", opset=opset)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        export_onnx(Bundle(None, _res_unet()), tmp_path)
    with pytest.raises(InputError, match="is a file; name a folder"):
        export_onnx(Bundle(None, _res_unet()), tmp_path / "notes.txt")
    with pytest.raises(InputError, match="no such folder"):
        export_onnx(Bundle(None, _res_unet()), tmp_path / "missing" / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("package", ["onnxruntime", "onnx", "onnxscript"])
def test_missing_packages_are_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"pip install 'uss-pipeline\[onnx\]'"):
        export_onnx(Bundle(None, _res_unet()), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_running_needs_onnxruntime(with_text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"onnxruntime; pip install 'uss-pipeline\[onnx\]'"):
        load_model(with_text)


@pytest.fixture
def copied(with_text: Path, tmp_path: Path) -> Path:
    shutil.copytree(with_text, tmp_path / "model")
    return tmp_path / "model"


def test_an_export_is_no_model_to_export(copied: Path) -> None:
    with pytest.raises(InputError, match="in ONNX already"):
        export_onnx(load_model(copied), copied.parent / "again")


def test_a_changed_graph_is_refused(copied: Path) -> None:
    with (copied / "masks.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"masks\.onnx is damaged"):
        load_model(copied)


def test_a_missing_graph_is_told(copied: Path) -> None:
    (copied / "encoder.onnx").unlink()
    with pytest.raises(FileNotFoundError, match=r"encoder\.onnx: no such file"):
        load_model(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"uss_onnx": 2}, "of version 2, this program reads version 1"),
        ({"files": None}, "is damaged"),
        ({"separator": {}}, "is damaged"),
    ],
)
def test_a_wrong_description_is_refused(
    copied: Path, change: dict[str, object], message: str
) -> None:
    path = copied / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(InputError, match=message):
        load_model(copied)


def test_what_onnxruntime_cannot_run_is_told(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"graph\.onnx: onnxruntime \S+ cannot run it"):
        OnnxGraph(path)


def test_an_earlier_export_is_replaced(copied: Path) -> None:
    export_onnx(Bundle(None, _trained(_query_unet(num_maps=6))), copied)
    assert not (copied / "text.onnx").exists()
    assert load_model(copied).separator is not None
    assert [path.name for path in copied.parent.iterdir()] == ["model"]
