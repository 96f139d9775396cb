"""Queries by example: from recordings to conditions."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uss.audio import SILENCE_PEAK, AudioSource, resample_blocks
from uss.audio.buffers import StreamBuffer
from uss.conditions.class_queries import TEXT_SPACES
from uss.conditions.embedding import EmbeddingEncoder
from uss.conditions.queries import AudioQuery
from uss.conditions.query_nets import QueryNet
from uss.core.arrays import Float32, Float64, Waveform
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.taggers import PROBABILITY_SPACE, TaggerNetwork

_MIN_SECONDS = 0.3


@dataclass(frozen=True)
class AudioEncoder:
    """Makes conditions of audio in a separator's space.

    Attributes:
        space: the named space.
        encode: maps (B, T) waveforms at the tagger's rate to (B, H).
        hears_whole: whether it hears an example at once, and not segment by segment.
        is_embedding: whether conditions are a tagger's embeddings as they are.
    """

    space: str
    encode: Callable[[Tensor], Tensor]
    hears_whole: bool = False
    is_embedding: bool = False

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
            return cls(space, embedding, is_embedding=True)
        if space in TEXT_SPACES:
            raise InputError(
                f"the separator is asked in words ({space}), and nothing here makes its conditions "
                "of audio; ask for a class, or choose a model that hears examples"
            )
        raise InputError(
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

    An encoder that hears examples as a whole gives one condition for each.

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
    query = heard_in_examples(
        name, examples, encoder, tagger, segment_seconds=segment_seconds, runtime=runtime
    )
    if query is None:
        raise InputError(f"the query {name!r} is silent; give a recording of the sound")
    return query


def heard_in_examples(
    name: str,
    examples: Iterable[AudioSource],
    encoder: AudioEncoder,
    tagger: TaggerNetwork,
    *,
    segment_seconds: float,
    runtime: Runtime,
) -> AudioQuery | None:
    """Do as ``make_audio_query``, but give None where all examples are silent."""
    examples = list(examples)
    encode = () if encoder.hears_whole else (encoder.encode,)
    means = mean_over_segments(
        examples,
        (*encode, lambda segments: tagger(segments).clipwise),
        sample_rate=tagger.sample_rate,
        segment_seconds=segment_seconds,
        runtime=runtime,
    )
    heard = [each for each in means if each is not None]
    if not heard:
        return None
    if encoder.hears_whole:
        audible = [each for each, mean in zip(examples, means, strict=True) if mean is not None]
        vectors = [_encode_whole(each, encoder, tagger, runtime) for each in audible]
    else:
        vectors = [each[0] for each in heard]
    probabilities = np.mean([each[-1] for each in heard], axis=0)
    return AudioQuery(name, encoder.space, np.mean(vectors, axis=0), probabilities)


def _encode_whole(
    example: AudioSource, encoder: AudioEncoder, tagger: TaggerNetwork, runtime: Runtime
) -> Float32:
    """Encode a recording at once: (H,)."""
    with closing(_mono(example)) as mono:
        blocks = list(resample_blocks(mono, example.sample_rate, tagger.sample_rate))
    waveform = torch.from_numpy(np.concatenate(blocks, axis=1)).to(runtime.device)
    with torch.inference_mode():
        vector: Float32 = encoder.encode(waveform)[0].float().cpu().numpy()
    return vector


def mean_over_segments(
    recordings: Iterable[AudioSource],
    encoders: Sequence[Callable[[Tensor], Tensor]],
    *,
    sample_rate: int,
    segment_seconds: float,
    runtime: Runtime,
) -> list[tuple[Float32, ...] | None]:
    """Encode the segments of recordings that are not silent, and average within each recording.

    Args:
        recordings: as many as there are; segments of several share batches.
        encoders: map (B, S) waveforms to (B, H).
        sample_rate: of the encoders, in Hz.
        segment_seconds: length of a segment.
        runtime: where the encoders run.

    Returns:
        For each recording an (H,) float32 mean per encoder; None where all of it is silent.

    Raises:
        OSError, ValueError: if a recording cannot be read.
    """
    sums: list[list[Float64]] = []
    counts: list[int] = []
    batch: list[tuple[int, Waveform]] = []

    def encode() -> None:
        with torch.inference_mode():
            segments = torch.from_numpy(np.stack([segment for _, segment in batch]))
            rows = [encoder(segments.to(runtime.device)).float().cpu() for encoder in encoders]
        for number, (index, _) in enumerate(batch):
            vectors = [row[number].double().numpy() for row in rows]
            before = sums[index] or [np.zeros_like(vector) for vector in vectors]
            sums[index] = [total + vector for total, vector in zip(before, vectors, strict=True)]
            counts[index] += 1
        batch.clear()

    for index, recording in enumerate(recordings):
        sums.append([])
        counts.append(0)
        for segment in _segments(recording, sample_rate, round(segment_seconds * sample_rate)):
            if np.abs(segment).max() >= SILENCE_PEAK:
                batch.append((index, segment))
            if len(batch) == runtime.batch_size:
                encode()
    if batch:
        encode()
    return [
        tuple((total / count).astype(np.float32) for total in totals) if count else None
        for totals, count in zip(sums, counts, strict=True)
    ]


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
