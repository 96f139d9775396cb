"""How pure anchors are: how much of what a tagger hears in them belongs to their class."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from ontology import OwnClass, load_ontology, with_own_classes
from uss.core.arrays import Bools, Float32
from uss.taggers import NUM_CLASSES

_ROWS_PER_BLOCK = 4096


def purity(
    class_index: NDArray[np.integer],
    tag_probabilities: NDArray[np.floating],
    own: tuple[OwnClass, ...] = (),
) -> Float32:
    """Give the share of the tagger's evidence that lies within the family of each anchor's class.

    The family F(c) of a class c is c, its ancestors and its descendants among the K classes. With
    the tag probabilities p_k of the anchor's segment

        purity = sum over k in F(c) of p_k / sum over all k of p_k,

    so that 1 - purity is the share that lies outside. A barking dog scores high as "Bark", "Dog" or
    "Animal", in which a tagger hears each other; speech beside it lowers all three. Taggers give
    every class a little, so that even a clean anchor stays below 1: purities compare anchors, best
    those of one class. Where the tagger hears nothing at all nothing speaks for the class, and the
    purity is 0.

    A class that AudioSet does not know has no tag; what lies above it speaks for it. Where nothing
    does that a tagger knows, nothing can be told of its anchors, and they count as pure.

    Args:
        class_index: (N,) the class each anchor was mined for.
        tag_probabilities: (N, K) in [0, 1].
        own: the classes from index 527 on.

    Returns:
        (N,) float32 in [0, 1].
    """
    families = _families(own)
    unknown = ~np.logical_or.reduce(families[:, :NUM_CLASSES], axis=1)
    result = np.zeros(len(class_index), np.float32)
    for start in range(0, len(class_index), _ROWS_PER_BLOCK):
        some = slice(start, start + _ROWS_PER_BLOCK)
        tags = tag_probabilities[some].astype(np.float64)
        total = tags.sum(axis=1)
        inside = np.where(families[class_index[some]], tags, 0.0).sum(axis=1)
        result[some] = np.divide(inside, total, out=np.zeros_like(total), where=total > 0.0)
    result[unknown[class_index]] = 1.0
    return np.clip(result, 0.0, 1.0)


@functools.cache
def _families(own: tuple[OwnClass, ...]) -> Bools:
    """(K, K): whether the column's class is in the family of the row's."""
    ontology = with_own_classes(load_ontology(), own, indexed=True)
    families = np.zeros((len(ontology.classes), len(ontology.classes)), bool)
    for node in ontology.classes:
        families[node.class_index, list(ontology.class_indexes(node))] = True
        for ancestor in ontology.ancestors(node):
            if ancestor.class_index is not None:
                families[node.class_index, ancestor.class_index] = True
    return families
