"""The networks that mining needs: what detects the anchors, tags them and encodes them."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from uss.checkpoints.loading import load_tagger, weight_hash
from uss.checkpoints.published import DEFAULT_MODEL
from uss.checkpoints.text_loading import load_text_encoder
from uss.conditions.bert_mini import BertMini
from uss.conditions.clap import Clap
from uss.conditions.class_queries import caption_space
from uss.conditions.clip_text import ClipText
from uss.conditions.embedding import ConditionEncoder
from uss.conditions.encoders import load_encoder
from uss.conditions.flan_t5 import FlanT5
from uss.conditions.text_towers import TextTower
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.taggers import TaggerNetwork

_TOWERS: Mapping[str, type[TextTower]] = {
    "clap": Clap,
    "clip": ClipText,
    "bert-mini": BertMini,
    "flan-t5": FlanT5,
}


@dataclass(frozen=True)
class NetworkNames:
    """Which networks to mine with, each a name or a file.

    Attributes:
        tagger: detects the anchors.
        anchor_tagger: tags the anchors; None takes the tagger.
        encoders: what they make of the anchors is stored as conditions; none takes the anchor
            tagger. ``clap:FILE`` stands for CLAP's audio and text towers, ``clip:FILE``,
            ``bert-mini:FILE`` and ``flan-t5:FILE`` for text encoders; each is a name, a file or a
            folder.
        trust_checkpoint: load files that hold more than weights, which can run any code.
    """

    tagger: str = DEFAULT_MODEL
    anchor_tagger: str | None = None
    encoders: Sequence[str] = ()
    trust_checkpoint: bool = False


@dataclass(frozen=True)
class MiningNetworks:
    """What detects the anchors, tags them and encodes them, and reads their captions.

    Attributes:
        readers: text encoder per space, as shards name it.
    """

    tagger: TaggerNetwork
    anchor_tagger: TaggerNetwork
    encoders: Sequence[ConditionEncoder]
    readers: Mapping[str, TextTower] = field(default_factory=dict)

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
        encoders, readers = load_encoders(
            names.encoders or [anchor_tagger], device, trust_checkpoint=trust, load=load
        )
        networks = cls(load(names.tagger), load(anchor_tagger), encoders, readers)
        for network in (networks.tagger, networks.anchor_tagger):
            network.to(device)
        return networks

    def choose_runtime(self, device: torch.device, precision: str) -> Runtime:
        """Resolve ``auto``: bf16 where the device is faster in it and a tagger bears it, else fp32.

        Raises:
            ValueError: if a name is unknown, or bf16 is asked for that no tagger bears.
        """
        heard = [self.tagger, self.anchor_tagger, *(each.network for each in self.encoders)]
        taggers = [each for each in heard if isinstance(each, TaggerNetwork)]
        if all(tagger.needs_float32 for tagger in taggers):
            if precision not in ("auto", "fp32"):
                raise InputError(
                    f"precision {precision} would blur what {self.tagger.name} hears, and nothing "
                    "else would run in it; choose auto or fp32"
                )
            precision = "fp32"
        return Runtime.choose(str(device), precision)

    @property
    def spaces(self) -> dict[str, int]:
        """H of each space that shards get conditions in."""
        of_audio = {encoder.space: encoder.size for encoder in self.encoders}
        return of_audio | {space: tower.size for space, tower in self.readers.items()}

    def attributes(self) -> dict[str, Any]:
        """Name what the shards say of them, beside the detecting tagger."""
        values: dict[str, Any] = {
            "encoder_hashes": [weight_hash(encoder.network) for encoder in self.encoders]
        }
        if self.readers:
            hashes = [weight_hash(tower.network) for tower in self.readers.values()]
            values["text_encoder_hashes"] = hashes
        if self.anchor_tagger is not self.tagger:
            values["anchor_tagger"] = self.anchor_tagger.name
            values["anchor_tagger_hash"] = weight_hash(self.anchor_tagger)
        return values


def load_encoders(
    names: Sequence[str],
    device: torch.device,
    *,
    trust_checkpoint: bool = False,
    load: Callable[[str], TaggerNetwork] | None = None,
) -> tuple[list[ConditionEncoder], dict[str, TextTower]]:
    """Load what makes conditions of anchors.

    Args:
        names: see ``NetworkNames``.
        device: where they run.
        trust_checkpoint: load files that hold more than weights.
        load: loads taggers; None loads each anew.

    Returns:
        The encoders of audio, and the text encoder per space.

    Raises:
        OSError, ValueError: if one cannot be loaded, or two make conditions of one space.
    """
    trust = trust_checkpoint
    if load is None:
        load = functools.cache(lambda name: load_tagger(name, trust_checkpoint=trust))
    wanted = list(dict.fromkeys(names))
    towers = [_load_tower(name, trust) for name in wanted if _is_tower(name)]
    encoders = [load_encoder(name, load) for name in wanted if not _is_tower(name)]
    encoders += [tower.ears for tower in towers if isinstance(tower, Clap)]
    spaces = [caption_space(each.space, isinstance(each, Clap)) for each in towers]
    for space, count in Counter([*(each.space for each in encoders), *spaces]).items():
        if count > 1:
            raise InputError(
                f"{count} encoders make conditions of {space!r}, and shards hold one kind of "
                "each; name one of them"
            )
    for network in [e.network for e in encoders] + [tower.network for tower in towers]:
        network.to(device)
    return encoders, dict(zip(spaces, towers, strict=True))


def _is_tower(name: str) -> bool:
    kind, mark, source = name.partition(":")
    return kind in _TOWERS and bool(mark and source)


def _load_tower(name: str, trust: bool) -> TextTower:
    """Load what ``clap:FILE`` and its like name.

    Raises:
        OSError, ValueError: as ``load_text_encoder``, and if it is of another kind.
    """
    kind, _, source = name.partition(":")
    tower = load_text_encoder(source, trust_checkpoint=trust)
    if type(tower) is not _TOWERS[kind]:
        raise InputError(
            f"{source} holds a {type(tower).__name__}, not what {kind + ':'!r} stands for; write "
            f"{' or '.join(f'{each}:FILE' for each in _TOWERS)} as the file is"
        )
    return tower
