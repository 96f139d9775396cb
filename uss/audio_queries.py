"""Queries by example: from recordings to conditions."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uss.audio import AudioSource, Waveform, resample_blocks
from uss.buffers import StreamBuffer
from uss.queries import AudioQuery, EmbeddingEncoder
from uss.query_nets import QueryNet
from uss.runtime import Runtime
from uss.taggers import PROBABILITY_SPACE, TaggerNetwork

_SILENCE_PEAK = 1e-4
_MIN_SECONDS = 0.3


@dataclass(frozen=True)
class AudioEncoder:
    """Makes conditions of audio in a separator's space.

    Attributes:
        space: the named space.
        encode: maps (B, T) waveforms at the tagger's rate to (B, H).
    """

    space: str
    encode: Callable[[Tensor], Tensor]

    @classmethod
    def choose(cls, space: str, tagger: TaggerNetwork, query_net: QueryNet | None) -> AudioEncoder:
        """Find what leads to a space.

        Args:
            space: the separator's condition space.
            tagger: its probabilities or embeddings may lie there.
            query_net: what was trained together with the separator.

        Raises:
            ValueError: if none of them does.
        """
        if query_net is not None and query_net.space == space:
            net = query_net.eval()
            stored = cls.choose(net.stored_space, tagger, None)
            return cls(space, lambda waveform: net(stored.encode(waveform), waveform))
        if space == PROBABILITY_SPACE:
            return cls(space, lambda waveform: tagger(waveform).clipwise)
        embedding = EmbeddingEncoder(tagger)
        if embedding.space == space:
            return cls(space, embedding)
        raise ValueError(
            f"the separator takes conditions of {space!r}, the tagger {tagger.name!r} makes "
            f"{embedding.space!r}; a query by example needs a model whose file holds the tagger "
            "that its separator was trained with"
        )


def make_audio_query(
    name: str,
    examples: Iterable[AudioSource],
    encoder: AudioEncoder,
    tagger: TaggerNetwork,
    *,
    segment_seconds: float,
    runtime: Runtime,
) -> AudioQuery:
    """Average the conditions of the segments that are not silent, first within each example.

    Args:
        name: what the query's stem is called.
        examples: recordings of the sound.
        encoder: makes the conditions.
        tagger: says which classes the examples are of.
        segment_seconds: what the separator was trained on.
        runtime: where networks run.

    Raises:
        OSError, ValueError: if an example cannot be read, or all of them are silent.
    """
    vectors, probabilities = [], []
    with torch.inference_mode():
        for example in examples:
            batches = [
                (encoder.encode(batch), tagger(batch).clipwise)
                for batch in _batches(example, tagger.sample_rate, segment_seconds, runtime)
            ]
            if batches:
                vectors.append(torch.cat([vector for vector, _ in batches]).mean(dim=0))
                probabilities.append(torch.cat([heard for _, heard in batches]).mean(dim=0))
    if not vectors:
        raise ValueError(f"the query {name!r} is silent; give a recording of the sound")
    return AudioQuery(
        name,
        encoder.space,
        torch.stack(vectors).mean(dim=0).float().cpu().numpy(),
        torch.stack(probabilities).mean(dim=0).float().cpu().numpy(),
    )


def _batches(
    example: AudioSource, sample_rate: int, segment_seconds: float, runtime: Runtime
) -> Iterator[Tensor]:
    """Give (B, S) segments that are not silent, as the mean of the channels."""
    batch: list[Waveform] = []
    for segment in _segments(example, sample_rate, round(segment_seconds * sample_rate)):
        if np.abs(segment).max() >= _SILENCE_PEAK:
            batch.append(segment)
        if len(batch) == runtime.batch_size:
            yield torch.from_numpy(np.stack(batch)).to(runtime.device)
            batch = []
    if batch:
        yield torch.from_numpy(np.stack(batch)).to(runtime.device)


def _segments(example: AudioSource, sample_rate: int, segment_samples: int) -> Iterator[Waveform]:
    """Cut a recording into (S,) segments; a last one too short to be recognised is left out."""
    buffer = StreamBuffer(1)
    start = 0
    with closing(_mono(example)) as mono:
        for block in resample_blocks(mono, example.sample_rate, sample_rate):
            buffer.append(block)
            while start + segment_samples <= buffer.end:
                yield buffer.cut(start, start + segment_samples)[0]
                start += segment_samples
                buffer.forget(start)
    rest = buffer.end - start
    if rest >= _MIN_SECONDS * sample_rate or (start == 0 and rest > 0):
        yield buffer.cut(start, start + segment_samples)[0]


def _mono(example: AudioSource) -> Generator[Waveform, None, None]:
    for block in example.blocks():
        yield block.mean(axis=0, keepdims=True)
