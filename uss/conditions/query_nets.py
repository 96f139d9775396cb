"""Query nets: conditions that are learned together with the separator (section 3.4.4).

Frozen conditions lie in the shards and need no network in training. A query net makes the
condition of a target from what the shards hold of it, from its waveform, or from both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.core.hyperparameters import Rebuildable
from uss.taggers import TAGGERS, TaggerNetwork

_LEAKY_SLOPE = 0.01


class QueryNet(Rebuildable, nn.Module, ABC):
    """Makes conditions in training; a bundle keeps it for queries that are made of audio.

    Attributes:
        space: the named space of the conditions it makes.
        stored_space: the space of the shards' conditions that it takes.
        hears: whether it needs the target's waveform.
        pretrained: name or file of the tagger whose weights it starts from; None for random ones.
    """

    space: str
    stored_space: str
    hears: bool = False
    pretrained: str | None = None

    @abstractmethod
    def forward(self, stored: Tensor, waveform: Tensor) -> Tensor:
        """Make conditions.

        Args:
            stored: (B, H) conditions of the targets from the shards, in ``stored_space``.
            waveform: (B, T) the targets at 32 kHz.

        Returns:
            (B, H') conditions in ``space``.
        """


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
        self.fc1 = nn.Linear(size, size)
        self.fc2 = nn.Linear(size, size)

    def forward(self, stored: Tensor, waveform: Tensor) -> Tensor:
        """Adapt (B, H) embeddings; see ``QueryNet``."""
        adapted: Tensor = self.fc2(F.leaky_relu(self.fc1(stored), _LEAKY_SLOPE))
        return adapted


class HearingQueryNet(QueryNet):
    """Hears the targets through a tagger, which may learn.

    Attributes:
        network: the tagger.
    """

    hears = True

    def __init__(self, tagger: str, pretrained: str | None) -> None:
        super().__init__()
        if tagger not in TAGGERS:
            raise InputError(f"there is no tagger {tagger!r}; choose {', '.join(TAGGERS)}")
        self.pretrained = pretrained
        self.network = TAGGERS[tagger]()
        # What follows the embedding gets no gradient.
        self.network.get_submodule(self.network.head).requires_grad_(False)

    def start_from(self, tagger: TaggerNetwork) -> None:
        """Take over all weights of a tagger.

        Raises:
            ValueError: if it is of another class.
        """
        if type(tagger) is not type(self.network):
            raise InputError(
                f"the query net is a {type(self.network).__name__}, the pretrained weights are of "
                f"a {type(tagger).__name__}; choose weights of the same network"
            )
        self.network.load_state_dict(tagger.state_dict())


class TaggerQueryNet(HearingQueryNet):
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

    def __init__(
        self,
        space: str,
        tagger: str = "Cnn14",
        pretrained: str | None = None,
        trained: bool = True,
        stored_space: str = "audioset-527",
    ) -> None:
        super().__init__(tagger, pretrained)
        self.space = space
        self.stored_space = stored_space
        self.trained = trained
        if not trained:
            self.network.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> TaggerQueryNet:
        """Switch to training; a network that does not learn must not update its statistics."""
        super().train(mode)
        if not self.trained:
            self.network.eval()
        return self

    def forward(self, stored: Tensor, waveform: Tensor) -> Tensor:
        """Embed (B, T) waveforms; see ``QueryNet``."""
        return self.network(waveform).embedding


class Shortcut(HearingQueryNet):
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

    def __init__(
        self,
        space: str,
        stored_space: str,
        tagger: str = "Cnn14",
        pretrained: str | None = None,
    ) -> None:
        super().__init__(tagger, pretrained)
        self.space = space
        self.stored_space = stored_space

    def forward(self, stored: Tensor, waveform: Tensor) -> Tensor:
        """Add the clone's embedding of (B, T) to (B, H); see ``QueryNet``."""
        return stored + self.network(waveform).embedding


QUERY_NETS: Mapping[str, type[QueryNet]] = {
    network.__name__: network for network in (Adaptor, TaggerQueryNet, Shortcut)
}
