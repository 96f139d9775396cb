import copy

import numpy as np
import pytest
import torch
from torch import nn

from uss.models import ResUNet, ResUNet30, ResUNet60, SeparatorNetwork, UNet
from uss.models.folding import (
    BiasChange,
    Folded,
    Scale,
    activate,
    change_biases,
    fold_after,
    fold_before,
)

CONDITION_SIZE = 6
MAKERS = {
    "ResUNet": lambda: ResUNet(
        "s", CONDITION_SIZE, channels=[4, 6], fold=4, n_fft=256, hop_length=64
    ),
    "ResUNet30": lambda: ResUNet30(
        "s", CONDITION_SIZE, channels=[4, 6, 8], n_fft=256, hop_length=64
    ),
    "ResUNet60": lambda: ResUNet60("s", CONDITION_SIZE, channels=[4, 6], n_fft=256, hop_length=64),
    "UNet": lambda: UNet("s", CONDITION_SIZE, channels=[4, 6], n_fft=256, hop_length=64),
}


def lively(norm: nn.BatchNorm2d, positive: bool = False) -> nn.BatchNorm2d:
    """Give a batch norm statistics and parameters that all matter, and scales of either sign."""
    generator = torch.Generator().manual_seed(norm.num_features)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.copy_(torch.randn(norm.num_features, generator=generator))
        norm.running_var.copy_(0.5 + torch.rand(norm.num_features, generator=generator))
        if positive:
            norm.weight.abs_()
    return norm.eval()


@pytest.fixture(params=[False, True], ids=["any scales", "positive scales"])
def has_positive_scales(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=MAKERS)
def model(request: pytest.FixtureRequest, has_positive_scales: bool) -> SeparatorNetwork:
    torch.manual_seed(0)
    network: SeparatorNetwork = MAKERS[request.param]().eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            lively(norm, has_positive_scales)
    return network


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    mixture = 0.1 * torch.randn(2, 2, 4_000, generator=generator)
    return mixture, torch.rand(2, CONDITION_SIZE, generator=generator)


def test_a_folded_network_computes_the_same(model: SeparatorNetwork) -> None:
    mixture, condition = inputs()
    with torch.inference_mode():
        expected = model(mixture, condition)
        folded = model.for_inference(torch.float32)(mixture, condition)
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(folded, expected, atol=1e-6, rtol=1e-5)


def test_the_original_is_left_as_it_was(model: SeparatorNetwork) -> None:
    before = copy.deepcopy(model.state_dict())
    model.for_inference(torch.bfloat16)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_bf16_is_close_and_comes_back_in_float32(model: SeparatorNetwork) -> None:
    mixture, condition = inputs()
    with torch.inference_mode():
        expected = model(mixture, condition)
        rounded = model.for_inference(torch.bfloat16)(mixture, condition)
    assert rounded.dtype == torch.float32
    error_db = 10 * torch.log10((rounded - expected).square().sum() / expected.square().sum())
    assert -120.0 < error_db < -20.0


def test_every_norm_but_that_of_the_bins_is_folded(
    model: SeparatorNetwork, has_positive_scales: bool
) -> None:
    folded = model.for_inference(torch.float32)
    left = [name for name, m in folded.named_modules() if isinstance(m, nn.BatchNorm2d)]
    # The decoder's second norm in the published files is read by nothing.
    assert all(".bn2" in name and "decoder" in name for name in left)
    assert any(isinstance(module, Scale) for module in folded.modules()) != has_positive_scales
    assert any(isinstance(module, Folded) for module in folded.modules())


def changed(bias: torch.Tensor, changes: list[BiasChange]) -> torch.Tensor:
    (change,) = changes
    return (bias + change.shift[None, :, None, None]) * change.factor[None, :, None, None]


def test_the_norm_and_the_bias_come_before_the_activation() -> None:
    norm = lively(nn.BatchNorm2d(5))
    image, bias = torch.randn(2, 5, 3, 4), torch.randn(2, 5, 1, 1)
    expected = nn.functional.leaky_relu(norm(image) + bias, 0.01)
    torch.testing.assert_close(activate(norm, image, bias), expected)


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_scale_joins_the_convolution_after_if_it_is_positive(
    positive: bool, kind: type[nn.Conv2d]
) -> None:
    norm, conv = lively(nn.BatchNorm2d(5), positive), kind(5, 3, 2, 2, bias=False)
    image, bias = torch.randn(2, 5, 6, 4), torch.randn(2, 5, 1, 1)
    with torch.inference_mode():
        expected = conv(activate(norm, image, bias))
        changes: list[BiasChange] = []
        left = fold_after(norm, conv, changes)
        assert isinstance(left, Folded if positive else Scale)
        folded = conv(activate(left, image, changed(bias, changes)))
        torch.testing.assert_close(folded, expected)


def test_a_scale_joins_the_convolution_before() -> None:
    norm, conv = lively(nn.BatchNorm2d(5)), nn.Conv2d(3, 5, 3, padding=1, bias=False)
    image, bias = torch.randn(2, 3, 6, 4), torch.randn(2, 5, 1, 1)
    with torch.inference_mode():
        expected = activate(norm, conv(image), bias)
        changes: list[BiasChange] = []
        nothing = fold_before(norm, conv, changes)
        folded = activate(nothing, conv(image), changed(bias, changes))
        torch.testing.assert_close(folded, expected)


def test_a_linear_layer_gives_the_changed_biases() -> None:
    film, condition = nn.Linear(3, 4), torch.randn(2, 3)
    changes = [BiasChange(torch.randn(n), torch.rand(n) + 0.5) for n in (1, 3)]
    with torch.inference_mode():
        expected = film(condition) + torch.cat([change.shift for change in changes])
        expected *= torch.cat([change.factor for change in changes])
        change_biases(film.bias, changes, film.weight)
        torch.testing.assert_close(film(condition), expected)


@pytest.mark.parametrize("left", [Scale(torch.ones(2)), Folded(in_place=False)])
def test_an_image_that_is_read_elsewhere_is_not_overwritten(
    rng: np.random.Generator, left: nn.Module
) -> None:
    """It also goes through the shortcut."""
    image = torch.from_numpy(rng.standard_normal((1, 2, 3, 3)).astype(np.float32))
    kept = image.clone()
    activate(left, image, torch.ones(1, 2, 1, 1))
    assert torch.equal(image, kept)
