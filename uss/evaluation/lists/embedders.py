"""Networks that make embeddings of excerpts, for distances that know no phases."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uss.audio import resample
from uss.checkpoints.loading import load_tagger, weight_hash
from uss.conditions.clap import CLAP_RATE, SIZE, Clap
from uss.core.arrays import Float32, Waveform
from uss.separation.separator import Separator
from uss.taggers import TaggerNetwork

CLAP_EMBEDDER = "clap"
"""Names the CLAP that scores ``clap-score``."""

WINDOW_SECONDS = 10.0
_BATCH = 8


class Embedder(ABC):
    """Makes embeddings of the mean of a sound's channels.

    Args:
        sample_rate: that it hears at, in Hz.
        size: H.
        device: where it runs.
    """

    def __init__(self, sample_rate: int, size: int, device: torch.device) -> None:
        self.sample_rate = sample_rate
        self.size = size
        self._device = device

    @property
    @abstractmethod
    def weight_hash(self) -> str:
        """Identifies its weights."""

    @abstractmethod
    def _embedded(self, windows: Tensor) -> Tensor:
        """Embed (B, T) windows as (B, H)."""

    def embed(self, waveform: Waveform, sample_rate: int) -> Float32:
        """Embed a sound, cut into as few windows of one length up to ten seconds as there can be.

        Args:
            waveform: (C, T).
            sample_rate: in Hz.

        Returns:
            (W, H).
        """
        mono = resample(waveform.mean(axis=0, keepdims=True), sample_rate, self.sample_rate)[0]
        num_windows = max(1, -(-len(mono) // round(WINDOW_SECONDS * self.sample_rate)))
        length = max(1, -(-len(mono) // num_windows))
        whole = F.pad(torch.from_numpy(mono), (0, num_windows * length - len(mono)))
        with torch.inference_mode():
            parts = [
                self._embedded(batch.to(self._device)).float().cpu().numpy()
                for batch in whole.reshape(num_windows, length).split(_BATCH)
            ]
        out: Float32 = np.concatenate(parts)
        return out


class TaggerEmbedder(Embedder):
    """A tagger's vectors before its classifier.

    Args:
        tagger: in evaluation mode.
        device: where it runs.
    """

    def __init__(self, tagger: TaggerNetwork, device: torch.device) -> None:
        super().__init__(tagger.sample_rate, tagger.embedding_size, device)
        self._tagger = tagger.to(device)

    @property
    def weight_hash(self) -> str:
        """See ``Embedder``."""
        return weight_hash(self._tagger)

    def _embedded(self, windows: Tensor) -> Tensor:
        return self._tagger(windows).embedding


class ClapEmbedder(Embedder):
    """CLAP's embeddings, of unit length.

    Args:
        clap: its audio network hears.
        device: where it runs.
    """

    def __init__(self, clap: Clap, device: torch.device) -> None:
        super().__init__(CLAP_RATE, SIZE, device)
        self._ears = clap.ears.to(device)

    @property
    def weight_hash(self) -> str:
        """See ``Embedder``."""
        return weight_hash(self._ears)

    def _embedded(self, windows: Tensor) -> Tensor:
        return self._ears.embed(windows)


def embedder_of(
    name: str | None, separator: Separator, clap: Clap | None, *, trust_checkpoint: bool = False
) -> Embedder:
    """Choose what makes embeddings.

    Args:
        name: ``clap``, or a tagger by name or file; None for the separator's own tagger.
        separator: what runs here runs on its device.
        clap: that ``clap`` means.
        trust_checkpoint: see ``load_tagger``.

    Raises:
        OSError, ValueError: if a tagger cannot be loaded.
    """
    device = separator.runtime.device
    if name == CLAP_EMBEDDER:
        assert clap is not None, "it was found for the metrics that need it"
        return ClapEmbedder(clap, device)
    if name is None:
        return TaggerEmbedder(separator.tagger, device)
    return TaggerEmbedder(load_tagger(name, trust_checkpoint=trust_checkpoint), device)
