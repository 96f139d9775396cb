"""Query nets: conditions that are learned together with the separator (section 3.4.4).

Frozen conditions lie in the shards and need no network in training. A query net makes the
condition of a target from what the shards hold of it, from its waveform, or from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from uss.taggers import TAGGERS, TaggerNetwork

_LEAKY_SLOPE = 0.01


class QueryNet(nn.Module):
    """Makes conditions in training; a bundle keeps it for queries that are made of audio.

    Attributes:
        space: the named space of the conditions it makes.
        stored_space: the space of the shards' conditions that it takes.
        hears: whether it needs the target's waveform.
        pretrained: name or file of the tagger whose weights it starts from; None for random ones.
        hyperparameters: what the constructor takes to build the same network; JSON holds it.
    """

    space: str
    stored_space: str
    hears: bool = False
    pretrained: str | None = None
    hyperparameters: dict[str, Any]

    def forward(self, stored: Tensor, waveform: Tensor) -> Tensor:
        """Make conditions.

        Args:
            stored: (B, H) conditions of the targets from the shards, in ``stored_space``.
            waveform: (B, T) the targets at 32 kHz.

        Returns:
            (B, H') conditions in ``space``.
        """
        raise NotImplementedError

    def start_from(self, tagger: TaggerNetwork) -> None:
        """Take over a tagger's weights before the training."""
        raise NotImplementedError


class Adaptor(QueryNet):
    """Two fully connected layers on top of a frozen embedding (section 3.4.4, third method).

    The embedding comes from the shards, so no tagger runs in training.

    Args:
        space: the space of the conditions it makes, such as ``cnn14-2048-adaptor``.
        stored_space: the space of the embeddings.
        size: H of the embeddings; the conditions have the same size.
    """

    def __init__(self, space: str, stored_space: str, size: int) -> None:
        super().__init__()
        self.space = space
        self.stored_space = stored_space
        self.hyperparameters = {"space": space, "stored_space": stored_space, "size": size}
        self.fc1 = nn.Linear(size, size)
        self.fc2 = nn.Linear(size, size)

    def forward(self, stored: Tensor, waveform: Tensor) -> Tensor:
        """Adapt (B, H) embeddings; see ``QueryNet``."""
        adapted: Tensor = self.fc2(F.leaky_relu(self.fc1(stored), _LEAKY_SLOPE))
        return adapted


class TaggerQueryNet(QueryNet):
    """A tagger's embedding of the target, computed in training (table 4).

    Scratch: no pretrained weights, trained. Fine-tuned: pretrained, trained. Random: no pretrained
    weights, not trained.

    Args:
        space: the space of the conditions it makes.
        tagger: class of the tagger, as in ``uss.taggers``.
        pretrained: name or file of the weights it starts from; None for random ones.
        trained: whether its weights learn. If not, it also stays in evaluation mode.
        stored_space: a space that the shards hold; what it holds is not used.

    Raises:
        ValueError: if there is no such tagger.
    """

    hears = True

    def __init__(
        self,
        space: str,
        tagger: str = "Cnn14",
        pretrained: str | None = None,
        trained: bool = True,
        stored_space: str = "audioset-527",
    ) -> None:
        super().__init__()
        self.space = space
        self.stored_space = stored_space
        self.pretrained = pretrained
        self.trained = trained
        self.hyperparameters = {
            "space": space,
            "tagger": tagger,
            "pretrained": pretrained,
            "trained": trained,
            "stored_space": stored_space,
        }
        self.network = _tagger(tagger)
        if not trained:
            self.network.requires_grad_(False).eval()

    def start_from(self, tagger: TaggerNetwork) -> None:
        """Take over all weights of a tagger of the same class."""
        _copy_weights(tagger, self.network)

    def train(self, mode: bool = True) -> TaggerQueryNet:
        """Switch to training; a network that does not learn must not update its statistics."""
        super().train(mode)
        if not self.trained:
            self.network.eval()
        return self

    def forward(self, stored: Tensor, waveform: Tensor) -> Tensor:
        """Embed (B, T) waveforms; see ``QueryNet``."""
        return self.network(waveform).embedding


class Shortcut(QueryNet):
    """A frozen embedding plus that of a clone that learns (section 3.4.4, second method).

    The frozen part comes from the shards; only the clone runs in training.

    Args:
        space: the space of the conditions it makes.
        stored_space: the space of the frozen embeddings.
        tagger: class of the clone, as in ``uss.taggers``.
        pretrained: name or file of the weights the clone starts from; None for random ones.

    Raises:
        ValueError: if there is no such tagger.
    """

    hears = True

    def __init__(
        self,
        space: str,
        stored_space: str,
        tagger: str = "Cnn14",
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        self.space = space
        self.stored_space = stored_space
        self.pretrained = pretrained
        self.hyperparameters = {
            "space": space,
            "stored_space": stored_space,
            "tagger": tagger,
            "pretrained": pretrained,
        }
        self.clone = _tagger(tagger)

    def start_from(self, tagger: TaggerNetwork) -> None:
        """Clone a tagger of the same class."""
        _copy_weights(tagger, self.clone)

    def forward(self, stored: Tensor, waveform: Tensor) -> Tensor:
        """Add the clone's embedding of (B, T) to (B, H); see ``QueryNet``."""
        return stored + self.clone(waveform).embedding


QUERY_NETS: Mapping[str, type[QueryNet]] = {
    network.__name__: network for network in (Adaptor, TaggerQueryNet, Shortcut)
}


def _tagger(name: str) -> TaggerNetwork:
    if name not in TAGGERS:
        raise ValueError(f"there is no tagger {name!r}; choose {', '.join(TAGGERS)}")
    network = TAGGERS[name]()
    # What follows the embedding gets no gradient.
    network.get_submodule(network.head).requires_grad_(False)
    return network


def _copy_weights(tagger: TaggerNetwork, network: TaggerNetwork) -> None:
    if type(tagger) is not type(network):
        raise ValueError(
            f"the query net is a {type(network).__name__}, the pretrained weights are of a "
            f"{type(tagger).__name__}; choose weights of the same network"
        )
    network.load_state_dict(tagger.state_dict())
