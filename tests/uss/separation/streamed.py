"""Networks whose stems are known, and work for them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uss.audio import Recording
from uss.audio.segments import Segmentation
from uss.core.runtime import Runtime
from uss.separation.batching import Batcher
from uss.separation.consistency import Combination, Family
from uss.separation.stream import Piece, StemStream
from uss.separation.work import Work

SAMPLE_RATE = 8_000
SEGMENT_SAMPLES = 2_048
OVERLAPS = [0.0, 0.25, 0.5]


class WaveformModel:
    """Multiplies the mixture by the first number of the condition, in the time domain."""

    sample_rate = SAMPLE_RATE
    segment_seconds = SEGMENT_SAMPLES / SAMPLE_RATE
    condition_space = "gain-1"

    def __init__(self) -> None:
        self.channels_seen: set[int] = set()
        self.batch_sizes: list[int] = []

    def __call__(
        self, mixture: Tensor, condition: Tensor, rng: np.random.Generator | None = None
    ) -> Tensor:
        self.channels_seen.add(mixture.shape[1])
        self.batch_sizes.append(len(mixture))
        return mixture * condition[:, :1, None]


class SpectrumModel(WaveformModel):
    """The same with an STFT and a mask; counts how often it encodes."""

    n_fft, hop_length = 256, 64

    def __init__(self) -> None:
        super().__init__()
        self.window = torch.hann_window(self.n_fft)
        self.num_encoded = 0
        self.num_masks = 0
        self.modulated: list[float] = []

    def spectrogram(self, waveform: Tensor) -> Tensor:
        flat = waveform.reshape(-1, waveform.shape[-1])
        out = torch.stft(flat, self.n_fft, self.hop_length, window=self.window, return_complex=True)
        return out.reshape(*waveform.shape[:-1], *out.shape[1:])

    def waveform(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        flat = spectrogram.reshape(-1, *spectrogram.shape[-2:])
        out = torch.istft(flat, self.n_fft, self.hop_length, window=self.window, length=num_samples)
        return out.reshape(*spectrogram.shape[:-2], num_samples)

    def encode(self, spectrogram: Tensor) -> Tensor:
        self.num_encoded += len(spectrogram)
        return spectrogram.abs()

    def modulate(self, condition: Tensor) -> Any:
        self.modulated += condition[:, 0].tolist()
        return (condition[:, :1, None],)

    def mask(self, encoded: Tensor, modulation: Any) -> Tensor:
        self.num_masks += len(encoded)
        self.batch_sizes.append(len(encoded))
        return (torch.ones_like(encoded) * modulation[0]).to(torch.complex64)


MODELS = [WaveformModel, SpectrumModel]


@dataclass(frozen=True)
class Asked:
    """A query: its (N, H) conditions in (N,) segments, and (I,) where it is asked."""

    conditions: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    active: NDArray[np.bool_]


def make_work(
    num_samples: int,
    segmentation: Segmentation,
    queries: Sequence[Asked],
    families: Sequence[Family] = (),
    full_band: bool = False,
) -> Work:
    """One stem per query."""
    active = np.zeros((len(queries), segmentation.num_segments), bool)
    for row, query in enumerate(queries):
        active[row] = query.active
    return Work(
        num_samples=num_samples,
        segmentation=segmentation,
        active=active,
        conditions=lambda row, segments: queries[row].conditions(segments),
        combination=Combination(tuple(range(len(queries))), families),
        full_band=full_band,
    )


def asked_for(
    segmentation: Segmentation, gain: float = 1.0, active: list[bool] | None = None
) -> Asked:
    count = segmentation.num_segments
    conditions = np.full((count, 1), gain, np.float32)
    is_active = np.array([True] * count if active is None else active)
    return Asked(conditions.__getitem__, is_active)


def separate(
    model: WaveformModel,
    waveform: NDArray[np.float32],
    queries: Sequence[Asked],
    segmentation: Segmentation,
    runtime: Runtime,
    progress: Callable[[int], None] = lambda done: None,
    *,
    sample_rate: int = SAMPLE_RATE,
    model_rate: int = SAMPLE_RATE,
    families: Sequence[Family] = (),
    full_band: bool = False,
) -> list[NDArray[np.float32]]:
    """Separate a whole waveform, one stem per query."""
    model.sample_rate = model_rate
    stream = StemStream(
        Recording(waveform, sample_rate),
        make_work(waveform.shape[1], segmentation, queries, families, full_band),
        Batcher(model, runtime),
        progress,
    )
    stems = [np.zeros_like(waveform) for _ in queries]
    end = 0
    for piece in stream:
        assert piece.start == end
        end += piece.mixture.shape[1]
        np.testing.assert_array_equal(piece.mixture, waveform[:, piece.start : end])
        for stem, samples in zip(stems, piece.stems, strict=True):
            if samples is not None:
                stem[:, piece.start : end] = samples
    assert end == waveform.shape[1]
    return stems


def noise(rng: np.random.Generator, channels: int, num_samples: int) -> NDArray[np.float32]:
    return rng.uniform(-0.5, 0.5, (channels, num_samples)).astype(np.float32)


def stream_of(
    waveform: NDArray[np.float32],
    batcher: Batcher,
    gains: Sequence[float],
    progress: Callable[[int], None] = lambda done: None,
) -> StemStream:
    """Ask for one stem per gain, in segments that do not overlap, at the model's rate."""
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    return StemStream(
        Recording(waveform, SAMPLE_RATE),
        make_work(
            waveform.shape[1], segmentation, [asked_for(segmentation, gain) for gain in gains]
        ),
        batcher,
        progress,
    )


def joined(pieces: Iterable[Piece]) -> list[NDArray[np.float32]]:
    """Join pieces whose stems are active throughout."""
    stems = zip(*(piece.stems for piece in pieces), strict=True)
    return [np.concatenate(stem, axis=1) for stem in stems]
