"""Separating and scoring the mixtures of an evaluation list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uss.audio import Recording
from uss.audio.segments import Segmentation
from uss.core.arrays import Waveform
from uss.core.errors import INPUT_ERRORS, InputError
from uss.core.read_ahead import read_ahead
from uss.evaluation.excerpts import find_audio
from uss.evaluation.lists.condition_maker import Asked, ConditionKind, ConditionMaker
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import Mixture, load_mixture
from uss.evaluation.lists.output_scores import OfCaption, OfClass, OutputScore
from uss.evaluation.lists.row_scores import RowScores
from uss.evaluation.lists.row_scoring import Embedding, RowScorer
from uss.evaluation.lists.scoring import TAGGER_SCORE, TEXT_MATCH, Metric, check_metrics
from uss.separation.batching import Batcher
from uss.separation.chunk_drawing import whole_frames
from uss.separation.consistency import Combination
from uss.separation.separator import Separator
from uss.separation.stream import StemStream, whole_stems
from uss.separation.work import Work

SWAPPED = ", swapped"
"""Appended to the name of a condition: the separator was asked for the interferer instead."""
TOGETHER = ", together"
"""Appended likewise: for both, which then share the bins (``uss.models.competition``)."""
MIXTURE, HALF_MIXTURE = "mixture", "half mixture"
"""What every output has to beat: the mixture as it is, and all of it 6 dB down."""

_BATCH_SECONDS = 60.0


@dataclass(frozen=True)
class ListSettings:
    """How a list is evaluated.

    Attributes:
        conditions: what the separator is asked with; all in one pass.
        metrics: which scores.
        overlap: of neighbouring segments.
        keep_going: rows that cannot be evaluated are noted instead of ending the evaluation.
        optional: conditions that are left out where a row's class is unknown.
        is_joint: both sources are also asked for together.
    """

    conditions: Sequence[ConditionKind]
    metrics: Sequence[Metric]
    overlap: float
    keep_going: bool = False
    optional: Sequence[ConditionKind] = ()
    is_joint: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of all outputs that are scored."""
        ways = ("", SWAPPED, TOGETHER) if self.is_joint else ("", SWAPPED)
        asked = [kind + way for kind in self.conditions for way in ways]
        return (*asked, MIXTURE, HALF_MIXTURE)


@dataclass(frozen=True)
class _Loaded:
    """A row with its audio, or with what is wrong with it."""

    index: int
    row: ListRow
    mixture: Mixture | None
    error: Exception | None = None


class ListEvaluation:
    """Evaluates the rows of a list.

    Args:
        separator: what is evaluated.
        name: of the list, for messages.
        rows: of the list.
        root: the folder its audio starts from.
        settings: conditions and metrics.
        others: what scores metrics that need networks beside the separator's.
        embedding: makes embeddings; None where no metric needs them.
    """

    def __init__(
        self,
        separator: Separator,
        name: str,
        rows: Sequence[ListRow],
        root: Path,
        settings: ListSettings,
        others: Mapping[Metric, OutputScore] | None = None,
        embedding: Embedding | None = None,
    ) -> None:
        self._separator = separator
        self._name = name
        self._rows = rows
        self._root = root
        self._settings = settings
        self._conditions = ConditionMaker(separator, root, settings.overlap, settings.optional)
        captions = self._conditions.captions
        own: dict[Metric, OutputScore] = {
            TEXT_MATCH: OfCaption(captions),
            TAGGER_SCORE: OfClass(separator, captions, settings.overlap),
        }
        scores = {**own, **(others or {})}
        self._scorer = RowScorer(settings.metrics, settings.outputs, scores, embedding)
        self._batcher: Batcher = separator.batcher()

    def check(self) -> None:
        """Look at model and rows before the first is separated.

        Raises:
            InputError: if the model cannot be asked so, or the extra of a metric is not installed;
                unless errors are kept, also if a file is missing or a condition cannot be made,
                naming the row.
        """
        self._conditions.check_model(self._settings.conditions)
        check_metrics(self._settings.metrics)
        if self._settings.keep_going:
            return
        for index, row in enumerate(self._rows):
            try:
                self._check_row(row)
            except INPUT_ERRORS as error:
                raise self._named(index, error) from error

    def scores(self, indexes: Sequence[int]) -> Iterator[RowScores]:
        """Separate and score some rows, in batches over mixtures; in their order.

        Raises:
            InputError: if a row cannot be evaluated, unless errors are kept; it names the row.
        """
        with closing(read_ahead(self._load(indexes))) as loaded:
            for batch in _batches(loaded):
                yield from self._evaluate(batch)

    def _check_row(self, row: ListRow) -> None:
        for name in row.files:
            find_audio(name, self._root)
        self._conditions.check(self._settings.conditions, row)
        self._scorer.check(row)

    def _named(self, index: int, error: Exception) -> InputError:
        # The header is row 1.
        return InputError(f"{self._name}, row {index + 2}: {error}")

    def _load(self, indexes: Sequence[int]) -> Iterator[_Loaded]:
        for index in indexes:
            row = self._rows[index]
            try:
                self._check_row(row)
                yield _Loaded(index, row, load_mixture(row, self._root))
            except INPUT_ERRORS as error:
                yield _Loaded(index, row, None, error)

    def _with_query(self, loaded: _Loaded) -> _Loaded:
        """Encode a row's query, so that what is wrong with it is known to be this row's."""
        if loaded.mixture is None or "query" not in self._settings.conditions:
            return loaded
        try:
            self._conditions.query(loaded.row.query)
        except INPUT_ERRORS as error:
            return replace(loaded, mixture=None, error=error)
        return loaded

    def _evaluate(self, loaded: Sequence[_Loaded]) -> Iterator[RowScores]:
        batch = [self._with_query(each) for each in loaded]
        outputs = self._separate([(b.row, b.mixture) for b in batch if b.mixture is not None])
        for each in batch:
            found = RowScores(each.index, each.row.class_name, each.row.group)
            error = each.error
            if each.mixture is not None:
                waveforms = next(outputs)
                try:
                    embeddings = self._scorer.embeddings(waveforms, each.mixture)
                    scores = self._scorer.scores(waveforms, each.mixture, each.row, embeddings)
                    found = replace(found, scores=scores, embeddings=embeddings)
                except INPUT_ERRORS as reason:
                    error = reason
            if error is not None and not self._settings.keep_going:
                raise self._named(each.index, error) from error
            yield found if error is None else replace(found, error=" ".join(str(error).split()))

    def _separate(self, batch: Sequence[tuple[ListRow, Mixture]]) -> Iterator[dict[str, Waveform]]:
        """Give the outputs of each mixture that there are; the batcher is filled across them."""
        rows, mixtures = [row for row, _ in batch], [mixture for _, mixture in batch]
        asked: list[dict[str, Asked]] = [{} for _ in batch]
        for kind in self._settings.conditions:
            made = self._conditions.make(kind, rows, mixtures) if batch else []
            for conditions, each in zip(asked, made, strict=True):
                conditions[kind] = each
        streams = [self._stream(m, each) for m, each in zip(mixtures, asked, strict=True)]
        with ExitStack() as stack:
            for stream, _ in streams:
                stack.enter_context(closing(stream))
            pieces = [list(stream.read()) for stream, _ in streams]
            self._batcher.flush()
            for mixture, (stream, names), read in zip(mixtures, streams, pieces, strict=True):
                stems = whole_stems([*read, *stream.rest()], len(names), mixture.mixture)
                outputs = dict(zip(names, stems, strict=True))
                half = (0.5 * mixture.mixture).astype(np.float32)
                yield {**outputs, MIXTURE: mixture.mixture, HALF_MIXTURE: half}

    def _stream(self, mixture: Mixture, asked: dict[str, Asked]) -> tuple[StemStream, list[str]]:
        """Ask for the target, the interferer, and perhaps both, in all segments of a mixture."""
        model = self._separator.model
        num_samples = mixture.mixture.shape[1]
        segmentation = Segmentation.of(
            max(1, round(num_samples * model.sample_rate / mixture.sample_rate)),
            round(model.segment_seconds * model.sample_rate),
            whole_frames(self._settings.overlap, model),
        )
        wanted = {kind: each.target for kind, each in asked.items()}
        wanted |= {kind + SWAPPED: each.interferer for kind, each in asked.items()}
        alone = {name: each for name, each in wanted.items() if each is not None}
        names, rows = list(alone), list(alone.values())
        sources, contests = list(range(len(rows))), []
        for kind, each in asked.items() if self._settings.is_joint else ():
            if each.target is not None and each.interferer is not None:
                contests.append((len(rows), len(rows) + 1))
                sources.append(len(rows))
                rows += [each.target, each.interferer]
                names.append(kind + TOGETHER)
        work = Work(
            num_samples=num_samples,
            segmentation=segmentation,
            active=np.ones((len(rows), segmentation.num_segments), bool),
            conditions=lambda row, segments: rows[row](segments),
            combination=Combination(sources=tuple(sources)),
            contests=contests,
        )
        recording = Recording(mixture.mixture, mixture.sample_rate)
        return StemStream(recording, work, self._batcher), names


def _batches(loaded: Iterator[_Loaded]) -> Iterator[list[_Loaded]]:
    """Group what is loaded until there is enough to fill the separator's batches."""
    batch: list[_Loaded] = []
    seconds = 0.0
    for each in loaded:
        batch.append(each)
        if each.mixture is not None:
            seconds += each.mixture.mixture.shape[1] / each.mixture.sample_rate
        if seconds >= _BATCH_SECONDS:
            yield batch
            batch, seconds = [], 0.0
    if batch:
        yield batch
