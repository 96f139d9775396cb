"""Taggers that are scored beside the bundle's own."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.pipelines.evaluate_scenes.evaluated import Evaluate, Run, results, table
from uss.checkpoints.bundle import load_bundle
from uss.checkpoints.loading import load_tagger, save_tagger
from uss.evaluation.scenes.rendering import render
from uss.evaluation.scenes.scene_list import read_scenes
from uss.separation.separator import Separator


def test_another_tagger_is_scored_with_the_same_separator(
    evaluate: Evaluate, measured: Run, rain_tagger: Path, bundle_file: Path, tmp_path: Path
) -> None:
    """It is right about the rain alone, and hears it everywhere."""
    assert evaluate(measured.scenes, "--compare-tagger", rain_tagger) == 0
    found, alone = results(tmp_path / "out"), results(measured.folder)
    assert list(found["detectors"]) == ["tiny", str(rain_tagger)]
    assert found["detectors"]["tiny"] == alone["detectors"]["tiny"]
    assert (found["mean"], found["median"]) == (alone["mean"], alone["median"])
    level = found["detectors"][str(rain_tagger)]["levels"]["2"]
    assert (level["precision"], level["recall"]) == pytest.approx((1 / 4, 1 / 5))
    # The rain is all there is in its scene.
    assert (level["num_matched"], level["num_alone"]) == (1, 1)
    rows = table(tmp_path / "out")
    assert [row["detector"] for row in rows] == ["tiny"] * 12 + [str(rain_tagger)] * 12
    assert {row["detected"] for row in rows[14::3]} == {"Rain"}
    assert rows[-1]["scene"] == "rain" and rows[-1]["CA-SDRi"] == ""
    separator = Separator(load_bundle(bundle_file), load_tagger(rain_tagger))
    rain = read_scenes(measured.scenes)[-1]
    mixture = render(rain, measured.scenes.parent).mixture
    stem = separator.separate(mixture, rain.sample_rate, level=2)["Water"]
    expected = 10.0 * np.log10(np.sum(mixture**2) / np.sum((mixture - stem) ** 2))
    assert level["mean_sdr_alone_db"] == pytest.approx(expected, abs=1e-2)


def test_a_tagger_is_called_by_its_own_name_where_that_is_free(
    evaluate: Evaluate, scenes: Path, rain_tagger: Path, tmp_path: Path
) -> None:
    tagger = load_tagger(rain_tagger)
    tagger.name = tagger.hyperparameters["name"] = "umbrella"
    path = tmp_path / "renamed.safetensors"
    save_tagger(path, tagger, licence="CC0-1.0", provenance={})
    assert evaluate(scenes, "--limit", "1", "--compare-tagger", path) == 0
    assert list(results(tmp_path / "out")["detectors"]) == ["tiny", "umbrella"]


def test_taggers_of_one_name_are_told_apart(
    evaluate: Evaluate,
    scenes: Path,
    rain_tagger: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one that is compared lies in a file of the name that the bundle's own has."""
    shutil.copy(rain_tagger, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    assert evaluate(scenes, "--limit", "1", "--compare-tagger", "tiny") == 0
    found = results(tmp_path / "out")["detectors"]
    assert len(found) == 2
    assert [each["levels"]["2"]["precision"] for each in found.values()] == [1 / 2, 0.0]
