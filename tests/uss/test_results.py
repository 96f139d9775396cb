import json
from pathlib import Path

import numpy as np
import pytest

from ontology import Ontology
from uss.hierarchy import Detection
from uss.results import SeparationResult, StemResult, describe_detection, describe_stem
from uss.segments import Segmentation
from uss.separator import Analysis, Stem
from uss.taggers import NUM_CLASSES

RATE = 1_000


@pytest.fixture
def analysis() -> Analysis:
    """Three seconds in segments of one second without overlap."""
    return Analysis(
        np.zeros((3, NUM_CLASSES), np.float32),
        Segmentation(3_000, 1_000, 1_000),
        (0.0, 1.0, 2.0),
        1.0,
    )


def make_stem(ontology: Ontology, active: list[bool], level: int | None = 3) -> Stem:
    probabilities = np.array([0.25, 0.123456, 0.5], np.float32)
    detection = Detection(ontology.find("Dog"), level, probabilities, np.array(active))
    return Stem(detection, np.zeros((1, 3_000), np.float32))


def test_a_stem_is_described_from_what_the_file_holds(
    ontology: Ontology, analysis: Analysis
) -> None:
    written = np.zeros((2, 3_000), np.float32)
    written[:, :1_000] = 0.1
    written[:, 1_000:2_000] = 9.0  # not active, so it does not count
    stem = make_stem(ontology, [True, False, True])
    assert describe_stem(stem, written, analysis, RATE, "level3/Dog.wav") == StemResult(
        mid="/m/0bt9lr",
        name="Dog",
        level=3,
        probability=0.5,
        probabilities=(0.25, 0.1235, 0.5),
        active_intervals=((0.0, 1.0), (2.0, 3.0)),
        loudness_dbfs=-23.01,
        file="level3/Dog.wav",
    )


def test_a_class_that_was_only_detected_has_no_file(ontology: Ontology, analysis: Analysis) -> None:
    stem = make_stem(ontology, [True, False, True])
    found = describe_detection(stem.detection, analysis, 2.5)
    assert (found.file, found.loudness_dbfs) == (None, None)
    assert (found.name, found.probability) == ("Dog", 0.5)
    assert found.active_intervals == ((0.0, 1.0), (2.0, 2.5))


def test_loudness_of_a_square_wave_at_full_scale_is_0_db(
    ontology: Ontology, analysis: Analysis
) -> None:
    square = np.sign(np.sin(np.arange(3_000) + 0.5))[None].astype(np.float32)
    stem = make_stem(ontology, [True, True, True])
    described = describe_stem(stem, square, analysis, RATE, "f")
    assert described.loudness_dbfs == 0.0
    assert described.active_intervals == ((0.0, 3.0),)


@pytest.mark.parametrize("active", [[False] * 3, [True] * 3], ids=["inactive", "zeros"])
def test_a_silent_stem_has_no_loudness(
    ontology: Ontology, analysis: Analysis, active: list[bool]
) -> None:
    stem = make_stem(ontology, active, level=None)
    described = describe_stem(stem, np.zeros((1, 3_000), np.float32), analysis, RATE, "f")
    assert described.loudness_dbfs is None
    assert described.level is None


def test_intervals_end_with_the_recording(ontology: Ontology, analysis: Analysis) -> None:
    stem = make_stem(ontology, [False, False, True])
    described = describe_stem(stem, np.ones((1, 2_500), np.float32), analysis, RATE, "f")
    assert described.active_intervals == ((2.0, 2.5),)
    assert described.loudness_dbfs == 0.0


def test_json_holds_everything(tmp_path: Path, ontology: Ontology, analysis: Analysis) -> None:
    stem = make_stem(ontology, [True, False, True])
    described = describe_stem(stem, np.full((1, 3_000), 0.1), analysis, RATE, "level3/Dog.wav")
    result = SeparationResult(
        input="Straße „1“.wav",
        sample_rate=RATE,
        num_channels=1,
        duration_seconds=3.0,
        segment_seconds=1.0,
        segment_starts=(0.0, 1.0, 2.0),
        settings={"threshold": None, "overlap": 0.25},
        stems=(described,),
        residuals={"level3": "level3/residual.wav"},
    )
    path = tmp_path / "detections.json"
    result.write_json(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["detections.json"]
    assert "Straße „1“" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "version": 1,
        "input": "Straße „1“.wav",
        "sample_rate": 1000,
        "num_channels": 1,
        "duration_seconds": 3.0,
        "segment_seconds": 1.0,
        "segment_starts": [0.0, 1.0, 2.0],
        "settings": {"threshold": None, "overlap": 0.25},
        "stems": [
            {
                "mid": "/m/0bt9lr",
                "name": "Dog",
                "level": 3,
                "probability": 0.5,
                "probabilities": [0.25, 0.1235, 0.5],
                "active_intervals": [[0.0, 1.0], [2.0, 3.0]],
                "loudness_dbfs": -20.0,
                "file": "level3/Dog.wav",
            }
        ],
        "residuals": {"level3": "level3/residual.wav"},
    }
