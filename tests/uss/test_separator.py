import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from uss.audio import Recording
from uss.bundle import Bundle
from uss.models import ResUNet
from uss.queries import ClassQueries
from uss.segments import Segmentation
from uss.separation import Runtime
from uss.separator import Analysis, Separator
from uss.taggers import NUM_CLASSES, EfficientAT, TaggerOutput

RATE = 32_000
RUNTIME = Runtime(torch.device("cpu"), torch.float32)
DOG, CAT, SPEECH = 74, 81, 0


class Spy(ResUNet):
    """Lets half of everything pass, and remembers the conditions it was given."""

    def __init__(self, condition_space: str, condition_size: int) -> None:
        super().__init__(
            condition_space,
            condition_size,
            channels=(2,),
            fold=4,
            n_fft=256,
            hop_length=128,
            segment_seconds=0.5,
        )
        self.conditions: list[Tensor] = []

    def modulate(self, condition: Tensor) -> Any:
        self.conditions.append(condition)
        return ()

    def mask(self, encoded: Tensor, modulation: Any) -> Tensor:
        frames = encoded.shape[-1]
        return torch.full((len(encoded), self.n_fft // 2 + 1, frames), 0.5, dtype=torch.complex64)


class LengthTagger(EfficientAT):
    """Says 0.9 for one class, and for class 526 how many seconds it heard, over ten."""

    def __init__(self, class_index: int = DOG) -> None:
        super().__init__(width=0.05, name="length")
        self.class_index = class_index

    def forward(self, waveform: Tensor) -> TaggerOutput:
        clipwise = torch.zeros(len(waveform), NUM_CLASSES)
        clipwise[:, self.class_index] = 0.9
        clipwise[:, 526] = waveform.shape[1] / RATE / 10.0
        return TaggerOutput(clipwise, clipwise[:, None], clipwise[:, :48])


def queries(*indexes: int) -> ClassQueries:
    return ClassQueries("length-3", indexes, np.eye(len(indexes), 3, dtype=np.float32))


def make_separator(*indexes: int, **changes: Any) -> Separator:
    return Separator(
        Bundle(LengthTagger(), Spy("length-3", 3), queries(*indexes or (SPEECH, DOG)), **changes),
        runtime=RUNTIME,
    )


def make_recording(
    num_samples: int = 40_000, channels: int = 1, sample_rate: int = RATE
) -> Recording:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, num_samples))
    return Recording(noise.astype(np.float32), sample_rate)


def make_analysis(probabilities: np.ndarray) -> Analysis:
    """Segments of half a second without overlap."""
    num_segments = len(probabilities)
    starts = tuple(0.5 * index for index in range(num_segments))
    return Analysis(
        probabilities.astype(np.float32),
        Segmentation(num_segments * 16_000, 16_000, 16_000),
        starts,
        0.5,
    )


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
    assert set(with_own.thresholds(0.3).tolist()) == {np.float32(0.3)}
    np.testing.assert_array_equal(with_own.thresholds(None), own)
    assert set(without.thresholds(None).tolist()) == {np.float32(0.2)}
    assert set(without.thresholds(0.0).tolist()) == {0.0}


def test_detected_classes_without_a_query_are_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    separator = make_separator(SPEECH, CAT)
    probabilities = np.zeros((2, NUM_CLASSES))
    probabilities[:, [DOG, SPEECH]] = 0.9
    analysis = make_analysis(probabilities)
    dog = separator.ontology.find("Dog")
    assert dog.class_index == DOG
    with caplog.at_level(logging.WARNING):
        found = separator.detect(analysis, separator.ontology.levels(dog)[0])
    assert dog.mid not in {detection.node.mid for detection in found}
    assert "Dog was detected, but the model has no query for it" in caplog.text
    with pytest.raises(ValueError, match="no query for 'Dog'"):
        separator.detect_named(analysis, [dog])
    # A node further up is separated with the queries there are below it.
    level1 = {detection.node.name for detection in separator.detect(analysis, 1)}
    assert level1 == {"Animal", "Human sounds"}


def test_named_classes_come_back_active_or_not_most_probable_first() -> None:
    separator = make_separator()
    nodes = [separator.ontology.find(name) for name in ("Speech", "Dog")]
    found = separator.detect_named(separator.analyse(make_recording()), nodes)
    assert [(d.node.name, bool(d.active.any())) for d in found] == [
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
    nodes = [separator.ontology.find(name) for name in ("Dog", "Speech")]
    dog, speech = separator.separate(recording, analysis, separator.detect_named(analysis, nodes))
    assert dog.waveform.shape == speech.waveform.shape == (channels, num_samples)
    assert dog.waveform.dtype == np.float32
    assert not speech.waveform.any()
    if sample_rate == RATE:
        np.testing.assert_allclose(dog.waveform, 0.5 * recording.waveform, atol=1e-6)


def test_a_node_found_at_several_levels_is_separated_once() -> None:
    separator = make_separator()
    recording = make_recording()
    analysis = separator.analyse(recording)
    (detection,) = separator.detect_named(analysis, [separator.ontology.find("Dog")])
    done: list[int] = []
    stems = separator.separate(recording, analysis, [detection, detection], done.append)
    assert len(stems) == 2
    assert sum(done) == 3
    np.testing.assert_array_equal(stems[0].waveform, stems[1].waveform)


def test_a_node_is_asked_for_with_the_queries_below_it_weighted_by_probability() -> None:
    separator = make_separator(SPEECH, DOG, CAT)
    probabilities = np.zeros((2, NUM_CLASSES))
    probabilities[0, [DOG, CAT, SPEECH]] = [0.6, 0.2, 0.9]
    probabilities[1, CAT] = 0.5
    analysis = make_analysis(probabilities)
    animal = separator.ontology.find("Animal")
    separator.separate(make_recording(32_000), analysis, separator.detect_named(analysis, [animal]))
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
    detections = separator.detect_named(analysis, [separator.ontology.find("Animal")])
    separator.separate(recording, analysis, detections)
    expected = torch.zeros(1, NUM_CLASSES)
    expected[0, DOG] = 0.9
    torch.testing.assert_close(torch.cat(spy.conditions), expected)


def test_another_tagger_detects_but_conditions_come_from_the_bundles_own() -> None:
    spy = Spy("audioset-527", NUM_CLASSES)
    separator = Separator(Bundle(LengthTagger(DOG), spy), LengthTagger(CAT), RUNTIME)
    recording = make_recording(16_000)
    analysis = separator.analyse(recording, overlap=0.0)
    cat = separator.ontology.find("Cat")
    assert cat.class_index == CAT
    (detection,) = separator.detect_named(analysis, [cat])
    assert detection.active.all()
    animal = separator.ontology.find("Animal")
    separator.separate(recording, analysis, separator.detect_named(analysis, [animal]))
    condition = torch.cat(spy.conditions)
    assert condition[0, DOG] == pytest.approx(0.9)
    assert condition[0, CAT] == 0.0


def test_a_silent_recording_gives_silent_stems() -> None:
    separator = make_separator()
    recording = Recording(np.zeros((1, 20_000), np.float32), RATE)
    analysis = separator.analyse(recording)
    (stem,) = separator.separate(
        recording, analysis, separator.detect_named(analysis, [separator.ontology.find("Dog")])
    )
    assert not stem.waveform.any()
