"""What distilling a tagger is made of: clips, batches of random mixtures, and the two losses."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ontology import load_ontology
from uss.audio import read_mono
from uss.data.manifest import read_manifest
from uss.taggers import EfficientAT

_SAMPLE_RATE = EfficientAT.sample_rate
_MAX_SOURCES = 4
_SOURCE_PROBABILITIES = (0.5, 0.3, 0.12, 0.08)
_WINDOW_SECONDS = (2.0, 4.0, 4.0, 8.0)
_HINT_WEIGHT = 5.0


@dataclass(frozen=True)
class ClipSet:
    """Clips in memory: int16 waveforms and the class indexes of their labels."""

    waveforms: list[NDArray[np.int16]]
    labels: list[tuple[int, ...]]


def load_clips(specification: str) -> ClipSet:
    """Read ``MANIFEST[:SPLIT]``; paths are relative to the manifest's folder."""
    name, _, split = specification.partition(":")
    manifest = Path(name)
    clips = read_manifest(manifest, split or None, labelled=False)
    ontology = load_ontology()

    def read(path: str) -> NDArray[np.int16]:
        waveform = read_mono(manifest.parent / path, _SAMPLE_RATE)
        return np.round(np.clip(waveform, -1.0, 1.0) * 32767.0).astype(np.int16)

    with ThreadPoolExecutor(2) as pool:
        waveforms = list(pool.map(read, [clip.path for clip in clips]))
    labels = [
        tuple(index for mid in clip.mids if (index := ontology.find(mid).class_index) is not None)
        for clip in clips
    ]
    return ClipSet(waveforms, labels)


def make_batch(
    waveforms: Sequence[NDArray[np.int16]], size: int, rng: np.random.Generator
) -> Tensor:
    """Draw crops and mix one to four of them with random levels.

    Returns:
        (size, T) float32; T is one of the window lengths, with fewer rows for longer windows.
    """
    seconds = float(rng.choice(_WINDOW_SECONDS))
    num_samples = round(seconds * _SAMPLE_RATE)
    rows = max(8, round(size * 4.0 / seconds))
    batch = np.zeros((rows, num_samples), np.float32)
    for row in batch:
        num_sources = int(rng.choice(_MAX_SOURCES, p=_SOURCE_PROBABILITIES)) + 1
        for index in rng.integers(len(waveforms), size=num_sources):
            crop = _crop(waveforms[index], num_samples, rng)
            rms = np.sqrt(np.mean(np.square(crop)) + 1e-8)
            row += crop * (10.0 ** (rng.uniform(-10.0, 0.0) / 20.0) / rms)
        level_db = rng.uniform(-45.0, -15.0)
        row *= 10.0 ** (level_db / 20.0) / (np.sqrt(np.mean(np.square(row))) + 1e-8)
        np.clip(row, -1.0, 1.0, out=row)
    return torch.from_numpy(batch)


def _crop(
    waveform: NDArray[np.int16], num_samples: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    out = np.zeros(num_samples, np.float32)
    if len(waveform) >= num_samples:
        start = rng.integers(len(waveform) - num_samples + 1)
        out[:] = waveform[start : start + num_samples]
    else:
        start = rng.integers(num_samples - len(waveform) + 1)
        out[start : start + len(waveform)] = waveform
    return out / 32768.0


class TeacherTrace(NamedTuple):
    """What the teacher computes for a batch.

    Attributes:
        image: (B, 1, 128, F) log-mel.
        blocks: output of each entry of ``features``, (B, channels, height, width).
        probabilities: (B, K).
    """

    image: Tensor
    blocks: list[Tensor]
    probabilities: Tensor


def trace_teacher(teacher: EfficientAT, waveform: Tensor) -> TeacherTrace:
    """Run the teacher and keep the output of every block."""
    with torch.no_grad():
        image = teacher.logmel(waveform)[:, None].contiguous(memory_format=torch.channels_last)
        blocks = []
        current = image
        with torch.autocast("cpu", torch.bfloat16):
            for block in teacher.features:
                current = block(current)
                blocks.append(current)
        logits = teacher.classifier(current.float().mean(dim=(2, 3)))
    return TeacherTrace(image, blocks, torch.sigmoid(logits))


def block_loss(student: EfficientAT, trace: TeacherTrace) -> Tensor:
    """First stage: every block learns from the teacher's input of that block."""
    inputs = [trace.image, *trace.blocks[:-1]]
    with torch.autocast("cpu", torch.bfloat16):
        outputs = [block(x) for block, x in zip(student.features, inputs, strict=True)]
    embedding = trace.blocks[-1].float().mean(dim=(2, 3))
    return hint_loss(outputs, trace.blocks) * len(outputs) + _tag_loss(student, embedding, trace)


def whole_loss(student: EfficientAT, trace: TeacherTrace) -> Tensor:
    """Second stage: the student's own chain of blocks."""
    outputs = []
    current = trace.image
    with torch.autocast("cpu", torch.bfloat16):
        for block in student.features:
            current = block(current)
            outputs.append(current)
    hints = hint_loss(outputs, trace.blocks) + hint_loss(outputs[-1:], trace.blocks[-1:])
    return _HINT_WEIGHT * hints + _tag_loss(student, current.float().mean(dim=(2, 3)), trace)


def hint_loss(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Mean over blocks of the squared error in units of each channel's variance."""
    losses = []
    for output, target in zip(outputs, targets, strict=True):
        target = target.float()
        variance = target.var(dim=(0, 2, 3), keepdim=True)
        variance = variance + 0.05 * variance.mean() + 1e-6
        losses.append(((output.float() - target).square() / variance).mean())
    return torch.stack(losses).mean()


def _tag_loss(student: EfficientAT, embedding: Tensor, trace: TeacherTrace) -> Tensor:
    """Cross-entropy against the teacher's probabilities, summed over classes."""
    logits = student.classifier(embedding)
    loss = F.binary_cross_entropy_with_logits(logits, trace.probabilities, reduction="sum")
    return loss / len(embedding)
