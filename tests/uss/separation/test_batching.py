"""Batches across segments: when the network runs, and who gets what."""

import contextlib
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uss.core.runtime import Runtime
from uss.models import QueryUNet, ResUNet
from uss.separation.batching import Asked, Batcher


class Gains(ResUNet):
    """Multiplies by the first number of the condition; notes the sizes of its batches."""

    cpu_batch_size = 3

    def __init__(self) -> None:
        super().__init__("gain-1", 1, channels=(2,), fold=4, n_fft=64, hop_length=16)
        self.batch_sizes: list[int] = []

    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        return (condition[:, :1, None],)

    def mask(self, encoded: Tensor, modulation: Any) -> Tensor:
        self.batch_sizes.append(len(encoded))
        ones = torch.ones(len(encoded), self.n_fft // 2 + 1, encoded.shape[-1])
        return (ones * modulation[0]).to(torch.complex64)


def make(batch_size: int = 8) -> Batcher:
    return Batcher(Gains().eval(), Runtime(torch.device("cpu"), torch.float32, batch_size))


def segments(count: int, channels: int = 1) -> np.ndarray:
    noise = np.random.default_rng(channels).uniform(-0.5, 0.5, (count, channels, 256))
    return noise.astype(np.float32)


def test_a_batch_on_a_cpu_is_no_larger_than_the_model_wants() -> None:
    assert make(batch_size=8).runtime.batch_size == 3
    assert make(batch_size=2).runtime.batch_size == 2


def test_estimates_go_to_those_who_asked_for_them() -> None:
    """Five pairs of mono and stereo segments in batches of three."""
    batcher = make()
    mono, stereo = segments(2), segments(1, channels=2)
    prepared = [*batcher.prepare(mono), *batcher.prepare(stereo)]
    waveforms = [*mono, *stereo]
    got: dict[int, np.ndarray] = {}
    gains = [1.0, 0.5, 0.25, -1.0, 0.0]
    for number, gain in enumerate(gains):
        condition = np.array([gain], np.float32)

        def take(estimate: np.ndarray, number: int = number) -> None:
            got[number] = estimate

        batcher.submit(prepared[number % 3], [Asked(condition, take)])
    assert sorted(got) == [0, 1, 2]
    batcher.flush()
    assert batcher.model.batch_sizes == [3, 2]  # type: ignore[attr-defined]
    for number, gain in enumerate(gains):
        expected = gain * waveforms[number % 3]
        assert got[number].dtype == np.float32
        np.testing.assert_allclose(got[number], expected, atol=1e-5)


def test_nothing_to_flush_runs_nothing() -> None:
    batcher = make()
    batcher.flush()
    assert batcher.model.batch_sizes == []  # type: ignore[attr-defined]


class Takes:
    """What was delivered, by number; fails on some."""

    def __init__(self) -> None:
        self.got: dict[int, np.ndarray] = {}

    def asked(self, number: int, gain: float) -> Asked:
        def take(estimate: np.ndarray) -> None:
            self.got[number] = estimate

        return Asked(np.array([gain], np.float32), take)


def test_stems_of_a_contest_share_the_bins_of_their_segment() -> None:
    """Odds of 3 and 1 beside the residual's 1; the other segment's stem keeps its mask."""
    batcher, takes = make(), Takes()
    waveforms = segments(2)
    first, second = batcher.prepare(waveforms)
    batcher.submit_together(first, [takes.asked(0, 0.75), takes.asked(1, 0.5)])
    batcher.submit_together(second, [takes.asked(2, 0.75)])
    for number, expected in enumerate(
        [0.6 * waveforms[0], 0.2 * waveforms[0], 0.75 * waveforms[1]]
    ):
        np.testing.assert_allclose(takes.got[number], expected, atol=1e-4)


def test_a_contest_is_never_cut_by_a_batch() -> None:
    """Seven stems of one segment at a batch size of three: the network runs in parts."""
    batcher, takes = make(), Takes()
    waveforms = segments(1)
    (segment,) = batcher.prepare(waveforms)
    batcher.submit_together(segment, [takes.asked(number, 0.5) for number in range(7)])
    assert batcher.model.batch_sizes == [3, 3, 1]  # type: ignore[attr-defined]
    assert len(takes.got) == 7
    for estimate in takes.got.values():
        np.testing.assert_allclose(estimate, waveforms[0] / 8.0, atol=1e-4)


def test_an_interrupted_contest_is_run_again_as_a_whole() -> None:
    """The second taker is interrupted: who was served already is served the same again."""
    batcher, takes = make(), Takes()
    waveforms = segments(1)
    (segment,) = batcher.prepare(waveforms)
    interruptions = iter([KeyboardInterrupt()])

    def interrupted(estimate: np.ndarray) -> None:
        for error in interruptions:
            raise error
        takes.got[1] = estimate

    second = Asked(np.array([0.5], np.float32), interrupted)
    with contextlib.suppress(KeyboardInterrupt):
        batcher.submit_together(segment, [takes.asked(0, 0.5), second, takes.asked(2, 0.5)])
    assert sorted(takes.got) == [0]
    batcher.flush()
    assert sorted(takes.got) == [0, 1, 2]
    for estimate in takes.got.values():
        np.testing.assert_allclose(estimate, waveforms[0] / 4.0, atol=1e-4)


def test_parts_of_a_batch_side_by_side_give_the_same_stems() -> None:
    """Five segments of two channels, of which two stems compete and a third stands alone."""
    torch.manual_seed(0)
    small: dict[str, Any] = {
        "channels": (4, 8),
        "fold": 2,
        "n_fft": 64,
        "hop_length": 32,
        "ear_width": None,
    }
    queries: dict[str, Any] = {"query_size": 8, "num_heads": 2, "num_maps": 3}
    network = QueryUNet("x-8", 8, **small, **queries)
    conditions = np.random.default_rng(1).standard_normal((3, 8)).astype(np.float32)
    got: dict[int, dict[tuple[int, int], np.ndarray]] = {}
    before = torch.get_num_threads()
    try:
        for num_threads in (1, 2):
            torch.set_num_threads(num_threads)
            runtime = Runtime(torch.device("cpu"), torch.float32)
            batcher = Batcher(network.eval(), runtime)
            assert batcher.runtime.batch_size == 4 * num_threads
            stems = got[num_threads] = {}
            for number, segment in enumerate(batcher.prepare(segments(5, channels=2))):
                asked = {
                    row: Asked(condition, partial(stems.__setitem__, (number, row)))
                    for row, condition in enumerate(conditions)
                }
                batcher.submit_all(segment, asked, [[0, 1]])
            batcher.flush()
    finally:
        torch.set_num_threads(before)
    assert len(got[1]) == 15 and got[1].keys() == got[2].keys()
    for key, stem in got[1].items():
        assert np.abs(stem).max() > 1e-3
        np.testing.assert_allclose(got[2][key], stem, rtol=0.0, atol=1e-6)
