"""Whether a tagger hears in a clip what the clip is labelled with.

A tagger's probabilities differ between classes: mn04_as gives a cowbell 0.8 and a sitar 0.03
where both are in first place. So a clip agrees when its class is among the first three and not
quite improbable, or among the first eight and clearly there, itself or as the class above it (a
slide guitar that is heard as some guitar). In 420 phrases of 60 classes, what was far from its
instrument (pipes without a drone, a choir like an organ) mostly came after that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ontology import Ontology
from uss.taggers import TaggerNetwork

# Ranks and probabilities that agree together: what is loosely heard must be heard first.
AGREEING = ((3, 0.02), (8, 0.1))
TOO_GENERAL = ("Musical instrument", "Music", "Sounds of things", "Human sounds", "Animal")


@dataclass(frozen=True)
class Verdict:
    """What the tagger says of a clip's own class.

    Attributes:
        probability: Of the class, one below it, or one directly above that is not too general.
        leaf_rank: Place of the class, or the best class below it, among the classes that have
            none below them; 1 is first.
        heard: Name of the leaf class in first place.
        agrees: Whether the clip may keep its label.
    """

    probability: float
    leaf_rank: int
    heard: str
    agrees: bool


def probabilities_of(tagger: TaggerNetwork, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """(K,) clipwise probabilities of a whole clip."""
    with torch.inference_mode():
        output = tagger(torch.from_numpy(waveform)[None])
    return output.clipwise[0].float().numpy()


def verdict_on(probabilities: NDArray[np.float32], name: str, ontology: Ontology) -> Verdict:
    """Compares the probabilities (K,) of a clip with the class it is made for."""
    node = ontology.find(name)
    within = ontology.class_indexes(node)
    parents = [ontology.nodes[mid] for mid in node.parents]
    general = [p.class_index for p in parents if p.name not in TOO_GENERAL]
    above = [index for index in general if index is not None]
    others = [k for k, c in enumerate(ontology.classes) if not c.children and k not in within]
    own = max(probabilities[k] for k in within)
    leaf_rank = 1 + sum(bool(probabilities[k] > own) for k in others)
    probability = float(max(probabilities[k] for k in (*within, *above)))
    leaves = [k for k, each in enumerate(ontology.classes) if not each.children]
    best = max(leaves, key=lambda k: probabilities[k])
    return Verdict(
        probability=probability,
        leaf_rank=leaf_rank,
        heard=ontology.classes[best].name,
        agrees=any(leaf_rank <= rank and probability >= least for rank, least in AGREEING),
    )
