"""A separator that takes apart tones below and above 2 kHz without any training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from uss.checkpoints.bundle import Bundle
from uss.conditions.class_queries import ClassQueries
from uss.core.runtime import Runtime
from uss.models import ResUNet
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES, TaggerNetwork, TaggerOutput

RATE = 32_000
SPLIT_HZ = 2_000.0
DOG, CAT, SPEECH = 74, 81, 0
SPACE = "bands-2"

SaveTone = Callable[..., str]


class Bands(ResUNet):
    """Lets low bins pass as far as the first number of a condition says, high by the second.

    Attributes:
        num_calls: how often it made masks.
    """

    def __init__(self) -> None:
        super().__init__(
            SPACE, 2, channels=(2,), fold=4, n_fft=512, hop_length=128, segment_seconds=0.5
        )
        self.num_calls = 0

    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        return (condition,)

    def mask(self, encoded: Tensor, modulation: Any) -> Tensor:
        self.num_calls += 1
        num_bins = self.n_fft // 2 + 1
        is_low = torch.arange(num_bins) * RATE / self.n_fft < SPLIT_HZ
        gains = torch.where(is_low, modulation[0][:, :1], modulation[0][:, 1:])
        return gains[:, :, None].repeat(1, 1, encoded.shape[-1]).to(torch.complex64)


class BandTagger(TaggerNetwork):
    """Hears a dog below 2 kHz and a cat above; its embedding is the bands' shares."""

    name = "bands"
    sample_rate = RATE
    frames_per_second = 1.0
    embedding_size = 2

    def forward(self, waveform: Tensor) -> TaggerOutput:
        energy = torch.fft.rfft(waveform).abs().square()
        is_low = torch.fft.rfftfreq(waveform.shape[1], 1.0 / RATE) < SPLIT_HZ
        low, high = energy[:, is_low].sum(dim=1), energy[:, ~is_low].sum(dim=1)
        total = (low + high).clamp(min=1e-9)
        embedding = torch.stack([low / total, high / total], dim=1).round(decimals=2)
        clipwise = torch.zeros(len(waveform), NUM_CLASSES)
        clipwise[:, [DOG, CAT]] = embedding
        return TaggerOutput(clipwise, clipwise[:, None], embedding)


def make_separator(*class_indexes: int, vectors: Sequence[Sequence[float]] = ()) -> Separator:
    indexes = class_indexes or (DOG, CAT)
    values = np.array(vectors or np.eye(2)[: len(indexes)], np.float32)
    return Separator(
        Bundle(BandTagger(), Bands(), ClassQueries(SPACE, indexes, values)),
        runtime=Runtime(torch.device("cpu"), torch.float32),
    )


@pytest.fixture
def separator() -> Separator:
    return make_separator()


def tone(frequency_hz: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2.0 * np.pi * frequency_hz * times)).astype(np.float32)


@pytest.fixture
def save_tone(tmp_path: Path) -> SaveTone:
    """Saves a tone into the test's folder; returns the file's name."""

    def save(
        name: str,
        *frequencies_hz: float,
        seconds: float = 0.5,
        rate: int = RATE,
        channels: int = 1,
        gain: float = 1.0,
    ) -> str:
        total = sum(tone(each, seconds, rate) for each in frequencies_hz)
        waveform = gain * np.tile(total, (channels, 1))
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, waveform.T, rate, subtype="FLOAT")
        return name

    return save
