"""The embedded default keeps what its model card promises."""

import json
from importlib import resources
from pathlib import Path

import pytest

from pipelines.evaluate.command import main as evaluate
from uss.checkpoints.loading import load_model
from uss.conditions.embedding import EmbeddingEncoder

ROOT = Path(__file__).resolve().parents[3]
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
    assert bundle.separator.condition_space == space == bundle.class_queries.space


@pytest.mark.slow
def test_separates_validation_mixtures(shared, tmp_path):
    """The 200 mixtures of the model card."""
    words = [ROOT / "quality" / "mixtures.csv", "--audio-root", shared / "audio"]
    words += ["--condition", "oracle", "class-average", "-o", tmp_path]
    assert evaluate([str(word) for word in words]) == 0
    outputs = json.loads((tmp_path / "results.json").read_text())["outputs"]
    figures = {name: output["mean"]["SI-SDRi"] for name, output in outputs.items()}
    assert figures["oracle"] >= 4.0, figures
    assert figures["class-average"] >= 2.5, figures
    # Asked for the other source it finds less of the target than there was.
    assert figures["oracle, swapped"] < -5.0, figures
