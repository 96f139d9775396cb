"""What a separator hears, asks with and gives."""

import logging

import numpy as np
import pytest
import torch

from tests.uss.separation.spied_separators import (
    CAT,
    DOG,
    RATE,
    RUNTIME,
    SPEECH,
    LengthTagger,
    Spy,
    make_analysis,
    make_recording,
    make_separator,
    named,
    queries,
    stems_of,
)
from uss.audio import Recording
from uss.checkpoints.bundle import Bundle
from uss.conditions.class_queries import ClassQueries
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES


def test_a_bundle_without_separator_is_refused() -> None:
    with pytest.raises(ValueError, match="a tagger but no separator"):
        Separator(Bundle(LengthTagger()), runtime=RUNTIME)


@pytest.mark.parametrize("other", [None, ClassQueries("cnn14-2048", (0,), np.zeros((1, 3)))])
def test_queries_must_lie_in_the_separators_space(other: ClassQueries | None) -> None:
    with pytest.raises(ValueError, match="no class queries in its condition space 'length-3'"):
        Separator(Bundle(LengthTagger(), Spy("length-3", 3), other), runtime=RUNTIME)


def test_the_tagger_hears_the_segment_alone_or_four_seconds_around_it() -> None:
    separator = make_separator()
    paper = separator.analyse(make_recording(), overlap=0.0)
    assert paper.probabilities.shape == (3, NUM_CLASSES)
    assert paper.starts_seconds == (0.0, 0.5, 1.0)
    np.testing.assert_allclose(paper.probabilities[:, 526], 0.05)
    default = separator.analyse(make_recording())
    assert default.starts_seconds == (0.0, 0.375, 0.75)
    np.testing.assert_allclose(default.probabilities[:, 526], 0.4)


def test_thresholds_are_the_given_one_the_models_own_or_0_2() -> None:
    own = np.linspace(0.0, 1.0, NUM_CLASSES, dtype=np.float32)
    with_own, without = make_separator(thresholds=own), make_separator()
    assert set(with_own.detector.thresholds(0.3).tolist()) == {np.float32(0.3)}
    np.testing.assert_array_equal(with_own.detector.thresholds(None), own)
    assert set(without.detector.thresholds(None).tolist()) == {np.float32(0.2)}
    assert set(without.detector.thresholds(0.0).tolist()) == {0.0}


def test_detected_classes_without_a_query_are_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    separator = make_separator(SPEECH, CAT)
    probabilities = np.zeros((2, NUM_CLASSES))
    probabilities[:, [DOG, SPEECH]] = 0.9
    analysis = make_analysis(probabilities)
    dog = separator.class_query("Dog")
    assert DOG in dog.class_indexes
    with caplog.at_level(logging.WARNING):
        found = separator.detector.detect_level(analysis, separator.ontology.levels(dog.mid)[0])
    assert dog.mid not in {detection.query.mid for detection in found}
    assert "Dog was detected, but the model has no query for the class" in caplog.text
    with pytest.raises(ValueError, match="no query for 'Dog'"):
        named(separator, analysis, [dog])
    # Further up the queries there are below a node would ask for something else, here a cat.
    with caplog.at_level(logging.WARNING):
        level1 = {
            detection.query.name for detection in separator.detector.detect_level(analysis, 1)
        }
    assert level1 == {"Human sounds"}
    assert "Animal was detected, but the model has no query for the class" in caplog.text
    (animal,) = named(separator, analysis, [separator.class_query("Animal")])
    assert animal.probability == 0.0 and not animal.active.any()


def test_named_classes_come_back_active_or_not_most_probable_first() -> None:
    separator = make_separator()
    nodes = [separator.class_query(name) for name in ("Speech", "Dog")]
    found = named(separator, separator.analyse(make_recording()), nodes)
    assert [(d.query.name, bool(d.active.any())) for d in found] == [
        ("Dog", True),
        ("Speech", False),
    ]


@pytest.mark.parametrize("sample_rate", [RATE, 44_100, 8_000])
@pytest.mark.parametrize("num_samples", [1, 777, 30_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_have_the_recordings_rate_channels_and_length(
    sample_rate: int, num_samples: int, channels: int
) -> None:
    separator = make_separator()
    recording = make_recording(num_samples, channels, sample_rate)
    analysis = separator.analyse(recording)
    nodes = [separator.class_query(name) for name in ("Dog", "Speech")]
    dog, speech = stems_of(separator, recording, analysis, named(separator, analysis, nodes))
    assert dog.shape == speech.shape == (channels, num_samples)
    assert dog.dtype == np.float32
    assert not speech.any()
    if sample_rate == RATE:
        np.testing.assert_allclose(dog, 0.5 * recording.waveform, atol=1e-6)


def test_a_node_found_at_several_levels_is_separated_once() -> None:
    separator = make_separator()
    recording = make_recording()
    analysis = separator.analyse(recording)
    (detection,) = named(separator, analysis, [separator.class_query("Dog")])
    done: list[int] = []
    stems = stems_of(separator, recording, analysis, [detection, detection], done.append)
    assert len(stems) == 2
    assert sum(done) == 3
    np.testing.assert_array_equal(stems[0], stems[1])


def test_a_node_is_asked_for_with_the_queries_below_it_weighted_by_probability() -> None:
    separator = make_separator(SPEECH, DOG, CAT)
    probabilities = np.zeros((2, NUM_CLASSES))
    probabilities[0, [DOG, CAT, SPEECH]] = [0.6, 0.2, 0.9]
    probabilities[1, CAT] = 0.5
    analysis = make_analysis(probabilities)
    animal = separator.class_query("Animal")
    stems_of(
        separator,
        make_recording(32_000),
        analysis,
        named(separator, analysis, [animal]),
    )
    conditions = torch.cat(separator.model.conditions)
    torch.testing.assert_close(conditions, torch.tensor([[0.0, 0.75, 0.25], [0.0, 0.0, 1.0]]))


@pytest.mark.parametrize("other_queries", [False, True])
def test_soft_probabilities_are_masked_to_the_subtree(other_queries: bool) -> None:
    """Equation 10; queries of another space have no part in it."""
    spy = Spy("audioset-527", NUM_CLASSES)
    bundle = Bundle(LengthTagger(), spy, queries(SPEECH, DOG) if other_queries else None)
    separator = Separator(bundle, runtime=RUNTIME)
    recording = make_recording(16_000)
    analysis = separator.analyse(recording, overlap=0.0)
    detections = named(separator, analysis, [separator.class_query("Animal")])
    stems_of(separator, recording, analysis, detections)
    expected = torch.zeros(1, NUM_CLASSES)
    expected[0, DOG] = 0.9
    torch.testing.assert_close(torch.cat(separator.model.conditions), expected)


def test_another_tagger_detects_but_conditions_come_from_the_bundles_own() -> None:
    spy = Spy("audioset-527", NUM_CLASSES)
    bundle = Bundle(LengthTagger(DOG), spy)
    separator = Separator(bundle, LengthTagger(CAT), runtime=RUNTIME)
    recording = make_recording(16_000)
    analysis = separator.analyse(recording, overlap=0.0)
    cat = separator.class_query("Cat")
    assert CAT in cat.class_indexes
    (detection,) = named(separator, analysis, [cat])
    assert detection.active.all()
    animal = separator.class_query("Animal")
    stems_of(separator, recording, analysis, named(separator, analysis, [animal]))
    condition = torch.cat(separator.model.conditions)
    assert condition[0, DOG] == pytest.approx(0.9)
    assert condition[0, CAT] == 0.0


@pytest.mark.parametrize("overlap", [0.0, 0.25])
def test_the_tagger_hears_at_least_the_segment(overlap: float) -> None:
    """Models of long segments must not be tagged on their middles alone."""
    spy = Spy("audioset-527", NUM_CLASSES)
    spy.segment_seconds = 10.0
    separator = Separator(Bundle(LengthTagger(), spy), runtime=RUNTIME)
    analysis = separator.analyse(make_recording(2 * RATE), overlap=overlap)
    assert analysis.probabilities[0, 526] == pytest.approx(1.0), "ten seconds"


@pytest.mark.parametrize("detector", [None, LengthTagger()], ids=["own", "another"])
def test_soft_conditions_are_those_of_the_segment_whoever_detects(
    detector: LengthTagger | None,
) -> None:
    """Eq. 10 wants what the separator was trained with, not the detector's wider window."""
    spy = Spy("audioset-527", NUM_CLASSES)
    separator = Separator(Bundle(LengthTagger(), spy), detector, runtime=RUNTIME)
    recording = make_recording(3 * RATE)
    analysis = separator.analyse(recording, overlap=0.25)
    assert analysis.probabilities[0, 526] == pytest.approx(0.4), "four seconds"
    node = separator.class_query(526)
    stems_of(separator, recording, analysis, named(separator, analysis, [node]))
    heard = torch.cat(separator.model.conditions)[:, 526]
    torch.testing.assert_close(heard, torch.full_like(heard, 0.05), msg="half a second")


def test_a_separator_of_probabilities_is_asked_by_eq_10_unless_queries_are_given() -> None:
    own = ClassQueries("audioset-527", (DOG,), np.eye(1, NUM_CLASSES, dtype=np.float32))
    bundle = Bundle(LengthTagger(DOG), Spy("audioset-527", NUM_CLASSES), own)
    assert Separator(bundle, runtime=RUNTIME).class_queries is None
    assert Separator(bundle, class_queries=own, runtime=RUNTIME).class_queries is own


def test_a_silent_recording_gives_silent_stems() -> None:
    separator = make_separator()
    recording = Recording(np.zeros((1, 20_000), np.float32), RATE)
    analysis = separator.analyse(recording)
    (stem,) = stems_of(
        separator,
        recording,
        analysis,
        named(separator, analysis, [separator.class_query("Dog")]),
    )
    assert not stem.any()
