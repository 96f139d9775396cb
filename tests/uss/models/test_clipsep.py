"""CLIPSep and CLIPSep-NIT against the numbers of the released code."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.text_models import State, filled, noise
from uss.core.runtime import Runtime
from uss.models import CLIPSep, MaskModel, SeparationModel
from uss.models.log_bins import to_linear_bins, to_log_bins
from uss.separation.batching import Asked, Batcher

SMALL: dict[str, Any] = {
    "num_maps": 5,
    "width": 4,
    "depth": 3,
    "num_rows": 32,
    "n_fft": 64,
    "hop_length": 16,
}
INPUTS = {"clipsep": (31, 32, 65_535), "clipsep_nit": (35, 36, 131_070)}


@pytest.fixture(scope="module", params=list(INPUTS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def state(shared: Path, name: str) -> State:
    return filled(shared, name, "module.")


@pytest.fixture(scope="module")
def expected(shared: Path, name: str) -> Any:
    return np.load(shared / "parity" / f"{name}.npz")


@pytest.fixture(scope="module")
def network(state: State) -> CLIPSep:
    return CLIPSep.from_state_dict(state, "best_model.pt")


def small(seed: int = 0, **changes: Any) -> CLIPSep:
    torch.manual_seed(seed)
    return CLIPSep("fake-6", 6, **(SMALL | changes)).eval()


def close(got: Any, wanted: Any, tolerance: float) -> None:
    np.testing.assert_allclose(got, wanted, atol=tolerance, rtol=0.0)


@torch.inference_mode()
def test_it_separates_as_released(network: CLIPSep, name: str, expected: Any) -> None:
    audio_seed, query_seed, num_samples = INPUTS[name]
    waveform = noise(audio_seed, (1, num_samples), 0.1).clamp(-1.0, 1.0)
    condition = noise(query_seed, (1, 512))
    spectrogram = network.spectrogram(waveform)
    warped = torch.log(network.warped_magnitude(spectrogram))[0]
    maps = network.encode(spectrogram)
    (gains,) = network.modulate(condition)
    logits = network.logits(maps, gains[:, None])[0, 0]
    mask = network.mask(maps, (gains,)).real[0]
    num_whole = 256 * (spectrogram.shape[-1] - 1)
    # Measured: a tenth of the tolerances, and no bit of the binary mask differs.
    close(warped[:, 100], expected["warped_log_magnitude_frame_100"], 1e-4)
    close(maps[0, :, 128, 100], expected["maps_row_128_frame_100"], 2e-5)
    close(gains[0], expected["query_gains"], 2e-6)
    close(torch.sigmoid(logits)[:, 100], expected["mask_frame_100"], 2e-6)
    bits = np.unpackbits(expected["binary_mask_packed"])[: mask.numel()].reshape(mask.shape)
    assert (bits != mask.numpy()).sum() <= 20
    binary = network(waveform[:, None], condition)[0, 0, :num_whole].clamp(-1.0, 1.0)
    error = binary[::32].numpy() - expected["waveform_binary_every_32"]
    assert np.sqrt(np.mean(error**2)) < 1e-3
    network.binary = False
    soft_mask = network.mask(maps, (gains,)).real[0]
    soft = network(waveform[:, None], condition)[0, 0, :num_whole].clamp(-1.0, 1.0)
    network.binary = True
    close(soft_mask[:, 100], expected["linear_mask_frame_100"], 2e-6)
    close(soft[::8], expected["waveform_soft_every_8"], 5e-6)
    # Stored in half precision.
    (key,) = [each for each in expected if each.startswith("mask_logits_every_")]
    close(logits[:, :: int(key[-1])], expected[key], 3e-4)


def test_the_file_tells_the_variant(network: CLIPSep, name: str) -> None:
    assert network.hyperparameters["noise_heads"] == (2 if name == "clipsep_nit" else 0)
    assert (network.condition_space, network.sample_rate) == ("clip-512", 16_000)
    assert round(network.segment_seconds * network.sample_rate) == 65_535


def test_wrong_entries_are_named(state: State) -> None:
    broken = dict(state)
    del broken["synth_net.scale"]
    broken["frame_net.weight"] = torch.zeros(32, 100)
    with pytest.raises(ValueError, match=r"lacks synth_net.scale; .*frame_net.weight \(\(32, 100"):
        CLIPSep.from_state_dict(broken, "best_model.pt")


def test_ten_queries_cost_hardly_more_than_one(network: CLIPSep, name: str) -> None:
    if name != "clipsep":
        pytest.skip("both have one U-Net")
    batcher = Batcher(network, Runtime(torch.device("cpu"), torch.float32))
    waveform = noise(1, (1, 1, 65_535), 0.1).numpy()
    conditions = noise(2, (10, 512)).numpy()

    def seconds(count: int) -> float:
        stems: list[Any] = []
        start = time.perf_counter()
        (segment,) = batcher.prepare(waveform)
        batcher.submit(segment, [Asked(each, stems.append) for each in conditions[:count]])
        batcher.flush()
        assert len(stems) == count and stems[0].shape == (1, 65_535)
        return time.perf_counter() - start

    seconds(1)
    # Measured: 1.1 to 1.2. The smallest quotient of pairs, as other work slows either down.
    assert min(seconds(10) / seconds(1) for _ in range(7)) < 1.3


@pytest.mark.parametrize("num_samples", [100, 1_000, 1_001, 4_096])
def test_audio_of_any_length_comes_back_as_long(num_samples: int) -> None:
    network = small()
    assert isinstance(network, SeparationModel) and isinstance(network, MaskModel)
    mixture = noise(1, (2, 2, num_samples), 0.1)
    with torch.inference_mode():
        out = network(mixture, noise(2, (2, 6)))
    assert out.shape == mixture.shape
    assert torch.isfinite(out).all()


def test_queries_asked_together_get_the_same_masks() -> None:
    for binary in (False, True):
        network = small(binary=binary)
        spectrogram = network.spectrogram(noise(1, (1, 2_000), 0.1))
        conditions = noise(2, (1, 3, 6))
        with torch.inference_mode():
            maps = network.encode(spectrogram)
            together = network.masks(maps, conditions)[0]
            each = [network.mask(maps, network.modulate(c[None]))[0].real for c in conditions[0]]
        torch.testing.assert_close(together, torch.stack(each))
        assert set(together.unique().tolist()) <= {0.0, 1.0} or not binary


def test_a_segment_of_silence_has_a_mask() -> None:
    network = small()
    with torch.inference_mode():
        out = network(torch.zeros(1, 1, 500), noise(2, (1, 6)))
    assert torch.equal(out, torch.zeros(1, 1, 500))


def test_in_bfloat16_it_is_nearly_the_same() -> None:
    network = small()
    fast = network.for_inference(torch.bfloat16)
    mixture, condition = noise(1, (1, 1, 2_000), 0.1), noise(2, (1, 6))
    with torch.inference_mode():
        exact, rounded = network(mixture, condition), fast(mixture, condition)
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(rounded, exact, atol=2e-3, rtol=0.0)


def test_warping_reads_where_the_formulas_say() -> None:
    bins = torch.arange(513.0)[None, :, None].expand(1, 513, 2)
    rows = to_log_bins(bins, 256)[0, :, 0]
    place = np.arange(256) / 255
    np.testing.assert_allclose(rows, 512.0 * (21.0**place - 1.0) / 20.0, atol=2e-3)
    back = to_linear_bins(torch.arange(256.0)[None, None, :, None].expand(1, 1, 256, 2), 513)
    wanted = 255.0 * np.log(20.0 * np.arange(513) / 512.0 + 1.0) / np.log(21.0)
    np.testing.assert_allclose(back[0, 0, :, 1], wanted, atol=2e-3)


def test_it_is_built_again_from_its_hyperparameters() -> None:
    network = small(noise_heads=2)
    again = CLIPSep(**network.hyperparameters)
    again.load_state_dict(network.state_dict())
    mixture, condition = noise(1, (1, 1, 500), 0.1), noise(2, (1, 6))
    assert torch.equal(again.eval()(mixture, condition), network(mixture, condition))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depth": 2}, "depth 2 at least 3"),
        ({"num_maps": 0}, "num_maps 0"),
        ({"num_rows": 20}, "cannot be halved 3 times"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small(**changes)


def test_the_engine_asks_all_queries_of_a_segment_at_once() -> None:
    network = small()
    calls: list[int] = []
    original = network.masks

    def counted(encoded: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        calls.append(conditions.shape[1])
        return original(encoded, conditions)

    network.masks = counted  # type: ignore[method-assign]
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size=8)
    batcher = Batcher(network, runtime)
    waveforms = noise(1, (2, 2, 1_000), 0.1)
    conditions = noise(2, (5, 6)).numpy()
    stems: list[Any] = []
    for segment, asked in zip(batcher.prepare(waveforms.numpy()), (3, 2), strict=True):
        some = conditions[:3] if asked == 3 else conditions[3:]
        batcher.submit(segment, [Asked(each, stems.append) for each in some])
    batcher.flush()
    assert calls == [3, 2]
    rows = [0, 0, 0, 1, 1]
    with torch.inference_mode():
        alone = network(waveforms[rows], torch.from_numpy(conditions))
    np.testing.assert_allclose(np.stack(stems), alone, atol=1e-6)
