"""The report's tracks: a player, pictures and times for each stem and residual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import PurePosixPath
from urllib.parse import quote

from uss.metrics.tagger_score import TaggerScore
from uss.results.report_pictures import Picture, Pictures
from uss.results.report_tree import anchor_of, clock, count_of
from uss.results.result import SeparationResult
from uss.results.stem_scores import StemCandidate

_MAX_OPEN_INTERVALS = 6
_STEPS = 400
_MAX_TICKS = 8
_TICK_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class _Track:
    """What is said of a stem or the residual; a residual has no probability."""

    anchor: str
    name: str
    probability: float | None
    loudness: str
    intervals: Sequence[tuple[float, float]]
    file: str | None
    generated: bool = False
    score: TaggerScore | None = None
    chosen_from: Sequence[StemCandidate] = ()
    picture: Picture | None = None


@dataclass(frozen=True)
class _Scale:
    """What all tracks share.

    Attributes:
        seconds: their length.
        loudest_half_decibels: see ``Picture.spectrogram_url``.
    """

    seconds: float
    loudest_half_decibels: int


def groups_of_tracks(result: SeparationResult, pictures: Pictures) -> Iterator[str]:
    """The tracks of each group, which is the folder that their files are in, or would be in."""
    scale = _Scale(max(result.duration_seconds, 1e-3), pictures.loudest_half_decibels)
    for folder, tracks in _tracks_by_folder(result, pictures).items():
        name = escape(folder)
        separated = any(track.file is not None for track in tracks)
        yield f'<section class="group" aria-labelledby="folder-{name}" data-group="{name}">'
        yield f'<div class="heading"><h2 id="folder-{name}">{name}</h2>'
        if separated:
            yield f'<button class="all" aria-label="Play all of {name}">Play all</button>'
        yield f'</div>\n{_ruler(scale.seconds)}\n<ul class="tracks">'
        for track in tracks:
            yield from _track(track, scale)
        yield "</ul>\n</section>"


def mixture_strip(result: SeparationResult, pictures: Pictures) -> Iterator[str]:
    """The picture of the recording itself; nothing where there is none."""
    if pictures.mixture is None:
        return
    scale = _Scale(max(result.duration_seconds, 1e-3), pictures.loudest_half_decibels)
    nothing = _Track("", "mixture", None, "", (), None, picture=pictures.mixture)
    yield '<section class="mixture" aria-labelledby="mixture">'
    yield f'<div class="heading"><h2 id="mixture">Mixture</h2></div>\n{_ruler(scale.seconds)}'
    yield '<div class="track"><p class="about">The sum of a folder&rsquo;s files: play all of one'
    yield f" to hear it.</p>{_strip(nothing, scale)}</div>\n</section>"


def file_link(file: str | None) -> str:
    """A link that downloads a file of the result's folder."""
    if file is None:
        return ""
    return f'<a href="{_url(file)}" download>{escape(PurePosixPath(file).name)}</a>'


def _tracks_by_folder(
    result: SeparationResult, pictures: Pictures
) -> Mapping[str, Sequence[_Track]]:
    folders: dict[str, list[_Track]] = {}
    for position, stem in enumerate(result.stems):
        track = _Track(
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
        folders.setdefault(stem.group, []).append(track)
    for folder, file in result.residuals.items():
        known = result.residual_loudness_dbfs
        loudness = _decibels(known[folder]) if folder in known else ""
        track = _Track(f"residual-{folder}", "residual", None, loudness, (), file)
        folders.setdefault(folder, []).append(track)
    drawn = pictures.files
    return {
        folder: [replace(track, picture=drawn.get(track.file or "")) for track in tracks]
        for folder, tracks in folders.items()
    }


def _track(track: _Track, scale: _Scale) -> Iterator[str]:
    name = escape(track.name)
    mark = ' <small class="generated">generated</small>' if track.generated else ""
    yield f'<li class="track" id="{escape(track.anchor)}" data-name="{name}">'
    yield '<div class="about"><div class="title">'
    if track.file is not None:
        yield f'<button class="play" aria-label="Play {name}"></button>'
    yield f"<h3>{name}{mark}{_choice(track.chosen_from)}</h3></div>"
    yield from _facts(track)
    if track.file is not None:
        yield from _mixer(name)
        yield f'<p class="file">{file_link(track.file)}</p>'
        yield f'<audio preload="none" src="{_url(track.file)}"></audio>'
    yield f"</div>\n<div>{_strip(track, scale)}\n{_intervals(track)}</div></li>"


def _facts(track: _Track) -> Iterator[str]:
    facts = []
    if track.probability is not None:
        facts.append(f"<dt>Probability</dt><dd>{track.probability:.2f}</dd>")
    if track.file is not None and track.loudness:
        facts.append(f"<dt>Loudness</dt><dd>{track.loudness}</dd>")
    if (score := track.score) is not None:
        parts = f"precision {score.precision:.2f}, recall {score.recall:.2f}"
        facts.append(f'<dt>Tagger F1</dt><dd title="{parts}">{score.f1:.2f}</dd>')
    if facts:
        yield '<dl class="facts">'
        yield from (f"<div>{fact}</div>" for fact in facts)
        yield "</dl>"


def _mixer(name: str) -> Iterator[str]:
    yield '<div class="mixer">'
    for what in ("Solo", "Mute"):
        yield f'<button class="{what.lower()}" aria-pressed="false"'
        yield f' aria-label="{what} {name}">{what}</button>'
    yield '<label>Level <input class="level" type="range" min="0" max="100" value="100"'
    yield f' aria-label="Level of {name}" aria-valuetext="100 %"></label></div>'


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


def _strip(track: _Track, scale: _Scale) -> str:
    """Waveform, spectrogram and times, from the recording's beginning to its end."""
    parts = []
    if (picture := track.picture) is not None:
        columns = max(len(picture.low) - 1, 1)
        url = picture.spectrogram_url(scale.loudest_half_decibels)
        parts = [
            f'<svg class="wave" viewBox="0 0 {columns} 100" preserveAspectRatio="none"'
            f' aria-hidden="true"><path d="{picture.waveform_path}"/></svg>',
            f'<img class="spectrogram" src="{url}" alt="Spectrogram of {escape(track.name)}"'
            ' decoding="async">',
        ]
    if track.intervals:
        # What is shorter than a step would not be seen.
        path = "".join(
            f"M{start:.7g} .5H{max(end, start + scale.seconds / _STEPS):.7g}"
            for start, end in track.intervals
        )
        parts.append(
            f'<svg class="lane" viewBox="0 0 {scale.seconds:.7g} 1" preserveAspectRatio="none"'
            f' aria-hidden="true"><path d="{path}"/></svg>'
        )
    cursor = '<span class="cursor"></span>'
    return f'<div class="strip">{"".join(parts)}{cursor}</div>' if parts else ""


def _intervals(track: _Track) -> str:
    """Intervals: buttons where there is something to play, folded together if they are many."""
    if not track.intervals:
        return ""
    name = escape(track.name)
    texts = [(start, end, f"{clock(start)}&ndash;{clock(end)}") for start, end in track.intervals]
    if track.file is None:
        label, scrolls = f"{name} is active", ' tabindex="0"'
        spans = "".join(f"<span>{text}</span>" for _, _, text in texts)
    else:
        label, scrolls = f"Play {name} from there", ""
        spans = "".join(
            f'<button data-start="{start:.7g}" data-end="{end:.7g}">{text}</button>'
            for start, end, text in texts
        )
    folded = len(texts) > _MAX_OPEN_INTERVALS
    # A list that scrolls, and has no buttons, is reached by the keyboard itself.
    focus = scrolls if folded else ""
    group = f'<div class="spans" role="group" aria-label="{label}"{focus}>{spans}</div>'
    if not folded:
        return group
    total = clock(round(sum(end - start for start, end in track.intervals)))
    summary = f"<summary>{count_of(len(texts), 'interval')}, {total} in all</summary>"
    return f"<details>{summary}{group}</details>"


def _ruler(seconds: float) -> str:
    steps = (step for step in _TICK_SECONDS if seconds <= step * _MAX_TICKS)
    step = next(steps, _DAY_SECONDS * (1 + int(seconds / _DAY_SECONDS / _MAX_TICKS)))
    ticks = "".join(
        f'<span style="left:{100.0 * number * step / seconds:.5g}%">{clock(number * step)}</span>'
        for number in range(int(seconds / step) + 1)
    )
    return f'<div class="ruler" aria-hidden="true"><div>{ticks}</div></div>'


def _url(file: str) -> str:
    return escape(quote(file, errors="surrogateescape"))


def _decibels(loudness_dbfs: float | None) -> str:
    if loudness_dbfs is None:
        return "silent"
    return f"{loudness_dbfs:.1f} dBFS".replace("-", "&minus;")
