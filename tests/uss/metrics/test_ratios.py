import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.audio import (
    scale_invariant_signal_distortion_ratio,
    signal_noise_ratio,
)

from uss.metrics import is_alone, sdr, sdr_improvement, si_sdr, si_sdr_improvement

METRICS = [sdr, si_sdr]


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    reference = rng.standard_normal((3, 2, 500))
    estimate = 0.7 * reference + 0.3 * rng.standard_normal((3, 2, 500)) + 0.1
    return torch.from_numpy(reference), torch.from_numpy(estimate)


@pytest.mark.parametrize("noise_db", [-60.0, -10.0, 0.0, 20.0])
@pytest.mark.parametrize("shape", [(2,), (1000,), (3, 2, 500)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(sdr, signal_noise_ratio), (si_sdr, scale_invariant_signal_distortion_ratio)],
    ids=["sdr", "si_sdr"],
)
def test_agreement_with_torchmetrics(  # type: ignore[no-untyped-def]
    ours,
    theirs,
    dtype: torch.dtype,
    shape: tuple[int, ...],
    noise_db: float,
    rng: np.random.Generator,
) -> None:
    """Which takes the estimate first; exchanging the two changes SDR, though not SI-SDR."""
    reference = torch.from_numpy(rng.standard_normal(shape)).to(dtype)
    noise = torch.from_numpy(rng.standard_normal(shape)).to(dtype)
    estimate = reference + 10.0 ** (noise_db / 20.0) * noise + 0.1
    expected = theirs(estimate.double(), reference.double(), zero_mean=False)
    torch.testing.assert_close(ours(reference, estimate), expected, atol=1e-4, rtol=0.0)
    if ours is sdr and shape[-1] > 2:
        assert not torch.allclose(ours(estimate, reference), expected, atol=1e-4, rtol=0.0)


def test_sdr_agrees_with_its_formula(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    reference, estimate = (waveform.numpy() for waveform in pair)
    noise = np.square(reference - estimate).sum(axis=-1)
    expected = 10.0 * np.log10(np.square(reference).sum(axis=-1) / noise)
    np.testing.assert_allclose(sdr(*pair).numpy(), expected)


def test_sdr_by_hand() -> None:
    reference = torch.tensor([3.0, 4.0])
    assert float(sdr(reference, torch.tensor([3.0, 3.5]))) == pytest.approx(20.0)
    # The roles are not exchangeable: half the reference is 6.02 dB, twice the estimate 0 dB.
    assert float(sdr(reference, reference / 2)) == pytest.approx(20.0 * math.log10(2.0))
    assert float(sdr(reference / 2, reference)) == pytest.approx(0.0)


def test_si_sdr_by_hand() -> None:
    """The estimate is the reference at any scale plus an orthogonal error of a tenth of it."""
    reference = torch.tensor([1.0, 0.0])
    for scale in (1.0, 0.001, -5.0):
        estimate = scale * torch.tensor([1.0, 0.1])
        assert float(si_sdr(reference, estimate)) == pytest.approx(20.0)


@pytest.mark.parametrize("metric", METRICS)
def test_a_perfect_estimate_is_finite(metric) -> None:  # type: ignore[no-untyped-def]
    reference = torch.tensor([0.3, -0.2, 0.1])
    assert float(metric(reference, reference)) == pytest.approx(100.0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("estimate", [torch.zeros(4), torch.ones(4)], ids=["silent", "loud"])
def test_a_silent_reference_is_nan(metric, estimate: torch.Tensor) -> None:  # type: ignore[no-untyped-def]
    assert math.isnan(float(metric(torch.zeros(4), estimate)))


def test_a_silent_estimate() -> None:
    reference, silence = torch.tensor([1.0, -1.0]), torch.zeros(2)
    assert float(sdr(reference, silence)) == pytest.approx(0.0)
    assert float(si_sdr(reference, silence)) == pytest.approx(-100.0)


def test_an_estimate_orthogonal_to_the_reference() -> None:
    reference, estimate = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert float(sdr(reference, estimate)) == pytest.approx(-10.0 * math.log10(2.0))
    assert float(si_sdr(reference, estimate)) == pytest.approx(-100.0)


def test_one_sample() -> None:
    assert float(sdr(torch.tensor([2.0]), torch.tensor([1.0]))) == pytest.approx(6.0206, abs=1e-3)
    assert float(si_sdr(torch.tensor([2.0]), torch.tensor([1.0]))) == pytest.approx(100.0)


@pytest.mark.parametrize("metric", METRICS)
def test_quiet_float32_audio_keeps_its_precision(metric) -> None:  # type: ignore[no-untyped-def]
    loud = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 3.5])
    quiet = (1e-20 * loud[0], 1e-20 * loud[1])
    assert float(metric(*quiet)) == pytest.approx(float(metric(*loud)), abs=1e-4)


def test_half_of_the_mixture_improves_sdr_by_3_db_and_si_sdr_by_nothing() -> None:
    """Two orthogonal sources of equal energy."""
    first, second = torch.tensor([1.0, 1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, -1.0])
    mixture = first + second
    assert float(sdr_improvement(first, mixture / 2, mixture)) == pytest.approx(3.0103, abs=1e-4)
    assert float(si_sdr_improvement(first, mixture / 2, mixture)) == pytest.approx(0.0, abs=1e-9)


def test_the_mixture_itself_improves_nothing(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    reference, mixture = pair
    assert not sdr_improvement(reference, mixture, mixture).any()
    assert not si_sdr_improvement(reference, mixture, mixture).any()


def test_one_value_per_leading_index(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert sdr(*pair).shape == si_sdr(*pair).shape == (3, 2)


@pytest.mark.parametrize(("beside", "alone"), [(0.5e-3, True), (2e-3, False), (0.0, True)])
def test_a_source_is_alone_where_60_db_lie_below_it(beside: float, alone: bool) -> None:
    source = torch.ones(100)
    assert is_alone(source, source + beside) == alone
    assert not is_alone(torch.zeros(100), source)
