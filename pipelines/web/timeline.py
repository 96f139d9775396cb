"""The timeline of a recording: its waveform, and what was heard in it when."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.web.markup import clock, escaped, event_bars, file_url, spoken, wave_drawing
from pipelines.web.records import Heard, Sound


def timeline_html(heard: Heard, level: int) -> str:
    """Show a recording and the sounds of one level of the ontology."""
    player = heard.player
    duration = player.duration_seconds
    sounds = heard.at(level)
    rows = "\n".join(_row(sound, duration) for sound in sounds)
    return f"""<figure class="timeline" data-seconds="{duration:.3f}">
<figcaption><strong>{escaped(heard.name)}</strong> <span>{clock(duration)}</span></figcaption>
<audio controls preload="metadata" src="{file_url(player.path)}"
 aria-label="The recording"></audio>
<div class="row marking"><span class="name">Recording</span>
<span class="lane" data-lane="wave">{wave_drawing(player)}<i class="mark" hidden></i>
<i class="cursor"></i></span></div>
{
        rows
        or '<p class="none">Nothing was recognised at this level. Ask for it by name, in words, or '
        "mark where it is.</p>"
    }
{_axis(duration)}
</figure>"""


def _row(sound: Sound, duration_seconds: float) -> str:
    name, heard_at = escaped(sound.name), escaped(spoken(sound.events))
    start = sound.events[0][0] if sound.events else 0.0
    return (
        f'<div class="row" data-name="{name}"><span class="name">{name}'
        f" <small>{_percent(sound.probability)}</small></span>"
        f'<button class="lane" type="button" data-start="{start:.3f}" '
        f'aria-label="{name}: {heard_at}. Play from there" title="{heard_at}">'
        f"{event_bars(sound.events, duration_seconds)}</button></div>"
    )


def _percent(probability: float | None) -> str:
    return "" if probability is None else f"{100.0 * probability:.0f}\N{NO-BREAK SPACE}%"


def _axis(duration_seconds: float) -> str:
    times: Sequence[float] = [duration_seconds * part / 4.0 for part in range(5)]
    marks = "".join(f"<span>{clock(each)}</span>" for each in times)
    return (
        '<div class="row axis" aria-hidden="true"><span class="name"></span>'
        f'<span class="lane">{marks}</span></div>'
    )
