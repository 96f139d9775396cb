"""What a separator can be asked with, made of what people have: names, recordings, words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ontology import Ontology
from uss.audio import AudioSource, Recording
from uss.checkpoints.bundle import Bundle
from uss.conditions.asking_in_words import Asked, ask_in_words, listed_texts
from uss.conditions.audio_queries import AudioEncoder, make_audio_query
from uss.conditions.clap import Clap
from uss.conditions.placed_queries import PlacedQuery, united
from uss.conditions.queries import AudioQuery, Query, named_queries
from uss.conditions.span_queries import (
    REST_WEIGHT,
    ReadPart,
    SpanMaker,
    only_where_marked,
)
from uss.conditions.text_classes import load_text_classes
from uss.conditions.text_encoders import TextEncoder
from uss.core.runtime import Runtime
from uss.core.spans import Span, is_placed, listed_spans, split_place
from uss.models import SeparatorNetwork
from uss.taggers import TaggerNetwork


class Beside(NamedTuple):
    """What is asked for beside classes.

    Attributes:
        queries: by example, in words, and by what is marked.
        excluded: what the words leave out.
    """

    queries: tuple[Query, ...]
    excluded: tuple[Query, ...]


class QueryMaker:
    """Makes queries for the separator that it is a part of.

    Attributes:
        ontology: knows the names.
        bundle: may hold a query net.
        model, encoder: of the separator.
        text_encoder: of the separator's space, if there is one.
        runtime: where networks run.
    """

    ontology: Ontology
    bundle: Bundle
    model: SeparatorNetwork
    encoder: TaggerNetwork
    text_encoder: TextEncoder | None
    runtime: Runtime

    def class_query(self, name: str | int) -> Query:
        """Ask by name, mid, class index or alias; see ``named_queries``."""
        return named_queries(name, self.ontology)[0]

    def audio_query(self, name: str, examples: Iterable[AudioSource]) -> AudioQuery:
        """Make a query, and a stem's name, of recordings that sound like what is wanted.

        Raises:
            OSError, ValueError: if an example cannot be read or is silent, or nothing here makes
                conditions of audio in the separator's space.
        """
        seconds, encoder = self.model.segment_seconds, self.audio_encoder()
        return make_audio_query(
            name, examples, encoder, self.encoder, segment_seconds=seconds, runtime=self.runtime
        )

    def audio_encoder(self) -> AudioEncoder:
        """Return what makes conditions of audio in the separator's space; see ``AudioEncoder``."""
        space, net, words = self.model.condition_space, self.bundle.query_net, self.text_encoder
        device = self.runtime.device
        if isinstance(words, Clap) and words.space == space:
            return AudioEncoder(space, words.ears.to(device), hears_whole=True)
        return AudioEncoder.choose(space, self.encoder, net and net.to(device))

    def span_queries(
        self,
        spans: Sequence[Span],
        read: ReadPart,
        heard: tuple[float, float],
        *,
        only: bool = False,
        rest_weight: float = REST_WEIGHT,
    ) -> list[Query]:
        """Ask for what sounds in marked seconds of the recording; one query for each name.

        Args:
            spans: with ends that the recording has.
            read: reads parts of it.
            heard: (start, end) of what is separated.
            only: whether it is wanted where it is marked, and nowhere else.
            rest_weight: see ``SpanMaker``.

        Raises:
            OSError, ValueError: if a part cannot be read or all are silent, or nothing here makes
                conditions of audio in the separator's space.
        """
        seconds, encoder = self.model.segment_seconds, self.audio_encoder()
        maker = SpanMaker(encoder, self.encoder, seconds, self.runtime, rest_weight)
        made = maker.queries(spans, read, heard)
        return [only_where_marked(each, *heard) if only else each for each in made]

    def marked_queries(
        self, recording: Recording, spans: Span | str | Iterable[Span | str], only: bool
    ) -> list[Query]:
        """Ask for what is marked in a recording that fits into memory; see ``span_queries``."""
        rate = recording.sample_rate
        seconds = recording.num_samples / rate

        def read(start: float, end: float) -> Recording:
            return Recording(recording.waveform[:, round(start * rate) : round(end * rate)], rate)

        given = [each.within(seconds) for each in listed_spans(spans)]
        return self.span_queries(given, read, (0.0, seconds), only=only) if given else []

    def asked_beside(
        self,
        queries: Sequence[AudioQuery],
        texts: str | Iterable[str],
        recording: Recording,
        spans: Span | str | Iterable[Span | str],
        only: bool,
    ) -> Beside:
        """Ask for what is named by no class: examples, words, and what is marked."""
        in_words, excluded = self.placed_texts(texts)
        marked = self.marked_queries(recording, spans, only)
        return Beside((*queries, *in_words, *marked), tuple(excluded))

    def text_queries(self, texts: str | Iterable[str]) -> Asked:
        """Ask in words: by the separator's own encoder of texts, else by classes.

        Args:
            texts: one, or several.

        Raises:
            OSError, ValueError: if a text cannot be understood; see ``ask_in_words``.
        """
        return ask_in_words(
            listed_texts(texts), load_text_classes(), self.ontology, self.text_encoder
        )

    def placed_texts(self, texts: str | Iterable[str]) -> tuple[list[Query], list[Query]]:
        """Ask in words, of which some may be ``TEXT@START-END``; see ``text_queries``.

        Returns:
            What is asked for, and what is excluded, which is so at all times.
        """
        queries: list[Query] = []
        without: list[Query] = []
        for text in listed_texts(texts):
            words, spans = split_place(text) if is_placed(text) else (text, None)
            asked = self.text_queries(words)
            queries += (
                each if spans is None else PlacedQuery.of(each, spans) for each in asked.queries
            )
            without += asked.without
        return united(queries), without
