"""The embedded default keeps what its model card promises."""

import importlib.util
from importlib import resources
from pathlib import Path

import pytest

from pipelines import mine_anchors
from uss.checkpoints import load_model
from uss.queries import EmbeddingEncoder

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = resources.files("uss") / "weights" / "default.safetensors"


@pytest.fixture(scope="module")
def bundle():
    return load_model("default")


def test_is_small_and_permissive(bundle):
    assert WEIGHTS.stat().st_size <= 20e6
    assert sum(p.numel() for p in bundle.tagger.parameters()) <= 1_000_000
    assert bundle.licence == "Apache-2.0"
    assert bundle.provenance["steps"] > 0


def test_its_parts_fit_each_other(bundle):
    space = EmbeddingEncoder(bundle.tagger).space
    assert bundle.separator.condition_space == space == bundle.queries.space


@pytest.mark.slow
def test_separates_validation_mixtures(shared, tmp_path):
    """Mines the validation clips anew and measures the 200 mixtures of the model card."""
    specification = importlib.util.spec_from_file_location(
        "validate_bundle", ROOT / "scripts" / "validate_bundle.py"
    )
    validate_bundle = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(validate_bundle)
    status = mine_anchors.main(
        [
            str(shared / "audio" / "clips.csv"),
            *("--split", "validation"),
            *("--audio-root", str(shared / "audio")),
            *("--output", str(tmp_path)),
            *("--tagger", str(shared / "weights" / "mn04_as_mAP_432.pt")),
            *("--encoder", "default"),
            *("--labels", "specific"),
            *("--anchors-per-clip", "4"),
        ]
    )
    assert status == 0
    figures = {
        name: float(values.nanmean())
        for name, values in validate_bundle.measure("default", tmp_path, size=200, seed=0).items()
    }
    assert figures["SI-SDRi oracle"] >= 4.0, figures
    assert figures["SI-SDRi class average"] >= 2.5, figures
    assert figures["SI-SDRi swapped"] >= 3.0, figures
