"""Batches across segments: when the network runs, and who gets what."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from uss.core.runtime import Runtime
from uss.models import ResUNet
from uss.separation.batching import Batcher


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
        batcher.submit(
            prepared[number % 3],
            condition,
            lambda estimate, number=number: got.update({number: estimate}),  # type: ignore[misc]
        )
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
