import numpy as np
import pytest

from ontology import Ontology, OwnClass
from uss.shards.purity import purity
from uss.taggers import NUM_CLASSES


def tags(ontology: Ontology, **values: float) -> np.ndarray:
    row = np.zeros(NUM_CLASSES, np.float16)
    for name, value in values.items():
        row[ontology.find(name).class_index] = value
    return row


def of(ontology: Ontology, name: str, row: np.ndarray) -> float:
    index = ontology.find(name).class_index
    return float(purity(np.array([index]), row[None])[0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Bark", 0.75), ("Dog", 0.75), ("Animal", 0.75), ("Speech", 0.25), ("Cat", 0.25)],
)
def test_ancestors_and_descendants_belong_and_all_else_does_not(
    ontology: Ontology, name: str, expected: float
) -> None:
    """A bark is heard as dog and animal too; speech of the same evidence is a quarter of all.

    For the cat, of what is heard the animal alone belongs.
    """
    row = tags(ontology, Bark=0.5, Dog=0.5, Animal=0.5, Speech=0.5)
    assert of(ontology, name, row) == pytest.approx(expected, abs=1e-3)


def test_siblings_do_not_belong(ontology: Ontology) -> None:
    row = tags(ontology, Dog=0.6, Cat=0.2)
    assert of(ontology, "Dog", row) == pytest.approx(0.75, abs=1e-3)


def test_every_parent_of_a_class_belongs(ontology: Ontology) -> None:
    for node in ontology.classes:
        for above in ontology.ancestors(node):
            if above.class_index is not None:
                row = np.zeros(NUM_CLASSES, np.float16)
                row[above.class_index] = 1.0
                assert purity(np.array([node.class_index]), row[None])[0] == 1.0


def test_silence_to_the_tagger_is_no_evidence(ontology: Ontology) -> None:
    assert of(ontology, "Dog", tags(ontology)) == 0.0


def test_purities_lie_between_0_and_1(rng: np.random.Generator) -> None:
    values = purity(
        rng.integers(NUM_CLASSES, size=5000), rng.random((5000, NUM_CLASSES)).astype(np.float16)
    )
    assert values.dtype == np.float32 and values.min() >= 0.0 and values.max() <= 1.0


def test_no_anchors() -> None:
    assert purity(np.zeros(0, int), np.zeros((0, NUM_CLASSES), np.float16)).shape == (0,)


def test_what_lies_above_speaks_for_a_class_of_ones_own(ontology: Ontology) -> None:
    """The tagger has no tag for it; without anything above it counts as pure."""
    own = (OwnClass("/own/a", "A thing"), OwnClass("/own/b", "B thing", ontology.find("Dog").mid))
    row = np.append(tags(ontology, Dog=0.5, Animal=0.1, Speech=0.2), np.zeros(2, np.float16))
    index = np.array([NUM_CLASSES, NUM_CLASSES + 1, ontology.find("Dog").class_index])
    found = purity(index, np.stack([row, row, row]), own)
    np.testing.assert_allclose(found, [1.0, 0.75, 0.75], atol=1e-3)
