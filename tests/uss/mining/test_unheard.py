import numpy as np
import pytest

from ontology import Ontology, OwnClass, with_own_classes
from tests.uss.mining.test_miner import (
    SAMPLE_RATE,
    LoudnessTagger,
    clip_of,
    clip_with_bumps,
    make_miner,
)
from uss.core.arrays import Float32
from uss.mining.unheard import loudest_spans, parents_curve
from uss.taggers import NUM_CLASSES

MACHINE = 527


@pytest.fixture
def orphaned(ontology: Ontology) -> Ontology:
    return with_own_classes(ontology, [OwnClass("/own/machine", "Machine X")], indexed=True)


@pytest.fixture
def below_engine(ontology: Ontology) -> Ontology:
    own = OwnClass("/own/machine", "Machine X", ontology.find("Engine").mid)
    return with_own_classes(ontology, [own], indexed=True)


def test_the_loudest_spans_hold_the_most_energy() -> None:
    waveform = np.zeros(1_000, np.float32)
    waveform[200:300] = 0.5
    waveform[700:800] = 1.0
    first, second = loudest_spans(waveform, hop_length=10, segment_samples=100, count=2)
    assert (first.start_samples, first.end_samples) == (700, 800)
    assert first.score == pytest.approx(0.8)
    assert (second.start_samples, second.end_samples) == (200, 300)
    assert second.score == pytest.approx(0.2)


def test_a_clip_shorter_than_the_segment_is_all_of_it() -> None:
    waveform = np.full(50, -0.1, np.float32)
    (span,) = loudest_spans(waveform, hop_length=10, segment_samples=100, count=3)
    assert span == (0, 50, 1.0)


def test_a_clip_shorter_than_a_hop_has_a_span() -> None:
    (span,) = loudest_spans(np.ones(5, np.float32), hop_length=10, segment_samples=100, count=1)
    assert span == (0, 5, 1.0)


def test_the_curve_of_a_parent_is_that_of_its_loudest_class(
    below_engine: Ontology, ontology: Ontology
) -> None:
    framewise = np.zeros((3, NUM_CLASSES), np.float32)
    framewise[0, ontology.find("Engine").class_index] = 0.25
    framewise[1, ontology.find("Idling").class_index] = 0.5
    framewise[2, ontology.find("Dog").class_index] = 1.0
    curve = parents_curve(MACHINE, framewise, below_engine)
    assert curve is not None
    assert curve.tolist() == [0.25, 0.5, 0.0]


def test_a_parent_that_is_not_heard_says_nothing(below_engine: Ontology) -> None:
    assert parents_curve(MACHINE, np.full((3, 527), 0.09, np.float32), below_engine) is None


def test_without_a_parent_nothing_is_above(orphaned: Ontology) -> None:
    assert parents_curve(MACHINE, np.ones((3, 527), np.float32), orphaned) is None


def test_an_own_class_without_a_parent_is_mined_where_it_is_loudest(orphaned: Ontology) -> None:
    waveform: Float32 = clip_with_bumps(10.0, (6.0, 0.8))
    miner = make_miner(orphaned)
    labels = miner.labels(["/own/machine", "/m/0bt9lr"])
    assert labels[0] == MACHINE
    machine, dog = miner.mine(clip_of("clip"), waveform, labels)
    assert (machine.class_index, dog.class_index) == labels
    assert machine.start_seconds == pytest.approx(5.0, abs=0.02)
    assert machine.score == pytest.approx(1.0, abs=1e-3)
    assert dog.score == pytest.approx(0.8, abs=0.01)
    assert machine.labels == labels
    assert machine.tag_probabilities.shape == (528,)
    assert machine.tag_probabilities[MACHINE] == 0.0
    assert machine.tag_probabilities[0] == pytest.approx(0.8)


class EngineTagger(LoudnessTagger):
    """Hears nothing but the class Engine, and that only where a clip is between 0.2 and 0.5."""

    def __call__(self, waveform):  # type: ignore[no-untyped-def]
        found = super().__call__(waveform)
        frames = found.framewise.clone()
        frames[:, :, :] = 0.0
        level = found.framewise[:, :, 0]
        frames[:, :, 343] = ((level > 0.2) & (level < 0.5)).float()
        return found._replace(framewise=frames)


def test_an_own_class_is_mined_where_its_parent_is_heard(
    below_engine: Ontology, ontology: Ontology
) -> None:
    assert ontology.find("Engine").class_index == 343
    waveform = clip_with_bumps(20.0, (4.0, 0.4), (14.0, 0.9))
    miner = make_miner(below_engine, EngineTagger())
    (anchor,) = miner.mine(clip_of("clip"), waveform, (MACHINE,))
    assert anchor.start_seconds == pytest.approx(3.0, abs=0.15)
    assert anchor.score > 0.8
    unheard = clip_with_bumps(20.0, (4.0, 0.1), (14.0, 0.9))
    (anchor,) = miner.mine(clip_of("clip"), unheard, (MACHINE,))
    assert anchor.start_seconds == pytest.approx(13.0, abs=0.02)


def test_specific_labels_leave_out_the_parent(below_engine: Ontology) -> None:
    miner = make_miner(below_engine, labels="specific")
    labels = miner.labels(["/own/machine", below_engine.find("Engine").mid])
    anchors = miner.mine(clip_of("clip"), clip_with_bumps(4.0, (2.0, 0.5)), labels)
    assert [anchor.class_index for anchor in anchors] == [MACHINE]


def test_random_anchors_are_drawn_for_own_classes_too(orphaned: Ontology) -> None:
    miner = make_miner(orphaned, strategy="out-clip-random")
    waveform = clip_with_bumps(4.0, (2.0, 0.5))
    assert len(waveform) == 4 * SAMPLE_RATE
    (anchor,) = miner.mine(clip_of("clip"), waveform, (MACHINE,))
    assert anchor.score == 0.0
