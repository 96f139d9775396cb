"""What every separator offers: the protocols the engine and the training are written against."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from uss.core.hyperparameters import Rebuildable
from uss.models.competition import PLAIN, CompetitionRules

if TYPE_CHECKING:
    from typing_extensions import Self


_BLIND = "blind-"


def blind_space(num_stems: int) -> str:
    """Name the space of those who are asked for one of their stems by its number."""
    return f"{_BLIND}{num_stems}"


def stems_of_space(space: str) -> int | None:
    """Tell how many stems the separators of a space give of themselves; None if they are asked."""
    digits = space.removeprefix(_BLIND)
    return int(digits) if digits != space and digits.isdecimal() else None


@runtime_checkable
class SeparationModel(Protocol):
    """Separates what a condition asks for.

    Attributes:
        sample_rate: of its waveforms, in Hz.
        segment_seconds: the length it was trained on.
        condition_space: the named space its conditions come from, such as ``audioset-527``.
    """

    sample_rate: int
    segment_seconds: float
    condition_space: str

    def __call__(
        self, mixture: Tensor, condition: Tensor, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Separate one source per row.

        Args:
            mixture: (B, C, T) float32.
            condition: (B, H) in ``condition_space``.
            rng: for models that draw; others ignore it.

        Returns:
            (B, C, T) float32.
        """
        ...


@runtime_checkable
class MaskModel(SeparationModel, Protocol):
    """A separator that masks spectrograms, in three steps that the engine can share.

    One encoding serves many queries, and one mask every channel.
    """

    def spectrogram(self, waveform: Tensor) -> Tensor:
        """Map (..., T) samples to (..., bins, F) complex."""
        ...

    def waveform(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        """Map (..., bins, F) complex back to (..., num_samples)."""
        ...

    def encode(self, spectrogram: Tensor) -> Any:
        """Map (B, bins, F) complex to what does not depend on the query.

        Returns:
            A tensor, or several in a tuple, of B rows each.
        """
        ...

    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Map (B, H) conditions to tensors (B, ...) that steer the mask; once per condition."""
        ...

    def mask(self, encoded: Any, modulation: Any) -> Tensor:
        """Return the (B, bins, F) complex mask (eq. 1)."""
        ...


class Heard(NamedTuple):
    """A mixture as a generative model sees it.

    Attributes:
        latent: (B, channels, F, bins).
        gain: (B,) that it was brought to the model's level with; what is generated still has it.
    """

    latent: Tensor
    gain: Tensor


@runtime_checkable
class GenerativeModel(SeparationModel, Protocol):
    """A separator that draws stems, in a latent space whose frames the engine can join.

    Attributes:
        latent_samples: samples per frame of a latent.
        latent_shape: channels and bins of a frame.
        whole_samples: what is drawn at once is a multiple of so many samples.
        default_steps: looks from noise to a stem, where nobody says how many.
        max_steps: more make no sense; None where that has no end.
    """

    default_steps: int
    max_steps: int | None
    latent_samples: int
    latent_shape: tuple[int, int]
    whole_samples: int

    def listen(self, waveform: Tensor, noise: Tensor, num_valid: Tensor | None = None) -> Heard:
        """Bring mixtures into the latent space.

        Args:
            waveform: (B, T); T is a multiple of ``whole_samples``.
            noise: (B, channels, T / latent_samples, bins) standard normal.
            num_valid: (B,) how many samples of each row count; what follows is silence that is no
                part of the recording. All of them if None.
        """
        ...

    def draw(self, mixture: Tensor, condition: Tensor, noise: Tensor, num_steps: int) -> Tensor:
        """Draw the latents of stems.

        Args:
            mixture: (B, channels, F, bins), from ``listen``.
            condition: (B, H).
            noise: (B, channels, F, bins) standard normal.
            num_steps: how many looks to take; more are finer.

        Returns:
            (B, channels, F, bins).
        """
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Make (B, T) samples, with the gain of ``listen``, of (B, channels, F, bins)."""
        ...


class SeparatorNetwork(Rebuildable, nn.Module):
    """A ``SeparationModel`` with weights that files and bundles can hold.

    Attributes:
        sample_rate, segment_seconds, condition_space: see ``SeparationModel``.
        condition_size: H of its conditions.
        cpu_batch_size: rows that a CPU separates at once; more leave its caches, and memory grows.
        looks_once: whether ``encode`` is nearly all of its work, so that the queries of one segment
            are best asked at once (``MaskNetwork.masks``).
        only_float32: whether it computes in float32, whatever else is wanted.
        joint: whether it was trained to be asked for all sources at once, so that they share the
            bins of a segment (``uss.models.competition``).
        competition: how they then share them.
    """

    cpu_batch_size: int = 4
    looks_once: bool = False
    only_float32: bool = False
    joint: bool = False
    competition: CompetitionRules = PLAIN
    sample_rate: int
    segment_seconds: float
    condition_space: str
    condition_size: int
    __call__: Callable[..., Tensor]

    def for_inference(self, dtype: torch.dtype) -> Self:
        """Return a copy that computes the same faster, in evaluation mode.

        Args:
            dtype: of its convolutions; float32 is exact up to rounding. Networks that leave that
                to autocast ignore it.
        """
        return copy.deepcopy(self).eval()
