"""Two ways to take a training step of the paper's system, timed stage by stage.

``ShardStep`` is what ``uss-train`` does: rows of shards, mixed on the device. ``OnTheFlyStep`` is
what the published code does in every step, built from the same parts: it hears clips of ten seconds
with a CNN14 for sound event detection, cuts out the anchors, embeds them with another CNN14, and
separates with transforms by convolution and images whose channels come first. Both mix each anchor
with the next at equal energy, so a mixture needs one clip, and train ResUNet30 with L1 and AdamW.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from torchlibrosa.stft import ISTFT, STFT

from uss.core.runtime import Runtime
from uss.data.dataset import Batch, TrainingBatches
from uss.data.mixing import mix_sources
from uss.mining.anchors import find_anchors
from uss.models import ResUNet30, SeparationModel
from uss.models.masking import complex_mask
from uss.taggers import Cnn14, Cnn14DecisionLevelMax
from uss.training.execution import compile_model
from uss.training.objectives import Objective, WaveformL1

_LEARNING_RATE = 1e-3


class Stages:
    """Seconds that each stage of a step took.

    Attributes:
        seconds: by the stage's name, in the order of the stages.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside, on the device as well."""
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


class Step(ABC):
    """Takes training steps.

    Args:
        model: is trained, where it lies.
        runtime: its device, and the precision of its convolutions.
        compiled: compile the model.
    """

    def __init__(self, model: ResUNet30, runtime: Runtime, *, compiled: bool = False) -> None:
        self.model = model.train()
        self.runtime = runtime
        self.optimiser = torch.optim.AdamW(
            (p for p in model.parameters() if p.requires_grad), lr=_LEARNING_RATE, weight_decay=0.0
        )
        self.objective: Objective = self.make_objective()
        if compiled:
            compile_model(self.model, runtime.device)

    @abstractmethod
    def make_objective(self) -> Objective:
        """What is minimised."""

    @abstractmethod
    def batch(self, n: int, stages: Stages) -> Batch:
        """Make batch n."""

    def __call__(self, n: int) -> dict[str, float]:
        """Take a step; returns the seconds of its stages."""
        stages = Stages(self.runtime.device)
        batch = self.batch(n, stages)
        with stages.stage("forward"), self.runtime.autocast():
            loss = self.objective(self.model, batch)["loss"]
        with stages.stage("backward"):
            loss.backward()
        with stages.stage("optimiser"):
            self.optimiser.step()
            self.optimiser.zero_grad()
        return stages.seconds


class ShardStep(Step):
    """Reads waveforms and conditions from shards.

    Args:
        batches: of the shards.
        model, runtime, compiled: see ``Step``.
    """

    def __init__(
        self,
        batches: TrainingBatches,
        model: ResUNet30,
        runtime: Runtime,
        *,
        compiled: bool = False,
    ) -> None:
        super().__init__(model, runtime, compiled=compiled)
        self.batches = batches

    def make_objective(self) -> Objective:
        """L1 on waveforms."""
        return WaveformL1()

    def batch(self, n: int, stages: Stages) -> Batch:
        """Read and mix batch n."""
        with stages.stage("reading"):
            read = self.batches.read(n)
        with stages.stage("mixing"):
            read = type(read)(*(part.to(self.runtime.device) for part in read))
            return self.batches.mix(read)


class OnTheFlyStep(Step):
    """Hears clips in every step.

    Args:
        clips: (N, T), in memory, so that reading them takes no time.
        batch_size: B.
        model, runtime: see ``Step``.
    """

    def __init__(self, clips: Tensor, batch_size: int, model: ResUNet30, runtime: Runtime) -> None:
        super().__init__(model, runtime)
        self.clips = clips
        self.batch_size = batch_size
        self.detector = Cnn14DecisionLevelMax().eval().to(runtime.device)
        self.encoder = Cnn14().eval().to(runtime.device)
        self.segment_samples = round(model.segment_seconds * model.sample_rate)

    def make_objective(self) -> Objective:
        """L1 on waveforms, separated as the published code does."""
        return _PublishedL1(self.model, self.runtime.device)

    def batch(self, n: int, stages: Stages) -> Batch:
        """Hear clips, cut out their anchors, embed and mix them."""
        first = n * self.batch_size
        rows = torch.arange(first, first + self.batch_size) % len(self.clips)
        with stages.stage("detection"), torch.inference_mode():
            clips = self.clips[rows].to(self.runtime.device)
            framewise = self.detector(clips).framewise.float().cpu().numpy()
        with stages.stage("mixing"):
            # A class of each clip, as the balanced sampler would give.
            classes = np.random.default_rng(n).permutation(framewise.shape[2])
            anchors = torch.stack(
                [
                    self._anchor(clip, probability[:, index])
                    for clip, probability, index in zip(clips, framewise, classes, strict=False)
                ]
            )
            sources = torch.stack([anchors, anchors.roll(-1, dims=0)], dim=1)
            ones = torch.ones(len(anchors), dtype=torch.int64, device=anchors.device)
            mixture, target = mix_sources(sources, ones)
        with stages.stage("condition"), torch.no_grad():
            condition = self.encoder(anchors).embedding
        return Batch(mixture[:, None], target[:, None], condition)

    def _anchor(self, clip: Tensor, probability: np.ndarray) -> Tensor:  # type: ignore[type-arg]
        (span,) = find_anchors(
            probability,
            hop_length=round(self.detector.sample_rate / self.detector.frames_per_second),
            clip_samples=len(clip),
            segment_samples=self.segment_samples,
        )
        return clip[span.start_samples : span.end_samples]


class _PublishedL1:
    """L1 of waveforms, with the transforms of torchlibrosa and channels first."""

    def __init__(self, model: ResUNet30, device: torch.device) -> None:
        options = {"n_fft": model.n_fft, "hop_length": model.hop_length, "win_length": model.n_fft}
        self.analysis = STFT(**options, freeze_parameters=True).to(device)
        self.synthesis = ISTFT(**options, freeze_parameters=True).to(device)

    def __call__(self, model: SeparationModel, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(model, ResUNet30)
        waveform = batch.mixture[:, 0]
        real, imaginary = (part[:, 0].transpose(1, 2) for part in self.analysis(waveform))
        spectrogram = torch.complex(real, imaginary)
        mask = _mask(model, model.encode(spectrogram), batch.condition)
        masked = (spectrogram * mask).transpose(1, 2)[:, None]
        estimate = self.synthesis(masked.real, masked.imag, waveform.shape[1])
        return {"loss": (estimate - batch.target[:, 0]).abs().mean()}


def _mask(model: ResUNet30, encoded: Tensor, condition: Tensor) -> Tensor:
    """What ``ResUNet30.mask`` gives, without its memory format."""
    frames = encoded.shape[2]
    image = F.pad(encoded, (0, 0, 0, -frames % model.base.time_stride))
    maps = model.base(image, iter(model.modulate(condition)))[:, :, :frames]
    gain, real, imaginary = F.pad(maps, (0, 1)).transpose(2, 3).unbind(dim=1)
    return complex_mask(gain, real, imaginary)


def count_operations(step: Step, n: int = 0) -> float:
    """GFLOP of a step, multiplications and additions counted apart; transforms by FFT are none."""
    counter = FlopCounterMode(display=False)
    with counter:
        step(n)
    return counter.get_total_flops() / 1e9
