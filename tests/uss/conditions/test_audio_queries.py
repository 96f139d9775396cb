from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from uss.audio import AudioSource, Recording
from uss.conditions.audio_queries import AudioEncoder, make_audio_query
from uss.conditions.queries import AudioQuery
from uss.conditions.query_nets import QueryNet
from uss.core.runtime import Runtime
from uss.taggers import NUM_CLASSES, PROBABILITY_SPACE, TaggerOutput

RATE = 1_000
RUNTIME = Runtime(torch.device("cpu"), torch.float32, batch_size=2)


class MeanTagger:
    """The first class is as probable as the mean sample; so is the embedding, beside the peak."""

    name = "mean"
    sample_rate = RATE
    frames_per_second = 1.0
    embedding_size = 2

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []
        self.lengths: set[int] = set()

    def __call__(self, waveform: Tensor) -> TaggerOutput:
        self.batch_sizes.append(len(waveform))
        self.lengths.add(waveform.shape[1])
        clipwise = torch.zeros(len(waveform), NUM_CLASSES)
        clipwise[:, 0] = waveform.mean(dim=1)
        embedding = torch.stack([waveform.mean(dim=1), waveform.amax(dim=1)], dim=1)
        return TaggerOutput(clipwise, clipwise[:, None], embedding)


class Doubling(QueryNet):
    """Twice the stored condition, and the last sample of the waveform."""

    def __init__(self, space: str, stored_space: str) -> None:
        super().__init__()
        self.space = space
        self.stored_space = stored_space

    def forward(self, stored: Tensor, waveform: Tensor) -> Tensor:
        assert not self.training
        return torch.cat([2.0 * stored, waveform[:, -1:]], dim=1)


def steps(*values: float, seconds: float = 1.0, channels: int = 1, rate: int = RATE) -> Recording:
    """Hold each value for a second."""
    waveform = np.repeat(np.array(values, np.float32), round(seconds * rate))
    return Recording(np.tile(waveform, (channels, 1)), rate)


def make(
    *examples: AudioSource,
    space: str = "mean-2",
    tagger: Any = None,
    query_net: QueryNet | None = None,
) -> AudioQuery:
    """Make a query of examples in segments of a second."""
    tagger = tagger or MeanTagger()
    return make_audio_query(
        "mine",
        examples,
        AudioEncoder.choose(space, tagger, query_net),
        tagger,
        segment_seconds=1.0,
        runtime=RUNTIME,
    )


def test_a_query_is_the_mean_of_its_segments() -> None:
    query = make(steps(0.1, 0.2, 0.6))
    assert (query.name, query.space, query.mid) == ("mine", "mean-2", None)
    assert query.vector.dtype == query.probabilities.dtype == np.float32
    np.testing.assert_allclose(query.vector, [0.3, 0.3], atol=1e-6)
    assert query.probabilities.shape == (NUM_CLASSES,)
    assert query.probabilities[0] == pytest.approx(0.3)
    assert not query.probabilities[1:].any()


def test_silent_segments_do_not_count() -> None:
    query = make(steps(0.0, 0.2, 0.0, 0.0, 0.4, 0.0))
    np.testing.assert_allclose(query.vector, [0.3, 0.3], atol=1e-6)


@pytest.mark.parametrize(("level", "is_heard"), [(1.01e-4, True), (-1.01e-4, True), (9e-5, False)])
def test_silence_is_below_80_dbfs(level: float, is_heard: bool) -> None:
    if is_heard:
        assert make(steps(level)).vector[0] == pytest.approx(level)
    else:
        with pytest.raises(ValueError, match="the query 'mine' is silent; give a recording"):
            make(steps(level))


def test_each_file_counts_alike_whatever_its_length() -> None:
    query = make(steps(0.2, 0.2, 0.2, 0.2), steps(0.6))
    np.testing.assert_allclose(query.vector, [0.4, 0.4], atol=1e-6)
    assert query.probabilities[0] == pytest.approx(0.4)


def test_a_silent_file_among_others_does_not_count() -> None:
    np.testing.assert_allclose(make(steps(0.0), steps(0.5)).vector, [0.5, 0.5])


@pytest.mark.parametrize("examples", [[], [steps(0.0)], [steps(0.0, 0.0), steps(0.0)]])
def test_nothing_but_silence_is_refused(examples: Sequence[Recording]) -> None:
    with pytest.raises(ValueError, match="'mine' is silent"):
        make(*examples)


def test_segments_come_in_batches_of_full_length() -> None:
    tagger = MeanTagger()
    make(steps(0.1, 0.2, 0.0, 0.3, 0.4, 0.5), tagger=tagger)
    assert set(tagger.batch_sizes) == {1, 2}
    assert tagger.lengths == {RATE}


@pytest.mark.parametrize(
    ("num_samples", "expected"),
    [(1, 0.0005), (100, 0.05), (1_000, 0.5), (1_299, 0.5), (1_300, (0.5 + 0.15) / 2.0)],
)
def test_a_short_file_is_filled_up_and_a_short_rest_left_out(
    num_samples: int, expected: float
) -> None:
    """Of a segment, three tenths have to be there; of a file that is shorter, anything."""
    query = make(Recording(np.full((1, num_samples), 0.5, np.float32), RATE))
    assert query.vector[0] == pytest.approx(expected, rel=1e-5)


def test_channels_are_averaged() -> None:
    stereo = Recording(np.array([[0.2], [0.6]], np.float32).repeat(RATE, axis=1), RATE)
    assert make(stereo).vector[0] == pytest.approx(0.4)


@pytest.mark.parametrize("rate", [500, 1_500, 44_100])
def test_examples_of_any_rate_are_resampled(rate: int) -> None:
    query = make(steps(0.4, 0.4, rate=rate))
    assert query.vector[0] == pytest.approx(0.4, abs=0.01)


def test_probabilities_are_their_own_conditions() -> None:
    query = make(steps(0.2, 0.4), space=PROBABILITY_SPACE)
    assert query.space == PROBABILITY_SPACE
    np.testing.assert_array_equal(query.vector, query.probabilities)


@pytest.mark.parametrize("stored", ["mean-2", PROBABILITY_SPACE])
def test_a_query_net_takes_what_it_was_trained_on(stored: str) -> None:
    net = Doubling("learned", stored).train()
    query = make(steps(0.1, 0.3), space="learned", query_net=net)
    assert query.space == "learned"
    size = 2 if stored == "mean-2" else NUM_CLASSES
    assert query.vector.shape == (size + 1,)
    assert query.vector[0] == pytest.approx(0.4)
    assert query.vector[-1] == pytest.approx(0.2), "the last samples"
    assert query.probabilities[0] == pytest.approx(0.2)


def test_a_query_net_of_another_space_has_no_part_in_it() -> None:
    net = Doubling("learned", "mean-2")
    np.testing.assert_array_equal(make(steps(0.3), query_net=net).vector, make(steps(0.3)).vector)


@pytest.mark.parametrize(
    ("space", "query_net"),
    [
        ("other-512", None),
        ("mean-3", None),
        ("learned", None),
        ("learned", Doubling("learned", "cnn14-2048")),
        ("other-512", Doubling("learned", "mean-2")),
    ],
)
def test_a_space_that_nothing_leads_to_is_refused(space: str, query_net: QueryNet | None) -> None:
    with pytest.raises(ValueError) as refusal:
        make(steps(0.3), space=space, query_net=query_net)
    assert "the tagger 'mean' makes 'mean-2'" in str(refusal.value)
    assert "query by example needs a model" in str(refusal.value)


def test_similarity_is_the_cosine_of_probabilities() -> None:
    query = AudioQuery(
        "mine", "a-1", np.zeros(1, np.float32), np.array([0.0, 0.6, 0.8], np.float32)
    )
    heard = np.array([[0, 0.3, 0.4], [1, 0, 0], [0, 0, 0], [0, 1, 0]], np.float32)
    np.testing.assert_allclose(query.heard_in(heard), [1.0, 0.0, 0.0, 0.6], atol=1e-6)
    silent = AudioQuery("mine", "a-1", np.zeros(1, np.float32), np.zeros(3, np.float32))
    assert not silent.heard_in(heard).any()
