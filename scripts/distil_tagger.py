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
from pathlib import Path

import numpy as np
import torch
from distillation import ClipSet, block_loss, load_clips, make_batch, trace_teacher, whole_loss
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.classification import multilabel_average_precision

from ontology import load_ontology
from uss.checkpoints.loading import load_tagger, save_tagger
from uss.taggers import NUM_CLASSES, EfficientAT
from uss.training.schedules import warm_up_then_cosine

logger = logging.getLogger("distil_tagger")

CHECKPOINT_STEPS = 100
_SAMPLE_RATE = EfficientAT.sample_rate


def learning_rate(step: int, arguments: argparse.Namespace) -> float:
    """Each stage warms up over its first 3 % and decays to zero."""
    if step < arguments.block_steps:
        peak, length = arguments.block_learning_rate, arguments.block_steps
    else:
        step -= arguments.block_steps
        peak, length = arguments.learning_rate, arguments.steps - arguments.block_steps
    return peak * warm_up_then_cosine(round(0.03 * length), length)(step)


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
        torch.manual_seed(arguments.seed + step)  # of the dropout, so that resuming is exact
        alone = step < arguments.block_steps
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, arguments)
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
        if (step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == arguments.steps:
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


def save_compared(
    student: EfficientAT,
    teacher: EfficientAT,
    validation: ClipSet,
    arguments: argparse.Namespace,
    minutes: float,
) -> None:
    """Compare a student with its teacher, print the figures and write it with them."""
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


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--teacher", required=True, help="an EfficientAT file")
    parser.add_argument("--clips", nargs="+", required=True, metavar="MANIFEST[:SPLIT]")
    parser.add_argument("--validation", required=True, metavar="MANIFEST[:SPLIT]")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a .safetensors file")
    parser.add_argument("--steps", type=int, default=1800, help="of both stages together")
    parser.add_argument("--block-steps", type=int, default=600, help="of the first stage")
    parser.add_argument("--batch-size", type=int, default=32, help="of 4 s windows")
    parser.add_argument("--block-learning-rate", type=float, default=6e-3)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        teacher = load_tagger(arguments.teacher)
        if not isinstance(teacher, EfficientAT):
            raise ValueError(f"{arguments.teacher} is no EfficientAT, as the student is")
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
    save_compared(student, teacher, validation, arguments, minutes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
