import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from uss.models import MaskModel, ResUNet, SeparationModel

SMALL: dict[str, Any] = {"channels": (4, 6, 8), "fold": 4, "n_fft": 256, "hop_length": 64}


def make_model(**changes: Any) -> ResUNet:
    torch.manual_seed(0)
    return ResUNet("fake-5", 5, **(SMALL | changes)).eval()


@pytest.fixture(scope="module")
def model() -> ResUNet:
    return make_model()


@pytest.fixture(scope="module")
def condition() -> Tensor:
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def mixture() -> Tensor:
    return 0.1 * torch.randn(3, 2, 4_000, generator=torch.Generator().manual_seed(2))


def test_it_is_a_mask_model(model: ResUNet) -> None:
    assert isinstance(model, SeparationModel)
    assert isinstance(model, MaskModel)
    assert (model.condition_space, model.sample_rate, model.segment_seconds) == (
        "fake-5",
        32_000,
        2.0,
    )


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("num_samples", [129, 1_000, 4_095, 4_096])
def test_output_has_the_shape_of_the_mixture(
    model: ResUNet, condition: Tensor, channels: int, num_samples: int
) -> None:
    mixture = torch.randn(3, channels, num_samples, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        output = model(mixture, condition)
    assert output.shape == mixture.shape
    assert output.dtype == torch.float32
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("gain", [10.0, 0.1, 1e-3])
def test_output_scales_with_the_input(
    model: ResUNet, mixture: Tensor, condition: Tensor, gain: float
) -> None:
    with torch.inference_mode():
        output, scaled = model(mixture, condition), model(gain * mixture, condition)
    torch.testing.assert_close(scaled, gain * output, rtol=0.0, atol=1e-4 * gain)


def test_silence_stays_silent(model: ResUNet, condition: Tensor) -> None:
    with torch.inference_mode():
        assert not model(torch.zeros(3, 1, 4_000), condition).any()


def test_one_mask_serves_all_channels(model: ResUNet, mixture: Tensor, condition: Tensor) -> None:
    """Two equal channels, one at half level, give outputs of which one is half the other."""
    stereo = torch.stack([mixture[:, 0], 0.5 * mixture[:, 0]], dim=1)
    with torch.inference_mode():
        output = model(stereo, condition)
        mono = model(mixture[:, :1], condition)
    torch.testing.assert_close(output[:, 1], 0.5 * output[:, 0], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(output[:, 0], mono[:, 0], rtol=0.0, atol=1e-5)


def test_rows_of_a_batch_do_not_touch_each_other(
    model: ResUNet, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        together = model(mixture, condition)
        alone = torch.cat([model(mixture[i : i + 1], condition[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0.0, atol=1e-6)


def test_the_condition_changes_the_output(
    model: ResUNet, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        difference = model(mixture, condition) - model(mixture, condition.roll(1, dims=0))
    assert difference.abs().max() > 1e-4


def test_mask_magnitudes_are_at_most_1_and_the_top_bin_is_0(
    model: ResUNet, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        spectrogram = model.spectrogram(mixture.mean(dim=1))
        mask = model.mask(model.encode(spectrogram), model.modulate(50.0 * condition))
    assert mask.shape == spectrogram.shape == (3, 129, 63)
    assert mask.is_complex()
    assert mask.abs().max() <= 1.0 + 1e-6
    assert not mask[:, -1].any()
    assert mask[:, :-1].abs().min() > 0.0


def with_constant_mask(gain: float, angle: float, min_gain: float) -> ResUNet:
    """Make a network whose own mask is gain * e^{j angle} in every bin it sees."""
    model = make_model(min_gain=min_gain)
    fold = model.fold
    direction = 0.5 * torch.tensor([math.cos(angle), math.sin(angle)])
    maps = torch.cat([torch.logit(torch.tensor([gain])), torch.atanh(direction)])
    with torch.no_grad():
        model.after_conv.weight.zero_()
        assert model.after_conv.bias is not None
        model.after_conv.bias.copy_(maps.repeat_interleave(fold))
    return model


def mask_of(model: ResUNet, mixture: Tensor, condition: Tensor) -> Tensor:
    with torch.inference_mode():
        encoded = model.encode(model.spectrogram(mixture.mean(dim=1)))
        return model.mask(encoded, model.modulate(condition))


@pytest.mark.parametrize(
    ("gain", "angle", "magnitude", "phase"),
    [
        # |0.2 + 0.8 m| and its angle, by hand.
        (0.5, 0.0, 0.6, 0.0),
        (0.5, math.pi / 2, math.sqrt(0.2**2 + 0.4**2), math.atan2(0.4, 0.2)),
        (0.5, math.pi, 0.2, math.pi),
        # Below g although the network asks for less attenuation: the blend is no floor.
        (0.375, math.pi, 0.1, math.pi),
        (0.25, math.pi, 0.0, None),
        (0.125, math.pi, 0.1, 0.0),
    ],
)
def test_min_gain_is_a_blend_with_the_mixture_and_no_floor(
    mixture: Tensor,
    condition: Tensor,
    gain: float,
    angle: float,
    magnitude: float,
    phase: float | None,
) -> None:
    mask = mask_of(with_constant_mask(gain, angle, 0.2), mixture, condition)
    expected = torch.full((3, 128, 63), magnitude)
    torch.testing.assert_close(mask[:, :-1].abs(), expected, rtol=0.0, atol=1e-5)
    if phase is not None:
        expected = torch.full((3, 128, 63), phase)
        torch.testing.assert_close(mask[:, :-1].angle().abs(), expected, rtol=0.0, atol=1e-4)
    assert not mask[:, -1].any()


def test_the_blend_is_linear_in_the_outputs(mixture: Tensor, condition: Tensor) -> None:
    """Of a signal without the top bin: g times the mixture, 1 - g times the plain output."""
    plain, blended = make_model(), make_model(min_gain=0.2)
    with torch.inference_mode():
        spectrogram = plain.spectrogram(mixture)
        spectrogram[..., -1, :] = 0.0
        mixture = plain.waveform(spectrogram, mixture.shape[-1])
        expected = 0.2 * mixture + 0.8 * plain(mixture, condition)
        output = blended(mixture, condition)
    # The inverse transform of a changed spectrogram still has a little in the top bin.
    torch.testing.assert_close(output, expected, rtol=0.0, atol=2e-3)
    assert (output - plain(mixture, condition)).abs().max() > 2e-2


def test_training_sees_the_networks_own_mask(mixture: Tensor, condition: Tensor) -> None:
    mask = mask_of(with_constant_mask(0.25, math.pi, 0.2).train(), mixture, condition)
    expected = torch.full((3, 128, 63), 0.25)
    torch.testing.assert_close(mask[:, :-1].abs(), expected, rtol=0.0, atol=1e-5)


def test_the_three_steps_are_the_forward_pass(
    model: ResUNet, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        spectrogram = model.spectrogram(mixture)
        mask = model.mask(model.encode(spectrogram.mean(dim=1)), model.modulate(condition))
        output = model.waveform(spectrogram * mask[:, None], mixture.shape[-1])
        torch.testing.assert_close(output, model(mixture, condition))


@pytest.mark.parametrize("shape", [(4_000,), (2, 4_000), (2, 3, 4_001)])
@pytest.mark.parametrize("changes", [{}, {"n_fft": 2048, "hop_length": 512, "fold": 8}])
def test_transform_and_inverse_give_the_waveform_back(
    shape: tuple[int, ...], changes: dict[str, int]
) -> None:
    model = make_model(**changes)
    waveform = torch.randn(shape, generator=torch.Generator().manual_seed(4))
    spectrogram = model.spectrogram(waveform)
    assert spectrogram.shape[:-1] == (*shape[:-1], model.n_fft // 2 + 1)
    back = model.waveform(spectrogram, shape[-1])
    torch.testing.assert_close(back, waveform, rtol=0.0, atol=1e-5)


def test_every_parameter_gets_a_gradient(mixture: Tensor, condition: Tensor) -> None:
    model = make_model().train()
    condition = condition.clone().requires_grad_()
    model(mixture, condition).abs().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    grad = model.film.linear.weight.grad
    assert grad is not None
    pieces = torch.split(grad, model.film.channels)
    assert all(piece.abs().sum() > 0.0 for piece in pieces)
    assert condition.grad is not None
    assert condition.grad.abs().sum() > 0.0


def test_silence_gives_finite_gradients(condition: Tensor) -> None:
    model = make_model().train()
    model(torch.zeros(3, 1, 4_000), condition).abs().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("channels", "fold", "n_fft"),
    [((3,), 1, 64), ((2, 4), 2, 64), ((4, 6, 8, 8, 6), 4, 256), ((2, 2), 16, 256)],
)
def test_channels_set_width_and_depth(channels: tuple[int, ...], fold: int, n_fft: int) -> None:
    model = make_model(channels=channels, fold=fold, n_fft=n_fft, hop_length=n_fft // 4)
    assert len(model.encoder) == len(model.decoder) == len(channels)
    assert [stage.block.conv2.out_channels for stage in model.encoder] == list(channels)
    assert [stage.block.conv2.out_channels for stage in model.decoder] == list(channels[::-1])
    strides = [stage.stride for stage in model.encoder]
    assert strides == [(2, 2)] * (len(channels) - 1) + [(1, 2)]
    with torch.inference_mode():
        assert model(torch.randn(2, 1, 1_000), torch.randn(2, 5)).shape == (2, 1, 1_000)


def test_hyperparameters_make_the_same_network(model: ResUNet) -> None:
    again = ResUNet(**model.hyperparameters)
    again.load_state_dict(model.state_dict())
    assert again.hyperparameters == model.hyperparameters
    assert isinstance(model.hyperparameters["channels"], list)


def test_the_default_is_as_large_as_the_design_says() -> None:
    model = ResUNet("fake-384", 384)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    assert 5e6 < num_parameters < 10e6


def test_no_stages() -> None:
    with pytest.raises(ValueError, match="channels is empty"):
        make_model(channels=())


@pytest.mark.parametrize(
    ("channels", "fold", "n_fft"), [((4,) * 7, 4, 256), ((4, 4), 3, 256), ((4, 4), 4, 100)]
)
def test_bins_that_cannot_be_folded_and_halved(
    channels: tuple[int, ...], fold: int, n_fft: int
) -> None:
    with pytest.raises(ValueError, match=f"{n_fft // 2} bins cannot be folded by {fold}"):
        make_model(channels=channels, fold=fold, n_fft=n_fft)


def test_as_many_stages_as_the_bins_allow() -> None:
    make_model(channels=(2,) * 6, fold=4, n_fft=256)


def test_conditions_are_brought_to_zero_mean_and_about_unit_range() -> None:
    model = make_model()
    generator = torch.Generator().manual_seed(5)
    conditions = 3.0 + torch.randn(2_000, 5, generator=generator) * torch.tensor(
        [1.0, 1.0, 1.0, 1.0, 0.0]
    )
    model.standardise_conditions(conditions)
    scaled = (conditions - model.condition_mean) * model.condition_scale
    torch.testing.assert_close(scaled.mean(dim=0), torch.zeros(5), rtol=0.0, atol=1e-4)
    # Each spread is divided by itself plus a tenth of the mean spread, here 0.8.
    expected = torch.tensor([1.0 / 1.08] * 4 + [0.0])
    torch.testing.assert_close(scaled.std(dim=0), expected, rtol=0.02, atol=1e-3)
    biases = model.modulate(conditions)
    plain = model.film(scaled)
    for left, right in itertools.zip_longest(biases, plain):
        torch.testing.assert_close(left, right)


def test_the_conditions_scale_is_stored_with_the_weights(model: ResUNet) -> None:
    assert {"condition_mean", "condition_scale"} <= model.state_dict().keys()
    assert "window" not in model.state_dict()
