from pathlib import Path

import numpy as np
import pytest

from tests.uss.evaluation.scene_examples import NOISE, RATE, make_event, make_scene, write_clip
from uss.evaluation.scenes.rendering import coloured_noise, faded, render
from uss.evaluation.scenes.scene import Background


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_clip(tmp_path, "clip.wav", np.full(RATE, 0.5))
    write_clip(tmp_path, "noise.wav", 0.1 * np.random.default_rng(1).standard_normal(RATE))
    return tmp_path


def test_a_mixture_is_exactly_the_sum_of_its_parts(root: Path) -> None:
    events = [
        make_event("Dog", path="noise.wav", gain_db=g, onset_seconds=g / 10) for g in range(5)
    ]
    rendered = render(make_scene(*events, background=NOISE), root)
    assert rendered.sources.shape == (5, 1, RATE)
    total = rendered.background.copy()
    for source in rendered.sources:
        total += source
    np.testing.assert_array_equal(rendered.mixture, total)


def test_rendering_twice_gives_the_same_samples(root: Path) -> None:
    scene = make_scene(make_event("Dog", path="noise.wav"), background=NOISE)
    np.testing.assert_array_equal(render(scene, root).mixture, render(scene, root).mixture)


def test_an_event_stands_at_its_onset_with_its_gain(root: Path) -> None:
    scene = make_scene(make_event("Dog", gain_db=-20.0))
    rendered = render(scene, root)
    source = rendered.sources[0, 0]
    assert not source[: RATE // 4].any()
    np.testing.assert_allclose(source[RATE // 4 : RATE * 3 // 4 - 320], 0.05, rtol=1e-6)
    assert not source[RATE * 3 // 4 :].any()
    assert not rendered.background.any()


def test_a_clips_start_is_left_alone_and_cuts_are_faded(root: Path) -> None:
    """A ramp of 10 ms, 320 samples: (n + 0.5) / 320."""
    whole = render(make_scene(make_event("Dog", onset_seconds=0.0)), root).sources[0, 0]
    cut = make_event("Dog", onset_seconds=0.0, start_seconds=0.25)
    inside = render(make_scene(cut), root).sources[0, 0]
    assert whole[0] == 0.5
    assert inside[0] == pytest.approx(0.5 * 0.5 / 320)
    assert inside[160] == pytest.approx(0.5 * 160.5 / 320)
    for source in (whole, inside):
        assert source[RATE // 2 - 1] == pytest.approx(0.5 * 0.5 / 320)


def test_fades_of_a_single_sample_leave_it() -> None:
    one = np.ones((1, 1), np.float32)
    np.testing.assert_array_equal(faded(one, RATE, fade_in=True), one)


def test_an_event_beyond_its_clips_end_is_filled_with_zeros(root: Path) -> None:
    scene = make_scene(make_event("Dog", start_seconds=0.75, onset_seconds=0.0))
    source = render(scene, root).sources[0, 0]
    assert source[RATE // 4 - 1] == 0.5
    assert not source[RATE // 4 :].any()


def test_a_scene_without_events_is_its_background(root: Path) -> None:
    rendered = render(make_scene(background=NOISE), root)
    assert rendered.sources.shape == (0, 1, RATE)
    np.testing.assert_array_equal(rendered.mixture, rendered.background)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_noise_has_its_level_and_slope(exponent: float) -> None:
    """Three octaves higher, the density is 8 ** -exponent of what it was."""
    noise = Background(level_dbfs=-30.0, exponent=exponent, seed=1)
    samples = coloured_noise(noise, 10 * RATE, RATE)
    assert 10 * np.log10(np.mean(samples.astype(float) ** 2)) == pytest.approx(-30.0, abs=1e-4)
    power = np.abs(np.fft.rfft(samples[0])) ** 2
    # Bins are 0.1 Hz apart.
    low, high = power[10_000:10_500].mean(), power[80_000:84_000].mean()
    assert high / low == pytest.approx(8.0**-exponent, rel=0.2)


def test_a_silent_excerpt_is_refused(tmp_path: Path) -> None:
    write_clip(tmp_path, "clip.wav", np.zeros(RATE))
    with pytest.raises(ValueError, match=r"clip\.wav is silent for 0\.5 s from 0 s"):
        render(make_scene(make_event("Dog")), tmp_path)


def test_a_scene_that_is_silent_is_refused(tmp_path: Path) -> None:
    """Two events that cancel each other out."""
    write_clip(tmp_path, "up.wav", np.full(RATE, 0.5))
    write_clip(tmp_path, "down.wav", np.full(RATE, -0.5))
    events = [make_event("Dog", path="up.wav"), make_event("Rain", path="down.wav")]
    with pytest.raises(ValueError, match="it is silent"):
        render(make_scene(*events), tmp_path)


def test_an_excerpt_behind_its_clip_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="cannot start at 2 s"):
        render(make_scene(make_event("Dog", start_seconds=2.0)), root)
