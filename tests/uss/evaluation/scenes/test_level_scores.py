import json

import numpy as np
import pytest

from ontology import Ontology
from tests.uss.evaluation.scene_examples import NOISE, RATE, make_event, make_scene, mid
from uss.audio.envelopes import Envelope
from uss.audio.segments import Segmentation
from uss.conditions.queries import NodeQuery
from uss.core.arrays import Waveform
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection
from uss.detection.events import FoundEvent
from uss.evaluation.scenes.level_scores import (
    energy,
    level_truth,
    score_detections,
    score_stems,
    times_of_nodes,
    true_classes,
)
from uss.evaluation.scenes.node_times import NodeTimes
from uss.evaluation.scenes.records import LevelRecord, SceneRecord
from uss.evaluation.scenes.rendering import RenderedScene
from uss.evaluation.scenes.scene import Scene
from uss.metrics.detection import DetectionCounts

DOG_AND_RAIN = make_scene(make_event("Bark", "Dog"), make_event("Rain"))


def impulses(*values: float) -> Waveform:
    """(1, 4), so that events do not overlap and energies are plain sums."""
    waveform = np.zeros((1, 4), np.float32)
    waveform[0, : len(values)] = values
    return waveform


def rendered(*sources: Waveform, background: Waveform | None = None) -> RenderedScene:
    noise = impulses() if background is None else background
    stacked = np.stack(sources) if sources else np.zeros((0, 1, 4), np.float32)
    return RenderedScene(noise + stacked.sum(axis=0), stacked, noise, RATE)


def detections(ontology: Ontology, *names: str) -> list[Detection]:
    one = np.ones(1, np.float32)
    queries = [NodeQuery.of(ontology.find(name), ontology) for name in names]
    return [Detection(query, 2, one, one.astype(bool)) for query in queries]


def score(
    ontology: Ontology, scene: Scene, level: int, audio: RenderedScene, stems: dict[str, Waveform]
) -> LevelRecord:
    return score_stems(
        level_truth(scene, level, ontology),
        detections(ontology, *stems),
        {mid(name): stem for name, stem in stems.items()},
        audio,
    )


def test_all_labels_of_all_events_are_true(ontology: Ontology) -> None:
    truth = level_truth(DOG_AND_RAIN, 2, ontology)
    assert truth.events == {mid("Domestic animals, pets"): (0,), mid("Water"): (1,)}
    assert level_truth(DOG_AND_RAIN, 3, ontology).events == {mid("Dog"): (0,), mid("Rain"): (1,)}
    assert true_classes(DOG_AND_RAIN, ontology) == tuple(
        sorted(ontology.find(name).class_index or 0 for name in ("Bark", "Dog", "Rain"))
    )


def test_a_class_with_several_parents_lies_under_the_first(ontology: Ontology) -> None:
    """The ontology lists "Cowbell" below cattle, percussion and bells."""
    cowbell = make_scene(make_event("Cowbell"))
    assert list(level_truth(cowbell, 1, ontology).events) == [mid("Animal")]
    labelled = make_scene(make_event("Cowbell", "Percussion"))
    assert list(level_truth(labelled, 1, ontology).events) == [mid("Animal"), mid("Music")]


def test_a_label_above_a_level_is_no_truth_there(ontology: Ontology) -> None:
    assert level_truth(make_scene(make_event("Animal")), 2, ontology).events == {}


def test_noise_is_disregarded_only_where_there_is_some(ontology: Ontology) -> None:
    noisy = make_scene(make_event("Dog"), background=NOISE)
    assert level_truth(make_scene(make_event("Dog")), 2, ontology).disregarded == ()
    assert level_truth(noisy, 1, ontology).disregarded == (
        mid("Channel, environment and background"),
    )
    assert level_truth(noisy, 2, ontology).disregarded == (mid("Noise"),)
    assert set(level_truth(noisy, 3, ontology).disregarded) == {
        mid("White noise"),
        mid("Pink noise"),
        mid("Background noise"),
    }


def test_noise_that_is_an_event_counts(ontology: Ontology) -> None:
    scene = make_scene(make_event("White noise"), background=NOISE)
    truth = level_truth(scene, 2, ontology)
    assert (list(truth.events), truth.disregarded) == ([mid("Noise")], ())


def test_right_wrong_missed_and_disregarded_are_counted(ontology: Ontology) -> None:
    scene = make_scene(make_event("Dog"), make_event("Rain"), background=NOISE)
    found = detections(ontology, "Noise", "Water", "Vehicle", "Music genre")
    record = score_detections(level_truth(scene, 2, ontology), found)
    assert record.counts == DetectionCounts(1, 2, 1)
    assert record.scored == tuple(map(mid, ("Water", "Vehicle", "Music genre")))
    assert record.wrong == tuple(map(mid, ("Vehicle", "Music genre")))
    assert record.false_energy is None


def test_perfect_stems(ontology: Ontology) -> None:
    """Equal energies: the mixture's SDR is 0 dB against each; a perfect stem's is capped at 100."""
    dog, rain = impulses(1.0), impulses(0.0, 1.0)
    stems = {"Domestic animals, pets": dog, "Water": rain}
    record = score(ontology, DOG_AND_RAIN, 2, rendered(dog, rain), stems)
    # Half the mixture lacks half the dog and has half the rain: 1 to 1/4 + 1/4.
    half_db = pytest.approx(10.0 * np.log10(2.0))
    assert set(record.stems) == {mid("Domestic animals, pets"), mid("Water")}
    for stem in record.stems.values():
        assert (stem.sdr_db, stem.sdri_db, stem.si_sdri_db) == (100.0, 100.0, 100.0)
        assert stem.half_sdri_db == half_db
        assert not stem.is_off_target
    assert (record.false_energy, record.ca_sdri_db) == (0.0, 100.0)
    assert record.half_ca_sdri_db == half_db


def test_half_the_mixture_as_a_stem_is_the_floor(ontology: Ontology) -> None:
    """The dog has 4 of 5: half the mixture lacks 1 of it and has 1/4 of the rain, 4 to 5/4."""
    dog, rain = impulses(2.0), impulses(0.0, 1.0)
    audio = rendered(dog, rain)
    record = score(ontology, DOG_AND_RAIN, 3, audio, {"Dog": 0.5 * audio.mixture})
    stem = record.stems[mid("Dog")]
    assert stem.half_sdri_db == stem.sdri_db
    assert stem.sdri_db == pytest.approx(10.0 * np.log10(4 / 1.25) - 10.0 * np.log10(4))
    assert stem.si_sdri_db == pytest.approx(0.0)
    # The rain is missed.
    assert record.half_ca_sdri_db == record.ca_sdri_db == pytest.approx(stem.sdri_db / 2)


def test_a_stem_that_sounds_at_another_time_is_off_target(ontology: Ontology) -> None:
    dog, rain = impulses(1.0), impulses(0.0, 1.0)
    stems = {"Dog": impulses(0.0, 0.5), "Rain": impulses(1.0, 0.01)}
    record = score(ontology, DOG_AND_RAIN, 3, rendered(dog, rain), stems)
    assert record.stems[mid("Dog")].si_sdri_db == -100.0
    # A hundredth of the amplitude is little, but not nothing.
    assert record.stems[mid("Rain")].si_sdri_db == pytest.approx(-40.0, abs=1e-4)
    assert [stem.is_off_target for stem in record.stems.values()] == [True, False]


def test_class_aware_sdri_by_hand(ontology: Ontology) -> None:
    """Improvements of 20 and 0 dB for a right and a missed node, and 0 dB for a wrong one.

    The dog's stem lacks a tenth of its amplitude: 20 dB.
    """
    dog, rain = impulses(1.0), impulses(0.0, 1.0)
    wrong = impulses(0.0, 0.0, 0.5, 0.5)
    stems = {"Domestic animals, pets": 0.9 * dog, "Vehicle": wrong}
    record = score(ontology, DOG_AND_RAIN, 2, rendered(dog, rain), stems)
    matched = record.stems[mid("Domestic animals, pets")]
    assert matched.sdr_db == pytest.approx(20.0, abs=1e-4)
    assert matched.sdri_db == pytest.approx(20.0, abs=1e-4)
    assert matched.si_sdri_db == pytest.approx(100.0)
    assert record.ca_sdri_db == pytest.approx(20.0 / 3.0, abs=1e-4)
    assert record.half_ca_sdri_db == pytest.approx(10.0 * np.log10(2.0) / 3.0)
    assert record.false_energy == pytest.approx(0.5)


def test_the_source_of_a_node_is_the_sum_of_its_events(ontology: Ontology) -> None:
    scene = make_scene(make_event("Dog"), make_event("Cat"), make_event("Rain"))
    dog, cat, rain = impulses(1.0), impulses(0.0, 1.0), impulses(0.0, 0.0, 2.0)
    pets = "Domestic animals, pets"
    record = score(ontology, scene, 2, rendered(dog, cat, rain), {pets: dog + cat})
    assert record.stems[mid(pets)].sdr_db == 100.0
    # Pets against the mixture: 2 to 4, -3.01 dB.
    assert record.stems[mid(pets)].sdri_db == pytest.approx(103.0103, abs=1e-4)


def test_all_missed(ontology: Ontology) -> None:
    record = score(ontology, DOG_AND_RAIN, 2, rendered(impulses(1.0), impulses(0.0, 1.0)), {})
    assert record.counts == DetectionCounts(0, 0, 2)
    assert (record.stems, record.false_energy, record.ca_sdri_db) == ({}, 0.0, 0.0)
    assert record.half_ca_sdri_db == 0.0


def test_an_empty_scene_with_and_without_detections(ontology: Ontology) -> None:
    scene = make_scene(background=NOISE)
    audio = rendered(background=impulses(0.1, 0.1))
    nothing = score(ontology, scene, 2, audio, {})
    assert (nothing.counts, nothing.ca_sdri_db) == (DetectionCounts(), None)
    noise = score(ontology, scene, 2, audio, {"Noise": impulses(0.1, 0.1)})
    assert (noise.counts, noise.false_energy, noise.ca_sdri_db) == (DetectionCounts(), 0.0, None)
    wrong = score(ontology, scene, 2, audio, {"Water": impulses(0.1)})
    assert (wrong.counts, wrong.ca_sdri_db) == (DetectionCounts(0, 1, 0), 0.0)
    assert wrong.false_energy == pytest.approx(0.01)


def test_an_event_alone_cannot_be_improved(ontology: Ontology) -> None:
    scene, dog = make_scene(make_event("Dog")), impulses(1.0)
    right = score(ontology, scene, 3, rendered(dog), {"Dog": 0.9 * dog})
    assert right.stems[mid("Dog")].sdr_db == pytest.approx(20.0, abs=1e-4)
    assert right.stems[mid("Dog")].sdri_db is None
    assert right.stems[mid("Dog")].half_sdri_db is None
    assert not right.stems[mid("Dog")].is_off_target
    assert (right.ca_sdri_db, right.half_ca_sdri_db) == (None, None)
    wrong = score(ontology, scene, 3, rendered(dog), {"Dog": dog, "Cat": dog})
    assert (wrong.ca_sdri_db, wrong.half_ca_sdri_db) == (0.0, 0.0)


def test_times_of_what_is_there_and_what_was_found(ontology: Ontology) -> None:
    scene = make_scene(
        make_event("Dog", onset_seconds=0.0, seconds=0.3),
        make_event("Bark", "Dog", onset_seconds=0.2, seconds=0.3),
        make_event("Rain", onset_seconds=0.5, seconds=0.5),
        background=NOISE,
    )
    truth = level_truth(scene, 3, ontology)
    found = [
        Detection(NodeQuery.of(ontology.find(name), ontology), 3, None, np.array([True, False]))
        for name in ("Dog", "Cat", "White noise")
    ]
    heard = Analysis(
        probabilities=np.zeros((2, 1), np.float32),
        segmentation=Segmentation(32_000, 16_000, 16_000),
        starts_seconds=(0.0, 0.5),
        segment_seconds=0.5,
        sounding=np.ones(2, bool),
        condition_probabilities=None,
        num_samples=RATE,
        envelope=Envelope(RATE),
    )
    events = {mid(name): [FoundEvent(0.1, 0.4, 0.9)] for name in ("Dog", "Cat", "White noise")}
    assert times_of_nodes(scene, truth, found, heard, events) == {
        mid("Dog"): NodeTimes(((0.0, 0.5),), ((0.1, 0.4),), ((0.0, 0.5),)),
        mid("Rain"): NodeTimes(((0.5, 1.0),)),
        mid("Cat"): NodeTimes((), ((0.1, 0.4),), ((0.0, 0.5),)),
    }


def test_energy_is_the_sum_of_squares() -> None:
    assert energy(impulses(1.0, -2.0)) == 5.0


def test_records_survive_json(ontology: Ontology) -> None:
    dog, rain = impulses(1.0), impulses(0.0, 1.0)
    level = score(ontology, DOG_AND_RAIN, 2, rendered(dog, rain), {"Water": rain})
    record = SceneRecord("a", (0.25, 0.5), (3, 70), 2.0, 10.0, {2: level, 3: LevelRecord((), ())})
    assert SceneRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize("record", [{}, {"scene": "a", "levels": 3}])
def test_what_is_no_record_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="this is no record of a scene"):
        SceneRecord.from_json(record)


@pytest.mark.parametrize("is_of_stem", [True, False], ids=["half_sdri_db", "half_ca_sdri_db"])
def test_records_of_an_older_version_are_refused(ontology: Ontology, is_of_stem: bool) -> None:
    """They lack what half the mixture would have."""
    dog, rain = impulses(1.0), impulses(0.0, 1.0)
    level = score(ontology, DOG_AND_RAIN, 2, rendered(dog, rain), {"Water": rain})
    record = SceneRecord("a", (0.25, 0.5), (3, 70), 2.0, 10.0, {2: level}).to_json()
    older = record["levels"]["2"]
    if is_of_stem:
        del older["stems"][mid("Water")]["half_sdri_db"]
    else:
        del older["half_ca_sdri_db"]
    missing = "half_sdri_db" if is_of_stem else "half_ca_sdri_db"
    with pytest.raises(ValueError, match=f"no record of a scene .*'{missing}'.*evaluate it again"):
        SceneRecord.from_json(record)
