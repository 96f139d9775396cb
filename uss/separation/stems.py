"""Stems as a program gets them: a mapping that separates what is asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from uss.audio import Recording
from uss.audio.scale import scale_hint
from uss.audio.sources import MIN_SAMPLE_RATE
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection
from uss.separation.groups import NAMED_GROUP
from uss.separation.plan import Plan
from uss.separation.stream import StemStream, whole_stems

logger = logging.getLogger(__name__)

Array = TypeVar("Array", Float32, Tensor)


class Separate(Protocol):
    """Separates what a plan says."""

    def __call__(self, plan: Plan, *, progress: Callable[[int], None]) -> StemStream:
        """Make a stream; ``progress`` is told how many pairs of segment and query are done now."""
        ...


_MAX_CHANNELS = 64


def recording_of(waveform: Float32 | Tensor, sample_rate: float) -> Recording:
    """Take a waveform from a program.

    Args:
        waveform: (C, T) or (T,) floating-point samples.
        sample_rate: in whole Hz.

    Raises:
        TypeError: if the samples are integers.
        ValueError: if there are none, too many channels, or samples that are not finite.
    """
    rate = _whole_rate(sample_rate)
    if isinstance(waveform, Tensor):
        # NumPy has no bfloat16.
        tensor = waveform.detach().cpu()
        waveform = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    samples = np.asarray(waveform)
    if not np.issubdtype(samples.dtype, np.floating):
        raise TypeError(
            f"the waveform holds {samples.dtype}; scale it to floating-point samples in [-1, 1]"
        )
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise InputError(f"the waveform has shape {samples.shape}; give (C, T) or (T,) samples")
    if samples.ndim == 2 and samples.shape[0] > _MAX_CHANNELS:
        raise InputError(
            f"the waveform has {samples.shape[0]} channels of {samples.shape[1]} samples; put the "
            "channels first, (C, T)"
        )
    if not np.isfinite(samples).all():
        raise InputError("the waveform holds samples that are NaN or infinite; repair it first")
    hint = scale_hint(float(np.abs(samples).max()))
    if hint is not None:
        logger.warning("%s", hint)
    return Recording(np.atleast_2d(samples).astype(np.float32), rate)


def _whole_rate(sample_rate: float) -> int:
    """Take a sample rate, also as other libraries give it, such as 48000.0."""
    is_number = isinstance(sample_rate, (int, float, np.integer, np.floating))
    is_number = is_number and not isinstance(sample_rate, bool)
    if not is_number or not sample_rate >= MIN_SAMPLE_RATE or sample_rate % 1 != 0:
        raise InputError(f"the sample rate is {sample_rate!r}; give whole Hz, such as 48000")
    return int(sample_rate)


class Stems(Mapping[str, Array]):
    """The stems of a waveform by name, most probable first.

    A stem is separated when it is first asked for, and kept. The stems and the residual add up to
    the waveform.

    Args:
        separate: what separates.
        waveform: as the program gave it; stems are of its type and shape.
        recording: the same, as it is read.
        analysis: of the recording.
        plan: what is in it, or was asked for.
        progress: called with the pairs of segment and query done, and their number in all.

    Attributes:
        sample_rate: of the stems, in Hz.
        detections: what was found under each name, and when.
        analysis: the probabilities of all classes.
    """

    def __init__(
        self,
        separate: Separate,
        waveform: Array,
        recording: Recording,
        analysis: Analysis,
        plan: Plan,
        *,
        progress: Callable[[int, int], None],
    ) -> None:
        self.sample_rate = recording.sample_rate
        self.analysis = analysis
        self.detections: Mapping[str, Detection] = _by_name(plan.detections)
        self._separate_plan = separate
        self._waveform: Array = waveform
        self._recording = recording
        self._plan: Plan = plan
        self._progress = progress
        self._stems: dict[str, Float32] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self.detections:
            there = ", ".join(self.detections) or "no stems"
            raise KeyError(f"{name!r} was not found; there are {there}")
        self._separate(list(self.detections) if self._plan.depends else [name])
        return self._as_given(self._stems[name])

    def __contains__(self, name: object) -> bool:
        return name in self.detections

    def __iter__(self) -> Iterator[str]:
        return iter(self.detections)

    def __len__(self) -> int:
        return len(self.detections)

    def __repr__(self) -> str:
        found = ", ".join(
            name if each.probability is None else f"{name}: {each.probability:.2f}"
            for name, each in self.detections.items()
        )
        return f"Stems({found})"

    @property
    def residual(self) -> Array:
        """What is in no stem; separates all of them."""
        self.separate_all()
        rest = self._recording.waveform.astype(np.float64)
        for stem in self._stems.values():
            rest -= stem
        return self._as_given(rest.astype(np.float32))

    def separate_all(self) -> None:
        """Separate what has not been asked for yet, in full batches."""
        self._separate(list(self.detections))

    def _separate(self, names: Sequence[str]) -> None:
        missing = [name for name in names if name not in self._stems]
        if not missing:
            return
        detections: list[Detection] = [self.detections[name] for name in missing]
        groups = {NAMED_GROUP: detections}
        if self._plan.depends:
            groups = {name: list(group) for name, group in self._plan.groups.items()}
        plan = replace(self._plan, groups=groups)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self._progress(done, stream.num_pairs)

        stream: StemStream = self._separate_plan(plan, progress=advance)
        stems = whole_stems(stream, len(missing), self._recording.waveform)
        self._stems.update(zip(missing, stems, strict=True))

    def _as_given(self, samples: Float32) -> Array:
        # A copy, as the residual is made of what is kept.
        shaped = samples.reshape(self._waveform.shape).copy()
        if isinstance(self._waveform, Tensor):
            return torch.from_numpy(shaped).to(self._waveform.device)
        return shaped


def _by_name(detections: Sequence[Detection]) -> dict[str, Detection]:
    named: dict[str, Detection] = {}
    for detection in detections:
        base = detection.query.name
        names = chain([base], (f"{base} ({number})" for number in count(2)))
        named[next(name for name in names if name not in named)] = detection
    return named
