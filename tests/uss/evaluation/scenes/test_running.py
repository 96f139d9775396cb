import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.uss.evaluation.conftest import CAT, DOG, make_separator, tone
from tests.uss.evaluation.scene_examples import NOISE, RATE, make_event, mid, write_clip
from uss.evaluation.scenes.pooling import pool_scenes
from uss.evaluation.scenes.records import SceneRecord
from uss.evaluation.scenes.running import detect_scene, evaluate_scene
from uss.evaluation.scenes.scene import Scene
from uss.metrics.detection import DetectionCounts
from uss.separation.separator import Separator


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_clip(tmp_path, "dog.wav", tone(500.0, seconds=1.0))
    write_clip(tmp_path, "cat.wav", tone(5_000.0, seconds=1.0))
    return tmp_path


@pytest.fixture
def scene() -> Scene:
    """Two tones that overlap for half a second."""
    dog = make_event("Dog", path="dog.wav", onset_seconds=0.0, seconds=1.0)
    cat = make_event("Cat", path="cat.wav", onset_seconds=0.5, seconds=1.0)
    return Scene("tones", (dog, cat), seconds=2.0, sample_rate=RATE)


@pytest.fixture
def noise() -> Scene:
    """White noise, most of which lies where a cat is heard."""
    return Scene("noise", (), replace(NOISE, exponent=0.0), seconds=1.0, sample_rate=RATE)


def test_tones_are_found_and_taken_apart(separator: Separator, scene: Scene, root: Path) -> None:
    record = evaluate_scene(separator, scene, root, threshold=0.4, overlap=0.0)
    assert sorted(record.levels) == [1, 2, 3]
    classes = record.levels[3]
    assert set(classes.true) == set(classes.detected) == {mid("Dog"), mid("Cat")}
    # Dog and cat are equally loud: the mixture's own SDR is 0 dB, a gap of one band leaks little.
    for stem in classes.stems.values():
        assert stem.sdr_db > 20.0
        assert stem.sdri_db == pytest.approx(stem.sdr_db, abs=0.1)
    assert classes.false_energy == 0.0
    improvements = [stem.sdri_db or 0.0 for stem in classes.stems.values()]
    assert classes.ca_sdri_db == pytest.approx(np.mean(improvements))
    # All that sounds is an animal.
    (animal,) = record.levels[1].stems.values()
    assert animal.sdri_db is None
    assert record.class_scores[DOG] == record.class_scores[CAT] == 1.0
    assert record.true_classes == (DOG, CAT)


def test_events_are_found_where_they_are(separator: Separator, scene: Scene, root: Path) -> None:
    record = evaluate_scene(separator, scene, root, threshold=0.4)
    times = record.levels[3].times
    assert times[mid("Dog")].events == times[mid("Dog")].true == ((0.0, 1.0),)
    assert times[mid("Cat")].events == times[mid("Cat")].true == ((0.5, 1.5),)
    # Two events of one node that overlap are one.
    (animal,) = record.levels[1].times.values()
    assert animal.events == animal.true == ((0.0, 1.5),)
    # The tagger's window is longer than the scene, of which the last segment is silent.
    assert times[mid("Cat")].spans == ((0.0, 1.625),)
    scores = pool_scenes([record], 3)
    assert (scores.event_f1, scores.segment_f1) == (1.0, 1.0)
    assert scores.span_segment_f1 is not None and scores.span_segment_f1 < 1.0


def test_operating_points_go_from_all_to_little(
    separator: Separator, scene: Scene, root: Path
) -> None:
    plain = evaluate_scene(separator, scene, root, threshold=0.4, levels=[3])
    record = evaluate_scene(
        separator, scene, root, threshold=0.4, levels=[3], shifts=(-4.0, 0.0, 20.0)
    )
    level = record.levels[3]
    assert replace(level, operating_points=()) == plain.levels[3]
    low, same, high = level.operating_points
    assert {name: times.spans for name, times in same.items()} == {
        name: times.spans for name, times in level.times.items()
    }
    assert low[mid("Dog")].spans == ((0.0, 1.625),)
    assert [times.events for times in high.values()] == [(), ()]
    assert SceneRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_records_can_be_stored(separator: Separator, scene: Scene, root: Path) -> None:
    record = evaluate_scene(separator, scene, root, overlap=0.0)
    assert SceneRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_stems_of_noise_are_false(separator: Separator, noise: Scene, root: Path) -> None:
    record = evaluate_scene(separator, noise, root, threshold=0.5, levels=[3], overlap=0.0)
    (level,) = record.levels.values()
    assert (level.detected, level.true) == ((mid("Cat"),), ())
    # Seven eighths of the band, at -40 dBFS for 32,000 samples.
    assert record.mixture_energy == pytest.approx(3.2, rel=1e-4)
    assert level.false_energy == pytest.approx(3.2 * 7 / 8, rel=0.02)
    assert pool_scenes([record], 3).num_empty_detected == 1


def test_nothing_detected_leaves_no_stems(separator: Separator, noise: Scene, root: Path) -> None:
    record = evaluate_scene(separator, noise, root, threshold=0.99, overlap=0.0)
    for level in record.levels.values():
        assert (level.detected, level.false_energy, level.ca_sdri_db) == ((), 0.0, None)


def test_detection_alone_finds_the_same(separator: Separator, scene: Scene, root: Path) -> None:
    whole = evaluate_scene(separator, scene, root, threshold=0.4)
    detected = detect_scene(separator, scene, root, threshold=0.4)
    assert (detected.class_scores, detected.true_classes) == (
        whole.class_scores,
        whole.true_classes,
    )
    for level, record in detected.levels.items():
        assert record == replace(
            whole.levels[level],
            stems={},
            false_energy=None,
            ca_sdri_db=None,
            half_ca_sdri_db=None,
            times={},
        )


def test_a_class_without_a_query_is_missed(scene: Scene, root: Path) -> None:
    record = detect_scene(make_separator(DOG), scene, root, threshold=0.4, levels=[3])
    assert record.levels[3].counts == DetectionCounts(1, 0, 1)
    assert record.class_scores[DOG] == pytest.approx(0.5, abs=0.1)
    assert record.class_scores[CAT] == 0.0


def test_scenes_may_share_a_batcher(separator: Separator, scene: Scene, root: Path) -> None:
    batcher = separator.batcher()
    first = evaluate_scene(separator, scene, root, threshold=0.4, batcher=batcher)
    assert evaluate_scene(separator, scene, root, threshold=0.4, batcher=batcher) == first


def test_a_level_that_does_not_exist_is_refused(
    separator: Separator, scene: Scene, root: Path
) -> None:
    with pytest.raises(ValueError, match="level 9 does not exist"):
        evaluate_scene(separator, scene, root, levels=[9])
