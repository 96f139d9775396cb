"""What the options of ``uss-separate`` ask of the library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipelines.separate.options import RESIDUAL, SeparateOptions, folded_text
from uss.audio.listing import list_recordings
from uss.conditions.placed_queries import PlacedQuery, placed_after, placed_queries
from uss.conditions.queries import Query
from uss.conditions.text_queries import TextQuery
from uss.detection.defaults import DEFAULT_LEVEL
from uss.interchange.marks import marked_names
from uss.results.asking import (
    example_file,
    example_queries,
    exists,
    unwanted_queries,
)
from uss.results.file_settings import FileSettings, is_aligned
from uss.results.marking import marked_files
from uss.results.placement import Placement, resolved
from uss.results.result import SeparationResult
from uss.results.stem_writer import OutputFormat
from uss.separation.candidates import tell_how_to_draw
from uss.separation.fitting import check_blind
from uss.separation.plan import Wanted
from uss.separation.presets import load_presets
from uss.separation.separator import Separator


def load_models(options: SeparateOptions) -> tuple[Separator, list[Separator]]:
    """Load what separates, and the models whose stems are candidates too.

    Raises:
        OSError, ValueError: see ``Separator.from_pretrained``.
    """
    models = options.models
    if not options.candidate_models:
        return models.load(), []
    # Some may draw, and others not: all that draw are told how.
    named = replace(models, steps=None, seed=None, guide=False)
    separator = named.load()
    alone = replace(named, separator=None, class_queries=None, text_encoder=None)
    others = [replace(alone, model=name).load() for name in options.candidate_models]
    tell_how_to_draw([separator, *others], models.steps, models.seed, models.guide)
    return separator, others


def settings_of(options: SeparateOptions, separator: Separator, form: OutputFormat) -> FileSettings:
    """Find out what is asked for."""
    check_blind(separator.conditioning.space, options.blind)
    classes = placed_queries(options.classes, separator.ontology)
    presets = load_presets(options.presets, separator.ontology)
    in_words, excluded = separator.placed_texts(options.texts)
    without = [*unwanted_queries(separator, options.without), *excluded]
    named = [*classes, *example_queries(separator, options.queries), *in_words]
    only_excludes = options.texts and not (named or presets or options.levels or options.marked)
    wanted = Wanted(
        levels=[DEFAULT_LEVEL] if only_excludes else options.levels,
        queries=placed_after(named, options.start_seconds),
        presets=presets,
        without=without,
        threshold=options.threshold,
        consistency=options.consistency,
        full_band=options.full_band,
        joint=options.joint,
        blind=options.blind,
    )
    return FileSettings(
        wanted=wanted,
        overlap=options.overlap,
        track=options.track,
        is_aligned=is_aligned(options.align),
        start_seconds=options.start_seconds,
        end_seconds=options.end_seconds,
        output_format=form,
        detect_only=options.detect_only,
        mux=options.mux,
        labels=tuple(options.labels),
        sessions=tuple(options.sessions),
        names=options.names,
        bag=options.bag,
        marked=tuple(options.marked),
        span_only=options.span_only,
        candidates=options.candidates,
        score_stems=options.score_stems,
    )


def placement_of(options: SeparateOptions) -> Placement:
    """Say what results may find; an example must not be removed with an earlier one."""
    words = (Path(word) for word in options.without)
    examples = [*map(example_file, options.queries), *(path for path in words if exists(path))]
    sources = resolved([*list_recordings(examples), *marked_files(options.marked)])
    return Placement(force=options.force, resume=options.resume, sources=sources)


def stem_for_stdout(
    options: SeparateOptions, separator: Separator, wanted: Wanted, result: SeparationResult
) -> str:
    """Find the file of the stem, or the residual, that goes to standard output."""
    if options.stdout == RESIDUAL:
        return [*result.residuals.values()][-1]
    name = _stem_name(options, separator, wanted)
    found = [stem for stem in result.stems if stem.level is None and stem.file]
    if name is None:
        return next(str(stem.file) for stem in found if stem.preset and stem.name == options.stdout)
    return next(str(stem.file) for stem in found if not stem.preset and stem.name == name)


def _stem_name(options: SeparateOptions, separator: Separator, wanted: Wanted) -> str | None:
    """What the stem is called among those asked for by name; None if it is one of a preset."""
    asked = str(options.stdout)
    if asked in {*(query.name for query in wanted.queries), *marked_names(options.marked)}:
        return asked
    if any(stem.name == asked for preset in wanted.presets for stem in preset.stems):
        return None
    for query in wanted.queries:
        if isinstance(_plain(query), TextQuery) and query.name.casefold() == folded_text(asked):
            return query.name
    key = _plain(placed_queries([asked], separator.ontology)[0]).key
    return next(query.name for query in wanted.queries if _plain(query).key == key)


def _plain(query: Query) -> Query:
    return query.query if isinstance(query, PlacedQuery) else query
