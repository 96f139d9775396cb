"""The published arithmetic, proved by what the repository holds alone; see the fixtures' README."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ontology import Ontology
from uss.data.mixing import energy_matching_gain
from uss.detection.grouping import group_probabilities
from uss.mining.anchors import find_anchors

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "fixtures" / "parity"
sys.path.insert(0, str(ROOT / "scripts"))
inputs = importlib.import_module("parity_inputs")
make_parity_fixtures = importlib.import_module("make_parity_fixtures")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the class list that panns-inference wants out of the real home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="module")
def networks() -> Any:
    return np.load(FOLDER / "networks.npz")


@pytest.fixture(scope="module")
def steps() -> Any:
    return np.load(FOLDER / "steps.npz")


def assert_published_entries(network: Any, name: str) -> None:
    """Check names and shapes of all entries but constants."""
    entries = inputs.published_entries(getattr(network, "network", network), network.constants)
    assert inputs.fingerprint(entries) == json.loads((FOLDER / "entries.json").read_text())[name]


def test_the_separator_gives_the_published_output(networks: Any) -> None:
    expected = networks["resunet30_at_soft"]
    assert np.abs(expected).max() > 0.01
    network = inputs.filled("resunet30_at_soft")
    assert_published_entries(network, "resunet30_at_soft")
    with torch.inference_mode():
        output = network(inputs.waveform()[None], inputs.condition())
    got = output[0, 0, :: inputs.WAVEFORM_STEP]
    np.testing.assert_allclose(got, expected, atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("name", ["cnn6", "cnn10", "cnn14", "htsat"])
def test_taggers_give_the_published_outputs(networks: Any, name: str) -> None:
    network = inputs.filled(name)
    assert_published_entries(network, name)
    with torch.inference_mode():
        output = network(inputs.waveform())
    for part in ("clipwise", "embedding"):
        expected = networks[f"{name}_{part}"]
        assert expected.std() > 1e-3
        got = getattr(output, part)[0]
        np.testing.assert_allclose(got, expected, atol=1e-4, rtol=0.0)


def test_anchors_are_where_the_definition_puts_them(steps: Any) -> None:
    sizes = {"clip_samples": inputs.CLIP, "segment_samples": inputs.SEGMENT}
    begins = [
        find_anchors(row, hop_length=inputs.HOP, **sizes)[0].start_samples
        for row in inputs.framewise()
    ]
    assert begins == steps["anchor_begin_sample"].tolist()
    assert begins[3:] == [0, inputs.CLIP - inputs.SEGMENT]


def test_gains_are_those_of_the_definition(steps: Any) -> None:
    segments = inputs.segments()
    gain = energy_matching_gain(segments, segments.roll(-1, dims=0))
    np.testing.assert_allclose(gain, steps["gain"], rtol=1e-5)
    assert gain[0] == 50.0 and gain[1] == pytest.approx(0.02)


def test_nodes_have_the_probabilities_of_the_definition(steps: Any, ontology: Ontology) -> None:
    nodes = [ontology.nodes[mid] for mid in steps["node_mids"]]
    grouped = group_probabilities(inputs.probabilities(), nodes, ontology)
    np.testing.assert_array_equal(grouped, steps["node_probability"])
    assert len(nodes) > 527


def test_the_fixtures_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 200_000


@pytest.mark.parametrize("damage", ["no files", "another anchor"])
def test_fixtures_are_written_only_by_a_program_that_agrees_with_the_released_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    if damage == "another anchor":
        begin = make_parity_fixtures._find(inputs.framewise())[:, 0]
        stored = {"framewise": inputs.framewise(), "begin_sample": begin + inputs.HOP}
        np.savez(tmp_path / "anchors.npz", **stored)
    status = make_parity_fixtures.main([str(tmp_path), "-o", str(tmp_path / "out")])
    assert status == 1
    said = "differs by 3.2e+02" if damage == "another anchor" else "is missing"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
