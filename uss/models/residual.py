"""The residual block of the UNets, under whatever names their files give its norms."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from uss.models.folding import BiasChange, activate, fold_after, fold_before


class ResidualBlock(nn.Module):
    """Twice: batch norm, FiLM bias, leaky ReLU, 3x3 convolution; plus a shortcut, if any.

    Args:
        before: channels of the input.
        after: channels of the output.
        norm_names: what entries of the two norms begin with.
        has_shortcut: whether the input is added, through a 1x1 convolution where channels change.
    """

    def __init__(
        self,
        before: int,
        after: int,
        *,
        norm_names: tuple[str, str] = ("norm1", "norm2"),
        has_shortcut: bool = True,
    ) -> None:
        super().__init__()
        self.has_shortcut = has_shortcut
        self.norm_names = norm_names
        self.biases: tuple[int, ...] = (before, after)
        for name, channels in zip(norm_names, self.biases, strict=True):
            self.add_module(name, nn.BatchNorm2d(channels))
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.shortcut: nn.Module = nn.Identity()
        if has_shortcut and before != after:
            self.shortcut = nn.Conv2d(before, after, 1)

    def fold(self, changes: list[BiasChange]) -> None:
        """Fold the norms; what becomes of the biases is appended in their order."""
        first, second = map(self.get_submodule, self.norm_names)
        assert isinstance(first, nn.BatchNorm2d) and isinstance(second, nn.BatchNorm2d)
        setattr(self, self.norm_names[0], fold_after(first, self.conv1, changes))
        setattr(self, self.norm_names[1], fold_before(second, self.conv1, changes))

    def forward(self, image: Tensor, biases: Iterator[Tensor]) -> Tensor:
        """Map (B, before, H, W) to (B, after, H, W).

        Args:
            image: (B, before, H, W).
            biases: gives (B, before, 1, 1), then (B, after, 1, 1).
        """
        first, second = map(self.get_submodule, self.norm_names)
        hidden: Tensor = self.conv1(activate(first, image, next(biases)))
        hidden = self.conv2(activate(second, hidden, next(biases)))
        return hidden.add_(self.shortcut(image)) if self.has_shortcut else hidden
