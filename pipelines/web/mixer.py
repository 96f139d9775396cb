"""The mixer of a result: its stems, each with level, mute and solo, and what can be downloaded."""

from __future__ import annotations

from pathlib import Path

from pipelines.web.markup import (
    clock,
    download_link,
    escaped,
    event_bars,
    player_data,
    wave_drawing,
)
from pipelines.web.players import Player
from pipelines.web.records import Separated, Track
from uss.interchange.labels import LABEL_FORMATS
from uss.interchange.sessions import SESSION_FORMATS

_MIN_DB, _MAX_DB = -40, 12
_KNOWN = {
    "report.html": "report",
    "timeline.png": "timeline as a picture",
    "detections.json": "detections",
    "provenance.json": "provenance",
}


def mixer_html(made: Separated) -> str:
    """Show what was made of a recording."""
    duration = made.heard.player.duration_seconds
    rows = [_row(track, duration) for track in made.tracks]
    rows.append(_strip("The recording", "to compare with", made.heard.player, "", muted=True))
    strips = "\n".join(rows)
    others = " · ".join(download_link(path, _called(path)) for path in made.others)
    warnings = "".join(f'<p class="warning">{escaped(each)}</p>' for each in made.result.missing)
    return f"""<section class="mixer" aria-label="Stems" data-seconds="{duration:.3f}">
{warnings}
<div class="transport"><button type="button" class="play" aria-label="Play"></button>
<input type="range" class="position" min="0" max="{duration:.3f}" step="0.01" value="0"
 aria-label="Position"><output class="time">{clock(0.0)} / {clock(duration)}</output>
<meter min="0" max="1" value="0" aria-label="Level of what plays"></meter></div>
<div class="strips">{strips}</div>
<p class="others">Also: {others}</p>
</section>"""


def _row(track: Track, duration_seconds: float) -> str:
    sound = track.sound
    facts = [] if sound.probability is None else [f"{100.0 * sound.probability:.0f} %"]
    if track.loudness_dbfs is None:
        facts.append("silent")
    else:
        facts.append(f"{track.loudness_dbfs:.0f} dBFS".replace("-", "\N{MINUS SIGN}"))
    link = download_link(track.file, track.file.suffix[1:].upper())
    bars = event_bars(sound.events, duration_seconds)
    name = "Residual" if track.is_residual else sound.name
    note = "what is in no stem" if track.is_residual else ", ".join(facts)
    return _strip(name, note, track.player, f"{bars}", link=link)


def _strip(
    name: str, note: str, player: Player, bars: str, *, link: str = "", muted: bool = False
) -> str:
    called = escaped(name)
    return (
        f'<div class="strip" role="group" aria-label="{called}" data-name="{called}" '
        f"{player_data(player)}>"
        f'<span class="name">{called} <small>{escaped(note)}</small></span>'
        f'<span class="lane">{wave_drawing(player)}{bars}</span>'
        f'<span class="controls">'
        f'<button type="button" class="mute" aria-pressed="{str(muted).lower()}" '
        f'aria-label="Mute {called}">M</button>'
        f'<button type="button" class="solo" aria-pressed="false" aria-label="Solo {called}">S'
        f'</button><input type="range" class="level" min="{_MIN_DB}" max="{_MAX_DB}" step="1" '
        f'value="0" aria-label="Level of {called} in dB"><output class="db">0 dB</output></span>'
        f'<span class="file">{link}</span></div>'
    )


def _called(path: Path) -> str:
    """Say what a file is."""
    if path.name in _KNOWN:
        return _KNOWN[path.name]
    for name, labels in LABEL_FORMATS.items():
        if any(path.name.endswith(suffix) for suffix in labels.files):
            return f"labels ({name})"
    for name, session in SESSION_FORMATS.items():
        if path.name.endswith(session.suffix):
            return f"session ({name})"
    return path.name
