"""Teach a tagger to hear scenes.

A student that was distilled from a teacher hears what the teacher hears, which misses much in a
mixture. Here it learns mixtures whose truth is known from their parts; see ``scene_mixtures``. At
first it also keeps to the teacher's feature maps (FitNets, Romero et al., ICLR 2015), whose share
of the loss falls to nothing.

    python scripts/train_scene_tagger.py --teacher mn04_as_mAP_432.pt --student default \
        --clips AUDIO/clips.csv:train UNLABELLED/clips.csv SYNTHETIC/clips.csv \
        --validation AUDIO/clips.csv:validation -o tagger.safetensors

Killed and started again with the same arguments, it goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from distil_tagger import save_compared
from distillation import ClipSet, hint_loss, load_clips
from scene_mixtures import Heard, SceneMixer, Scenes, hear
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from uss.checkpoints.loading import load_tagger
from uss.data.augmentation import Variation
from uss.taggers import EfficientAT
from uss.training.schedules import warm_up_then_cosine

logger = logging.getLogger("train_scene_tagger")

_CHECKPOINT_STEPS = 200
_WARM_UP_STEPS = 100
_FRAMEWISE_WEIGHT = 0.3
_HINT_WEIGHT = 5.0
_HINT_SHARE = 0.7
_EMA_DECAY = 0.998


def scene_loss(
    student: EfficientAT, teacher: EfficientAT, scenes: Scenes, hint_weight: float
) -> dict[str, Tensor]:
    """Cross-entropy against the truth, of the window and of its frames, and hints."""
    with torch.no_grad():
        image = teacher.logmel(scenes.waveform)[:, None].contiguous(
            memory_format=torch.channels_last
        )
    blocks, current = [], image
    for block in student.features:
        current = block(current)
        blocks.append(current)
    steps = current.mean(dim=2).transpose(1, 2)
    losses = {
        "clipwise": _cross_entropy(student.classifier(steps.mean(dim=1)), scenes.clipwise),
        "framewise": _cross_entropy(student.classifier(steps), scenes.framewise),
    }
    if hint_weight > 0.0:
        targets, current = [], image
        with torch.no_grad():
            for block in teacher.features:
                current = block(current)
                targets.append(current)
        losses["hints"] = hint_loss(blocks, targets) + hint_loss(blocks[-1:], targets[-1:])
    losses["loss"] = losses["clipwise"] + _FRAMEWISE_WEIGHT * losses["framewise"]
    if hint_weight > 0.0:
        losses["loss"] = losses["loss"] + hint_weight * losses["hints"]
    return losses


def _cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Summed over classes."""
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none").sum(-1).mean()


def train(
    teacher: EfficientAT, mixer: SceneMixer, arguments: argparse.Namespace, checkpoint: Path
) -> EfficientAT:
    """Run the training, from the checkpoint where there is one."""
    torch.manual_seed(arguments.seed)
    start = load_tagger(arguments.student)
    # Its embeddings are a space of their own, and so is its name.
    student = EfficientAT(teacher.width, name=arguments.name)
    student.load_state_dict(start.state_dict())
    student = student.to(memory_format=torch.channels_last).train()
    averaged = AveragedModel(
        student, multi_avg_fn=get_ema_multi_avg_fn(_EMA_DECAY), use_buffers=True
    )
    optimiser = torch.optim.AdamW(student.parameters(), weight_decay=1e-3)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        student.load_state_dict(state["student"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
        logger.info("resuming at step %d", first)
    schedule = warm_up_then_cosine(_WARM_UP_STEPS, arguments.steps)
    started = time.monotonic()
    for step in range(first, arguments.steps):
        scenes = mixer.batch(
            arguments.batch_size, np.random.default_rng([arguments.seed, step + 1])
        )
        torch.manual_seed(arguments.seed + step)  # of the dropout, so that resuming is exact
        for group in optimiser.param_groups:
            group["lr"] = arguments.learning_rate * schedule(step)
        hint_weight = _HINT_WEIGHT * max(0.0, 1.0 - step / (_HINT_SHARE * arguments.steps))
        losses = scene_loss(student, teacher, scenes, hint_weight)
        optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimiser.step()
        averaged.update_parameters(student)
        if (step + 1) % 20 == 0:
            speed = (step + 1 - first) / (time.monotonic() - started)
            text = " ".join(f"{name} {value.item():.3f}" for name, value in losses.items())
            logger.info("step %d %s, %.2f steps/s", step + 1, text, speed)
        if (step + 1) % _CHECKPOINT_STEPS == 0 or step + 1 == arguments.steps:
            part = checkpoint.with_suffix(".part")
            torch.save(
                {
                    "student": student.state_dict(),
                    "averaged": averaged.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "step": step + 1,
                },
                part,
            )
            part.replace(checkpoint)
    result = averaged.module.eval()
    assert isinstance(result, EfficientAT)
    return result


def load_heard(path: Path, teacher: EfficientAT, clips: ClipSet) -> Heard:
    """Read what the teacher hears in the clips from a file, which is made where it is missing."""
    if path.exists():
        with np.load(path) as stored:
            heard = Heard(**stored)
        if len(np.unique(heard.clip)) == len(clips.waveforms):
            return heard
        logger.info("%s was made from other clips; it is made again", path)
    heard = hear(teacher, clips.waveforms)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **vars(heard))
    part.replace(path)
    return heard


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--teacher", required=True, help="an EfficientAT file")
    parser.add_argument("--student", default="default", help="where to start from")
    parser.add_argument("--clips", nargs="+", required=True, metavar="MANIFEST[:SPLIT]")
    parser.add_argument("--validation", required=True, metavar="MANIFEST[:SPLIT]")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a .safetensors file")
    parser.add_argument("--name", default="uss-scenes", help="of the tagger, and of its space")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch-size", type=int, default=24, help="of 4 s windows")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        teacher, student = load_tagger(arguments.teacher), load_tagger(arguments.student)
        if not isinstance(teacher, EfficientAT) or not isinstance(student, EfficientAT):
            raise ValueError("teacher and student must be EfficientATs")
        sets = [load_clips(specification) for specification in arguments.clips]
        validation = load_clips(arguments.validation)
    except (OSError, ValueError) as error:
        print(f"train_scene_tagger: {error}", file=sys.stderr)
        return 2
    clips = ClipSet(
        [waveform for some in sets for waveform in some.waveforms],
        [labels for some in sets for labels in some.labels],
    )
    minutes = sum(map(len, clips.waveforms)) / EfficientAT.sample_rate / 60.0
    logger.info("%d clips, %.0f minutes", len(clips.waveforms), minutes)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    teacher = teacher.eval()
    heard = load_heard(arguments.output.with_suffix(".heard.npz"), teacher, clips)
    logger.info("the teacher has heard %d windows", len(heard.clip))
    mixer = SceneMixer(clips.waveforms, clips.labels, heard, Variation())
    tagger = train(teacher, mixer, arguments, arguments.output.with_suffix(".ckpt"))
    save_compared(tagger, teacher, validation, arguments, minutes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
