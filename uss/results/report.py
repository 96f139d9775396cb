"""A page to look through and listen to a result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib import resources
from pathlib import Path, PurePosixPath
from string import Template
from urllib.parse import quote

from ontology import Ontology
from uss.core.files import written_whole
from uss.metrics.tagger_score import TaggerScore
from uss.results.report_tree import anchor_of, class_tree, clock, listed
from uss.results.result import RunSettings, SeparationResult
from uss.results.stem_scores import StemCandidate

_MAX_OPEN_INTERVALS = 6
_BAR_STEPS = 400
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


@dataclass(frozen=True)
class _Row:
    """What a table says about a stem or the residual; a residual has no probability."""

    anchor: str
    name: str
    probability: float | None
    loudness: str
    intervals: Sequence[tuple[float, float]]
    file: str | None
    generated: bool = False
    score: TaggerScore | None = None
    chosen_from: Sequence[StemCandidate] = ()


def write_report(
    path: str | Path,
    result: SeparationResult,
    ontology: Ontology,
    exported: Sequence[str] = (),
) -> None:
    """Write ``report.html``: one page that needs neither a server nor the network.

    It refers to ``timeline.png`` and to the stems by relative links, so it belongs into the
    folder of the result and moves with it. Where nothing was separated it has no players.

    Args:
        path: the page.
        result: what it shows.
        ontology: places the classes in a tree.
        exported: files for other programs, in the same folder.

    Raises:
        ValueError: if the ontology lacks one of the classes.
    """
    template = resources.files("uss.results").joinpath("report.html").read_text(encoding="utf-8")
    tables = [
        _table(folder, rows, result.duration_seconds)
        for folder, rows in _rows_by_folder(result).items()
    ]
    excluded = [f"<li>{escape(str(each))}</li>" for each in result.excluded]
    settings = [
        f"<dt>{escape(str(key))}</dt><dd>{escape(_plain(value))}</dd>"
        for key, value in asdict(result.settings).items()
        if key not in _TOLD_IF_SET or value != getattr(RunSettings(), key)
    ]
    page = Template(template).substitute(
        input=escape(result.input),
        facts=escape(" · ".join(_facts(result))),
        notice=_GENERATED if any(stem.generated for stem in result.stems) else "",
        tables="\n".join(tables) or "<p>Nothing was found.</p>",
        exported="\n".join(listed("exported", "For other programs", _links(exported))),
        tree="\n".join(class_tree(result.stems, ontology)) or "<p>Nothing was found.</p>",
        excluded="\n".join(listed("excluded", "Kept out of all stems", excluded)),
        settings="\n".join(settings),
    )
    with written_whole(path) as part:
        # A file name that is no valid Unicode must not stop the page.
        part.write_text(page, encoding="utf-8", errors="replace")


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
    yield _count(len(result.stems), "stem" if result.residuals else "detection")


def _rows_by_folder(result: SeparationResult) -> Mapping[str, list[_Row]]:
    """Rows by group, which is the folder that their files are in, or would be in."""
    folders: dict[str, list[_Row]] = {}
    for position, stem in enumerate(result.stems):
        row = _Row(
            anchor_of(position),
            stem.name,
            stem.probability,
            _decibels(stem.loudness_dbfs),
            tuple((event.onset_seconds, event.offset_seconds) for event in stem.events),
            stem.file,
            stem.generated,
            stem.score,
            stem.candidates,
        )
        folders.setdefault(stem.group, []).append(row)
    for folder, file in result.residuals.items():
        known = result.residual_loudness_dbfs
        loudness = _decibels(known[folder]) if folder in known else ""
        row = _Row(f"residual-{folder}", "residual", None, loudness, (), file)
        folders.setdefault(folder, []).append(row)
    return folders


def _table(folder: str, rows: Sequence[_Row], duration_seconds: float) -> str:
    separated = any(row.file is not None for row in rows)
    scored = any(row.score is not None for row in rows)
    number = '<th scope="col" class="number">'
    heads = f'<th scope="col">Class</th>{number}Probability</th>'
    if separated:
        heads = f'<th scope="col">Listen</th>{heads}{number}Loudness</th>'
    if scored:
        heads += f"{number}Tagger F1</th>"
    heads += '<th scope="col">Active</th>'
    if separated:
        heads += '<th scope="col">File</th>'
    name = escape(folder)
    lines = [
        f'<section aria-labelledby="folder-{name}">',
        f'<h2 id="folder-{name}">{name}</h2>',
        f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>",
        *(_table_row(row, separated, scored, duration_seconds) for row in rows),
        "</tbody>\n</table>\n</section>",
    ]
    return "\n".join(lines)


def _table_row(row: _Row, separated: bool, scored: bool, duration_seconds: float) -> str:
    probability = "" if row.probability is None else f"{row.probability:.2f}"
    mark = ' <small class="generated">generated</small>' if row.generated else ""
    mark += _choice(row.chosen_from)
    cells = [
        f'<th scope="row">{escape(row.name)}{mark}</th>',
        f'<td class="number" data-label="Probability">{probability}</td>',
    ]
    if separated:
        cells.insert(0, f"<td>{_player(row, duration_seconds)}</td>")
        cells.append(f'<td class="number" data-label="Loudness">{row.loudness}</td>')
    if scored:
        cells.append(_score(row.score))
    cells.append(f'<td data-label="Active">{_intervals(row)}</td>')
    if separated:
        cells.append(f"<td>{_link(row.file)}</td>")
    opening = f'<tr id="{escape(row.anchor)}" data-name="{escape(row.name)}">'
    return f"{opening}\n{''.join(cells)}</tr>"


def _choice(candidates: Sequence[StemCandidate]) -> str:
    """Say which candidate is the stem, and what the others scored."""
    kept = next((each for each in candidates if each.kept), None)
    if kept is None:
        return ""
    scores = ", ".join("-" if c.score is None else f"{c.score.f1:.2f}" for c in candidates)
    called = [] if len({each.model for each in candidates}) == 1 else [str(kept.model)]
    called += [] if kept.seed is None else [f"seed {kept.seed}"]
    text = f"{', '.join(called)}: best of {len(candidates)} ({scores})"
    return f' <small class="generated">{escape(text)}</small>'


def _score(score: TaggerScore | None) -> str:
    if score is None:
        return '<td class="number" data-label="Tagger F1"></td>'
    parts = f"precision {score.precision:.2f}, recall {score.recall:.2f}"
    return f'<td class="number" data-label="Tagger F1" title="{parts}">{score.f1:.2f}</td>'


def _player(row: _Row, duration_seconds: float) -> str:
    if row.file is None:
        return ""
    name = escape(row.name)
    length = max(duration_seconds, 1e-3)
    # What is shorter than a step of the bar would not be seen.
    path = "".join(
        f"M{start:.7g} .5H{max(end, start + length / _BAR_STEPS):.7g}"
        for start, end in row.intervals
    )
    return (
        f'<div class="player"><button class="play" aria-label="Play {name}"></button>'
        f'<div class="bar"><svg viewBox="0 0 {length:.7g} 1" preserveAspectRatio="none"'
        f' aria-hidden="true"><path d="{path}"/></svg>'
        f'<input type="range" min="0" max="{length:.7g}" step="{length / _BAR_STEPS:.7g}"'
        f' value="0" aria-label="Position in {name}"></div>'
        f'<span class="time">0:00 / {clock(int(duration_seconds))}</span>'
        f'<audio preload="none" src="{_url(row.file)}"></audio></div>'
    )


def _intervals(row: _Row) -> str:
    """Intervals: buttons where there is something to play, folded together if they are many."""
    if not row.intervals:
        return ""
    name = escape(row.name)
    texts = [(start, f"{clock(start)}&ndash;{clock(end)}") for start, end in row.intervals]
    if row.file is None:
        label = f"{name} is active"
        spans = "".join(f"<span>{text}</span>" for _, text in texts)
    else:
        label = f"Play {name} from there"
        spans = "".join(
            f'<button data-start="{start:.7g}">{text}</button>' for start, text in texts
        )
    group = f'<div class="spans" role="group" aria-label="{label}">{spans}</div>'
    if len(texts) <= _MAX_OPEN_INTERVALS:
        return group
    total = clock(round(sum(end - start for start, end in row.intervals)))
    summary = f"<summary>{_count(len(texts), 'interval')}, {total} in all</summary>"
    return f"<details>{summary}{group}</details>"


def _link(file: str | None) -> str:
    if file is None:
        return ""
    return f'<a href="{_url(file)}" download>{escape(PurePosixPath(file).name)}</a>'


def _links(files: Sequence[str]) -> list[str]:
    return [f"<li>{_link(file)}</li>" for file in files]


def _url(file: str) -> str:
    return escape(quote(file, errors="surrogateescape"))


def _decibels(loudness_dbfs: float | None) -> str:
    if loudness_dbfs is None:
        return "silent"
    return f"{loudness_dbfs:.1f} dBFS".replace("-", "&minus;")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _plain(value: object) -> str:
    if value is None:
        return "default"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
