"""Where and in which precision networks run."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch

from uss.core.errors import InputError

_WORTHWHILE = 0.75
_GPU_BATCH_SIZE = 32
_DEVICES = ("cpu", "cuda", "mps")
_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """Where and how networks run.

    Attributes:
        device: a torch device.
        dtype: of the convolutions; transforms and sums stay in float32.
        batch_size: segments and stems per network call.
        is_automatic: the precision is what ``auto`` found to be faster, which may be another one on
            another machine, or on this one when it is busy.
    """

    device: torch.device
    dtype: torch.dtype
    batch_size: int = 8
    is_automatic: bool = False

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
            raise InputError(f"unknown device {device!r}; choose auto, {', '.join(_DEVICES)}")
        if kind == "cuda" and not torch.cuda.is_available():
            raise InputError("there is no CUDA device; use --device cpu")
        if kind == "mps" and not torch.backends.mps.is_available():
            raise InputError("there is no MPS device; use --device cpu")
        is_automatic = precision == "auto"
        if is_automatic:
            precision = "bf16" if _bf16_is_faster(kind) else "fp32"
        if precision not in _PRECISIONS:
            raise InputError(f"unknown precision {precision!r}; choose {', '.join(_PRECISIONS)}")
        batch_size = _GPU_BATCH_SIZE if kind == "cuda" else cls.batch_size
        return cls(torch.device(device), _PRECISIONS[precision], batch_size, is_automatic)

    @property
    def precision(self) -> str:
        """The name of ``dtype``, as ``choose`` takes it."""
        return next(name for name, dtype in _PRECISIONS.items() if dtype == self.dtype)

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which convolutions run in ``dtype``."""
        return autocast_to(self.dtype, self.device.type)


def autocast_to(dtype: torch.dtype, kind: str) -> AbstractContextManager[object]:
    """Context in which convolutions and matrix products run in a type, on a kind of device."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(kind, dtype)


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
