import copy

import pytest
import torch
from torch import Tensor

from uss.models.folding import BiasChange
from uss.models.residual import ResidualBlock


def run(block: ResidualBlock, image: Tensor, *biases: Tensor) -> Tensor:
    with torch.inference_mode():
        return block.eval()(image, iter(biases))


@pytest.fixture
def image() -> Tensor:
    return torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(1))


def biases(*channels: int) -> list[Tensor]:
    return [torch.linspace(-1.0, 1.0, 2 * n).reshape(2, n, 1, 1) for n in channels]


@pytest.mark.parametrize("names", [("norm1", "norm2"), ("bn1", "bn2")])
def test_entries_have_the_names_that_files_give_them(names: tuple[str, str]) -> None:
    block = ResidualBlock(3, 4, norm_names=names)
    norms = [f"{n}.{part}" for n in names for part in ("weight", "bias", "running_mean")]
    assert set(norms) < block.state_dict().keys()
    others = {name for name in block.state_dict() if not name.startswith(names)}
    layers = {"conv1.weight", "conv2.weight", "shortcut.weight", "shortcut.bias"}
    assert others == layers
    assert block.biases == (3, 4)


def test_without_convolutions_the_shortcut_is_left(image: Tensor) -> None:
    for has_shortcut, expected in ((True, image), (False, torch.zeros_like(image))):
        block = ResidualBlock(3, 3, has_shortcut=has_shortcut)
        torch.nn.init.zeros_(block.conv2.weight)
        assert torch.equal(run(block, image, *biases(3, 3)), expected)
        assert "shortcut.weight" not in block.state_dict()


def test_one_pixel_by_hand() -> None:
    """Both convolutions have one tap: 2 x, then 3 x; new norms divide by sqrt(1 + 1e-5)."""
    block = ResidualBlock(1, 1)
    with torch.no_grad():
        for layer, tap in ((block.conv1, 2.0), (block.conv2, 3.0)):
            layer.weight.zero_()
            layer.weight[0, 0, 1, 1] = tap
    one, two = (torch.full((1, 1, 1, 1), bias) for bias in (-1.0, 0.5))
    # leaky(4 - 1) = 3, times 2 is 6; leaky(6 + 0.5) times 3 is 19.5; plus the input.
    assert run(block, torch.full((1, 1, 1, 1), 4.0), one, two).item() == pytest.approx(23.5, 1e-4)
    # leaky(-4 - 1) = -0.05, times 2 is -0.1; leaky(-0.1 + 0.5) times 3 is 1.2.
    assert run(block, torch.full((1, 1, 1, 1), -4.0), one, two).item() == pytest.approx(-2.8, 1e-4)


@pytest.mark.parametrize("names", [("norm1", "norm2"), ("bn1", "bn2")])
def test_folded_norms_compute_the_same_with_changed_biases(
    image: Tensor, names: tuple[str, str]
) -> None:
    torch.manual_seed(0)
    block = ResidualBlock(3, 4, norm_names=names).eval()
    for value in block.state_dict().values():
        if value.is_floating_point():
            value.add_(0.2 * torch.rand(value.shape))
    given = biases(3, 4)
    expected = run(block, image.clone(), *given)
    folded, changes = copy.deepcopy(block), list[BiasChange]()
    folded.fold(changes)
    assert len(changes) == 2
    changed = [
        (bias + change.shift[:, None, None]) * change.factor[:, None, None]
        for bias, change in zip(given, changes, strict=True)
    ]
    output = run(folded, image.clone(), *changed)
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
    assert not any(name.startswith(names) for name in folded.state_dict())
