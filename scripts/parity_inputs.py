"""What the parity fixtures in tests/fixtures/parity are made from: weights, inputs, entry lists."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uss.core.state_dicts import is_constant, load_entries
from uss.models import ResUNet30
from uss.taggers import HTSAT, Cnn6, Cnn10, Cnn14

HOP, CLIP, SEGMENT = 320, 320_000, 64_000
"""Of anchors: samples between frames, of a clip, of a segment."""
WAVEFORM_STEP = 8
"""Of a separator's output every such sample is kept."""
KINDS: Mapping[str, Any] = {
    "resunet30_at_soft": ResUNet30,
    "cnn6": Cnn6,
    "cnn10": Cnn10,
    "cnn14": Cnn14,
    "htsat": HTSAT,
}
"""Published network -> class."""

_WEIGHT_SEED = 20_231_129


def noise(seed: int, shape: Sequence[int], scale: float = 1.0) -> NDArray[np.float32]:
    """Normal noise, the same on every machine."""
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal(tuple(shape))
    return (scale * values).astype(np.float32)


def waveform() -> Tensor:
    """(1, 16000), half a second whose second half is quieter."""
    samples = noise(301, (1, 16_000), 0.1)
    samples[:, 8_000:] *= 0.1
    return torch.from_numpy(samples)


def condition() -> Tensor:
    """(1, 527), as probabilities are."""
    return torch.from_numpy(np.clip(np.abs(noise(302, (1, 527))) / 3.0, 0.0, 1.0))


def segments() -> Tensor:
    """(4, 16000) whose levels differ widely."""
    scale = np.array([1.0, 0.003, 8.0, 0.2], np.float32)
    return torch.from_numpy(noise(303, (4, 16_000)) * scale[:, None])


def framewise() -> NDArray[np.float64]:
    """(5, 1000) probabilities of five clips; the last two peak at the clip's edges."""
    steps = noise(304, (5, 1000)).astype(np.float64)
    walks = np.cumsum(steps, axis=1) / 10.0
    walks[3:] = steps[3:] - 3.0
    walks[3, :60] += 50.0
    walks[4, -60:] += 50.0
    return 1.0 / (1.0 + np.exp(-walks))


def probabilities() -> NDArray[np.float32]:
    """(3, 527) of three segments."""
    return np.clip(np.abs(noise(305, (3, 527))) / 4.0, 0.0, 1.0)


def published_entries(network: nn.Module, constants: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Entry name -> shape of what files of a network hold, without constants."""
    state = network.state_dict()
    return {n: tuple(v.shape) for n, v in state.items() if not is_constant(n, constants)}


def fingerprint(shapes: Mapping[str, Sequence[int]]) -> str:
    """SHA-256 of the names and shapes, in the order of the names."""
    lines = [f"{name} {list(shape)}" for name, shape in sorted(shapes.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def fill(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Make weights that depend on names and shapes alone.

    Matrices and kernels have the standard deviation 1 / sqrt(fan-in), so that activations keep
    their scale; norms are near the identity.
    """
    return {name: torch.from_numpy(_values(name, tuple(shape))) for name, shape in shapes.items()}


def _values(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    seed = np.random.SeedSequence([_WEIGHT_SEED, zlib.crc32(name.encode())])
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape, np.float32)
    if len(shape) > 1:
        return values / np.float32(np.sqrt(np.prod(shape[1:])))
    if name.endswith("running_var"):
        return 1.0 + np.float32(0.1) * np.abs(values)
    centre = 1.0 if name.endswith("weight") else 0.0
    return np.float32(centre) + np.float32(0.1) * values


def filled(name: str) -> nn.Module:
    """Build a published network with weights of ``fill``, loaded as its files are."""
    kind = KINDS[name]
    network: nn.Module = kind("audioset-527", 527) if kind is ResUNet30 else kind()
    published = getattr(network, "network", network)
    shapes = published_entries(published, kind.constants)
    load_entries(published, fill(shapes), name, kind.constants)
    return network.eval()
