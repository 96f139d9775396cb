import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from uss.core.errors import InputError
from uss.metrics.music import bss_eval

SAMPLE_RATE = 8000

Songs = NDArray[np.float64]


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def references(rng: np.random.Generator) -> Songs:
    """Two stereo sources of two and a half seconds."""
    return rng.standard_normal((2, 2, 20_000)) * np.array([1.0, 0.5])[:, np.newaxis, np.newaxis]


@pytest.fixture
def estimates(references: Songs, rng: np.random.Generator) -> Songs:
    """Filtered, leaking into each other, and noisy."""
    filtered = references + 0.2 * np.roll(references, 3, axis=-1)
    return filtered + 0.1 * references[::-1] + 0.05 * rng.standard_normal(references.shape)


def mono(songs: Songs) -> Songs:
    """The first channel: for what is no matter of channels, at an eighth of the cost."""
    return songs[:, :1]


def expected_windows(museval: ModuleType, references: Songs, estimates: Songs) -> Songs:
    """Ask museval, (4, J, F), which has the channels last."""
    windows = museval.evaluate(
        references.transpose(0, 2, 1),
        estimates.transpose(0, 2, 1),
        win=SAMPLE_RATE,
        hop=SAMPLE_RATE,
    )
    return np.stack(windows)


@pytest.mark.parametrize(
    ("num_sources", "num_channels", "dtype"),
    [(1, 1, np.float64), (1, 2, np.float32), (2, 1, np.float32), (2, 2, np.float64)],
)
def test_agreement_with_museval(
    museval: ModuleType,
    references: Songs,
    estimates: Songs,
    num_sources: int,
    num_channels: int,
    dtype: type[np.floating],
) -> None:
    references = references[:num_sources, :num_channels].astype(dtype)
    estimates = estimates[:num_sources, :num_channels].astype(dtype)
    windows = expected_windows(museval, references, estimates)
    assert windows.shape == (4, num_sources, 2)
    ratios = np.stack(bss_eval(references, estimates, SAMPLE_RATE))
    expected = np.minimum(windows.mean(axis=-1), 100.0)
    np.testing.assert_allclose(ratios, expected, atol=1e-4, rtol=0.0)


def test_agreement_with_the_toolbox_of_museval(
    museval: ModuleType, references: Songs, estimates: Songs
) -> None:
    sdr, isr, sir, sar, _ = museval.metrics.bss_eval(
        references.transpose(0, 2, 1), estimates.transpose(0, 2, 1), window=8000, hop=8000
    )
    ratios = bss_eval(references, estimates, SAMPLE_RATE)
    for ratio, windows in zip(ratios, (sdr, isr, sir, sar), strict=True):
        np.testing.assert_allclose(ratio, np.median(windows, axis=-1), atol=1e-4, rtol=0.0)


@pytest.mark.usefixtures("museval")
def test_the_order_of_the_arguments_matters(references: Songs, estimates: Songs) -> None:
    references, estimates = mono(references), mono(estimates)
    right = bss_eval(references, estimates, SAMPLE_RATE)
    swapped = bss_eval(estimates, references, SAMPLE_RATE)
    assert (np.abs(right.sdr - swapped.sdr) > 0.1).all()
    crossed = bss_eval(references, estimates[::-1], SAMPLE_RATE)
    assert (crossed.sdr < right.sdr - 10.0).all() and (crossed.sir < 0.0).all()


@pytest.mark.usefixtures("museval")
def test_half_of_a_source_by_hand(references: Songs) -> None:
    """A quarter of the energy is missing, which a filter of one tap explains."""
    ratios = bss_eval(references, 0.5 * references, SAMPLE_RATE)
    np.testing.assert_allclose(ratios.sdr, 20.0 * np.log10(2.0), atol=1e-6)
    np.testing.assert_allclose(ratios.isr, 20.0 * np.log10(2.0), atol=1e-6)
    assert (ratios.sir == 100.0).all() and (ratios.sar == 100.0).all()


@pytest.mark.usefixtures("museval")
def test_a_perfect_estimate_is_finite(references: Songs) -> None:
    for num_sources in (1, 2):
        sources = references[:num_sources]
        assert (np.stack(bss_eval(sources, sources, SAMPLE_RATE)) == 100.0).all()


def test_a_silent_estimate_leaves_the_other_source_measured(
    museval: ModuleType, references: Songs, estimates: Songs
) -> None:
    references, estimates = mono(references), mono(estimates)
    silenced = estimates * np.array([0.0, 1.0])[:, np.newaxis, np.newaxis]
    ratios = np.stack(bss_eval(references, silenced, SAMPLE_RATE))
    assert np.isnan(ratios[:, 0]).all()
    windows = expected_windows(museval, references, estimates)
    np.testing.assert_allclose(ratios[:, 1], windows[:, 1].mean(axis=-1), atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("reference", ["zeros", "antiphase"])
def test_a_silent_reference_leaves_the_other_source_measured(
    museval: ModuleType, references: Songs, estimates: Songs, reference: str
) -> None:
    """To museval, channels in antiphase are silent."""
    references[0, 1] = -references[0, 0]
    if reference == "zeros":
        references[0] = 0.0
    ratios = np.stack(bss_eval(references, estimates, SAMPLE_RATE))
    assert np.isnan(ratios[:, 0]).all()
    windows = expected_windows(museval, references[1:], estimates[1:])
    expected = np.minimum(windows.mean(axis=-1), 100.0)
    np.testing.assert_allclose(ratios[:, 1:], expected, atol=1e-4, rtol=0.0)


@pytest.mark.usefixtures("museval")
def test_a_silent_song_is_undefined(references: Songs, estimates: Songs) -> None:
    silence = np.zeros_like(references)
    for pair in [(silence, estimates), (references, silence), (silence, silence)]:
        assert np.isnan(np.stack(bss_eval(*pair, SAMPLE_RATE))).all()


def test_a_window_that_is_silent_in_one_source_is_left_out(
    museval: ModuleType, references: Songs, estimates: Songs
) -> None:
    references, estimates = mono(references), mono(estimates)
    references[0, :, :8000] = 0.0
    windows = expected_windows(museval, references, estimates)
    assert np.isnan(windows[..., 0]).all()
    ratios = np.stack(bss_eval(references, estimates, SAMPLE_RATE))
    np.testing.assert_allclose(ratios, windows[..., 1], atol=1e-4, rtol=0.0)


@pytest.mark.usefixtures("museval")
def test_sources_that_never_sound_together_are_undefined(
    references: Songs, estimates: Songs
) -> None:
    references, estimates = mono(references), mono(estimates)
    references[0, :, :8000] = 0.0
    estimates[1, :, 8000:] = 0.0
    assert np.isnan(np.stack(bss_eval(references, estimates, SAMPLE_RATE))).all()


@pytest.mark.parametrize("num_samples", [300, 7999, 8000, 15_999])
def test_songs_of_one_window(
    museval: ModuleType, references: Songs, estimates: Songs, num_samples: int
) -> None:
    references, estimates = (mono(each)[..., :num_samples] for each in (references, estimates))
    windows = expected_windows(museval, references, estimates)
    assert windows.shape[-1] == 1
    ratios = np.stack(bss_eval(references, estimates, SAMPLE_RATE))
    np.testing.assert_allclose(ratios, np.minimum(windows[..., 0], 100.0), atol=1e-4, rtol=0.0)


@pytest.mark.usefixtures("museval")
def test_one_sample() -> None:
    """Half of it is missing."""
    ratios = bss_eval(np.ones((1, 1, 1)), np.full((1, 1, 1), 0.5), SAMPLE_RATE)
    np.testing.assert_allclose(ratios.sdr, [20.0 * np.log10(2.0)], atol=1e-6)


@pytest.mark.usefixtures("museval")
@pytest.mark.skipif(
    hasattr(np.linalg, "linalg"), reason="museval answers by least squares with this NumPy"
)
def test_a_click_in_both_channels_has_no_filters() -> None:
    """Its correlations make a system of equations that is exactly singular."""
    click = np.zeros((1, 2, 3000))
    click[..., 0] = 2.0
    sdr = bss_eval(click, 0.5 * click, SAMPLE_RATE).sdr
    assert np.isnan(sdr).all()


@pytest.mark.parametrize(
    "shapes",
    [((2, 2, 9), (2, 2, 8)), ((2, 9), (2, 9)), ((2, 2, 0), (2, 2, 0)), ((0, 2, 9), (0, 2, 9))],
    ids=str,
)
def test_shapes_are_checked(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"have the shapes \(.*\); give equal ones") as fault:
        bss_eval(np.ones(shapes[0]), np.ones(shapes[1]), SAMPLE_RATE)
    assert not isinstance(fault.value, InputError), "no file of a user has brought them together"


@pytest.mark.usefixtures("museval")
def test_without_museval_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "museval", None)
    with pytest.raises(ValueError, match=r"museval; pip install 'uss-pipeline\[eval\]'"):
        bss_eval(np.ones((1, 1, 9)), np.ones((1, 1, 9)), SAMPLE_RATE)


def test_without_ffmpeg_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match=r"the program ffmpeg, .* install FFmpeg"):
        bss_eval(np.ones((1, 1, 9)), np.ones((1, 1, 9)), SAMPLE_RATE)
