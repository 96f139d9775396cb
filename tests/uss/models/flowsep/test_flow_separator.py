"""FlowSep as one network: what it loads, and what it makes of waveforms."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.flowsep_files import checkpoint, small
from tests.text_models import noise
from uss.core.errors import InputError
from uss.models import BACKBONES, FlowSep, GenerativeModel, MaskModel, SeparationModel

SEGMENT = 5_120


@pytest.fixture(scope="module")
def state(shared: Path) -> dict[str, torch.Tensor]:
    return checkpoint(shared)


@pytest.fixture(scope="module")
def network() -> FlowSep:
    return small()


def test_it_is_a_generative_model(network: FlowSep) -> None:
    assert isinstance(network, SeparationModel) and isinstance(network, GenerativeModel)
    assert not isinstance(network, MaskModel)
    assert BACKBONES["FlowSep"] is FlowSep
    assert (network.latent_samples, network.whole_samples) == (640, 5_120)


def test_the_averaged_weights_separate(state: dict[str, torch.Tensor]) -> None:
    network = FlowSep.from_state_dict(state, "flowsep.ckpt")
    name = "model.diffusion_model.time_embed.0.bias"
    average = state["model_ema.diffusion_modeltime_embed0bias"]
    assert torch.equal(network.state_dict()[name], average)
    assert not torch.equal(network.state_dict()[name], state[name])
    assert float(network.scale_factor) == pytest.approx(0.25)
    assert (network.condition_space, network.condition_size) == ("flan-t5-large-50", 50 * 1025)
    assert (network.sample_rate, network.segment_seconds) == (16_000, 10.24)
    assert not network.training


def test_entries_are_those_of_the_checkpoint(state: dict[str, torch.Tensor]) -> None:
    own = FlowSep.from_state_dict(state, "x").state_dict().keys()
    assert {name for name in own if not name.endswith(".filter")} <= state.keys()


@pytest.mark.parametrize(
    ("drop", "said"),
    [
        ("first_stage_model.vocoder.", r"x.ckpt holds no vocoder \(first_stage_model.vocoder"),
        ("first_stage_model.encoder.", "x.ckpt holds no autoencoder"),
        ("model_ema.diffusion_modelout2bias", "lacks model.diffusion_model.out.2.bias"),
        ("first_stage_model.quant_conv.bias", "lacks first_stage_model.quant_conv.bias"),
    ],
)
def test_what_is_missing_is_named(state: dict[str, torch.Tensor], drop: str, said: str) -> None:
    broken = {name: value for name, value in state.items() if not name.startswith(drop)}
    with pytest.raises(ValueError, match=said) as error:
        FlowSep.from_state_dict(broken, "x.ckpt")
    assert "\n" not in str(error.value)


def test_unknown_entries_are_named(state: dict[str, torch.Tensor]) -> None:
    more = {
        "model_ema.diffusion_modelout9bias": torch.zeros(1),
        "first_stage_model.x": torch.ones(1),
    }
    with pytest.raises(ValueError, match=r"unknown entries .*out9bias"):
        FlowSep.from_state_dict({**state, **more}, "x.ckpt")


def test_unknown_weights_of_the_last_step_are_named(state: dict[str, torch.Tensor]) -> None:
    """Averages replace the known ones alone."""
    more = {"model.diffusion_model.out.9.bias": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"unknown entries .*out\.9\.bias"):
        FlowSep.from_state_dict({**state, **more}, "x.ckpt")


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), [1.0, 1.0]])
def test_a_scale_that_cannot_be_is_refused(state: dict[str, torch.Tensor], scale: object) -> None:
    with pytest.raises(InputError, match=r"x.ckpt: the entry scale_factor is no positive number"):
        FlowSep.from_state_dict({**state, "scale_factor": torch.tensor(scale)}, "x.ckpt")


def test_without_averages_the_last_weights_are_taken(state: dict[str, torch.Tensor]) -> None:
    plain = {name: value for name, value in state.items() if not name.startswith("model_ema.")}
    name = "model.diffusion_model.time_embed.0.bias"
    assert torch.equal(FlowSep.from_state_dict(plain, "x").state_dict()[name], plain[name])


def test_weight_norms_are_multiplied_out(state: dict[str, torch.Tensor]) -> None:
    """Of a transposed convolution they run over output channels and taps of each input channel."""
    name = "first_stage_model.vocoder.ups.0.0.weight"
    normed = {key: value for key, value in state.items() if key != name}
    normed[f"{name}_v"] = 2.0 * state[name]
    normed[f"{name}_g"] = state[name].square().sum(dim=(1, 2), keepdim=True).sqrt()
    found = FlowSep.from_state_dict(normed, "x").state_dict()[name]
    torch.testing.assert_close(found, state[name])


def test_without_a_scale_latents_are_taken_as_they_are(
    state: dict[str, torch.Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    bare = {name: value for name, value in state.items() if name != "scale_factor"}
    assert float(FlowSep.from_state_dict(bare, "x.ckpt").scale_factor) == 1.0
    assert "x.ckpt: no scale_factor is stored" in caplog.text


@torch.inference_mode()
def test_its_steps_are_those_of_its_parts(network: FlowSep) -> None:
    """The whole against its parts, called by hand as the released code calls its own."""
    mixture, rng = noise(1, (1, SEGMENT), 0.1), np.random.default_rng(3)
    condition = noise(2, (1, 6))
    posterior, start = (
        torch.from_numpy(rng.standard_normal((1, 8, 8, 16), np.float32)) for _ in range(2)
    )
    centred = mixture - mixture.mean()
    gain = 0.5 / centred.abs().max()
    vae, scale = network.first_stage_model, network.scale_factor
    heard = scale * vae.encode(network.mel(centred * gain)[:, None]).sample(posterior)
    state = start
    for step in range(10):
        both = torch.cat([state, heard], dim=1)
        time = torch.tensor([step / 10])
        state = state + network.unet(both, time, condition[:, None], torch.ones(1, 1))[:, :8] / 10
    mel = vae.decode(state / scale)[:, 0].transpose(1, 2)
    expected = network.vocoder(mel)[:, :SEGMENT]
    drawn = network.draw(network.listen(mixture, posterior).latent, condition, start, 10)
    torch.testing.assert_close(network.decode(drawn), expected)
    out = network(mixture[:, None], condition, np.random.default_rng(3))[0]
    # The same but for the level.
    ratio = float((out * expected).sum() / expected.square().sum())
    torch.testing.assert_close(out, ratio * expected, rtol=1e-3, atol=1e-5)
    assert ratio > 0.0


@torch.inference_mode()
@pytest.mark.parametrize("num_samples", [1, 700, SEGMENT, SEGMENT + 1])
def test_any_length_and_channels_come_back(network: FlowSep, num_samples: int) -> None:
    mixture = noise(1, (2, 2, num_samples), 0.1)
    out = network(mixture, noise(2, (2, 6)))
    assert out.shape == mixture.shape
    assert torch.isfinite(out).all()


@torch.inference_mode()
def test_noise_comes_from_the_generator(network: FlowSep) -> None:
    mixture, condition = noise(1, (1, 1, SEGMENT), 0.1), noise(2, (1, 6))
    first = network(mixture, condition, np.random.default_rng(1))
    assert torch.equal(first, network(mixture, condition, np.random.default_rng(1)))
    assert not torch.allclose(first, network(mixture, condition, np.random.default_rng(2)))
    alike = network(mixture.expand(1, 2, -1), condition, np.random.default_rng(1))[0]
    torch.testing.assert_close(alike[0], alike[1])


@torch.inference_mode()
def test_silence_stays_silent_and_levels_are_kept(network: FlowSep) -> None:
    mixture, condition = noise(1, (1, 1, SEGMENT), 0.1), noise(2, (1, 6))
    assert network(torch.zeros_like(mixture), condition).abs().max() == 0.0
    softer = network(0.01 * mixture, condition)
    torch.testing.assert_close(softer, 0.01 * network(mixture, condition), rtol=1e-3, atol=1e-6)


@torch.inference_mode()
def test_tokens_that_do_not_count_do_not_matter() -> None:
    network = small(condition_size=12, num_tokens=3)
    mixture, condition = noise(1, (1, 1, SEGMENT), 0.1), noise(2, (1, 3, 4))
    condition[..., -1] = torch.tensor([1.0, 1.0, 0.0])
    other = condition.clone()
    other[:, 2, :3] += 5.0
    out = network(mixture, condition.flatten(1))
    assert torch.equal(out, network(mixture, other.flatten(1)))
    other[:, 1, :3] += 5.0
    assert not torch.allclose(out, network(mixture, other.flatten(1)))


@torch.inference_mode()
def test_a_copy_for_inference_shares_the_weights(network: FlowSep) -> None:
    copy = network.for_inference(torch.float32)
    name = "model.diffusion_model.time_embed.0.weight"
    assert copy.state_dict()[name].data_ptr() == network.state_dict()[name].data_ptr()
    mixture, condition = noise(1, (1, 1, SEGMENT), 0.1), noise(2, (1, 6))
    assert torch.equal(copy(mixture, condition), network(mixture, condition))
    assert network.for_inference(torch.bfloat16).inference_dtype == torch.bfloat16


@torch.inference_mode()
def test_in_bfloat16_it_goes_nearly_the_same_way() -> None:
    network = small(condition_size=12, num_tokens=3)
    condition = noise(2, (1, 3, 4))
    mixture, start = noise(3, (1, 8, 8, 16)), noise(4, (1, 8, 8, 16))
    for mask in ([1.0, 1.0, 0.0], [0.0, 0.0, 0.0]):
        condition[..., -1] = torch.tensor(mask)
        exact = network.draw(mixture, condition.flatten(1), start, 2)
        rounded = network.for_inference(torch.bfloat16)
        near = rounded.draw(mixture, condition.flatten(1), start, 2)
        assert near.dtype == torch.float32
        assert 0.0 < (near - exact).abs().max() < 0.1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_tokens": 4}, "4 tokens cannot share a condition of 6 numbers"),
        ({"unet_base": 40}, "a U-Net of 40 channels"),
        ({"vae_base": 8}, "a VAE of 8 channels"),
        ({"vocoder_channels": 40}, "40 channels cannot be halved 5 times"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small(**changes)
