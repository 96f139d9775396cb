"""A teacher: what a sentence encoder makes of captions, mapped to classes.

Labels of clips name one sound where captions name three. The teacher says of each caption what its
labels would be by those of all others: it is fitted in folds, and never on the caption it is asked
about.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from text_encoder.vocabulary import sentence_model
from uss.taggers import NUM_CLASSES

_FOLDS = 5
_EPOCHS = 12
_BATCH = 128
_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 0.02
_NORM = 8.0
_MAX_TOKENS = 64


def softened(
    texts: Sequence[str], labels: NDArray[np.float32], folder: Path, share: float, seed: int
) -> NDArray[np.float32]:
    """(N, K) mean of labels and of what the teacher says, of which ``share`` is the teacher's."""
    embeddings = torch.from_numpy(embedded(texts, folder))
    told = out_of_fold(embeddings, torch.from_numpy(labels), seed).numpy()
    return (1.0 - share) * labels + share * told


def embedded(texts: Sequence[str], folder: Path) -> NDArray[np.float32]:
    """(N, H) mean states of a sentence encoder, of one length."""
    tokenizer, network = sentence_model(folder)
    vectors = np.zeros((len(texts), network.config.hidden_size), np.float32)
    order = np.argsort([len(text) for text in texts])
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            batch = tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=_MAX_TOKENS,
                return_tensors="pt",
            )
            mask = batch["attention_mask"][..., None]
            states = network(**batch).last_hidden_state
            vectors[rows] = ((states * mask).sum(1) / mask.sum(1)).numpy()
    return _NORM * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def out_of_fold(embeddings: Tensor, labels: Tensor, seed: int) -> Tensor:
    """(N, K) probabilities of each row by a network that was fitted without its fold."""
    torch.manual_seed(seed)
    fold = torch.randint(_FOLDS, (len(labels),))
    told = torch.zeros_like(labels)
    for number in range(_FOLDS):
        inside = fold == number
        network = _fitted(embeddings[~inside], labels[~inside])
        with torch.inference_mode():
            told[inside] = network(embeddings[inside]).sigmoid()
    return told


def _fitted(embeddings: Tensor, labels: Tensor) -> nn.Module:
    network = nn.Sequential(
        nn.Dropout(0.2),
        nn.Linear(embeddings.shape[1], 768),
        nn.GELU(),
        nn.Dropout(0.3),
        nn.Linear(768, NUM_CLASSES),
    )
    optimiser = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    steps = _EPOCHS * (len(labels) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps)
    for _ in range(_EPOCHS):
        order = torch.randperm(len(labels))
        for start in range(0, len(order) - _BATCH + 1, _BATCH):
            rows = order[start : start + _BATCH]
            loss = F.binary_cross_entropy_with_logits(network(embeddings[rows]), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()
