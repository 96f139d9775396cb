"""What the separator is asked with in an evaluation: five kinds of conditions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from ontology import Node, Ontology, OntologyError
from uss.audio import AudioFile, Recording
from uss.conditions.audio_queries import mean_over_segments
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.evaluation.excerpts import find_audio
from uss.evaluation.lists.captions import Captions, Condition
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import Mixture
from uss.separation.fitting import check_blind
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES

ConditionKind = Literal["oracle", "class-average", "soft-masked", "query", "text"]
"""The target's own condition (eq. 11); the mean of its class (eq. 9); the mixture's probabilities
within its class (eq. 10); the mean of recordings that the list names; its caption."""

CONDITION_KINDS: tuple[ConditionKind, ...] = get_args(ConditionKind)


class Asked(NamedTuple):
    """What a mixture is separated with.

    Attributes:
        target: asks for the target; None where that is silent, or the condition was optional.
        interferer: asks for the interferer instead; None where that is silent, or of no class
            that list and model know.
    """

    target: Condition | None
    interferer: Condition | None


class ConditionMaker:
    """Makes the conditions of mixtures.

    Args:
        separator: says in which space.
        root: the folder that the list's queries start from.
        overlap: of the segments (soft-masked conditions are those of segments).
        optional: kinds of conditions that a row need not have; others must be made for each.

    Attributes:
        captions: asks with what rows say in words.
    """

    def __init__(
        self,
        separator: Separator,
        root: Path,
        overlap: float,
        optional: Collection[ConditionKind] = (),
    ) -> None:
        self._separator = separator
        self._root = root
        self._overlap = overlap
        self._optional = optional
        self._queries: dict[tuple[str, ...], Float32] = {}
        self.captions = Captions(separator)

    def check_model(self, kinds: Sequence[ConditionKind]) -> None:
        """See whether the separator can be asked so at all.

        Raises:
            InputError: if it has no class queries, or nothing makes conditions of audio for it; or
                if it is not asked for anything.
        """
        check_blind(self._separator.conditioning.space, is_wanted=False)
        if "class-average" in kinds and self._separator.class_queries is None:
            raise InputError(
                "the model has no class queries, which class averages are; give those that "
                "uss-mine-anchors wrote with --class-queries, or choose another --condition"
            )
        if "oracle" in kinds or "query" in kinds:
            self._separator.audio_encoder()

    def check(self, kinds: Sequence[ConditionKind], row: ListRow) -> None:
        """See whether a row holds what its conditions are made of, before anything is separated.

        Raises:
            OSError: if a query's file is missing.
            InputError: if a class is unknown or has no query, or no query is named.
        """
        for kind in kinds:
            if kind in self._optional:
                continue
            if kind == "class-average":
                self._average(row.class_name, row.mids)
            elif kind == "soft-masked":
                self._class_indexes(row.class_name, row.mids)
            elif kind == "query":
                if not row.query:
                    raise InputError("it names no query, which --condition query asks with")
                for name in row.query:
                    find_audio(name, self._root)
            elif kind == "text":
                self.captions.query(row.caption)

    def make(
        self, kind: ConditionKind, rows: Sequence[ListRow], mixtures: Sequence[Mixture]
    ) -> list[Asked]:
        """Make one kind of condition for several mixtures.

        Raises:
            OSError, InputError: as ``check``; and if nothing makes conditions of audio in the
                separator's space.
        """
        if kind == "oracle":
            return self._oracle(mixtures)
        if kind == "class-average":
            return [self._class_average(row) for row in rows]
        if kind == "soft-masked":
            return [self._soft_masked(row, each) for row, each in zip(rows, mixtures, strict=True)]
        if kind == "text":
            return [self._in_words(row, each) for row, each in zip(rows, mixtures, strict=True)]
        others = self._encode([Recording(m.interferer, m.sample_rate) for m in mixtures])
        return [
            Asked(_constant(self.query(row.query)), None if other is None else _constant(other))
            for row, other in zip(rows, others, strict=True)
        ]

    def _oracle(self, mixtures: Sequence[Mixture]) -> list[Asked]:
        sources = [
            Recording(waveform, each.sample_rate)
            for each in mixtures
            for waveform in (each.target, each.interferer)
        ]
        vectors = [None if each is None else _constant(each) for each in self._encode(sources)]
        return [Asked(*pair) for pair in zip(vectors[::2], vectors[1::2], strict=True)]

    def _encode(self, sources: Sequence[Recording | AudioFile]) -> list[Float32 | None]:
        separator = self._separator
        means = mean_over_segments(
            sources,
            [separator.audio_encoder().encode],
            sample_rate=separator.encoder.sample_rate,
            segment_seconds=separator.model.segment_seconds,
            runtime=separator.runtime,
        )
        return [None if mean is None else mean[0] for mean in means]

    def query(self, names: tuple[str, ...]) -> Float32:
        """Average the conditions of a query's files; each list of files is encoded once.

        Raises:
            OSError, InputError: if a file cannot be read, or all of them are silent.
        """
        if names not in self._queries:
            vectors = self._encode([AudioFile(*find_audio(name, self._root)) for name in names])
            heard = [vector for vector in vectors if vector is not None]
            if not heard:
                raise InputError(f"its query {names[0]} is silent; name a recording of the sound")
            self._queries[names] = np.mean(heard, axis=0)
        return self._queries[names]

    def _class_average(self, row: ListRow) -> Asked:
        is_optional = "class-average" in self._optional
        if is_optional and not self._knows(row.class_name, row.mids):
            return Asked(None, None)
        wanted = _constant(self._average(row.class_name, row.mids))
        if not self._knows(row.interferer_class, row.interferer_mids):
            return Asked(wanted, None)
        return Asked(wanted, _constant(self._average(row.interferer_class, row.interferer_mids)))

    def _average(self, name: str, mids: Sequence[str]) -> Float32:
        """Average the queries of the nodes; one without its own has those below it."""
        nodes = class_nodes(name, mids, self._separator.ontology)
        found = (_query_of(node, self._separator) for node in nodes)
        vectors = [vector for vector in found if vector is not None]
        if not vectors:
            raise InputError(
                f"the model has no query for the class {name or mids[0]!r}; leave the row out"
            )
        average: Float32 = np.mean(vectors, axis=0, dtype=np.float32)
        return average

    def _soft_masked(self, row: ListRow, mixture: Mixture) -> Asked:
        separator = self._separator
        heard = separator.analyse(_recording(mixture), self._overlap).for_conditions

        def asking(indexes: Sequence[int]) -> Condition:
            return lambda segments: separator.conditioning.class_conditions(
                indexes, heard[segments]
            )

        wanted = asking(self._class_indexes(row.class_name, row.mids))
        if not self._knows(row.interferer_class, row.interferer_mids):
            return Asked(wanted, None)
        return Asked(wanted, asking(self._class_indexes(row.interferer_class, row.interferer_mids)))

    def _in_words(self, row: ListRow, mixture: Mixture) -> Asked:
        heard = self._separator.analyse(_recording(mixture), self._overlap).for_conditions
        wanted = self.captions.condition(row.caption, heard)
        return Asked(wanted, self.captions.other_condition(row.interferer_caption, heard))

    def _knows(self, name: str, mids: Sequence[str]) -> bool:
        """Whether a class is named, in the ontology, and one that the model can separate."""
        try:
            return bool(self._class_indexes(name, mids))
        except InputError:
            return False

    def _class_indexes(self, name: str, mids: Sequence[str]) -> list[int]:
        """All classes at or below those that a row names."""
        separator = self._separator
        nodes = class_nodes(name, mids, separator.ontology)
        indexes = sorted({i for node in nodes for i in separator.ontology.class_indexes(node)})
        queries = separator.class_queries
        if queries is not None and set(indexes).isdisjoint(queries.class_indexes):
            raise InputError(
                f"the model has no query for the class {nodes[0].name!r}; leave the row out"
            )
        return indexes


def class_nodes(name: str, mids: Sequence[str], ontology: Ontology) -> list[Node]:
    """Find the classes that a row names, by its ids or else its name.

    Raises:
        InputError: if it names none, or one is unknown.
    """
    if not name and not mids:
        raise InputError(
            "it names no class; fill the column class or mids, or choose --condition oracle"
        )
    try:
        # What a data set calls its classes is not guessed at, or scores would change unseen.
        return [ontology.find(each, aliases=False) for each in mids or (name,)]
    except OntologyError as error:
        raise InputError(
            f"{error}; or give its AudioSet ids in the column mids, or another --condition"
        ) from None


def _query_of(node: Node, separator: Separator) -> Float32 | None:
    """Take a node's query, or the average of those below it; None if there is none."""
    if node.mid in separator.conditioning.own:
        return separator.conditioning.own[node.mid]
    queries = separator.class_queries
    assert queries is not None, "check_model has seen to it"
    indexes = separator.ontology.class_indexes(node)
    if node.class_index is not None and node.class_index in queries.class_indexes:
        indexes = (node.class_index,)
    return queries.condition(indexes, np.zeros(NUM_CLASSES, np.float32))


def _recording(mixture: Mixture) -> Recording:
    return Recording(mixture.mixture, mixture.sample_rate)


def _constant(vector: Float32) -> Condition:
    return lambda segments: np.repeat(vector[None], len(segments), axis=0)
