"""What a separator can be asked with, made of what people have: names, recordings, words."""

from __future__ import annotations

from collections.abc import Iterable

from ontology import Ontology
from uss.audio import AudioSource
from uss.checkpoints.bundle import Bundle
from uss.conditions.asking_in_words import Asked, ask_in_words, listed_texts
from uss.conditions.audio_queries import AudioEncoder, make_audio_query
from uss.conditions.clap import Clap
from uss.conditions.placed_queries import PlacedQuery, is_placed, split_place, united
from uss.conditions.queries import AudioQuery, Query, named_queries
from uss.conditions.text_classes import load_text_classes
from uss.conditions.text_encoders import TextEncoder
from uss.core.runtime import Runtime
from uss.models import SeparatorNetwork
from uss.taggers import TaggerNetwork


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
