"""Distil an EfficientAT tagger into a student with weights of our own.

The student learns the teacher's 527 probabilities on labelled and unlabelled clips, on mixtures of
one to four of them, and on synthesised sounds; labels are never used. It has the teacher's shape,
so it can learn in two stages: first each block by itself, from the teacher's input of that block to
its output, then all together, with the block outputs as hints (FitNets, Romero et al., ICLR 2015).
Validation compares both against the clips' labels.

    python scripts/distil_tagger.py --teacher mn04_as_mAP_432.pt \
        --clips AUDIO/clips.csv:train UNLABELLED/clips.csv SYNTHETIC/clips.csv \
        --validation AUDIO/clips.csv:validation -o student.safetensors

Killed and started again with the same arguments, it goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
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
from torchmetrics.functional.classification import multilabel_average_precision

from ontology import load_ontology
from uss.audio import read_mono
from uss.checkpoints import load_tagger, save_tagger
from uss.data.manifest import read_manifest
from uss.taggers import NUM_CLASSES, EfficientAT

logger = logging.getLogger("distil_tagger")

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
    return _hint_loss(outputs, trace.blocks) * len(outputs) + _tag_loss(student, embedding, trace)


def whole_loss(student: EfficientAT, trace: TeacherTrace) -> Tensor:
    """Second stage: the student's own chain of blocks."""
    outputs = []
    current = trace.image
    with torch.autocast("cpu", torch.bfloat16):
        for block in student.features:
            current = block(current)
            outputs.append(current)
    hints = _hint_loss(outputs, trace.blocks) + _hint_loss(outputs[-1:], trace.blocks[-1:])
    return _HINT_WEIGHT * hints + _tag_loss(student, current.float().mean(dim=(2, 3)), trace)


def _hint_loss(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
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


def learning_rate(step: int, num_steps: int, peak: float) -> float:
    """Linear warm-up over the first 3 %, then half a cosine to zero."""
    warm_up = max(1, round(0.03 * num_steps))
    if step < warm_up:
        return peak * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, num_steps - warm_up)
    return peak * 0.5 * (1.0 + float(np.cos(np.pi * progress)))


def mean_probabilities(
    teacher: EfficientAT, waveforms: Sequence[NDArray[np.int16]], seed: int
) -> Tensor:
    """(K,) mean class probability over some batches, to start the classifier's bias from."""
    rng = np.random.default_rng([seed, 0])
    batches = [make_batch(waveforms, 32, rng) for _ in range(4)]
    return torch.cat([trace_teacher(teacher, batch).probabilities for batch in batches]).mean(0)


def train(
    teacher: EfficientAT,
    waveforms: Sequence[NDArray[np.int16]],
    arguments: argparse.Namespace,
    checkpoint: Path,
) -> EfficientAT:
    """Run the distillation, from the checkpoint where there is one."""
    torch.manual_seed(arguments.seed)
    student = EfficientAT(teacher.width, name="uss-student")
    prior = mean_probabilities(teacher, waveforms, arguments.seed)
    with torch.no_grad():
        student.classifier[-1].bias.copy_(torch.logit(prior.clamp(1e-4, 0.5)))
    student = student.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(student.parameters(), weight_decay=1e-3)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        student.load_state_dict(state["student"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
        logger.info("resuming at step %d", first)
    started = time.monotonic()
    for step in range(first, arguments.steps):
        batch = make_batch(
            waveforms, arguments.batch_size, np.random.default_rng([arguments.seed, step + 1])
        )
        alone = step < arguments.block_steps
        rate = (
            learning_rate(step, arguments.block_steps, arguments.block_learning_rate)
            if alone
            else learning_rate(
                step - arguments.block_steps,
                arguments.steps - arguments.block_steps,
                arguments.learning_rate,
            )
        )
        for group in optimiser.param_groups:
            group["lr"] = rate
        trace = trace_teacher(teacher, batch)
        loss = block_loss(student, trace) if alone else whole_loss(student, trace)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if not alone:
            torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimiser.step()
        if (step + 1) % 20 == 0:
            speed = (step + 1 - first) / (time.monotonic() - started)
            logger.info("step %d loss %.3f, %.2f steps/s", step + 1, loss.item(), speed)
        if (step + 1) % 100 == 0 or step + 1 == arguments.steps:
            part = checkpoint.with_suffix(".part")
            torch.save(
                {
                    "student": student.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "step": step + 1,
                },
                part,
            )
            part.replace(checkpoint)
    return student.eval()


def clip_probabilities(tagger: EfficientAT, clips: ClipSet) -> Tensor:
    """Tag every clip whole.

    Returns:
        (N, K) probabilities.
    """
    rows = []
    with torch.no_grad():
        for waveform in clips.waveforms:
            rows.append(tagger(torch.from_numpy(waveform / np.float32(32768.0))[None]).clipwise)
    return torch.cat(rows)


def leaf_classes() -> Tensor:
    """Indexes of the classes below which the ontology has no other class."""
    ontology = load_ontology()
    return torch.tensor(
        [node.class_index for node in ontology.classes if len(ontology.class_indexes(node)) == 1]
    )


def compare(teacher: EfficientAT, student: EfficientAT, clips: ClipSet) -> dict[str, float]:
    """Top-1 agreement over leaf classes, and each tagger's mAP over the leaf classes present."""
    leaves = leaf_classes()
    labels = torch.zeros(len(clips.labels), NUM_CLASSES, dtype=torch.long)
    for row, indexes in enumerate(clips.labels):
        labels[row, list(indexes)] = 1
    present = leaves[labels[:, leaves].sum(dim=0) > 0]
    scores = {
        "teacher": clip_probabilities(teacher, clips),
        "student": clip_probabilities(student, clips),
    }
    best = {name: probabilities[:, leaves].argmax(dim=1) for name, probabilities in scores.items()}
    figures = {
        f"{name} mAP": float(
            multilabel_average_precision(
                probabilities[:, present], labels[:, present], num_labels=len(present)
            )
        )
        for name, probabilities in scores.items()
    }
    agreement = (best["teacher"] == best["student"]).float().mean()
    return {
        "clips": len(clips.labels),
        "leaf classes present": len(present),
        **figures,
        "top-1 leaf agreement": float(agreement),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--teacher", required=True, help="an EfficientAT file")
    parser.add_argument("--clips", nargs="+", required=True, metavar="MANIFEST[:SPLIT]")
    parser.add_argument("--validation", required=True, metavar="MANIFEST[:SPLIT]")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a .safetensors file")
    parser.add_argument("--steps", type=int, default=2300, help="of both stages together")
    parser.add_argument("--block-steps", type=int, default=1000, help="of the first stage")
    parser.add_argument("--batch-size", type=int, default=32, help="of 4 s windows")
    parser.add_argument("--block-learning-rate", type=float, default=6e-3)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        teacher = load_tagger(arguments.teacher)
        waveforms = [
            waveform
            for specification in arguments.clips
            for waveform in load_clips(specification).waveforms
            if len(waveform) > 0
        ]
        validation = load_clips(arguments.validation)
    except (OSError, ValueError) as error:
        print(f"distil_tagger: {error}", file=sys.stderr)
        return 2
    minutes = sum(map(len, waveforms)) / _SAMPLE_RATE / 60.0
    logger.info("%d clips, %.0f minutes", len(waveforms), minutes)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    student = train(teacher, waveforms, arguments, arguments.output.with_suffix(".ckpt"))
    figures = compare(teacher, student, validation)
    provenance = {
        "steps": arguments.steps,
        "teacher": teacher.name,
        "minutes": round(minutes),
        "seed": arguments.seed,
        "validation": figures,
    }
    save_tagger(arguments.output, student, licence="Apache-2.0", provenance=provenance)
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
