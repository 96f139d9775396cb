"""The U-Net inside the bi-modal separator: residual levels, the deepest of which attend to words.

Entry names are the published ones (Mahmud et al. 2024).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.models.word_attention import SelfThenCross

_LEAKY_SLOPE = 0.2
PLAIN_LEVELS = 4
"""The outermost levels, which know no words."""


class WordsUNet(nn.Module):
    """Maps of an image, as the words of a query bid.

    Args:
        num_maps: how many.
        width: channels of the first level; later ones have up to eight times as many.
        depth: levels; every one halves the image, and all from the fifth on have attention.
        word_size: of a word.
        num_heads: of each attention.
    """

    def __init__(
        self, num_maps: int, width: int, depth: int, word_size: int, num_heads: int
    ) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(1)
        widths = [width * min(8, 2**level) for level in range(depth)]
        before = (1, *widths[:-1])
        after = (num_maps, *widths[:-1])
        level: _Level | None = None
        for number in reversed(range(depth)):
            attends = (word_size, num_heads) if number >= PLAIN_LEVELS else None
            level = _Level(before[number], widths[number], after[number], attends, level)
        assert level is not None
        self.unet_block: _Level = level

    def levels(self) -> list[_Level]:
        """From the outermost to the innermost."""
        found: list[_Level] = []
        level: _Level | None = self.unet_block
        while level is not None:
            found.append(level)
            level = level.submodule
        return found

    def down(self, image: Tensor) -> list[Tensor]:
        """Images of the levels without words, and the next one's until it meets them."""
        image = self.bn0(image)
        images = []
        for level in self.levels()[: PLAIN_LEVELS + 1]:
            image = level.down(image)
            images.append(image)
        return images

    def up(self, images: list[Tensor], words: Tensor, is_word: Tensor | None) -> Tensor:
        """Take the first image that meets words down to the bottom, and up again."""
        levels = self.levels()
        *skips, image = images
        for number in range(PLAIN_LEVELS, len(levels)):
            if number > PLAIN_LEVELS:
                image = levels[number].down(image)
            image = levels[number].attend(image, words, is_word)
            skips.append(image)
        image = levels[-1].up(skips.pop())
        for level in levels[-2::-1]:
            image = level.up(torch.cat([skips.pop(), image], dim=1))
        return image


class _Level(nn.Module):
    """A level of the U-Net: what it does on the way down, and on the way up."""

    def __init__(
        self,
        before: int,
        width: int,
        after: int,
        attends: tuple[int, int] | None,
        inner: _Level | None,
    ) -> None:
        super().__init__()
        is_outermost = before == 1
        wide = width if inner is None else 2 * width
        self.downconv = nn.Conv2d(before, width, 4, 2, 1, bias=False)
        self.downnorm = nn.BatchNorm2d(width)
        self.downresblock = _ResBlock(width)
        blocks = [] if attends is None else [SelfThenCross(width, *attends)]
        self.ca_blocks = nn.ModuleList(blocks)
        self.submodule = inner
        self.upresblock = _ResBlock(wide)
        self.upconv = nn.Conv2d(wide, after, 3, padding=1, bias=is_outermost)
        if not is_outermost:
            self.upnorm = nn.BatchNorm2d(after)
        self.is_outermost = is_outermost

    def down(self, image: Tensor) -> Tensor:
        """Halve the image; where words follow, its positions attend to each other."""
        image = F.leaky_relu(self.downnorm(self.downconv(image)), _LEAKY_SLOPE)
        image = self.downresblock(image)
        for block in self._blocks():
            image = block.among(image)
        return image

    def attend(self, image: Tensor, words: Tensor, is_word: Tensor | None) -> Tensor:
        """Attend to words."""
        for block in self._blocks():
            image = block.to_words(image, words, is_word)
        return image

    def up(self, image: Tensor) -> Tensor:
        """Double the image."""
        image = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=True)
        image = self.upconv(self.upresblock(image))
        return image if self.is_outermost else F.relu(self.upnorm(image))

    def _blocks(self) -> Iterator[SelfThenCross]:
        return (block for block in self.ca_blocks if isinstance(block, SelfThenCross))


class _ResBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layer = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.res_layers = nn.Sequential(layer)

    def forward(self, image: Tensor) -> Tensor:
        return F.leaky_relu(self.res_layers(image) + image, _LEAKY_SLOPE)
