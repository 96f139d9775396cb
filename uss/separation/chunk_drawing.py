"""Running a generative model: noise that depends on places alone, chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uss.audio.segments import Segmentation
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.core.memory import told_of_memory
from uss.core.runtime import Runtime
from uss.models import GenerativeModel, SeparatorNetwork
from uss.models.flowsep import DEFAULT_STEPS
from uss.models.flowsep.level_fitting import fitted_gain, guided
from uss.models.flowsep.rectified_flow import check_steps

_GPU_ROWS = 8


@dataclass(frozen=True)
class Drawing:
    """How a generative model draws.

    Attributes:
        steps: how many looks it takes from noise to a stem.
        seed: of the noise.
        guide: what is drawn guides a mask of the mixture, instead of being the stem.
    """

    steps: int = DEFAULT_STEPS
    seed: int = 0
    guide: bool = False

    def __post_init__(self) -> None:
        """Check what does not depend on a model."""
        check_steps(self.steps)
        if self.seed < 0:
            raise InputError(f"the seed is {self.seed}; give one that is not negative")

    @classmethod
    def of(
        cls,
        model: SeparatorNetwork | None,
        steps: int | None = None,
        seed: int | None = None,
        guide: bool | None = None,
    ) -> Drawing | None:
        """Take what a user says, for a model that draws; None for one that does not.

        Raises:
            ValueError: if something is said to a model that draws nothing, or makes no sense.
        """
        named = {"steps": steps, "seed": seed, "guide": guide or None}
        said = {name: value for name, value in named.items() if value is not None}
        if isinstance(model, GenerativeModel):
            drawing = cls(**{"steps": model.default_steps, **said})
            if model.max_steps is not None and drawing.steps > model.max_steps:
                raise InputError(
                    f"{drawing.steps} steps: a {type(model).__name__} takes at most "
                    f"{model.max_steps}; choose fewer"
                )
            return drawing
        if said and model is not None:
            raise InputError(
                f"a {type(model).__name__} masks the mixture and draws nothing; leave out "
                f"{', '.join(said)}, or choose a generative model, such as flowsep-hive"
            )
        return None


class Chunk(NamedTuple):
    """Where a segment lies in its recording, at the separator's rate.

    Attributes:
        start: its first sample.
        num_valid: how many of its samples belong to the recording.
    """

    start: int
    num_valid: int


def chunks_of(segmentation: Segmentation, starts: Sequence[int]) -> list[Chunk]:
    """Say where segments lie that begin at some samples; the last may reach beyond the end."""
    length, end = segmentation.segment_samples, segmentation.num_samples
    return [Chunk(start, max(1, min(length, end - start))) for start in starts]


class Drawn(NamedTuple):
    """A chunk before it is decoded.

    Attributes:
        mixture: (C, S) the segment.
        gains: (C,) that the model heard it with.
        latent: (C, channels, F, bins) of the stem.
    """

    mixture: Float32
    gains: Float32
    latent: Float32


class DrawingRuns:
    """Runs a generative model on chunks.

    The noise of a frame depends on the seed and on the frame's place in the recording: all
    channels and queries have the same, neighbouring chunks share it where they overlap, and it
    does not matter what else is separated, or in which batch.

    Args:
        model: what draws.
        runtime: where it runs.
        drawing: how.
    """

    def __init__(self, model: GenerativeModel, runtime: Runtime, drawing: Drawing) -> None:
        self.model = model
        self.drawing = drawing
        self._device = runtime.device
        self._rows = 1 if runtime.device.type == "cpu" else _GPU_ROWS
        self._told = f"a chunk of {model.segment_seconds:g} s"

    def listen(
        self, waveforms: Tensor, chunks: Sequence[Chunk]
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Bring (N, C, S) segments into the latent space.

        Returns:
            For each its (C, channels, F, bins) latent, the (channels, F, bins) noise that stems
            are drawn from, and the (C,) gains.

        Raises:
            ValueError: if segments do not consist of whole frames.
        """
        self.check(waveforms.shape[-1])
        heard = []
        for waveform, chunk in zip(waveforms, chunks, strict=True):
            posterior, start = self._noise(chunk.start, waveform.shape[-1])
            valid = torch.full((1,), chunk.num_valid, device=self._device)
            rows = []
            for channel in waveform:
                with told_of_memory(self._told):
                    rows.append(self.model.listen(channel[None], posterior[None], valid))
            latent, gains = (torch.cat(parts) for parts in zip(*rows, strict=True))
            heard.append((latent, start, gains))
        return heard

    def draw(self, heard: Sequence[tuple[Tensor, ...]], conditions: Float32) -> Tensor:
        """Draw the stems of B pairs of segment and condition.

        Args:
            heard: of each pair, from ``listen``.
            conditions: (B, H).

        Returns:
            The latents of the channels of all of them, (sum of C, channels, F, bins).
        """
        counts = torch.tensor([len(latent) for latent, *_ in heard], device=self._device)
        latents = torch.cat([latent for latent, *_ in heard])
        noise = torch.stack([start for _, start, _ in heard]).repeat_interleave(counts, dim=0)
        asked = torch.from_numpy(conditions).to(self._device).repeat_interleave(counts, dim=0)
        drawn = []
        for rows in torch.arange(len(latents), device=self._device).split(self._rows):
            with told_of_memory(self._told):
                parts = (latents[rows], asked[rows], noise[rows])
                drawn.append(self.model.draw(*parts, self.drawing.steps))
        return torch.cat(drawn)

    @torch.inference_mode()
    def decode(self, drawn: Drawn) -> Float32:
        """Make the (C, S) stem of a chunk, at the level that fits its mixture best.

        With a guide it is the mixture, masked by what was drawn.

        Args:
            drawn: its latent joined with those of its neighbours, its gains (C, S) where these
                differ.

        Raises:
            ValueError: if a sample is no finite number.
        """
        stems = []
        for mixture, gains, latent in zip(*drawn, strict=True):
            whole = torch.from_numpy(mixture).to(self._device)[None]
            with told_of_memory(self._told):
                stem = self.model.decode(torch.from_numpy(latent).to(self._device)[None])
                stem = stem / torch.from_numpy(np.atleast_1d(gains)).to(self._device)
                stem = stem * fitted_gain(stem, whole)[:, None]
                stems.append(guided(stem, whole) if self.drawing.guide else stem)
        out: Float32 = torch.cat(stems).float().cpu().numpy()
        if not np.isfinite(out).all():
            raise InputError(
                "the model draws samples that are NaN or infinite; separate with --precision fp32, "
                "and if that is no help, its file is damaged: download it again"
            )
        return out

    def check(self, segment_samples: int) -> None:
        """Refuse chunks that do not consist of what the model draws at once.

        Raises:
            ValueError: naming the length.
        """
        if segment_samples % self.model.whole_samples:
            seconds = self.model.whole_samples / self.model.sample_rate
            raise InputError(
                f"the model's segments last {self.model.segment_seconds:g} s, which is no multiple "
                f"of {seconds:g} s; train it on others"
            )

    def _noise(self, start: int, num_samples: int) -> tuple[Tensor, Tensor]:
        """(channels, F, bins) each, for the posterior and to start from."""
        first = start // self.model.latent_samples
        frames = [
            np.random.default_rng([self.drawing.seed, first + frame]).standard_normal(
                (2, *self.model.latent_shape), np.float32
            )
            for frame in range(num_samples // self.model.latent_samples)
        ]
        posterior, noise = torch.from_numpy(np.stack(frames, axis=2)).to(self._device)
        return posterior, noise


def whole_frames(overlap: float, model: SeparatorNetwork) -> float:
    """Bring the overlap of a generative model's chunks to whole frames of its latents.

    Args:
        overlap: fraction of a segment that the next one shares.
        model: the separator; others take any overlap.
    """
    if not isinstance(model, GenerativeModel):
        return overlap
    frames = round(model.segment_seconds * model.sample_rate) / model.latent_samples
    return round(overlap * frames) / frames
