"""The networks of mining, run over the waveforms of many clips at once."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from uss.conditions.embedding import ConditionEncoder, EmbeddingEncoder
from uss.conditions.text_encoders import TextEncoder
from uss.core.arrays import Float32
from uss.core.runtime import Runtime
from uss.taggers import Tagger, TaggerNetwork, TaggerOutput

_CPU_BATCH_SECONDS = 40.0
_GPU_BATCH_SECONDS = 320.0


class NetworkBatches:
    """Runs taggers and encoders in batches.

    A batch holds waveforms of equal length, so that none is padded for another's sake. Which of
    them share one is a function of their lengths and order alone. In evaluation mode no row
    depends on another; what a row is batched with changes it by rounding at most.

    Several threads may call: on a CPU their calls run side by side, on other devices in turn, so
    that the memory of one batch is enough.

    Args:
        tagger: detects.
        anchor_tagger: tags segments.
        encoders: compute their conditions.
        readers: text encoder per space.
        runtime: device and precision; None for where the tagger's weights are, in float32. In
            lower precision run taggers that bear it, also as encoders, and nothing else.
    """

    def __init__(
        self,
        tagger: Tagger,
        anchor_tagger: Tagger,
        encoders: Sequence[ConditionEncoder],
        readers: Mapping[str, TextEncoder],
        runtime: Runtime | None = None,
    ) -> None:
        self.tagger = tagger
        self.anchor_tagger = anchor_tagger
        self.encoders = encoders
        self.readers = readers
        self.runtime = runtime or Runtime(_device_of(tagger), torch.float32)
        heard = [tagger, anchor_tagger, *(each.network for each in encoders)]
        networks = {id(each): each for each in heard if isinstance(each, TaggerNetwork)}
        self._fast = {key: self._fastest(network) for key, network in networks.items()}
        is_gpu = self.runtime.device.type != "cpu"
        self._batch_seconds = _GPU_BATCH_SECONDS if is_gpu else _CPU_BATCH_SECONDS
        self._turn: AbstractContextManager[object] = threading.Lock() if is_gpu else nullcontext()
        # Tokenizers change while they are used.
        self._reading = threading.Lock()

    def framewise(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Detect.

        Args:
            waveforms: (T,) each, of any lengths.

        Returns:
            (F, K) probabilities of each.
        """
        found: list[Float32] = [np.empty(0, np.float32)] * len(waveforms)
        for rows in self._batches([len(each) for each in waveforms]):
            batch = self._moved(np.stack([waveforms[row] for row in rows]))
            with torch.inference_mode(), self._turn:
                framewise = _array(self._tagged(self.tagger, batch).framewise)
            for row, probabilities in zip(rows, framewise, strict=True):
                found[row] = probabilities
        return found

    def encode(self, segments: Float32) -> tuple[Float32, dict[str, Float32]]:
        """Tag segments and make their conditions.

        Args:
            segments: (N, T).

        Returns:
            (N, K) probabilities, and (N, H) conditions per space.
        """
        parts = [
            self._encode(segments[rows])
            for rows in self._batches([segments.shape[1]] * len(segments))
        ]
        conditions = {
            encoder.space: np.concatenate([made[encoder.space] for _, made in parts])
            for encoder in self.encoders
        }
        return np.concatenate([tagged for tagged, _ in parts]), conditions

    def read(self, words: str) -> dict[str, Float32]:
        """Make conditions of words: (H,) per space."""
        with self._reading:
            return {space: reader.encode([words])[0] for space, reader in self.readers.items()}

    def _encode(self, segments: Float32) -> tuple[Float32, dict[str, Float32]]:
        batch = self._moved(segments)
        with torch.inference_mode(), self._turn:
            tagged = self._tagged(self.anchor_tagger, batch)
            conditions = {}
            for encoder in self.encoders:
                if not isinstance(encoder, EmbeddingEncoder):
                    made = encoder(batch)
                elif encoder.network is self.anchor_tagger:
                    # The same network need not hear the anchors twice.
                    made = tagged.embedding
                else:
                    made = self._tagged(encoder.network, batch).embedding
                conditions[encoder.space] = _array(made)
            return _array(tagged.clipwise), conditions

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Put rows of equal length together, as many as a batch takes."""
        rows_of: dict[int, list[int]] = {}
        for row, length in enumerate(lengths):
            rows_of.setdefault(length, []).append(row)
        for length, rows in rows_of.items():
            size = max(1, int(self._batch_seconds * self.tagger.sample_rate) // max(1, length))
            for start in range(0, len(rows), size):
                yield rows[start : start + size]

    def _moved(self, waveforms: Float32) -> Tensor:
        return torch.from_numpy(waveforms).to(self.runtime.device)

    def _fastest(self, network: TaggerNetwork) -> TaggerNetwork:
        """Copy a tagger as it runs fastest; for lower precision its weights are rounded once."""
        fast = network.for_inference()
        if self._is_lowered(network):
            fast = copy.deepcopy(fast)
            for layer in fast.modules():
                if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear)):
                    layer.to(self.runtime.dtype)
        return fast

    def _is_lowered(self, network: object) -> bool:
        is_lower = self.runtime.dtype != torch.float32
        return is_lower and isinstance(network, TaggerNetwork) and not network.needs_float32

    def _tagged(self, tagger: Tagger, batch: Tensor) -> TaggerOutput:
        with self.runtime.autocast() if self._is_lowered(tagger) else nullcontext():
            return self._fast.get(id(tagger), tagger)(batch)


def _device_of(tagger: Tagger) -> torch.device:
    """Where a tagger's weights are, if it has any."""
    weights = tagger.parameters() if isinstance(tagger, nn.Module) else ()
    return next((weight.device for weight in weights), torch.device("cpu"))


def _array(tensor: Tensor) -> Float32:
    # NumPy has no bfloat16.
    array: Float32 = tensor.float().cpu().numpy()
    return array
