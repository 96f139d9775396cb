"""What marked seconds ask with, where a mean of samples is all that is heard."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from tests.uss.conditions.test_audio_queries import RATE, RUNTIME, MeanTagger, steps
from uss.audio import Recording
from uss.conditions.audio_queries import AudioEncoder
from uss.conditions.placed_queries import PlacedQuery
from uss.conditions.span_queries import SpanMaker, SpanQuery, only_where_marked
from uss.core.spans import Span


@dataclass
class Tape:
    """A recording that notes what of it is read."""

    recording: Recording
    parts: list[tuple[float, float]] = field(default_factory=list)

    def read(self, start: float, end: float) -> Recording:
        self.parts.append((start, end))
        samples = self.recording.waveform[:, round(start * RATE) : round(end * RATE)]
        return Recording(samples, RATE)


def maker(rest_weight: float, space: str = "mean-2") -> SpanMaker:
    tagger = MeanTagger()
    encoder = AudioEncoder.choose(space, tagger, None)  # type: ignore[arg-type]
    return SpanMaker(encoder, tagger, 1.0, RUNTIME, rest_weight)  # type: ignore[arg-type]


def test_what_is_marked_is_averaged_by_name_and_the_rest_taken_off() -> None:
    tape = Tape(steps(0.1, 0.5, 0.3, 0.7, 0.1, channels=2))
    spans = [Span(1.0, 2.0, "dog"), Span(2.0, 3.0, "cat"), Span(3.0, 4.0, "dog")]
    dog, cat = maker(0.0).queries(spans, tape.read, (0.0, 5.0))
    assert (dog.name, cat.name) == ("dog", "cat")
    assert (dog.marked, cat.marked) == (((1.0, 2.0), (3.0, 4.0)), ((2.0, 3.0),))
    np.testing.assert_allclose(dog.vector, [0.6, 0.6], rtol=1e-5)
    np.testing.assert_allclose(dog.probabilities[0], 0.6, rtol=1e-5)
    # Only what is marked was read.
    assert tape.parts == [(1.0, 2.0), (3.0, 4.0), (2.0, 3.0)]

    dog, cat = maker(0.5).queries(spans, tape.read, (0.0, 5.0))
    # The rest of the dog is 0.1, 0.3, 0.1; what tells it apart counts half as much again.
    np.testing.assert_allclose(dog.vector[0], 0.6 + 0.5 * (0.6 - 0.5 / 3), rtol=1e-5)
    np.testing.assert_allclose(cat.vector[0], 0.3 + 0.5 * (0.3 - 1.4 / 4), rtol=1e-5)
    np.testing.assert_allclose(dog.probabilities[0], 0.6, rtol=1e-5)


def test_the_rest_is_of_what_is_separated_and_little_of_it_is_read() -> None:
    tape = Tape(steps(*np.linspace(0.1, 0.9, 100)))
    (query,) = maker(0.5).queries([Span(0.0, 2.0)], tape.read, (10.0, 90.0))
    marked, *rests = tape.parts
    assert marked == (0.0, 2.0)
    assert len(rests) == 12
    assert (rests[0], rests[-1]) == ((10.0, 11.0), (89.0, 90.0))
    assert query.vector[0] < query.probabilities[0]


@pytest.mark.parametrize(
    ("values", "span"),
    [
        ((0.4,) * 10, Span(0.0, 2.0)),
        ((0.1, *(0.4,) * 9), Span(0.2, 2.0)),
        ((*(0.0,) * 5, *(0.4,) * 5), Span(1.0, 2.0)),
    ],
)
def test_no_rest_that_is_heard(values: tuple[float, ...], span: Span) -> None:
    """All is marked, or all but what is too short or silent."""
    tape = Tape(steps(*values, seconds=0.2))
    (query,) = maker(0.5).queries([span], tape.read, (0.0, 2.0))
    np.testing.assert_allclose(query.vector[1], 0.4, rtol=1e-5)


def test_only_embeddings_have_a_rest_taken_off() -> None:
    tape = Tape(steps(0.1, 0.5))
    (query,) = maker(0.5, "audioset-527").queries([Span(1.0, 2.0)], tape.read, (0.0, 2.0))
    np.testing.assert_allclose(query.vector[0], 0.5, rtol=1e-5)
    assert tape.parts == [(1.0, 2.0)]


def test_silence_cannot_be_asked_with() -> None:
    tape = Tape(steps(0.0, 0.5))
    with pytest.raises(ValueError, match="'bell' is marked where all is silent; mark where it"):
        maker(0.5).queries([Span(0.0, 1.0, "bell")], tape.read, (0.0, 2.0))


def test_wanted_where_it_is_marked_alone() -> None:
    vector = torch.ones(2).numpy()
    query = SpanQuery("bell", "mean-2", vector, vector, marked=((1.0, 3.0), (7.0, 8.0)))
    placed = only_where_marked(query, 2.0, 7.5)
    assert isinstance(placed, PlacedQuery)
    assert placed.spans == ((0.0, 1.0), (5.0, 5.5))
    assert placed.query is query
    with pytest.raises(ValueError, match="'bell' is marked nowhere between 0:00:03 and 0:00:07"):
        only_where_marked(query, 3.0, 7.0)
