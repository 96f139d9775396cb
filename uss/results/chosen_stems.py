"""Stems of several candidates, of which those that the tagger likes best become the result's."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uss.audio import AudioFile, AudioSource, AudioWriter
from uss.audio.sources import Remainder, block_samples, reblock
from uss.core.errors import InputError
from uss.detection.analysis import Analysis
from uss.metrics.tagger_score import TaggerScore
from uss.results.result import StemResult
from uss.results.stem_scores import StemCandidate, best_of
from uss.separation.candidates import Candidate, works_of
from uss.separation.plan import Plan
from uss.separation.stem_scoring import StemScorer
from uss.separation.stream import Piece, StemStream
from uss.separation.work import Work

logger = logging.getLogger(__name__)

_SCRATCH = ".candidates."


@dataclass(frozen=True)
class Scene:
    """A recording, and what is wanted of it.

    Attributes:
        source: the recording.
        analysis: what was heard in it.
        plan: what is separated.
        overlap: of neighbouring segments.
    """

    source: AudioSource
    analysis: Analysis
    plan: Plan
    overlap: float

    def scores(self, scorer: StemScorer, files: Sequence[Path]) -> list[TaggerScore | None]:
        """Let a tagger score the files of all stems, each where its query was active."""
        found = []
        for detection, path in zip(self.plan.detections, files, strict=True):
            stem = AudioFile(path)
            indexes, active = detection.query.class_indexes, detection.active
            rest = Remainder(self.source, stem)
            found.append(scorer.score(indexes, stem, rest, active))
        return found


class ChosenStems:
    """Separates a recording by each candidate in turn, and gives the best stems, piece by piece.

    It stands where a ``StemStream`` does. Candidates lie on disk, at most two of each stem at a
    time, so that memory does not depend on the recording's length, nor on how many there are.

    Args:
        folder: for what is written meanwhile; nothing of it stays.
        scene: what is separated.
        candidates: two or more; the first one's tagger scores.
        joint: see ``Wanted``.
        progress: called with the number of pairs of segment and query just done.

    Raises:
        OSError, ValueError: see ``works_of``.
    """

    is_waiting = False

    def __init__(
        self,
        folder: Path,
        scene: Scene,
        candidates: Sequence[Candidate],
        joint: bool | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        self._scene = scene
        self._candidates = candidates
        self._progress = progress
        parts = (scene.source, scene.analysis, scene.plan, scene.overlap)
        self._works = works_of(candidates, *parts, joint)
        self._scorer = StemScorer(candidates[0].separator, scene.overlap)
        self._scores: list[list[TaggerScore | None]] = []
        self._scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=folder))

    @property
    def num_pairs(self) -> int:
        """How often separators are asked in all."""
        return sum(int(np.count_nonzero(work.active)) for work in self._works)

    def read(self) -> Iterator[Piece]:
        """Separate, choose, and give the pieces of what was chosen.

        Raises:
            OSError, ValueError: if the recording cannot be read, or the disk is full.
            Exception: that a separator raised.
        """
        self._check_space()
        kept = [self._scratch / f"kept{number}.wav" for number in range(self._num_stems)]
        for number, (candidate, work) in enumerate(zip(self._candidates, self._works, strict=True)):
            files = self._separate(candidate, work)
            self._scores.append(self._scene.scores(self._scorer, files))
            for stem, file in enumerate(files):
                if best_of(self._scores_of(stem)) == number:
                    os.replace(file, kept[stem])
        if any(score is None for score in self._scores[0]):
            logger.warning(
                "stems that stand for no class cannot be scored; of those the first candidate is "
                "kept"
            )
        yield from self._pieces(kept)

    def rest(self) -> Iterator[Piece]:
        """Nothing is left."""
        return iter(())

    def close(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def noted(self, stems: Sequence[StemResult]) -> list[StemResult]:
        """Note in stems which candidates there were, and what was kept."""
        return [self._noted(number, stem) for number, stem in enumerate(stems)]

    @property
    def _num_stems(self) -> int:
        return len(self._scene.plan.detections)

    def _scores_of(self, stem: int) -> list[TaggerScore | None]:
        return [scores[stem] for scores in self._scores]

    def _noted(self, number: int, stem: StemResult) -> StemResult:
        scores = self._scores_of(number)
        best = best_of(scores)
        candidates = tuple(
            StemCandidate(each.model, each.seed, score, kept=place == best)
            for place, (each, score) in enumerate(zip(self._candidates, scores, strict=True))
        )
        generated = self._candidates[best].generates
        return replace(stem, generated=generated, score=scores[best], candidates=candidates)

    def _separate(self, candidate: Candidate, work: Work) -> list[Path]:
        """Write all stems of a candidate."""
        files = [self._scratch / f"stem{number}.wav" for number in range(self._num_stems)]
        source, num_samples = self._scene.source, self._scene.analysis.num_samples
        with ExitStack() as opened:
            writers = [
                opened.enter_context(
                    AudioWriter(file, source.sample_rate, source.num_channels, "FLOAT", num_samples)
                )
                for file in files
            ]
            stream = StemStream(source, work, candidate.batcher(), self._progress)
            for piece in stream:
                silence = np.zeros_like(piece.mixture)
                for writer, samples in zip(writers, piece.stems, strict=True):
                    writer.write(silence if samples is None else samples)
        return files

    def _pieces(self, kept: Sequence[Path]) -> Iterator[Piece]:
        source = self._scene.source
        length = block_samples(source.sample_rate, source.num_channels)
        sources = [source, *(AudioFile(path) for path in kept)]
        start = 0
        for mixture, *stems in zip(*(reblock(s.blocks(), length) for s in sources), strict=True):
            yield Piece(start, mixture, tuple(stems))
            start += mixture.shape[1]

    def _check_space(self) -> None:
        """Refuse before the work what would fill the disk meanwhile."""
        source = self._scene.source
        values = self._scene.analysis.num_samples * source.num_channels
        needed = 2 * self._num_stems * 4 * values
        free = shutil.disk_usage(self._scratch).free
        if needed > free:
            raise InputError(
                f"candidates of {self._num_stems} stems need {needed / 1e6:.1f} MB meanwhile, "
                f"{free / 1e6:.1f} MB are free; choose another output folder, or fewer stems"
            )
