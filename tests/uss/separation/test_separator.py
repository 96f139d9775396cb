import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from uss.audio import Recording
from uss.audio.envelopes import Envelope
from uss.audio.segments import Segmentation
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.conditions.class_queries import ClassQueries
from uss.conditions.queries import AudioQuery, NodeQuery, Query
from uss.core.arrays import Waveform
from uss.core.runtime import Runtime
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection
from uss.models import ResUNet
from uss.separation.groups import NAMED_GROUP
from uss.separation.plan import Plan, Wanted
from uss.separation.separator import Separator
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

    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        return (condition,)

    def mask(self, encoded: Tensor, modulation: Any) -> Tensor:
        self.conditions.append(modulation[0])
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
    num_samples = num_segments * 16_000
    return Analysis(
        probabilities=probabilities.astype(np.float32),
        segmentation=Segmentation(num_samples, 16_000, 16_000),
        starts_seconds=tuple(0.5 * index for index in range(num_segments)),
        segment_seconds=0.5,
        sounding=np.ones(num_segments, bool),
        condition_probabilities=None,
        num_samples=num_samples,
        envelope=Envelope(RATE),
    )


def stems_of(
    separator: Separator,
    recording: Recording,
    analysis: Analysis,
    detections: Sequence[Detection],
    progress: Callable[[int], None] = lambda done: None,
) -> list[Waveform]:
    stems = [np.zeros_like(recording.waveform) for _ in detections]
    plan = Plan({"queries": detections})
    for piece in separator.stream(recording, analysis, plan, progress=progress):
        for stem, samples in zip(stems, piece.stems, strict=True):
            if samples is not None:
                stem[:, piece.start : piece.start + samples.shape[1]] = samples
    return stems


def named(separator: Separator, analysis: Analysis, queries: Sequence[Query]) -> list[Detection]:
    return separator.detector.detect_queries(analysis, queries)


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


# Parts from several places


def asked_for(separator: Separator, *names: str, seconds: float = 0.5) -> Tensor:
    """Separate named classes from noise; returns the (N, H) conditions, one row per segment."""
    recording = make_recording(round(seconds * RATE))
    analysis = separator.analyse(recording, overlap=0.0)
    nodes = [separator.class_query(name) for name in names]
    stems_of(separator, recording, analysis, named(separator, analysis, nodes))
    return torch.cat(separator.model.conditions)


def refusal_of(*args: Any, **options: Any) -> str:
    with pytest.raises(ValueError) as refusal:
        Separator(*args, runtime=RUNTIME, **options)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_separator_without_a_tagger_needs_one() -> None:
    bundle = Bundle(separator=Spy("audioset-527", NUM_CLASSES))
    assert "name one with --tagger, such as cnn14" in refusal_of(bundle)


def test_a_tagger_given_to_a_separator_without_one_detects_and_makes_the_conditions() -> None:
    bundle = Bundle(separator=Spy("audioset-527", NUM_CLASSES))
    tagger = LengthTagger(CAT)
    separator = Separator(bundle, tagger, runtime=RUNTIME)
    assert separator.tagger is separator.encoder is tagger
    expected = torch.zeros(2, NUM_CLASSES)
    expected[:, CAT] = 0.9
    torch.testing.assert_close(asked_for(separator, "Animal", seconds=1.0), expected)


def test_a_bundles_thresholds_hold_for_its_own_tagger_alone() -> None:
    own, others = LengthTagger(DOG), LengthTagger(DOG)
    thresholds = np.linspace(0.0, 1.0, NUM_CLASSES, dtype=np.float32)
    spy = Spy("audioset-527", NUM_CLASSES)
    for tagger, given, expected in (
        (own, None, thresholds),
        (own, own, thresholds),
        (own, others, np.full(NUM_CLASSES, 0.2, np.float32)),
        (None, others, np.full(NUM_CLASSES, 0.2, np.float32)),
    ):
        separator = Separator(Bundle(tagger, spy, thresholds=thresholds), given, runtime=RUNTIME)
        np.testing.assert_array_equal(separator.detector.thresholds(None), expected)
        assert set(separator.detector.thresholds(0.7).tolist()) == {np.float32(0.7)}


def test_another_taggers_detections_use_no_thresholds_of_the_bundle() -> None:
    unreachable = np.ones(NUM_CLASSES, np.float32)
    bundle = Bundle(LengthTagger(), Spy("audioset-527", NUM_CLASSES), thresholds=unreachable)
    active = []
    for tagger in (None, LengthTagger()):
        separator = Separator(bundle, tagger, runtime=RUNTIME)
        analysis = separator.analyse(make_recording())
        (dog,) = named(separator, analysis, [separator.class_query("Dog")])
        active.append(bool(dog.active.any()))
    assert active == [False, True]


def test_class_queries_that_are_given_come_before_the_bundles() -> None:
    given = ClassQueries("length-3", (DOG, CAT), np.array([[5.0, 6.0, 7.0], [1, 1, 1]], np.float32))
    bundle = Bundle(LengthTagger(), Spy("length-3", 3), queries(SPEECH, DOG))
    separator = Separator(bundle, class_queries=given, runtime=RUNTIME)
    assert asked_for(separator, "Dog").tolist() == [[5.0, 6.0, 7.0]]
    # And what the bundle alone had is not there any more.
    with pytest.raises(ValueError, match="no query for 'Speech'"):
        asked_for(separator, "Speech")
    assert asked_for(Separator(bundle, runtime=RUNTIME), "Dog")[-1].tolist() == [0.0, 1.0, 0.0]


def test_class_queries_of_probabilities_come_before_equation_10() -> None:
    one_hot = ClassQueries("audioset-527", (DOG,), np.eye(1, NUM_CLASSES, DOG, dtype=np.float32))
    spy = Spy("audioset-527", NUM_CLASSES)
    separator = Separator(Bundle(LengthTagger(), spy), class_queries=one_hot, runtime=RUNTIME)
    conditions = asked_for(separator, "Dog")
    assert torch.equal(conditions, torch.from_numpy(one_hot.vectors))


@pytest.mark.parametrize("space", ["length-3", "audioset-527"])
def test_class_queries_of_another_space_are_refused_not_ignored(space: str) -> None:
    """Though the bundle could do without them."""
    size = 3 if space == "length-3" else NUM_CLASSES
    bundle = Bundle(LengthTagger(), Spy(space, size), queries(SPEECH, DOG))
    given = ClassQueries("cnn14-2048", (DOG,), np.zeros((1, 2048), np.float32))
    said = refusal_of(bundle, class_queries=given)
    assert "the class queries are of 'cnn14-2048'" in said
    assert f"the separator takes '{space}'" in said


def test_a_separator_that_is_asked_in_words_says_what_it_needs() -> None:
    bundle = Bundle(LengthTagger(), Spy("clap-512", 512))
    said = refusal_of(bundle)
    assert "text queries are needed" in said
    assert "--class-queries" in said
    other = Bundle(LengthTagger(), bundle.separator, queries(DOG))
    assert refusal_of(other) == said
    vector = np.linspace(0.0, 1.0, 512, dtype=np.float32)[None]
    given = ClassQueries("clap-512", (DOG,), vector)
    separator = Separator(bundle, class_queries=given, runtime=RUNTIME)
    assert torch.equal(asked_for(separator, "Dog"), torch.from_numpy(vector))


def test_a_tagger_of_another_rate_is_refused() -> None:
    tagger = LengthTagger()
    tagger.sample_rate = 16_000
    said = refusal_of(Bundle(separator=Spy("audioset-527", NUM_CLASSES)), tagger)
    assert "the tagger hears 16000 Hz, the separator 32000 Hz" in said


def test_separator_tagger_and_class_queries_come_from_files_of_their_own(tmp_path: Path) -> None:
    def small(name: str, condition_size: int) -> ResUNet:
        return ResUNet(name, condition_size, channels=(2,), n_fft=64, hop_length=16)

    def tiny(name: str) -> EfficientAT:
        return EfficientAT(width=0.05, name=name)

    parts = {
        "model": Bundle(tiny("model"), small("a-2", 2), ClassQueries("a-2", (DOG,), np.eye(1, 2))),
        "separator": Bundle(separator=small("b-3", 3)),
        "tagger": Bundle(tiny("tagger"), thresholds=np.ones(NUM_CLASSES, np.float32)),
        "queries": Bundle(class_queries=ClassQueries("b-3", (CAT,), np.eye(1, 3))),
    }
    files = {name: tmp_path / f"{name}.safetensors" for name in parts}
    for name, bundle in parts.items():
        save_bundle(files[name], bundle)
    load = Separator.from_pretrained
    alone = load(files["model"], device="cpu")
    assert (alone.model.condition_space, alone.tagger.name) == ("a-2", "model")
    assert alone.tagger is alone.encoder
    with pytest.raises(ValueError, match="no class queries in its condition space 'b-3'"):
        load(files["model"], separator=files["separator"], device="cpu")
    options = {"separator": files["separator"], "class_queries": files["queries"], "device": "cpu"}
    detected_by_model = load(files["model"], **options)
    assert detected_by_model.model.condition_space == "b-3"
    assert detected_by_model.tagger.name == "model"
    assert detected_by_model.class_queries is not None
    assert detected_by_model.class_queries.class_indexes == (CAT,)
    assert load(tagger=files["tagger"], **options).tagger.name == "tagger"
    with_tagger = load(files["model"], tagger=files["tagger"], device="cpu")
    assert (with_tagger.tagger.name, with_tagger.encoder.name) == ("tagger", "model")
    with pytest.raises(ValueError, match=r"tagger\.safetensors holds no class queries"):
        load(files["model"], class_queries=files["tagger"], device="cpu")
    with pytest.raises(ValueError, match=r"queries\.safetensors holds no tagger"):
        load(files["model"], tagger=files["queries"], device="cpu")


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


# Plans


class SeveralTagger(LengthTagger):
    """Says 0.9 for dogs, 0.8 for cats and 0.7 for speech."""

    def forward(self, waveform: Tensor) -> TaggerOutput:
        clipwise = torch.zeros(len(waveform), NUM_CLASSES)
        clipwise[:, DOG], clipwise[:, CAT], clipwise[:, SPEECH] = 0.9, 0.8, 0.7
        return TaggerOutput(clipwise, clipwise[:, None], clipwise[:, :48])


def soft_separator() -> Separator:
    """One that is asked by equation 10."""
    return Separator(Bundle(SeveralTagger(), Spy("audioset-527", NUM_CLASSES)), runtime=RUNTIME)


def audio_query(name: str = "mine", space: str = "audioset-527") -> AudioQuery:
    vector = np.eye(1, NUM_CLASSES, CAT, dtype=np.float32)[0]
    return AudioQuery(name, space, vector, vector)


def names_of(detections: Sequence[Detection]) -> list[str]:
    return [detection.query.name for detection in detections]


def test_each_level_is_a_group_however_often_and_in_whatever_order_it_is_asked_for() -> None:
    separator = soft_separator()
    plan = separator.plan(separator.analyse(make_recording()), Wanted(levels=[3, 1, 3]))
    assert {group: names_of(found) for group, found in plan.groups.items()} == {
        "level1": ["Animal", "Human sounds"],
        "level3": ["Dog", "Cat", "Speech"],
    }
    assert [each.level for each in plan.detections] == [1, 1, 3, 3, 3]
    assert not plan.negatives
    assert (plan.consistency, plan.full_band) == (False, False)


def test_named_classes_and_queries_are_one_group_beside_the_levels() -> None:
    separator = soft_separator()
    speech, dog, music = (separator.class_query(name) for name in ("Speech", "Dog", "Music"))
    plan = separator.plan(
        separator.analyse(make_recording()),
        Wanted(
            levels=[1],
            queries=[speech, music, dog, audio_query(), speech],
            consistency=True,
            full_band=True,
        ),
    )
    assert list(plan.groups) == ["level1", NAMED_GROUP]
    assert names_of(plan.groups[NAMED_GROUP]) == ["Dog", "Speech", "Music", "mine"]
    assert not plan.groups[NAMED_GROUP][2].active.any()
    assert (plan.consistency, plan.full_band) == (True, True)


def test_what_must_be_in_no_stem_is_not_detected() -> None:
    separator = soft_separator()
    dog, domestic = (separator.class_query(n) for n in ("Dog", "Domestic animals, pets"))
    analysis = separator.analyse(make_recording())
    plan = separator.plan(analysis, Wanted(levels=[1, 3], without=[dog]))
    assert names_of(plan.groups["level3"]) == ["Cat", "Speech"]
    assert names_of(plan.negatives) == ["Dog"]
    assert plan.negatives[0].active.all()
    animal = plan.groups["level1"][0]
    assert (animal.query.name, animal.probability) == ("Animal", pytest.approx(0.8))
    without_all = separator.plan(analysis, Wanted(levels=[1], without=[domestic]))
    assert names_of(without_all.groups["level1"]) == ["Human sounds"]
    # The analysis itself has heard the dog all the same.
    assert analysis.probabilities[0, DOG] == pytest.approx(0.9)


def test_a_negative_that_is_a_query_is_found_wherever_there_is_sound() -> None:
    separator = soft_separator()
    recording = make_recording(2 * RATE)
    recording.waveform[:, RATE:] = 0.0
    plan = separator.plan(
        separator.analyse(recording, overlap=0.0), Wanted(levels=[3], without=[audio_query()])
    )
    assert names_of(plan.negatives) == ["mine"]
    assert plan.negatives[0].active.tolist() == [True, True, False, False]
    assert names_of(plan.groups["level3"]) == ["Dog", "Cat", "Speech"]


def separated(separator: Separator, plan: Plan, analysis: Analysis) -> Tensor:
    """Separate 0.5 s; returns the (N, H) conditions in the order of the requests."""
    for _ in separator.stream(make_recording(16_000), analysis, plan):
        pass
    return torch.cat(separator.model.conditions)


@pytest.mark.parametrize("overlap", [0.0, 0.25])
def test_negatives_are_not_in_the_conditions_of_stems(overlap: float) -> None:
    """Of animals without dogs, cats are left; the negative itself is asked for as it is."""
    separator = soft_separator()
    dog, animal = (separator.class_query(name) for name in ("Dog", "Animal"))
    analysis = separator.analyse(make_recording(16_000), overlap=overlap)
    plan = separator.plan(analysis, Wanted(queries=[animal], without=[dog]))
    expected = torch.zeros(2, NUM_CLASSES)
    expected[0, CAT], expected[1, DOG] = 0.8, 0.9
    torch.testing.assert_close(separated(separator, plan, analysis), expected)


def test_negatives_are_not_in_the_class_queries_of_stems_either() -> None:
    separator = Separator(
        Bundle(SeveralTagger(), Spy("length-3", 3), queries(SPEECH, DOG, CAT)), runtime=RUNTIME
    )
    dog, animal = (separator.class_query(name) for name in ("Dog", "Animal"))
    analysis = separator.analyse(make_recording(16_000))
    plan = separator.plan(analysis, Wanted(queries=[animal], without=[dog]))
    conditions = separated(separator, plan, analysis)
    assert conditions.tolist() == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


def test_a_negative_takes_what_it_holds_out_of_a_stem() -> None:
    """Both are half of everything, so half of the stem's half is left."""
    separator = soft_separator()
    recording = make_recording(16_000)
    dog, speech = (separator.class_query(name) for name in ("Dog", "Speech"))
    analysis = separator.analyse(recording)
    plan = separator.plan(analysis, Wanted(queries=[speech], without=[dog]))
    (piece,) = separator.stream(recording, analysis, plan)
    (stem,) = piece.stems
    assert stem is not None
    np.testing.assert_allclose(stem, 0.25 * recording.waveform, atol=1e-5)


def test_a_query_is_asked_for_with_its_own_vector() -> None:
    separator = soft_separator()
    analysis = separator.analyse(make_recording(16_000))
    plan = separator.plan(analysis, Wanted(queries=[audio_query()]))
    conditions = separated(separator, plan, analysis)
    assert torch.equal(conditions, torch.from_numpy(audio_query().vector)[None])


def test_a_query_is_as_probable_as_it_is_alike() -> None:
    separator = soft_separator()
    analysis = separator.analyse(make_recording())
    found = named(separator, analysis, [audio_query()])[0]
    expected = 0.8 / np.sqrt(0.9**2 + 0.8**2 + 0.7**2)
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5)
    assert found.level is None
    assert found.active.all()


def test_a_query_of_another_space_is_refused() -> None:
    separator = soft_separator()
    analysis = separator.analyse(make_recording())
    foreign = audio_query(space="cnn14-2048")
    said = "query 'mine' is of 'cnn14-2048', the separator takes 'audioset-527'; make the query"
    with pytest.raises(ValueError, match=said):
        named(separator, analysis, [foreign])
    for options in ({"queries": [foreign]}, {"levels": [1], "without": [foreign]}):
        with pytest.raises(ValueError, match=said):
            separator.plan(analysis, Wanted(**options))


def test_a_query_made_of_audio_finds_itself() -> None:
    separator = soft_separator()
    query = separator.audio_query("mine", [make_recording(3 * RATE), make_recording(8_000)])
    assert (query.name, query.space) == ("mine", "audioset-527")
    expected = np.zeros(NUM_CLASSES, np.float32)
    expected[[DOG, CAT, SPEECH]] = [0.9, 0.8, 0.7]
    np.testing.assert_allclose(query.vector, expected, rtol=1e-6)
    found = named(separator, separator.analyse(make_recording()), [query])[0]
    np.testing.assert_allclose(found.probabilities, 1.0, rtol=1e-6)


def test_a_query_by_example_needs_a_tagger_that_makes_such_conditions() -> None:
    with pytest.raises(ValueError, match="the separator takes conditions of 'length-3'"):
        make_separator().audio_query("mine", [make_recording()])


def test_negatives_that_the_model_cannot_separate_are_refused() -> None:
    separator = make_separator(SPEECH)
    analysis = separator.analyse(make_recording())
    with pytest.raises(ValueError, match="no query for 'Dog'"):
        separator.plan(analysis, Wanted(levels=[1], without=[separator.class_query("Dog")]))


def test_silence_is_never_detected_though_taggers_hear_something() -> None:
    separator = soft_separator()
    recording = make_recording(2 * RATE)
    recording.waveform[:, :RATE] = 0.9e-4
    analysis = separator.analyse(recording, overlap=0.0)
    assert analysis.sounding.tolist() == [False, False, True, True]
    assert not analysis.probabilities[:2].any()
    (dog,) = separator.plan(analysis, Wanted(queries=[separator.class_query("Dog")])).detections
    assert dog.active.tolist() == [False, False, True, True]


def test_of_a_level_the_more_probable_stem_claims_more() -> None:
    """Masks of one half have odds of 1; Speech is heard three times as surely as the dog, or not.

    What the user names has equal claims, however probable it is.
    """
    separator = make_separator()
    heard = np.zeros((2, NUM_CLASSES))
    heard[:, SPEECH], heard[:, DOG] = (0.9, 0.3), 0.3
    analysis = make_analysis(heard)
    recording = make_recording(analysis.num_samples)

    def gains(wanted: Wanted) -> list[list[float]]:
        plan = separator.plan(analysis, wanted)
        pieces = list(separator.stream(recording, analysis, plan))
        stems = [np.concatenate([p.stems[row] for p in pieces], axis=1) for row in range(2)]
        halves = np.split(np.stack([*stems, recording.waveform])[:, 0], 2, axis=1)
        return [[float(s @ half[2] / (half[2] @ half[2])) for s in half[:2]] for half in halves]

    (sure, equal) = gains(Wanted(levels=[1], threshold=0.2, joint=True))
    assert sure == pytest.approx([3 / 7, 1 / 7], abs=0.02)
    assert equal == pytest.approx([1 / 3, 1 / 3], abs=0.02)
    queries = [
        NodeQuery.of(separator.ontology.find(name), separator.ontology)
        for name in ("Speech", "Dog")
    ]
    (first, second) = gains(Wanted(queries=queries, threshold=0.2, joint=True))
    assert [*first, *second] == pytest.approx([1 / 3] * 4, abs=0.02)
