"""Conditions from query nets: for batches of mixtures, and averaged per class (eq. 9)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from uss.conditions.class_queries import ClassQueries, average_by_class
from uss.conditions.query_nets import QueryNet
from uss.core.arrays import Indexes
from uss.data.dataset import Batch
from uss.data.validation_mixtures import ValidationBatch
from uss.shards import ShardReader, rows_of_classes

_BATCH_SIZE = 16


def with_learned_condition(query_net: QueryNet, batch: Batch) -> Batch:
    """Replace the stored conditions of a training batch by those of a query net."""
    return batch._replace(condition=query_net(batch.condition, batch.target[:, 0]))


def with_learned_conditions(
    query_net: QueryNet, batch: ValidationBatch, averages: torch.Tensor
) -> ValidationBatch:
    """Replace the stored conditions of a validation batch by those of a query net.

    Args:
        query_net: makes the oracle and the swapped conditions.
        batch: with its classes in ``class_index``.
        averages: (K, H) class averages of the net's conditions.
    """
    return batch._replace(
        oracle=query_net(batch.oracle, batch.target[:, 0]),
        average=averages[batch.class_index[:, 0]],
        swapped=query_net(batch.swapped, batch.interferer[:, 0]),
        other=averages[batch.class_index[:, 1]],
        absent=averages[batch.class_index[:, 2]],
    )


def learned_queries(
    query_net: QueryNet,
    reader: ShardReader,
    *,
    max_per_class: int,
    device: torch.device | str = "cpu",
) -> ClassQueries:
    """Average a query net's conditions over the anchors of each class (eq. 9).

    A class's anchors are those mined for it. Where only more specific classes were mined, they are
    those with its label, so that the same classes have queries as with stored conditions.

    Args:
        query_net: in any mode; the averages are taken in evaluation mode.
        reader: the anchors.
        max_per_class: at most so many anchors of a class, evenly spread over the shards.
        device: where the net is.
    """
    stored = reader.rows_of(query_net.stored_space)
    mined = rows_of_classes(reader.class_index)
    labelled = reader.label_lists.rows_of_classes()
    rows_of_class = {
        index: _spread(mined.get(index, rows), max_per_class) for index, rows in labelled.items()
    }
    rows = np.concatenate(list(rows_of_class.values()))
    was_training = query_net.training
    query_net.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH_SIZE):
            some = rows[start : start + _BATCH_SIZE]
            waveform = np.zeros((len(some), 1), np.float32)
            if query_net.hears:
                waveform = reader.waveforms(some)
            made = query_net(
                torch.from_numpy(stored[some]).to(device), torch.from_numpy(waveform).to(device)
            )
            parts.append(made.float().cpu().numpy())
    query_net.train(was_training)
    classes = [[index] for index, chosen in rows_of_class.items() for _ in chosen]
    queries = average_by_class(query_net.space, np.concatenate(parts), classes)
    return replace(queries, own=reader.settings.own_classes)


def _spread(rows: Indexes, count: int) -> Indexes:
    if len(rows) <= count:
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]
