"""A separator that remembers what it was asked with, and a tagger that is sure of one class."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uss.audio import Recording
from uss.audio.envelopes import Envelope
from uss.audio.segments import Segmentation
from uss.checkpoints.bundle import Bundle
from uss.conditions.class_queries import ClassQueries
from uss.conditions.queries import Query
from uss.core.arrays import Waveform
from uss.core.runtime import Runtime
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection
from uss.models import ResUNet
from uss.separation.plan import Plan
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES, EfficientAT, TaggerOutput

RATE = 32_000
RUNTIME = Runtime(torch.device("cpu"), torch.float32)
DOG, CAT, SPEECH = 74, 81, 0


class Spy(ResUNet):
    """Lets half of everything pass, and remembers the conditions it was given."""

    def __init__(self, condition_space: str, condition_size: int) -> None:
        super().__init__(
            condition_space,
            condition_size,
            channels=(2,),
            fold=4,
            n_fft=256,
            hop_length=128,
            segment_seconds=0.5,
        )
        self.conditions: list[Tensor] = []

    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        return (condition,)

    def mask(self, encoded: Tensor, modulation: Any) -> Tensor:
        self.conditions.append(modulation[0])
        frames = encoded.shape[-1]
        return torch.full((len(encoded), self.n_fft // 2 + 1, frames), 0.5, dtype=torch.complex64)


class LengthTagger(EfficientAT):
    """Says 0.9 for one class, and for class 526 how many seconds it heard, over ten."""

    def __init__(self, class_index: int = DOG) -> None:
        super().__init__(width=0.05, name="length")
        self.class_index = class_index

    def forward(self, waveform: Tensor) -> TaggerOutput:
        clipwise = torch.zeros(len(waveform), NUM_CLASSES)
        clipwise[:, self.class_index] = 0.9
        clipwise[:, 526] = waveform.shape[1] / RATE / 10.0
        return TaggerOutput(clipwise, clipwise[:, None], clipwise[:, :48])


def queries(*indexes: int) -> ClassQueries:
    return ClassQueries("length-3", indexes, np.eye(len(indexes), 3, dtype=np.float32))


def make_separator(*indexes: int, **changes: Any) -> Separator:
    return Separator(
        Bundle(LengthTagger(), Spy("length-3", 3), queries(*indexes or (SPEECH, DOG)), **changes),
        runtime=RUNTIME,
    )


def make_recording(
    num_samples: int = 40_000, channels: int = 1, sample_rate: int = RATE
) -> Recording:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, num_samples))
    return Recording(noise.astype(np.float32), sample_rate)


def make_analysis(probabilities: np.ndarray) -> Analysis:
    """Segments of half a second without overlap."""
    num_segments = len(probabilities)
    num_samples = num_segments * 16_000
    return Analysis(
        probabilities=probabilities.astype(np.float32),
        segmentation=Segmentation(num_samples, 16_000, 16_000),
        starts_seconds=tuple(0.5 * index for index in range(num_segments)),
        segment_seconds=0.5,
        sounding=np.ones(num_segments, bool),
        condition_probabilities=None,
        num_samples=num_samples,
        envelope=Envelope(RATE),
    )


def stems_of(
    separator: Separator,
    recording: Recording,
    analysis: Analysis,
    detections: Sequence[Detection],
    progress: Callable[[int], None] = lambda done: None,
) -> list[Waveform]:
    stems = [np.zeros_like(recording.waveform) for _ in detections]
    plan = Plan({"queries": detections})
    for piece in separator.stream(recording, analysis, plan, progress=progress):
        for stem, samples in zip(stems, piece.stems, strict=True):
            if samples is not None:
                stem[:, piece.start : piece.start + samples.shape[1]] = samples
    return stems


def named(separator: Separator, analysis: Analysis, queries: Sequence[Query]) -> list[Detection]:
    return separator.detector.detect_queries(analysis, queries)


def asked_for(separator: Separator, *names: str, seconds: float = 0.5) -> Tensor:
    """Separate named classes from noise; returns the (N, H) conditions, one row per segment."""
    recording = make_recording(round(seconds * RATE))
    analysis = separator.analyse(recording, overlap=0.0)
    nodes = [separator.class_query(name) for name in names]
    stems_of(separator, recording, analysis, named(separator, analysis, nodes))
    return torch.cat(separator.model.conditions)
