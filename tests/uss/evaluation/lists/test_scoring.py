import math
from types import ModuleType

import numpy as np
import pytest

from uss.evaluation.lists.mixtures import Mixture
from uss.evaluation.lists.scoring import METRICS, score, score_names

RATE = 8_000


def make_mixture(channels: int = 1, seconds: float = 2.0) -> Mixture:
    rng = np.random.default_rng(0)
    shape = (2, channels, round(seconds * RATE))
    target, interferer = (0.1 * rng.standard_normal(shape)).astype(np.float32)
    return Mixture(target + interferer, target, (interferer,), RATE)


def test_energies_are_those_of_the_whole_excerpt_and_all_channels() -> None:
    """An error of a tenth in one of two channels, which is half of the energy."""
    target = np.ones((2, 100), np.float32)
    output = target.copy()
    output[1] += 0.1
    mixture = Mixture(2.0 * target, target, (target,), RATE)
    assert score(output, mixture, ["sdr"])["SDR"] == pytest.approx(10.0 * math.log10(200.0))
    assert score(output, mixture, ["sdr"])["SDRi"] == pytest.approx(10.0 * math.log10(200.0))


def test_a_perfect_and_a_silent_estimate_are_finite() -> None:
    mixture = make_mixture()
    perfect = score(mixture.target, mixture, ["sdr", "si-sdr"])
    assert perfect["SDR"] == perfect["SI-SDR"] == pytest.approx(100.0)
    silent = score(np.zeros_like(mixture.target), mixture, ["sdr", "si-sdr"])
    assert silent["SDR"] == pytest.approx(0.0) and silent["SI-SDR"] == pytest.approx(-100.0)


def test_references_and_estimates_are_not_swapped() -> None:
    mixture = make_mixture()
    output = 0.5 * mixture.target
    assert score(output, mixture, ["sdr"])["SDR"] == pytest.approx(6.0206, abs=1e-3)


def test_an_output_that_is_not_finite_is_no_undefined_score() -> None:
    mixture = make_mixture()
    with pytest.raises(ValueError, match="output holds NaN or infinity; --precision fp32 may"):
        score(np.full_like(mixture.target, np.nan), mixture, ["sdr"])


def test_segmental_snr_is_averaged_over_channels() -> None:
    mixture = make_mixture(channels=2)
    output = mixture.target * np.array([[1.5], [1.25]], np.float32)
    expected = -(20.0 * math.log10(0.5) + 20.0 * math.log10(0.25)) / 2.0
    assert score(output, mixture, ["ssnr"])["SSNR"] == pytest.approx(expected, abs=1e-3)


def test_pesq_prefers_what_is_cleaner() -> None:
    pytest.importorskip("pesq", reason="PESQ comes with the extra 'eval'")
    times = np.arange(3 * RATE) / RATE
    voiced = np.sign(np.sin(2.0 * np.pi * 3.0 * times)) > 0.0
    target = (0.2 * voiced * np.sin(2.0 * np.pi * 440.0 * times))[None].astype(np.float32)
    noise = make_mixture(seconds=3.0).interferer
    mixture = Mixture(target + noise, target, (noise,), RATE)
    cleaner = score(target + 0.01 * noise, mixture, ["pesq"])["PESQ"]
    assert 1.0 <= score(mixture.mixture, mixture, ["pesq"])["PESQ"] < cleaner <= 4.65


def test_bss_eval_knows_the_other_source(museval: ModuleType) -> None:
    """Of one part of the other source in ten, SDR is 20 dB, and so is SIR: it is no artefact."""
    mixture = make_mixture()
    found = score(mixture.target + 0.1 * mixture.interferer, mixture, ["bss-eval"])
    assert found["BSSEval SDR"] == pytest.approx(20.0, abs=0.2)
    assert found["BSSEval SIR"] == pytest.approx(20.0, abs=0.7)
    assert found["BSSEval SAR"] > 60.0


def test_bss_eval_is_that_of_all_stems_also_where_one_rests(museval: ModuleType) -> None:
    """museval measures a window only if no stem is silent in it."""
    rng = np.random.default_rng(1)
    stems = (0.1 * rng.standard_normal((3, 1, 3 * RATE))).astype(np.float32)
    stems[2, :, :RATE] = 0.0
    estimates = stems + 0.05 * rng.standard_normal(stems.shape).astype(np.float32)
    estimates[:, :, 2 * RATE :] += 0.1 * stems.sum(axis=0)[:, 2 * RATE :]
    sdr, isr, sir, sar, _ = museval.metrics.bss_eval(
        stems.transpose(0, 2, 1), estimates.transpose(0, 2, 1), window=RATE, hop=RATE
    )
    mixture = Mixture(stems.sum(axis=0), stems[0], tuple(stems[1:]), RATE)
    found = score(estimates[0], mixture, ["bss-eval"])
    expected = [np.nanmedian(ratio[0]) for ratio in (sdr, isr, sir, sar)]
    assert list(found.values()) == pytest.approx(expected, abs=1e-4)


def test_nothing_improves_on_a_source_that_is_alone() -> None:
    """A mixture that was rounded is no mixture."""
    target = make_mixture().target
    rounded = (np.round(target * 2**15) / 2**15).astype(np.float32)
    found = score(0.9 * target, Mixture(rounded, target, (rounded - target,), RATE), ["si-sdr"])
    assert math.isnan(found["SI-SDRi"]) and found["SI-SDR"] > 60.0


def test_all_metrics_have_names() -> None:
    names = score_names(METRICS)
    assert len(set(names)) == len(names) == 18
    assert score_names(["si-sdr", "sdr"]) == ("SI-SDR", "SI-SDRi", "SDR", "SDRi")


def test_the_log_spectral_distance_takes_the_target_for_true() -> None:
    """The target 20 dB up is two decades of power away; a silent target is undefined."""
    mixture = make_mixture()
    found = score(10.0 * mixture.target, mixture, ["lsd"])
    assert found == {"LSD": pytest.approx(2.0, abs=1e-3)}
    silent = Mixture(mixture.mixture, np.zeros_like(mixture.target), mixture.others, RATE)
    assert math.isnan(score(mixture.target, silent, ["lsd"])["LSD"])


def test_what_needs_networks_is_left_out() -> None:
    mixture = make_mixture()
    left_out = ["text-match", "clap-score", "clap-score-a", "tagger-score", "embedding-error"]
    assert score(mixture.target, mixture, [*left_out, "fad", "kad"]) == {}  # type: ignore[list-item]
    assert score_names(["fad", "lsd", "kad"]) == ("LSD",)
