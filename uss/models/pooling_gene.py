"""The structure of a multi-resolution pooling CNN, as the number that evolution searched.

Facts of Yuan et al. 2020 ("Evolving multi-resolution pooling CNN for monaural singing voice
separation") and of the code that its authors published. A gene is a number of 142 bits, the highest
first:

    2     channels of every block's output: 32, 64, 128, 256
    10    to which later block each block's output is added: 1 of 0, 2 of 0 and 1, 3 of 0 to 2, ...
    5x26  the blocks

and the bits of a block are

    2     channels of the first pair of convolutions: none, 32, 64, 128
    3     that pair
    9     a branch: 2 frames and 2 bins that are averaged (1, 4, 16, 64), 2 channels (16, 32, 64,
          128), 3 its pair of convolutions
    9     another branch; one that averages nothing is left out
    3     the last pair, on the first one's output and the branches'

A pair has a bit that adds the first convolution's output to the second's, and one for the
activation of each: ReLU or sigmoid. Groups of two bits are Gray codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from uss.core.errors import InputError

NUM_BITS = 142
NUM_BLOCKS = 5
SEED_GENE = 4182591019167972528534244115322478782824676
"""What evolution began with; the example of the authors' instructions."""

_WIDTHS = (32, 64, 128, 256)
_FIRST_WIDTHS = (None, 32, 64, 128)
_BRANCH_WIDTHS = (16, 32, 64, 128)
_POOLED = (1, 4, 16, 64)
_GRAY = {(0, 0): 0, (0, 1): 1, (1, 1): 2, (1, 0): 3}


@dataclass(frozen=True)
class PairGene:
    """Two convolutions.

    Attributes:
        is_residual: whether the first one's output is added to the second's.
        sigmoids: whether the activation of each is a sigmoid, instead of a ReLU.
    """

    is_residual: bool
    sigmoids: tuple[bool, bool]


@dataclass(frozen=True)
class BranchGene:
    """A branch at a lower resolution.

    Attributes:
        frames, bins: how many are averaged.
        channels: of its convolutions.
        pair: these.
    """

    frames: int
    bins: int
    channels: int
    pair: PairGene


@dataclass(frozen=True)
class BlockGene:
    """A block.

    Attributes:
        channels: of the first pair; None if there is none.
        first: that pair.
        branches: none, one or two.
        last: the last pair.
    """

    channels: int | None
    first: PairGene
    branches: tuple[BranchGene, ...]
    last: PairGene


@dataclass(frozen=True)
class PoolingGene:
    """The whole structure.

    Attributes:
        channels: of every block's output.
        links: for each block, the numbers of those before it whose outputs are added to its own.
        blocks: five.
    """

    channels: int
    links: tuple[tuple[int, ...], ...]
    blocks: tuple[BlockGene, ...]


def read_gene(number: int) -> PoolingGene:
    """Read a structure.

    Raises:
        ValueError: if the number has more bits than a gene, or is negative.
    """
    if not 0 <= number < 2**NUM_BITS:
        raise InputError(f"the gene {number} is out of range; genes have {NUM_BITS} bits")
    bits = iter([number >> place & 1 for place in reversed(range(NUM_BITS))])
    channels = _WIDTHS[_code(bits)]
    links = [tuple(before for before in range(block) if next(bits)) for block in range(NUM_BLOCKS)]
    return PoolingGene(channels, tuple(links), tuple(_block(bits) for _ in range(NUM_BLOCKS)))


def _block(bits: Iterator[int]) -> BlockGene:
    channels, first = _FIRST_WIDTHS[_code(bits)], _pair(bits)
    branches = [_branch(bits) for _ in range(2)]
    kept = tuple(branch for branch in branches if branch.frames * branch.bins > 1)
    return BlockGene(channels, first, kept, _pair(bits))


def _branch(bits: Iterator[int]) -> BranchGene:
    frames, bins = _POOLED[_code(bits)], _POOLED[_code(bits)]
    return BranchGene(frames, bins, _BRANCH_WIDTHS[_code(bits)], _pair(bits))


def _pair(bits: Iterator[int]) -> PairGene:
    is_residual, first, second = (bool(next(bits)) for _ in range(3))
    return PairGene(is_residual, (first, second))


def _code(bits: Iterator[int]) -> int:
    return _GRAY[next(bits), next(bits)]
