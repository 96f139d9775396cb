"""Separators whose tagger and queries come from several places."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.uss.separation.spied_separators import (
    CAT,
    DOG,
    RUNTIME,
    SPEECH,
    LengthTagger,
    Spy,
    asked_for,
    make_recording,
    named,
    queries,
)
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.conditions.class_queries import ClassQueries
from uss.models import ResUNet
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES, EfficientAT


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
