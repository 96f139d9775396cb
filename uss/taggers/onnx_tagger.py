"""An EfficientAT tagger whose network is an ONNX graph; its log-mel images are made here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from uss.core.onnx_graphs import OnnxGraph
from uss.hearing.mel import LogMel
from uss.taggers.base import TaggerNetwork, TaggerOutput
from uss.taggers.efficientat import EfficientAT, at_least_a_second


class OnnxTagger(TaggerNetwork):
    """Tags as the network does that was exported, up to rounding.

    Args:
        graph: (B, 128, F) images to clipwise and framewise probabilities, and embeddings.
        description: what an export says of its tagger.
        digest: of the graph's file; stands for its weights where these identify a network.
    """

    digest: Tensor
    sample_rate = EfficientAT.sample_rate
    frames_per_second = EfficientAT.frames_per_second
    needs_float32 = True

    def __init__(self, graph: OnnxGraph, description: Mapping[str, Any], digest: bytes) -> None:
        super().__init__()
        self.name = description["name"]
        self.embedding_size = description["embedding_size"]
        self.logmel = LogMel()
        self._graph = graph
        self.register_buffer("digest", torch.tensor(list(digest), dtype=torch.uint8))

    def forward(self, waveform: Tensor) -> TaggerOutput:
        """Tag (B, T) waveforms at 32 kHz; see ``uss.taggers.base.Tagger``."""
        return TaggerOutput(*self._graph(self.logmel(at_least_a_second(waveform))))
