"""How the text encoder learns, and how well it does."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from text_encoder.class_texts import Texts
from text_encoder.examples import Examples
from text_encoder.network import TextNetwork, padded
from uss.training.schedules import warm_up_then_cosine

logger = logging.getLogger(__name__)

_BATCH = 128
_LEARNING_RATE = 3e-3
_WEIGHT_DECAY = 0.02
_WARM_UP = 0.15
_SCALE = 50.0
# Labels of a text compete a little too: its first class is what counts most.
_COMPETITION = 0.05
_AVERAGING = 0.995


def learn(
    network: TextNetwork, examples: Examples, validation: Texts, epochs: int, seed: int
) -> TextNetwork:
    """Train a network.

    Args:
        network: changed by it.
        examples: give the epochs.
        validation: captions whose scores are logged.
        epochs: how many.
        seed: of all that is drawn.

    Returns:
        The running mean of its weights.
    """
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    steps = epochs * (len(examples.epoch(np.random.default_rng(seed))) // _BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, warm_up_then_cosine(round(_WARM_UP * steps), steps)
    )
    mean = copy.deepcopy(network).eval()
    for epoch in range(epochs):
        drawn = examples.epoch(rng)
        order = rng.permutation(len(drawn))
        network.train()
        for start in range(0, len(order) - _BATCH + 1, _BATCH):
            batch = [drawn[at] for at in order[start : start + _BATCH]]
            targets = torch.from_numpy(np.stack([target for _, target in batch]))
            loss = loss_of(network(*padded([rows for rows, _ in batch])), targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            _average(mean, network)
        score = scores(probabilities(mean, examples, validation.texts), validation.targets)
        logger.info("epoch %d: mAP %.4f, top class %.4f", epoch + 1, *score)
    return mean


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, and a little of that of a softmax over the labels of a text."""
    each = F.binary_cross_entropy_with_logits(logits, targets)
    shares = targets / targets.sum(dim=1, keepdim=True).clamp(min=1.0)
    competition = -(shares * F.log_softmax(logits, dim=1)).sum(dim=1).mean()
    return _SCALE * each + _COMPETITION * competition


@torch.no_grad()
def _average(mean: TextNetwork, network: TextNetwork) -> None:
    for kept, new in zip(mean.parameters(), network.parameters(), strict=True):
        kept.lerp_(new, 1.0 - _AVERAGING)


@torch.no_grad()
def probabilities(
    network: TextNetwork, examples: Examples, texts: Sequence[str]
) -> NDArray[np.float32]:
    """(N, K) probabilities of texts; 0 where no word is known."""
    rows = [examples.rows(text) for text in texts]
    found = [
        network(*padded(rows[start : start + 256])).sigmoid() for start in range(0, len(rows), 256)
    ]
    has_words = np.array([bool(row) for row in rows], np.float32)
    return torch.cat(found).numpy() * has_words[:, None]


def scores(found: NDArray[np.float32], labels: NDArray[np.float32]) -> tuple[float, float]:
    """Mean average precision of classes with five texts or more, and how often the top is a label.

    Args:
        found: (N, K) probabilities.
        labels: (N, K), 0 or 1.
    """
    classes = np.flatnonzero(labels.sum(axis=0) >= 5)
    precision = [average_precision(found[:, each], labels[:, each]) for each in classes]
    top = labels[np.arange(len(found)), found.argmax(axis=1)]
    return float(np.mean(precision)), float(top.mean())


def average_precision(found: NDArray[np.float32], labels: NDArray[np.float32]) -> float:
    """Mean of the precision at each label, from the most probable text down; ties count as one."""
    order = np.argsort(-found, kind="stable")
    hits = labels[order].cumsum()
    ends = np.append(np.flatnonzero(np.diff(found[order])), len(found) - 1)
    gained = np.diff(hits[ends], prepend=0.0)
    return float((gained * hits[ends] / (ends + 1)).sum() / hits[-1])
