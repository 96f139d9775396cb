"""The separation engine: tags segments, separates them in batches, joins them (Algorithm 3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uss.models import MaskModel, SeparationModel
from uss.segments import Segmentation, context_window
from uss.taggers import Tagger

FloatArray = NDArray[np.float32]
Progress = Callable[[int], None]
_Item = TypeVar("_Item")

_WORTHWHILE = 0.75
_DEVICES = ("cpu", "cuda", "mps")
_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Request:
    """One stem to separate.

    Attributes:
        conditions: (I, H) one condition per segment.
        active: (I,) bool; elsewhere the stem is silent.
    """

    conditions: FloatArray
    active: NDArray[np.bool_]


@dataclass(frozen=True)
class Runtime:
    """Where and how networks run.

    Attributes:
        device: a torch device.
        dtype: of the convolutions; transforms and sums stay in float32.
        batch_size: segments and stems per network call.
    """

    device: torch.device
    dtype: torch.dtype
    batch_size: int = 16

    @classmethod
    def choose(cls, device: str = "auto", precision: str = "auto") -> Runtime:
        """Resolve ``auto``: the fastest device there is; bf16 where it is faster, else fp32.

        On a CPU that is measured, on one convolution: only some have instructions for it.

        Raises:
            ValueError: if the device is not there or a name is unknown.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        kind = device.split(":")[0]
        if kind not in _DEVICES:
            raise ValueError(f"unknown device {device!r}; choose auto, {', '.join(_DEVICES)}")
        if kind == "cuda" and not torch.cuda.is_available():
            raise ValueError("there is no CUDA device; use --device cpu")
        if kind == "mps" and not torch.backends.mps.is_available():
            raise ValueError("there is no MPS device; use --device cpu")
        if precision == "auto":
            precision = "bf16" if _bf16_is_faster(kind) else "fp32"
        if precision not in _PRECISIONS:
            raise ValueError(f"unknown precision {precision!r}; choose {', '.join(_PRECISIONS)}")
        return cls(torch.device(device), _PRECISIONS[precision])

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which convolutions run in ``dtype``."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


@cache
def _bf16_is_faster(kind: str) -> bool:
    """Whether a device multiplies bfloat16 well; on a CPU by a trial of some 20 ms."""
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if kind != "cpu":
        return False
    seconds = {dtype: _convolution_seconds(dtype) for dtype in (torch.float32, torch.bfloat16)}
    return seconds[torch.bfloat16] < _WORTHWHILE * seconds[torch.float32]


def _convolution_seconds(dtype: torch.dtype) -> float:
    """Time a convolution of a separator's middle layers; the best of five."""
    image = torch.zeros(1, 128, 64, 128, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.zeros(128, 128, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(5):
            start = time.perf_counter()
            torch.nn.functional.conv2d(image, weight, padding=1)
            times.append(time.perf_counter() - start)
    return min(times)


def tag_segments(
    tagger: Tagger,
    waveform: FloatArray,
    segmentation: Segmentation,
    window_samples: int,
    runtime: Runtime,
) -> FloatArray:
    """Compute P(i, k) (Algorithm 3, step 2).

    Args:
        tagger: at the waveform's sample rate.
        waveform: (T,) float32 mono.
        segmentation: of the waveform.
        window_samples: what the tagger hears of each segment: a window centred on it, zero
            beyond the edges of the recording.
        runtime: where it runs.

    Returns:
        (I, K) float32.
    """
    half = segmentation.segment_samples // 2
    windows = (
        context_window(waveform, int(start) + half, window_samples) for start in segmentation.starts
    )
    rows = []
    with torch.inference_mode():
        for batch in _batches(windows, runtime.batch_size):
            stacked = torch.from_numpy(np.stack(batch)).to(runtime.device)
            rows.append(tagger(stacked).clipwise.float().cpu().numpy())
    return np.concatenate(rows)


def separate(
    model: SeparationModel,
    waveform: FloatArray,
    requests: Sequence[Request],
    segmentation: Segmentation,
    runtime: Runtime,
    progress: Progress = lambda done: None,
) -> list[FloatArray]:
    """Separate all requests from a recording (Algorithm 3).

    Args:
        model: at the waveform's sample rate.
        waveform: (C, T) float32.
        requests: the stems wanted.
        segmentation: of the waveform.
        runtime: where it runs.
        progress: called with the number of pairs of segment and stem just done.

    Returns:
        One (C, T) float32 per request; exact zeros where it is inactive.
    """
    length = int(segmentation.starts[-1]) + segmentation.segment_samples
    stems = [np.zeros((waveform.shape[0], length), np.float32) for _ in requests]
    with torch.inference_mode():
        for block in _batches(range(segmentation.num_segments), runtime.batch_size):
            pairs = [
                (row, stem)
                for row, segment in enumerate(block)
                for stem, request in enumerate(requests)
                if request.active[segment]
            ]
            if not pairs:
                continue
            segments = np.stack([segmentation.cut(waveform, segment) for segment in block])
            separate_rows = _prepare(model, torch.from_numpy(segments).to(runtime.device), runtime)
            for batch in _batches(pairs, runtime.batch_size):
                conditions = np.stack([requests[stem].conditions[block[r]] for r, stem in batch])
                outputs = (
                    separate_rows(
                        [row for row, _ in batch], torch.from_numpy(conditions).to(runtime.device)
                    )
                    .cpu()
                    .numpy()
                )
                for (row, stem), output in zip(batch, outputs, strict=True):
                    start = block[row] * segmentation.hop_samples
                    end = start + segmentation.segment_samples
                    stems[stem][:, start:end] += output * segmentation.weights(block[row])
                progress(len(batch))
    return [stem[:, : segmentation.num_samples] for stem in stems]


def _prepare(
    model: SeparationModel, segments: Tensor, runtime: Runtime
) -> Callable[[list[int], Tensor], Tensor]:
    """Do once per block of (N, C, S) segments what all stems share.

    Returns:
        A function from B rows of the block and (B, H) conditions to (B, C, S) outputs.
    """
    num_samples = segments.shape[-1]
    if isinstance(model, MaskModel):
        spectrogram = model.spectrogram(segments)
        encoded = model.encode(spectrogram.mean(dim=1))

        def by_mask(rows: list[int], conditions: Tensor) -> Tensor:
            modulation = model.modulate(conditions)
            with runtime.autocast():
                mask = model.mask(encoded[rows], modulation)
            return model.waveform(spectrogram[rows] * mask[:, None], num_samples).float()

        return by_mask

    def by_channel(rows: list[int], conditions: Tensor) -> Tensor:
        mixture = segments[rows]
        channels = mixture.shape[1]
        with runtime.autocast():
            output = model(
                mixture.flatten(0, 1)[:, None], conditions.repeat_interleave(channels, 0)
            )
        return output.float().reshape(mixture.shape)

    return by_channel


def _batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    batch: list[_Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
