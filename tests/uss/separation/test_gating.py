import numpy as np
import pytest

from uss.separation.gating import span_gate

RATE = 1_000
FADE = 5


def test_a_span_fades_in_and_out_inside_itself() -> None:
    gate = span_gate([(0.1, 0.2)], RATE, 0, 300)
    assert not gate[:100].any() and not gate[200:].any()
    np.testing.assert_allclose(gate[100:105], [0.1, 0.3, 0.5, 0.7, 0.9], rtol=1e-6)
    np.testing.assert_allclose(gate[195:200], [0.9, 0.7, 0.5, 0.3, 0.1], rtol=1e-6)
    np.testing.assert_array_equal(gate[105:195], 1.0)


def test_the_ends_of_the_recording_do_not_fade() -> None:
    gate = span_gate([(0.0, float("inf"))], RATE, 0, 50)
    np.testing.assert_array_equal(gate, 1.0)


def test_several_spans() -> None:
    gate = span_gate([(0.01, 0.02), (0.03, 0.04)], RATE, 0, 50)
    assert [index for index in range(50) if gate[index]] == [*range(10, 20), *range(30, 40)]


@pytest.mark.parametrize("cut", [1, 103, 150, 197])
def test_pieces_join(cut: int) -> None:
    whole = span_gate([(0.1, 0.2)], RATE, 0, 300)
    parts = [span_gate([(0.1, 0.2)], RATE, 0, cut), span_gate([(0.1, 0.2)], RATE, cut, 300 - cut)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_no_span_lets_nothing_through() -> None:
    assert not span_gate([], RATE, 0, 10).any()
