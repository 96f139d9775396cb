"""Plans: levels, names, negatives and queries made of audio."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

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
)
from uss.checkpoints.bundle import Bundle
from uss.conditions.queries import AudioQuery, NodeQuery
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection
from uss.separation.groups import NAMED_GROUP
from uss.separation.plan import Plan, Wanted
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES, TaggerOutput


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
