"""What results note of the run that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from uss.checkpoints.loading import weight_hash
from uss.core.hashes import short_hash
from uss.results.file_settings import FileSettings
from uss.results.request import request_hash
from uss.results.result import RunSettings, ThresholdOrigin
from uss.separation.fitting import shares_bins
from uss.separation.separator import Separator


def describe_run(
    separator: Separator, settings: FileSettings, others: Sequence[Separator] = ()
) -> RunSettings:
    """Note what results depend on beside their recordings.

    The track is the first where each film's default is taken; see ``RecordingJob.described_for``.

    Args:
        separator: finds and separates.
        settings: what is done.
        others: whose stems are candidates too.
    """
    wanted = settings.wanted
    detector = separator.detector
    threshold = wanted.threshold if wanted.levels else detector.as_asked(wanted.threshold)
    values = detector.thresholds(threshold)
    shared = bool(np.all(values == values[0]))
    drawing = separator.drawing
    return RunSettings(
        model=separator.names.model,
        separator_hash=separator.separator_hash,
        class_queries=separator.names.class_queries,
        tagger=separator.tagger.name,
        tagger_hash=weight_hash(separator.tagger),
        tagger_architecture=type(separator.tagger).__name__,
        tagger_architecture_from=separator.tagger.architecture_from,
        threshold=round(float(values[0]), 6) if shared else None,
        sensitivity=threshold if isinstance(threshold, str) else None,
        thresholds=None if shared else _origin(separator, values),
        overlap=settings.overlap,
        precision=str(separator.runtime.dtype).removeprefix("torch."),
        track=settings.track or 1,
        align="film" if settings.is_aligned else "track",
        start_seconds=settings.start_seconds,
        end_seconds=settings.end_seconds,
        without=[query.name for query in wanted.without],
        consistency=wanted.consistency,
        full_band=wanted.full_band,
        joint=shares_bins(separator.model, wanted.joint),
        **({} if drawing is None else asdict(drawing)),
        candidates=settings.candidates,
        candidate_models={str(each.names.model): each.separator_hash for each in others},
        score_stems=settings.score_stems,
        request_hash=request_hash(_request(separator, settings)),
    )


def _request(separator: Separator, settings: FileSettings) -> list[object]:
    """List what results depend on that nothing else of ``RunSettings`` tells."""
    encoder = separator.encoder
    own = None if encoder is separator.tagger else weight_hash(encoder)
    queries = separator.class_queries
    if queries is None and separator.conditioning.own:
        queries = separator.bundle.class_queries
    request: list[object] = [
        replace(settings, track=None, bag=False),
        queries and queries.identity,
        own,
    ]
    words = separator.names.text_encoder
    return request if words is None else [*request, words]


def _origin(separator: Separator, values: np.ndarray) -> ThresholdOrigin:
    identity = short_hash(np.ascontiguousarray(values, np.float32).tobytes())
    calibration = separator.bundle.provenance.get("thresholds", {})
    return ThresholdOrigin(separator.names.model, identity, calibration)
