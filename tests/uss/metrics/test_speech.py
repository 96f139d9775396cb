import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from uss.audio import resample
from uss.core.errors import InputError
from uss.metrics.speech import pesq, segmental_snr

ROOT = Path(__file__).resolve().parents[3]

# Frames of 240 samples, which start every 60.
SAMPLE_RATE = 8000

# ITU-T P.862.2 maps the raw score, at most 4.5, to this.
BEST_PESQ = 0.999 + 4.0 / (1.0 + math.exp(-1.3669 * 4.5 + 3.8224))


@pytest.fixture(scope="module")
def package() -> ModuleType:
    module: ModuleType = pytest.importorskip("pesq")
    return module


@pytest.fixture
def speech(rng: np.random.Generator) -> NDArray[np.float32]:
    """Three bursts of noise in two seconds at 16 kHz."""
    bursts = rng.standard_normal(32000) * (np.sin(np.arange(32000) * 3 * np.pi / 32000) ** 4)
    return bursts.astype(np.float32)


def test_pesq_agrees_with_the_package(
    package: ModuleType, speech: NDArray[np.float32], rng: np.random.Generator
) -> None:
    noisy = speech + 0.1 * rng.standard_normal(speech.shape).astype(np.float32)
    score = pesq(speech, noisy, 16000)
    assert score == package.pesq(16000, speech, noisy, "wb")
    assert score != pytest.approx(pesq(noisy, speech, 16000), abs=1e-3)
    assert score == pytest.approx(pesq(speech.astype(np.float64), noisy, 16000), abs=1e-4)


@pytest.mark.usefixtures("package")
def test_pesq_of_a_perfect_estimate_is_the_best(speech: NDArray[np.float32]) -> None:
    assert pesq(speech, speech, 16000) == pytest.approx(BEST_PESQ, abs=1e-4)


@pytest.mark.usefixtures("package")
def test_pesq_falls_with_noise(speech: NDArray[np.float32], rng: np.random.Generator) -> None:
    noise = rng.standard_normal(speech.shape)
    scores = [pesq(speech, speech + level * noise, 16000) for level in (0.0, 0.01, 0.1, 1.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[3] >= 1.0


@pytest.mark.parametrize("sample_rate", [8000, 32000, 44100])
def test_pesq_is_measured_at_16_khz(
    package: ModuleType, speech: NDArray[np.float32], rng: np.random.Generator, sample_rate: int
) -> None:
    reference = resample(speech, 16000, sample_rate)
    estimate = reference + 0.1 * rng.standard_normal(reference.shape).astype(np.float32)
    expected = package.pesq(
        16000, resample(reference, sample_rate, 16000), resample(estimate, sample_rate, 16000), "wb"
    )
    assert pesq(reference, estimate, sample_rate) == expected


@pytest.mark.usefixtures("package")
def test_pesq_of_silence_is_undefined(speech: NDArray[np.float32]) -> None:
    silence = np.zeros_like(speech)
    for pair in [(silence, speech), (speech, silence), (silence, silence)]:
        assert math.isnan(pesq(*pair, 16000))


@pytest.mark.usefixtures("package")
def test_pesq_without_an_utterance_is_undefined(rng: np.random.Generator) -> None:
    """Bursts of a tenth of a second are no utterances."""
    burst = np.concatenate([rng.standard_normal(1600), np.zeros(3360)])
    assert math.isnan(pesq(np.tile(burst, 6), np.tile(burst, 6), 16000))


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
def test_pesq_of_less_than_a_quarter_second_is_undefined(
    sample_rate: int, rng: np.random.Generator
) -> None:
    quarter = sample_rate // 4
    for num_samples in (0, 1, 2, quarter - 1, quarter):
        waveform = rng.standard_normal(num_samples)
        assert math.isnan(pesq(waveform, waveform, sample_rate)) == (num_samples < quarter)


@pytest.mark.usefixtures("package")
def test_pesq_refuses_what_the_package_may_crash_on() -> None:
    pesq(np.ones(160_000), np.ones(160_000), 8000)
    with pytest.raises(ValueError, match=r"20\.0 s: .* may crash beyond 20 s; evaluate shorter"):
        pesq(np.ones(160_001), np.ones(160_001), 8000)


def test_without_the_package_pesq_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(ValueError, match=r"pip install 'uss-pipeline\[eval\]', which compiles"):
        pesq(np.ones(8000), np.ones(8000), 16000)


def test_importing_the_metrics_imports_neither_package() -> None:
    code = (
        "import sys, uss.metrics.music, uss.metrics.speech; "
        "print({'museval', 'pesq'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize("metric", [pesq, segmental_snr])
@pytest.mark.parametrize("shapes", [(8000, 8001), ((1, 8000), (1, 8000))], ids=str)
def test_waveforms_have_one_channel_and_equal_lengths(metric, shapes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(
        ValueError, match=r"have the shapes .*8000.*; give one channel each"
    ) as fault:
        metric(np.ones(shapes[0]), np.ones(shapes[1]), 8000)
    assert not isinstance(fault.value, InputError), "no file of a user has brought them together"


@pytest.mark.parametrize("num_samples", [1, 2, 239, 240, 241, 300, 8001])
@pytest.mark.parametrize("error", [0.5, 0.1, 2.0])
def test_a_constant_ratio_is_the_mean(
    num_samples: int, error: float, rng: np.random.Generator
) -> None:
    """The window cancels out, however many frames there are."""
    reference = rng.standard_normal(num_samples)
    ratio_db = segmental_snr(reference, (1.0 + error) * reference, SAMPLE_RATE)
    assert ratio_db == pytest.approx(-20.0 * math.log10(error))


def test_ratios_are_limited_on_both_sides(rng: np.random.Generator) -> None:
    reference = rng.standard_normal(2000)
    assert segmental_snr(reference, 1.001 * reference, SAMPLE_RATE) == pytest.approx(35.0)
    assert segmental_snr(reference, reference, SAMPLE_RATE) == pytest.approx(35.0)
    assert segmental_snr(reference, 11.0 * reference, SAMPLE_RATE) == pytest.approx(-10.0)


def test_a_silent_estimate_is_0_db(rng: np.random.Generator) -> None:
    reference = rng.standard_normal(2000)
    assert segmental_snr(reference, np.zeros(2000), SAMPLE_RATE) == pytest.approx(0.0)


def test_segmental_snr_of_a_silent_reference_is_undefined() -> None:
    assert math.isnan(segmental_snr(np.zeros(2000), np.ones(2000), SAMPLE_RATE))
    assert math.isnan(segmental_snr(np.zeros(0), np.zeros(0), SAMPLE_RATE))


@pytest.mark.parametrize("estimate", [0.0, 1.0])
def test_frames_without_reference_count_as_the_lower_limit(estimate: float) -> None:
    """Three frames: two see only the silence, the third the sample, which is missed by a tenth."""
    reference = np.zeros(240 + 3 * 60)
    reference[350] = 1.0
    found = np.full(len(reference), estimate)
    found[240:] = 1.1 * reference[240:]
    ratio_db = segmental_snr(reference, found, SAMPLE_RATE)
    third_db = 20.0 if estimate == 0.0 else segmental_snr(reference[120:360], found[120:360], 8000)
    assert ratio_db == pytest.approx((-10.0 - 10.0 + third_db) / 3.0)


@pytest.mark.parametrize(("num_samples", "num_frames"), [(359, 1), (360, 2), (420, 3)])
def test_the_last_whole_frame_is_left_out(num_samples: int, num_frames: int) -> None:
    """All frames but the first are perfect, which misses one sample entirely."""
    reference = np.ones(num_samples)
    estimate = np.ones(num_samples)
    estimate[:60] = 1.0 - 1e3
    expected = (-10.0 + 35.0 * (num_frames - 1)) / num_frames
    assert segmental_snr(reference, estimate, SAMPLE_RATE) == pytest.approx(expected)


def test_the_window_weighs_a_frame() -> None:
    """A sample of error in the middle of a frame, where the Hann window is about 1.

    Its squares sum to 3/8 of 241, so the ratio is 10 log10(90.375).
    """
    reference, estimate = np.ones(240), np.ones(240)
    estimate[120] = 2.0
    weight = math.sin(math.pi * 121 / 241) ** 4
    expected = 10.0 * math.log10(3.0 / 8.0 * 241 / weight)
    assert segmental_snr(reference, estimate, SAMPLE_RATE) == pytest.approx(expected)


def test_segmental_snr_follows_its_definition(rng: np.random.Generator) -> None:
    reference = rng.standard_normal(3000) * np.linspace(0.01, 1.0, 3000)
    estimate = reference + 0.3 * rng.standard_normal(3000)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(1, 241) / 241)
    ratios = []
    for start in range(0, 3000 - 240 - 60 + 1, 60):
        clean = window * reference[start : start + 240]
        noise = clean - window * estimate[start : start + 240]
        ratio_db = 10.0 * math.log10(np.square(clean).sum() / np.square(noise).sum())
        ratios.append(min(max(ratio_db, -10.0), 35.0))
    assert segmental_snr(reference, estimate, SAMPLE_RATE) == pytest.approx(np.mean(ratios))
    assert min(ratios) == -10.0


@pytest.mark.parametrize("sample_rate", [1, 50, 11025, 16000, 44100])
def test_segmental_snr_at_any_sample_rate(sample_rate: int, rng: np.random.Generator) -> None:
    reference = rng.standard_normal(5000).astype(np.float32)
    assert segmental_snr(reference, 0.5 * reference, sample_rate) == pytest.approx(6.0206, abs=1e-4)
