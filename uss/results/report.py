"""A page to look through and listen to a result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from ontology import Ontology
from uss.core.files import written_whole
from uss.results.report_pictures import Pictures
from uss.results.report_tracks import file_link, groups_of_tracks, mixture_strip
from uss.results.report_tree import class_tree, clock, count_of, listed
from uss.results.result import RunSettings, SeparationResult

_GENERATED = (
    '<p class="notice">No sample of a generated stem is of the recording; the residual is what is '
    "left without them, and so holds their errors too.</p>"
)
_TOLD_IF_SET = (
    "thresholds",
    "steps",
    "seed",
    "candidates",
    "candidate_models",
    "score_stems",
)
_CHANNELS = {1: "mono", 2: "stereo"}


def write_report(
    path: str | Path,
    result: SeparationResult,
    ontology: Ontology,
    exported: Sequence[str] = (),
    pictures: Pictures | None = None,
) -> None:
    """Write ``report.html``: one page that needs neither a server nor the network.

    It refers to ``timeline.png`` and to the stems by relative links, so it belongs into the
    folder of the result and moves with it. Where nothing was separated it has no players.

    Args:
        path: the page.
        result: what it shows.
        ontology: places the classes in a tree.
        exported: files for other programs, in the same folder.
        pictures: of the files, see ``picture_files``; files without one show only their times.

    Raises:
        ValueError: if the ontology lacks one of the classes.
    """
    drawn, has_players = pictures or Pictures(), bool(result.residuals)
    excluded = [f"<li>{escape(str(each))}</li>" for each in result.excluded]
    links = [f"<li>{file_link(file)}</li>" for file in exported]
    settings = [
        f"<dt>{escape(str(key))}</dt><dd>{escape(_plain(value))}</dd>"
        for key, value in asdict(result.settings).items()
        if key not in _TOLD_IF_SET or value != getattr(RunSettings(), key)
    ]
    page = Template(_part("report.html")).substitute(
        style=_part("report.css"),
        script=_part("report.js"),
        keys=_part("report_keys.html") if has_players else "",
        player=_part("report_player.html") if has_players else "",
        input=escape(result.input),
        seconds=f"{result.duration_seconds:.7g}",
        separated="separated" if has_players else "detected",
        facts=escape(" · ".join(_facts(result))),
        notice=_GENERATED if any(stem.generated for stem in result.stems) else "",
        mixture="\n".join(mixture_strip(result, drawn)),
        groups="\n".join(groups_of_tracks(result, drawn)) or "<p>Nothing was found.</p>",
        exported="\n".join(listed("exported", "For other programs", links)),
        tree="\n".join(class_tree(result.stems, ontology)) or "<p>Nothing was found.</p>",
        excluded="\n".join(listed("excluded", "Kept out of all stems", excluded)),
        settings="\n".join(settings),
    )
    with written_whole(path) as part:
        # A file name that is no valid Unicode must not stop the page.
        part.write_text(page, encoding="utf-8", errors="replace")


def _part(name: str) -> str:
    """What the page consists of beside the result: markup, style, script."""
    return resources.files("uss.results").joinpath(name).read_text(encoding="utf-8")


def _facts(result: SeparationResult) -> Iterator[str]:
    seconds = result.duration_seconds
    yield f"{seconds:.3g} s" if seconds < 60.0 else clock(seconds)
    yield f"{result.sample_rate} Hz"
    channels = _CHANNELS.get(result.num_channels, f"{result.num_channels} channels")
    is_named = result.num_channels > 2 and result.channel_layout
    yield f"{channels}, {result.channel_layout}" if is_named else channels
    if result.start_seconds:
        yield f"from {clock(result.start_seconds)} on"
    if len(result.tracks) > 1:
        yield f"audio track {result.tracks[result.settings.track - 1]} of {len(result.tracks)}"
    if result.film_offset_seconds:
        yield f"the track starts at {result.film_offset_seconds:.3f} s of the film"
    yield count_of(len(result.stems), "stem" if result.residuals else "detection")


def _plain(value: object) -> str:
    if value is None:
        return "default"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
