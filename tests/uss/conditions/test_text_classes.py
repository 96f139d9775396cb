"""The network of the embedded text encoder, by hand, and the file that comes with the package."""

from importlib import resources

import numpy as np
import pytest

from uss.conditions.text_classes import TextClasses, load_text_classes
from uss.conditions.text_encoders import TextEncoder
from uss.conditions.text_words import ENGLISH, NAME, OF_SOUNDS, Lexicon
from uss.core.errors import InputError
from uss.taggers import NUM_CLASSES

DOG, CAT = 74, 81


def tiny(num_classes: int = NUM_CLASSES) -> TextClasses:
    """Two words of one number each: dog 1, cat -2; a convolution that sees the word itself, and
    the one before it; dogs are heard by the mean, and what follows by the maximum."""
    lexicon = Lexicon(["dog", "rome", "cat"], [OF_SOUNDS, NAME, ENGLISH])
    classes = np.zeros((num_classes, 1), np.int8)
    bias = np.full(num_classes, -4.0, np.float16)
    classes[DOG] = 2
    weights = {
        "vectors": np.array([[2], [-4]], np.int8),
        "vectors.scale": np.array([0.5, 0.5], np.float16),
        # Columns: the word before, the word, the word after.
        "convolution": np.array([[0, 1, 0], [-1, 0, 0]], np.int8),
        "convolution.scale": np.array([1.0, 0.25], np.float16),
        "convolution.bias": np.zeros(2, np.float16),
        # The mean of the first, and the maximum of the second.
        "hidden": np.array([[2, 0, 0, 8]], np.int8),
        "hidden.scale": np.array([1.0], np.float16),
        "hidden.bias": np.array([0.5], np.float16),
        "classes": classes,
        "classes.scale": np.ones(num_classes, np.float16),
        "classes.bias": bias,
    }
    return TextClasses(lexicon, weights, 0.3)


def sigmoid(value: float) -> float:
    return 1.0 / (1.0 + float(np.exp(-value)))


def test_one_word() -> None:
    # The word is 1: mean 1, nothing before it; hidden 2 + 0.5; dog 2 * 2.5 - 4.
    found = tiny().probabilities(["dog"])
    assert found[DOG] == pytest.approx(sigmoid(1.0), rel=1e-3)
    assert found[CAT] == pytest.approx(sigmoid(-4.0), rel=1e-3)


def test_order_counts() -> None:
    # cat, dog: heard 0 and 1, mean 0.5; -(-2) / 4 = 0.5 from the cat before the dog.
    # hidden = 1 + 4 + 0.5; dog, cat: the dog before the cat gives -0.25, which is nothing.
    assert tiny().probabilities(["cat", "dog"])[DOG] == pytest.approx(sigmoid(7.0), rel=1e-3)
    assert tiny().probabilities(["dog", "cat"])[DOG] == pytest.approx(sigmoid(-1.0), rel=1e-3)


def test_names_and_unknown_words_say_nothing() -> None:
    encoder = tiny()
    assert not encoder.probabilities(["rome", "xyzzyx"]).any()
    assert not encoder.probabilities([]).any()
    both = encoder.probabilities(["rome", "dog"])
    np.testing.assert_array_equal(both, encoder.probabilities(["dog"]))


def test_it_is_an_encoder_of_texts() -> None:
    encoder = tiny()
    assert isinstance(encoder, TextEncoder) and encoder.space == "audioset-527"
    found = encoder.encode(["A dog!", "rome"])
    assert found.shape == (2, NUM_CLASSES) and found.dtype == np.float32
    np.testing.assert_array_equal(found[0], encoder.probabilities(["dog"]))


def test_a_file_of_other_sizes_is_refused() -> None:
    with pytest.raises(InputError, match="wrong sizes"):
        tiny(NUM_CLASSES - 1)


def test_the_embedded_file_is_small_and_says_what_it_is_made_of() -> None:
    file = resources.files("uss").joinpath("weights", "text.safetensors")
    assert len(file.read_bytes()) <= 4 * 1024 * 1024
    assert 0.1 <= load_text_classes().abstaining <= 0.6
    assert load_text_classes() is load_text_classes()


def test_the_embedded_encoder_knows_a_dog() -> None:
    barking, ringing = load_text_classes().encode(["a dog is barking", "a phone rings"])
    assert barking[DOG] > 0.5 > ringing[DOG]
