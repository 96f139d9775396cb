"""Where classes sound that the tagger does not know: where their parent does, or it is loudest."""

from __future__ import annotations

import numpy as np

from ontology import Ontology
from uss.core.arrays import Float32, Float64
from uss.mining.anchors import AnchorSpan, find_anchors

_HEARD = 0.1
"""Below it in every frame the tagger is taken not to know a class by its parent."""


def parents_curve(class_index: int, framewise: Float32, ontology: Ontology) -> Float32 | None:
    """Take how probable the class above is, the maximum over its classes (Algorithm 4).

    Args:
        class_index: of a class that the tagger does not know.
        framewise: (F, K) of the classes that it knows.
        ontology: with the class in it.

    Returns:
        (F,); None if nothing is above, or it is nowhere heard.
    """
    num_known = framewise.shape[1]
    above = [
        index
        for mid in ontology.classes[class_index].parents
        for index in ontology.class_indexes(mid)
        if index < num_known
    ]
    curve: Float32 = framewise[:, above].max(axis=1, initial=0.0)
    return curve if curve.max(initial=0.0) >= _HEARD else None


def loudest_spans(
    waveform: Float32, *, hop_length: int, segment_samples: int, count: int
) -> list[AnchorSpan]:
    """Find the segments that hold the most energy; see ``find_anchors``.

    Args:
        waveform: (T,), not silent.
        hop_length: samples between the centres that are tried.
        segment_samples: length of a segment.
        count: how many segments are wanted.

    Returns:
        The spans; their scores are their shares of the clip's energy.
    """
    sums = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    centres = np.arange(max(1, len(waveform) // hop_length)) * hop_length
    first = np.clip(centres - hop_length // 2, 0, len(waveform))
    last = np.clip(centres + hop_length // 2, 0, len(waveform))
    energies: Float64 = sums[last] - sums[first]
    spans = find_anchors(
        energies,
        hop_length=hop_length,
        clip_samples=len(waveform),
        segment_samples=segment_samples,
        count=count,
    )
    return [
        AnchorSpan(start, end, float((sums[end] - sums[start]) / sums[-1]))
        for start, end, _ in spans
    ]
