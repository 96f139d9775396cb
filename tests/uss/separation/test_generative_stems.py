"""A generative model through the whole engine: seams, rates, channels, neighbours."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from tests.flowsep_files import small
from tests.pipelines.conftest import tiny_tagger
from tests.text_models import noise
from uss.checkpoints.bundle import Bundle
from uss.core.runtime import Runtime
from uss.models import FlowSep
from uss.models.flowsep.level_fitting import fitted_gain
from uss.separation.chunk_drawing import Drawing
from uss.separation.separator import Separator

RUNTIME = Runtime(torch.device("cpu"), torch.float32)
RATE = 16_000
SEGMENT = 20_480


@pytest.fixture(scope="module")
def network() -> FlowSep:
    return small("audioset-527", condition_size=527, segment_seconds=1.28)


def separator(network: FlowSep, **changes: Any) -> Separator:
    drawing = Drawing(**{"steps": 2, **changes})
    bundle = Bundle(tiny_tagger(heard=("Dog", "Rain")), network)
    return Separator(bundle, runtime=RUNTIME, drawing=drawing)


def stem_of(network: FlowSep, waveform: Any, rate: int = RATE, **changes: Any) -> Any:
    options = {"classes": ["Dog"], "threshold": 0.0}
    stems = separator(network, **changes).separate(waveform, rate, **options)
    return stems["Dog"]


def test_no_seam_is_heard(network: FlowSep) -> None:
    """Steady noise in, and what comes out is as steady where chunks meet as elsewhere."""
    stem = stem_of(network, noise(5, (1, 5 * RATE), 0.1).numpy())[0]
    hop, overlap = 3 * SEGMENT // 4, SEGMENT // 4
    block = 320
    levels = 10.0 * np.log10((stem[: 4 * RATE].reshape(-1, block) ** 2).mean(axis=1))
    smooth = np.convolve(levels, np.ones(8) / 8, "same")
    in_overlap = np.zeros(len(levels), bool)
    for seam in range(hop, 4 * RATE - overlap, hop):
        in_overlap[seam // block : (seam + overlap) // block] = True
    assert in_overlap.any() and not in_overlap.all()
    outside = smooth[8:-8][~in_overlap[8:-8]]
    inside = smooth[8:-8][in_overlap[8:-8]]
    # Chunks with phases of their own would lose 3 dB in the middle.
    assert abs(np.median(inside) - np.median(outside)) < 1.0
    assert inside.min() > outside.min() - 1.0
    # No sample jumps more than others do.
    steps = np.abs(np.diff(stem[: 4 * RATE]))
    seams = [s + shift for s in range(hop, 4 * RATE - overlap, hop) for shift in (-1, overlap - 1)]
    assert steps[seams].max() < np.quantile(steps, 0.999)


def test_neighbours_agree_because_their_latents_are_joined(
    network: FlowSep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one chunk and the next make of the part that they share is nearly the same."""
    made: list[Any] = []
    one = separator(network)
    stream = one.batcher()
    assert stream.drawing_runs is not None
    decode = stream.drawing_runs.decode

    def noted(drawn: Any) -> Any:
        made.append(decode(drawn))
        return made[-1]

    monkeypatch.setattr(stream.drawing_runs, "decode", noted)
    monkeypatch.setattr(one, "batcher", lambda: stream)
    waveform = noise(6, (1, 3 * RATE), 0.1).numpy()
    one.separate(waveform, RATE, classes=["Dog"], threshold=0.0)["Dog"]
    overlap = SEGMENT // 4
    assert len(made) == 3
    for before, after in itertools.pairwise(made):
        agreement = np.corrcoef(before[0, -overlap:], after[0, :overlap])[0, 1]
        assert agreement > 0.9


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (48_000, 3)])
def test_any_rate_and_channels(network: FlowSep, rate: int, channels: int) -> None:
    waveform = noise(7, (channels, 2 * rate), 0.1).numpy()
    stem = stem_of(network, waveform, rate)
    assert stem.shape == waveform.shape and stem.dtype == np.float32
    assert np.isfinite(stem).all() and np.abs(stem).max() > 0.0


def test_a_seed_gives_a_stem_and_another_gives_another(network: FlowSep) -> None:
    waveform = noise(7, (1, 2 * RATE), 0.1).numpy()
    stem = stem_of(network, waveform)
    np.testing.assert_array_equal(stem, stem_of(network, waveform))
    assert np.abs(stem - stem_of(network, waveform, seed=1)).max() > 1e-3


def test_what_else_is_asked_for_changes_nothing(network: FlowSep) -> None:
    waveform = noise(8, (1, 2 * RATE), 0.1).numpy()
    options = {"classes": ["Rain", "Dog"], "threshold": 0.0}
    together = separator(network).separate(waveform, RATE, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(together["Dog"], stem_of(network, waveform))
    assert np.abs(together["Rain"] - together["Dog"]).max() > 1e-4


@torch.inference_mode()
def test_a_short_recording_is_drawn_as_released(network: FlowSep) -> None:
    """One chunk: level, zeros behind, one way from noise, decoded; only its level is ours."""
    waveform = noise(9, (1, 9_000), 0.1)
    stem = torch.from_numpy(stem_of(network, waveform.numpy()))
    asked = separator(network)
    heard = asked.analyse(_recording(waveform.numpy()))
    condition = np.zeros((1, 527), np.float32)
    dog = asked.ontology.find("Dog").class_index
    condition[0, dog] = heard.probabilities[0, dog]
    drawn = np.stack(
        [np.random.default_rng([0, i]).standard_normal((2, 8, 16), np.float32) for i in range(32)],
        axis=2,
    )
    posterior, start = torch.from_numpy(drawn)[:, None]
    padded = torch.nn.functional.pad(waveform, (0, SEGMENT - 9_000))
    found = network.listen(padded, posterior, torch.tensor([9_000]))
    latent = network.draw(found.latent, torch.from_numpy(condition), start, 2)
    expected = network.decode(latent) / found.gain[:, None]
    expected = (expected * fitted_gain(expected, padded)[:, None])[:, :9_000]
    torch.testing.assert_close(stem, expected, atol=1e-5, rtol=0.0)


def _recording(waveform: Any) -> Any:
    from uss.audio import Recording

    return Recording(waveform, RATE)


def test_overlaps_of_no_whole_frames_are_rounded(network: FlowSep) -> None:
    analysis = separator(network).analyse(_recording(noise(1, (1, 3 * RATE), 0.1).numpy()), 0.3)
    # 0.3 of 32 frames is 9.6.
    assert analysis.segmentation.hop_samples == SEGMENT - 10 * 640


def test_bins_cannot_be_shared(network: FlowSep) -> None:
    with pytest.raises(ValueError, match="a FlowSep gives no masks"):
        separator(network).separate(np.ones((1, 99), np.float32), RATE, joint=True)
