"""A multi-resolution pooling CNN (Yuan et al. 2020), conditioned.

Blocks of convolutions at full resolution, each with branches that see the same image averaged over
frames and bins, and brought back; nothing is strided. Its structure is a gene
(``uss.models.pooling_gene``).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.models.film import FiLM
from uss.models.folding import convert
from uss.models.masking import MaskNetwork, magnitude
from uss.models.pooling_gene import SEED_GENE, BlockGene, BranchGene, PairGene, read_gene

Modulation = tuple[Tensor, ...]

_TINY = 1e-8


class MRPCNN(MaskNetwork):
    """Real masks in [0, 1] from magnitudes; stems keep the mixture's phases.

    Published: the gene's structure, 3x3 convolutions without norms, their initialisation, average
    pooling and repetition, the 1x1 convolution at the end, magnitudes at 8 kHz without the top bin.
    Ours: the condition, one bias per channel before each activation (eq. 6); one mask, not one for
    each of two sources; its sigmoid, where the authors leave it unbounded; and magnitudes of unit
    mean energy, so that the level of a recording does not matter.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        gene: the structure.
        n_fft: also the window's length.
        hop_length: between frames, in samples.
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.

    Raises:
        ValueError: if the gene is none.
    """

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        gene: int = SEED_GENE,
        n_fft: int = 1024,
        hop_length: int = 256,
        sample_rate: int = 8_000,
        segment_seconds: float = 2.0,
    ) -> None:
        super().__init__(n_fft, hop_length)
        structure = read_gene(gene)
        self.condition_space = condition_space
        self.condition_size = condition_size
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.links = structure.links
        widths = [1] + [structure.channels] * len(structure.blocks)
        self.blocks = nn.ModuleList(
            _Block(before, structure.channels, block)
            for before, block in zip(widths, structure.blocks, strict=False)
        )
        self.after_conv = nn.Conv2d(structure.channels, 1, 1)
        pairs = [module for module in self.blocks.modules() if isinstance(module, _Pair)]
        self.film = FiLM(condition_size, [pair.channels for pair in pairs for _ in range(2)])

    def for_inference(self, dtype: torch.dtype) -> MRPCNN:
        """Return a copy with convolutions in ``dtype``."""
        model = super().for_inference(dtype)
        for part in (model.blocks, model.after_conv):
            convert(part, dtype)
        return model

    def encode(self, spectrogram: Tensor) -> Tensor:
        """Prepare the network's image.

        Args:
            spectrogram: (B, n_fft // 2 + 1, F) complex.

        Returns:
            (B, 1, F, n_fft // 2) magnitudes of unit mean energy, without the top bin.
        """
        image = magnitude(spectrogram[:, :-1]).transpose(1, 2)[:, None]
        energy = image.square().mean(dim=(1, 2, 3), keepdim=True)
        return image / torch.sqrt(energy + _TINY)

    def modulate(self, condition: Tensor) -> Modulation:
        """Map (B, H) conditions to (B, channels, 1, 1) biases, one for each activation in turn."""
        biases: Modulation = self.film(condition)
        return biases

    def mask(self, encoded: Tensor, modulation: Modulation) -> Tensor:
        """Run the network.

        Args:
            encoded: (B, 1, F, n_fft // 2) from ``encode``.
            modulation: from ``modulate``, for B conditions.

        Returns:
            (B, n_fft // 2 + 1, F) complex mask, real and in [0, 1]; the top bin is 0.
        """
        dtype = self.after_conv.weight.dtype
        image = encoded.to(dtype).contiguous(memory_format=torch.channels_last)
        biases = iter([bias.to(dtype) for bias in modulation])
        outputs: list[Tensor] = []
        for block, links in zip(self.blocks, self.links, strict=True):
            image = block(image, biases)
            for before in links:
                image = image + outputs[before]
            outputs.append(image)
        gain = torch.sigmoid(self.after_conv(image)[:, 0].float()).transpose(1, 2)
        gain = F.pad(gain, (0, 0, 0, 1))
        return torch.complex(gain, torch.zeros_like(gain))


class _Block(nn.Module):
    """A pair of convolutions, branches of its output, a pair on all of that."""

    def __init__(self, before: int, after: int, gene: BlockGene) -> None:
        super().__init__()
        self.first = None if gene.channels is None else _Pair(before, gene.channels, gene.first)
        width = gene.channels or before
        self.branches = nn.ModuleList(_Branch(width, branch) for branch in gene.branches)
        width += sum(branch.channels for branch in gene.branches)
        self.last = _Pair(width, after, gene.last)

    def forward(self, image: Tensor, biases: Iterator[Tensor]) -> Tensor:
        if self.first is not None:
            image = self.first(image, biases)
        seen = [image, *(branch(image, biases) for branch in self.branches)]
        out: Tensor = self.last(torch.cat(seen, dim=1), biases)
        return out


class _Branch(nn.Module):
    """Averages, a pair of convolutions, and every value repeated to where it came from."""

    def __init__(self, before: int, gene: BranchGene) -> None:
        super().__init__()
        self.size = (gene.frames, gene.bins)
        self.pair = _Pair(before, gene.channels, gene.pair)

    def forward(self, image: Tensor, biases: Iterator[Tensor]) -> Tensor:
        # What fills no window at the end is averaged by itself.
        small = F.avg_pool2d(image, self.size, ceil_mode=True, count_include_pad=False)
        small = self.pair(small, biases)
        rows = small.repeat_interleave(self.size[0], dim=2)[:, :, : image.shape[2]]
        whole: Tensor = rows.repeat_interleave(self.size[1], dim=3)[..., : image.shape[3]]
        return whole


class _Pair(nn.Module):
    """Twice: a 3x3 convolution, the condition's bias, ReLU or sigmoid."""

    def __init__(self, before: int, after: int, gene: PairGene) -> None:
        super().__init__()
        self.channels = after
        self.is_residual = gene.is_residual
        self.sigmoids = gene.sigmoids
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight)

    def forward(self, image: Tensor, biases: Iterator[Tensor]) -> Tensor:
        first = _activated(self.conv1(image) + next(biases), self.sigmoids[0])
        second = _activated(self.conv2(first) + next(biases), self.sigmoids[1])
        return first + second if self.is_residual else second


def _activated(image: Tensor, is_sigmoid: bool) -> Tensor:
    return torch.sigmoid(image) if is_sigmoid else torch.relu(image)
