"""From audio to conditions: what every encoder offers, and a tagger's embeddings as conditions."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from uss.taggers import TaggerNetwork


class ConditionEncoder(Protocol):
    """Maps audio to conditions.

    Attributes:
        space: the name of the space its vectors lie in.
        size: H.
    """

    space: str
    size: int

    @property
    def network(self) -> nn.Module:
        """What encodes; its weights identify the vectors."""
        ...

    def __call__(self, waveform: Tensor) -> Tensor:
        """Encode (B, T) waveforms at 32 kHz as (B, H) conditions."""
        ...


class EmbeddingEncoder:
    """Conditions are a tagger's embeddings, the "latent embedding" of section 3.4.

    The space is named after the tagger, because embeddings of different networks do not mix.
    """

    def __init__(self, tagger: TaggerNetwork) -> None:
        self.network = tagger
        self.space = f"{tagger.name}-{tagger.embedding_size}"
        self.size = tagger.embedding_size

    def __call__(self, waveform: Tensor) -> Tensor:
        """Encode (B, T) waveforms at 32 kHz as (B, H) embeddings."""
        return self.network(waveform).embedding
