import numpy as np
import pytest
import torch
from torch import Tensor

from uss.conditions.class_queries import ClassQueries, average_by_class
from uss.conditions.embedding import EmbeddingEncoder
from uss.taggers import NUM_CLASSES, TaggerOutput


@pytest.fixture
def queries() -> ClassQueries:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [4.0, 4.0]], np.float32)
    return ClassQueries("fake-2", (3, 8, 20), vectors)


def probabilities(**classes: float) -> np.ndarray:
    out = np.zeros((1, NUM_CLASSES), np.float32)
    for name, value in classes.items():
        out[0, int(name[1:])] = value
    return out


def test_queries_are_means_over_all_anchors_with_the_label() -> None:
    conditions = np.array([[1.0, 2.0], [3.0, 6.0], [5.0, 0.0]], np.float32)
    queries = average_by_class("fake-2", conditions, [[9, 4], [4], []])
    assert queries.space == "fake-2"
    assert queries.class_indexes == (4, 9)
    assert queries.vectors.dtype == np.float32
    np.testing.assert_array_equal(queries.vectors, [[2.0, 4.0], [1.0, 2.0]])


def test_averages_do_not_lose_precision_over_many_anchors() -> None:
    """Summed in float32, 200,000 times 0.1 would be off by more than 1e-4."""
    conditions = np.full((200_000, 1), 0.1, np.float32)
    queries = average_by_class("fake-1", conditions, [[0]] * 200_000)
    assert float(queries.vectors[0, 0]) == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize("labels", [[], [[], []]])
def test_anchors_without_labels_give_no_queries(labels: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="no anchor has a label"):
        average_by_class("fake-2", np.zeros((len(labels), 2), np.float32), labels)


def test_a_group_is_weighted_with_its_probabilities(queries: ClassQueries) -> None:
    condition = queries.condition([3, 8], probabilities(c3=0.6, c8=0.2, c20=0.9))
    np.testing.assert_allclose(condition, [[0.75, 0.25]], rtol=1e-6)
    assert condition is not None
    assert condition.dtype == np.float32


def test_one_class_gives_its_query_whatever_its_probability(queries: ClassQueries) -> None:
    for probability in (0.0, 1e-30, 0.01, 1.0):
        condition = queries.condition([20], probabilities(c20=probability))
        np.testing.assert_allclose(condition, [[4.0, 4.0]], rtol=1e-6)


def test_classes_without_a_query_do_not_count(queries: ClassQueries) -> None:
    condition = queries.condition([3, 4, 5], probabilities(c3=0.1, c4=0.9, c5=0.9))
    np.testing.assert_allclose(condition, [[1.0, 0.0]], rtol=1e-6)


def test_a_group_without_probability_is_weighted_equally(queries: ClassQueries) -> None:
    np.testing.assert_allclose(queries.condition([3, 8], probabilities()), [[0.5, 0.5]], rtol=1e-6)


def test_a_group_without_any_query_has_no_condition(queries: ClassQueries) -> None:
    assert queries.condition([4, 5], probabilities()) is None
    assert queries.condition([], probabilities()) is None


def test_each_segment_has_its_own_weights(queries: ClassQueries) -> None:
    rows = np.concatenate([probabilities(c3=0.5), probabilities(c8=0.5), probabilities()])
    np.testing.assert_allclose(
        queries.condition([3, 8], rows), [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], rtol=1e-6
    )
    single = queries.condition([3, 8], rows[0])
    np.testing.assert_allclose(single, [1.0, 0.0], rtol=1e-6)


class MeanTagger:
    name = "mean"
    sample_rate = 32_000
    frames_per_second = 1.0
    embedding_size = 1

    def __call__(self, waveform: Tensor) -> TaggerOutput:
        embedding = waveform.mean(dim=1, keepdim=True)
        clipwise = torch.zeros(len(waveform), NUM_CLASSES)
        return TaggerOutput(clipwise, clipwise[:, None], embedding)


def test_an_embedding_encoder_names_its_space_after_the_tagger() -> None:
    encoder = EmbeddingEncoder(MeanTagger())
    assert (encoder.space, encoder.size) == ("mean-1", 1)
    assert encoder(torch.tensor([[1.0, 3.0], [0.0, 0.0]])).tolist() == [[2.0], [0.0]]
