"""The bi-modal U-Net against the numbers of the released code, and its edges on a small one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.text_models import filled, noise
from uss.core.runtime import Runtime
from uss.models import BiModalUNet, MaskModel, SeparationModel
from uss.models.bimodal import WINDOW_SAMPLES
from uss.separation.batching import Asked, Batcher

SMALL: dict[str, Any] = {
    "num_words": 3,
    "word_size": 6,
    "num_maps": 5,
    "width": 2,
    "depth": 6,
    "num_heads": 4,
    "n_fft": 126,
    "hop_length": 32,
    "segment_seconds": 0.25,
}
VECTOR_SIZE = 4
CONDITION_SIZE = VECTOR_SIZE + 3 * 7


def small(seed: int = 0, size: int = CONDITION_SIZE, **changes: Any) -> BiModalUNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = BiModalUNet("fake", size, **(SMALL | changes)).eval()
        # Words must be seen in the masks, which a fresh network hardly shows.
        torch.nn.init.normal_(network.net_clap["fc"].weight)
    return network


def condition(seed: int, is_word: tuple[int, ...] = (1, 1, 0)) -> Tensor:
    """(1, H) of a vector, three words, and which of them are none."""
    numbers = noise(seed, (1, CONDITION_SIZE - 3))
    return torch.cat([numbers, torch.tensor([is_word], dtype=torch.float32)], dim=1)


def close(got: Any, wanted: Any, tolerance: float) -> None:
    np.testing.assert_allclose(got, wanted, atol=tolerance, rtol=0.0)


@pytest.mark.slow
@torch.inference_mode()
def test_it_separates_as_released(shared: Path) -> None:
    state = filled(shared, "bimodal_trainable", "module.")
    expected = np.load(shared / "parity" / "bimodal.npz")
    network = BiModalUNet.from_state_dict(state, "model_best.pth.tar")
    waveform = noise(41, (1, WINDOW_SAMPLES), 0.1).clamp(-1.0, 1.0)
    vector = F.normalize(noise(42, (1, 512)), dim=-1)
    words = noise(43, (1, 77, 768)).flatten(1)
    # As released, nothing asks which of the words are padding.
    asked = torch.cat([vector, words, torch.zeros(1, 77)], dim=1)
    spectrogram = network.spectrogram(waveform)
    gains, *rest = network.modulate(asked)
    maps = network.maps(network.encode(spectrogram), rest[0], rest[1])
    logits = network.net_synthesizer(maps, gains)[0]
    mask = torch.sigmoid(logits)
    separated = network.waveform(spectrogram * mask, WINDOW_SAMPLES)[0]
    # Measured: 3e-6 of the maps, 3e-7 of the mask, 1e-7 of the waveform.
    close(torch.log1p(spectrogram.abs())[0, :, 200], expected["log_magnitude_frame_200"], 1e-5)
    close(maps[0, :, 100, 200], expected["maps_row_100_frame_200"], 2e-5)
    close(gains[0], expected["query_gains"], 2e-6)
    close(mask[:, 200], expected["mask_frame_200"], 2e-6)
    close(separated[::8], expected["waveform_every_8"], 5e-7)
    # Stored in half precision.
    close(logits[::4, ::4], expected["mask_logits_every_4"], 3e-4)


def test_names_and_shapes_are_those_of_the_released_file(shared: Path) -> None:
    folder = shared / "systems" / "shapes"
    listed = json.loads((folder / "bimodal_trainable.shapes.json").read_text())
    with torch.device("meta"):
        network = BiModalUNet("clap-words-59725", 59_725, num_words=77)
    own = {f"module.{name}": list(value.shape) for name, value in network.state_dict().items()}
    assert len(own) == 271
    assert own == listed


def test_the_file_may_hold_clap_and_kernels_too_but_nothing_else() -> None:
    with torch.device("meta"):
        network = BiModalUNet("clap-words-59725", 59_725, num_words=77)
    blank = dict(network.state_dict())
    more = {"net_clap.model.model.logit_scale_a": torch.zeros(())}
    more |= {f"stft.conv_{part}.weight": torch.zeros(2) for part in ("real", "imag")}
    more |= {f"istft.{n}": torch.zeros(2) for n in ("ola_window", "conv_real.weight")}
    with torch.device("meta"):
        BiModalUNet.from_state_dict(blank | more, "x")
        with pytest.raises(ValueError, match=r"unknown entries net_sound.other"):
            BiModalUNet.from_state_dict(blank | {"net_sound.other": torch.zeros(1)}, "x")
        del blank["net_synthesizer.scale"]
        with pytest.raises(ValueError, match=r"lacks net_synthesizer.scale"):
            BiModalUNet.from_state_dict(blank, "x")


@pytest.mark.parametrize("num_samples", [64, 1_000, 4_000, 9_999])
def test_audio_of_any_length_comes_back_as_long(num_samples: int) -> None:
    network = small()
    assert isinstance(network, SeparationModel) and isinstance(network, MaskModel)
    mixture = noise(1, (2, 2, num_samples), 0.1)
    with torch.inference_mode():
        out = network(mixture, torch.cat([condition(2), condition(3)]))
    assert out.shape == mixture.shape
    assert torch.isfinite(out).all()


def test_every_part_of_a_condition_counts() -> None:
    network = small()
    spectrogram = network.spectrogram(noise(1, (1, 4_000), 0.1))
    asked = condition(2)

    def mask(changed: Tensor) -> Tensor:
        return network.mask(network.encode(spectrogram), network.modulate(changed)).real

    with torch.inference_mode():
        plain = mask(asked)
        for place in (0, VECTOR_SIZE, VECTOR_SIZE + 17):
            other = asked.clone()
            other[0, place] += 3.0
            assert (mask(other) - plain).abs().max() > 1e-7, place


def test_padding_is_attended_to_as_released_unless_it_is_masked() -> None:
    released, masking = small(), small(masks_padding=True)
    spectrogram = released.spectrogram(noise(1, (1, 4_000), 0.1))
    padded = condition(2)
    other = padded.clone()
    last_word = slice(VECTOR_SIZE + 12, VECTOR_SIZE + 18)
    other[:, last_word] = 5.0

    def maps(network: BiModalUNet, asked: Tensor) -> Tensor:
        _, words, is_word = network.modulate(asked)
        return network.maps(network.encode(spectrogram), words, is_word)

    with torch.inference_mode():
        assert not torch.allclose(maps(released, padded), maps(released, other), atol=1e-6)
        torch.testing.assert_close(maps(masking, padded), maps(masking, other))
        # Where there is no padding both are the same.
        whole = condition(2, (1, 1, 1))
        torch.testing.assert_close(maps(masking, whole), maps(released, whole))


def test_queries_asked_together_get_the_same_masks_also_from_the_engine() -> None:
    network = small()
    waveforms = noise(1, (2, 1, 4_000), 0.1)
    asked = torch.cat([condition(seed) for seed in (2, 3, 4)])
    with torch.inference_mode():
        encoded = network.encode(network.spectrogram(waveforms[:1, 0]))
        together = network.masks(encoded, asked[None])[0]
        each = [network.mask(encoded, network.modulate(c[None]))[0].real for c in asked]
        alone = network(waveforms[[0, 0, 1]], asked)
    torch.testing.assert_close(together, torch.stack(each))
    batcher = Batcher(network, Runtime(torch.device("cpu"), torch.float32, batch_size=8))
    stems: list[Any] = []
    first, second = batcher.prepare(waveforms.numpy())
    batcher.submit(first, [Asked(c, stems.append) for c in asked[:2].numpy()])
    batcher.submit(second, [Asked(c, stems.append) for c in asked[2:].numpy()])
    batcher.flush()
    np.testing.assert_allclose(np.stack(stems), alone, atol=1e-6)


def test_without_words_the_vector_is_the_only_one() -> None:
    network = small(size=6, num_words=0)
    mixture = noise(1, (1, 1, 2_000), 0.1)
    with torch.inference_mode():
        first, second = (network(mixture, noise(seed, (1, 6))) for seed in (2, 3))
    assert not torch.equal(first, second)


def test_a_segment_of_silence_stays_silent() -> None:
    with torch.inference_mode():
        out = small()(torch.zeros(1, 1, 2_000), condition(2))
    assert torch.equal(out, torch.zeros(1, 1, 2_000))


def test_in_bfloat16_it_is_nearly_the_same() -> None:
    network = small()
    fast = network.for_inference(torch.bfloat16)
    mixture = noise(1, (1, 1, 4_000), 0.1)
    with torch.inference_mode():
        exact, rounded = network(mixture, condition(2)), fast(mixture, condition(2))
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(rounded, exact, atol=5e-3, rtol=0.0)


def test_all_that_is_trained_has_a_gradient() -> None:
    network = small().train()
    network(noise(1, (2, 1, 4_000), 0.1), torch.cat([condition(2), condition(3)])).sum().backward()
    without = [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    # The published file's unused norms, one for each of the two levels with attention.
    assert {name.split("ca_blocks.0.")[1] for name in frozen} == {"norm1.weight", "norm1.bias"}
    assert len(frozen) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depth": 4}, "depth 4 at least 5"),
        ({"num_maps": 0}, "num_maps 0"),
        ({"n_fft": 128}, "65 bins cannot be halved 6 times"),
        ({"num_words": 4}, "has no room for 4 words of 6"),
        ({"num_heads": 3}, "3 heads do not divide 16 channels"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small(**changes)
