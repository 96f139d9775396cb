"""The networks that mining needs: what detects the anchors, tags them and encodes them."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from uss.checkpoints.loading import load_tagger, weight_hash
from uss.checkpoints.published import DEFAULT_MODEL
from uss.conditions.embedding import ConditionEncoder
from uss.conditions.encoders import load_encoder
from uss.core.errors import InputError
from uss.taggers import TaggerNetwork


@dataclass(frozen=True)
class NetworkNames:
    """Which networks to mine with, each a name or a file.

    Attributes:
        tagger: detects the anchors.
        anchor_tagger: tags the anchors; None takes the tagger.
        encoders: what they make of the anchors is stored as conditions; none takes the anchor
            tagger.
        trust_checkpoint: load files that hold more than weights, which can run any code.
    """

    tagger: str = DEFAULT_MODEL
    anchor_tagger: str | None = None
    encoders: Sequence[str] = ()
    trust_checkpoint: bool = False


@dataclass(frozen=True)
class MiningNetworks:
    """What detects the anchors, tags them and encodes them."""

    tagger: TaggerNetwork
    anchor_tagger: TaggerNetwork
    encoders: Sequence[ConditionEncoder]

    @classmethod
    def load(cls, names: NetworkNames, device: torch.device) -> MiningNetworks:
        """Load each network once, in however many places it is named.

        Raises:
            OSError, ValueError: if a network cannot be loaded, or two encoders make conditions of
                one space.
        """
        trust = names.trust_checkpoint
        load = functools.cache(lambda name: load_tagger(name, trust_checkpoint=trust))
        anchor_tagger = names.anchor_tagger or names.tagger
        encoders = [
            load_encoder(name, load) for name in dict.fromkeys(names.encoders or [anchor_tagger])
        ]
        for space, count in Counter(encoder.space for encoder in encoders).items():
            if count > 1:
                raise InputError(
                    f"{count} encoders make conditions of {space!r}, and shards hold one kind of "
                    "each; name one of them"
                )
        networks = cls(load(names.tagger), load(anchor_tagger), encoders)
        for network in (networks.tagger, networks.anchor_tagger, *(e.network for e in encoders)):
            network.to(device)
        return networks

    def attributes(self) -> dict[str, Any]:
        """Name what the shards say of them, beside the detecting tagger."""
        values: dict[str, Any] = {
            "encoder_hashes": [weight_hash(encoder.network) for encoder in self.encoders]
        }
        if self.anchor_tagger is not self.tagger:
            values["anchor_tagger"] = self.anchor_tagger.name
            values["anchor_tagger_hash"] = weight_hash(self.anchor_tagger)
        return values
