import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from uss.models import BACKBONES, ConvTasNet, MaskModel, SeparationModel

SMALL: dict[str, Any] = {
    "num_filters": 12,
    "window_samples": 16,
    "bottleneck_channels": 6,
    "hidden_channels": 8,
    "skip_channels": 5,
    "blocks_per_repeat": 3,
    "num_repeats": 2,
}


def make_model(**changes: Any) -> ConvTasNet:
    torch.manual_seed(0)
    return ConvTasNet("fake-5", 5, **(SMALL | changes)).eval()


@pytest.fixture(scope="module")
def model() -> ConvTasNet:
    return make_model()


@pytest.fixture(scope="module")
def condition() -> Tensor:
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def mixture() -> Tensor:
    return 0.1 * torch.randn(3, 2, 1_000, generator=torch.Generator().manual_seed(2))


def test_it_is_a_separation_model_without_masks_to_share(model: ConvTasNet) -> None:
    assert isinstance(model, SeparationModel)
    assert not isinstance(model, MaskModel)
    assert (model.condition_space, model.sample_rate, model.segment_seconds) == (
        "fake-5",
        32_000,
        2.0,
    )


@pytest.mark.parametrize("window_samples", [2, 16])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("num_samples", [1, 7, 8, 9, 16, 1_001])
def test_output_has_the_shape_of_the_mixture(
    condition: Tensor, window_samples: int, channels: int, num_samples: int
) -> None:
    model = make_model(window_samples=window_samples)
    mixture = torch.randn(3, channels, num_samples, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        output = model(mixture, condition)
    assert output.shape == mixture.shape
    assert output.dtype == torch.float32
    assert torch.isfinite(output).all()


def test_silence_stays_silent(model: ConvTasNet, condition: Tensor) -> None:
    with torch.inference_mode():
        assert not model(torch.zeros(3, 2, 1_000), condition).any()


@pytest.mark.parametrize("num_samples", [8, 37])
def test_with_an_open_mask_and_complementary_filters_it_gives_the_waveform_back(
    condition: Tensor, num_samples: int
) -> None:
    """Each filter reads one sample of the window; decoded windows are added, two at each place."""
    model = make_model(num_filters=16, window_samples=16)
    with torch.inference_mode():
        model.encoder.weight.copy_(torch.eye(16)[:, None])
        model.decoder.weight.copy_(0.5 * torch.eye(16)[:, None])
        model.masker.mask_conv.weight.zero_()
        assert model.masker.mask_conv.bias is not None
        model.masker.mask_conv.bias.fill_(100.0)
        mixture = torch.randn(3, 2, num_samples, generator=torch.Generator().manual_seed(4))
        output = model(mixture, condition)
    torch.testing.assert_close(output, mixture)


def test_the_mask_does_not_depend_on_the_level(
    model: ConvTasNet, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        output, louder = model(mixture, condition), model(10.0 * mixture, condition)
    torch.testing.assert_close(louder, 10.0 * output, rtol=1e-3, atol=1e-4)


def test_rows_and_channels_do_not_touch_each_other(
    model: ConvTasNet, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        together = model(mixture, condition)
        for row in range(3):
            for channel in range(2):
                one = mixture[row : row + 1, channel : channel + 1]
                alone = model(one, condition[row : row + 1])[0, 0]
                torch.testing.assert_close(together[row, channel], alone, rtol=0.0, atol=1e-6)


def test_the_condition_changes_the_output(
    model: ConvTasNet, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        difference = model(mixture, condition) - model(mixture, condition.roll(1, dims=0))
    assert difference.abs().max() > 1e-4


def test_gradients_reach_every_parameter(mixture: Tensor, condition: Tensor) -> None:
    model = make_model().train()
    model(mixture, condition).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0.0, name
    grad = model.film.linear.weight.grad
    assert grad is not None
    pieces = torch.split(grad, list(model.film.channels))
    # Two per block, one before the mask.
    assert len(pieces) == 2 * 6 + 1
    assert all(piece.abs().sum() > 0.0 for piece in pieces)


def test_silence_gives_finite_gradients(condition: Tensor) -> None:
    model = make_model().train()
    (model(torch.zeros(3, 1, 1_000), condition) - 0.1).abs().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_training_steps_separate_two_tones() -> None:
    model = make_model(num_filters=32, bottleneck_channels=16, hidden_channels=16).train()
    time = torch.arange(800) / 32_000
    phases = 6.28 * torch.rand(6, 1, generator=torch.Generator().manual_seed(6))
    low = 0.1 * torch.sin(6.2832 * 1_000 * time + phases)[:, None]
    high = 0.1 * torch.sin(6.2832 * 6_000 * time + phases)[:, None]
    conditions = torch.eye(5)[[0, 0, 0, 1, 1, 1]]
    targets = torch.cat([low[:3], high[3:]])
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        loss = (model(low + high, conditions) - targets).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


def test_it_hears_as_far_as_documented() -> None:
    """1 + 3 * 2 * (1 + 2 + ... + 128) frames, 1 ms apart: 1.53 s."""
    with torch.device("meta"):
        model = ConvTasNet("fake-5", 5)
    frames = 1 + sum(
        module.dilation[0] * (module.kernel_size[0] - 1)
        for module in model.modules()
        if isinstance(module, nn.Conv1d) and module.groups > 1
    )
    assert frames * model.hop_samples / model.sample_rate == pytest.approx(1.531)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_the_default_without_film_is_as_large_as_in_the_paper() -> None:
    """5.1 million parameters there, for two sources."""
    with torch.device("meta"):
        model = ConvTasNet("fake-5", 5)
    film = sum(parameter.numel() for parameter in model.film.parameters())
    total = sum(parameter.numel() for parameter in model.parameters())
    assert 4.8e6 < total - film < 5.2e6


def test_hyperparameters_make_the_same_network(model: ConvTasNet) -> None:
    stored = json.loads(json.dumps(model.hyperparameters))
    again = BACKBONES["ConvTasNet"](**stored)
    again.load_state_dict(model.state_dict())
    assert again.hyperparameters == model.hyperparameters == stored


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_filters": 0}, "num_filters 0 must be at least 1"),
        ({"blocks_per_repeat": 0}, "blocks_per_repeat 0 must be at least 1"),
        ({"num_repeats": -1}, "num_repeats -1 must be at least 1"),
        ({"window_samples": 0}, "window_samples 0 must be at least 1"),
        ({"window_samples": 15}, "window_samples 15 is odd"),
        ({"kernel_size": 4}, "kernel_size 4 is even"),
    ],
)
def test_arguments_that_make_no_network(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_model(**changes)


def test_one_block_is_enough(mixture: Tensor, condition: Tensor) -> None:
    model = make_model(blocks_per_repeat=1, num_repeats=1)
    with torch.inference_mode():
        assert model(mixture, condition).shape == mixture.shape
