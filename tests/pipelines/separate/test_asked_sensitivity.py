"""What is named is held against medium sensitivity, what nobody named against the model's own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.pipelines.conftest import MakeBundle
from uss import Separator, separate_file
from uss.checkpoints.bundle import load_bundle, save_bundle
from uss.taggers import NUM_CLASSES

ANYTHING, NOTHING = (np.full(NUM_CLASSES, value, np.float32) for value in (1e-4, 0.999))
FAINT = 1.5e-4


@pytest.fixture(scope="module")
def cautious(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Separator:
    """Takes faint noise for a dog with some probability, and by itself does not believe it."""
    path = tmp_path_factory.mktemp("cautious") / "model.safetensors"
    bundle = load_bundle(make_bundle(path, ["Dog"]))
    sensitivities = {"low": NOTHING, "medium": ANYTHING, "high": ANYTHING}
    save_bundle(path, replace(bundle, thresholds=NOTHING, sensitivities=sensitivities))
    return Separator.from_pretrained(path, device="cpu", precision="fp32")


def separated(separator: Separator, folder: Path, **wanted: Any) -> dict[str, Any]:
    """Separate two seconds of faint noise; returns what ``detections.json`` says."""
    noise = FAINT * np.random.default_rng(0).standard_normal(2 * 32_000)
    soundfile.write(folder / "noise.wav", noise, 32_000, subtype="FLOAT")
    separate_file(folder / "noise.wav", folder / "out", separator=separator, **wanted)
    found: dict[str, Any] = json.loads((folder / "out/noise/detections.json").read_text())
    return found


@pytest.mark.parametrize(
    ("threshold", "noted", "is_found"),
    [(None, "medium", True), ("low", "low", False), (0.999, None, False)],
)
def test_a_named_class_needs_less_unless_told_otherwise(
    cautious: Separator,
    tmp_path: Path,
    threshold: float | str | None,
    noted: str | None,
    is_found: bool,
) -> None:
    found = separated(cautious, tmp_path, classes=["Dog"], threshold=threshold)
    (stem,) = found["stems"]
    assert bool(stem["active_intervals"]) == is_found
    assert found["settings"]["sensitivity"] == noted


@pytest.mark.parametrize(("threshold", "is_found"), [(None, False), ("medium", True)])
def test_what_nobody_named_is_held_against_the_models_own(
    cautious: Separator, tmp_path: Path, threshold: str | None, is_found: bool
) -> None:
    found = separated(cautious, tmp_path, levels=[2], threshold=threshold)
    assert ("Domestic animals, pets" in [stem["name"] for stem in found["stems"]]) == is_found
    assert found["settings"]["sensitivity"] == threshold
