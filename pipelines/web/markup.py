"""Pieces of HTML that several parts of the page are made of."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from pipelines.web.players import HEADER_BYTES, Player

# Gradio reads these in templates.
_OF_TEMPLATES = str.maketrans({"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;"})
_MIN_WIDTH = 3.0
WIDTH = 1000
"""Of drawings, in their own units."""


def escaped(text: str) -> str:
    """Make any text safe in HTML and in Gradio's templates."""
    return escape(text.encode(errors="replace").decode()).translate(_OF_TEMPLATES)


def file_url(path: Path) -> str:
    """Give the address of a file on the shelf, relative to the page."""
    return escaped(f"gradio_api/file={quote(path.as_posix(), errors='surrogateescape')}")


def download_link(path: Path, text: str) -> str:
    """Link to a file that is kept, not shown."""
    return f'<a href="{file_url(path)}" download="{escaped(path.name)}">{escaped(text)}</a>'


def wave_drawing(player: Player) -> str:
    """Draw the outline of a waveform, as wide as its container."""
    peaks = player.peaks or (0,)
    step = WIDTH / len(peaks)
    # Silence is a line.
    path = "".join(
        f"M{(index + 0.5) * step:.1f} {50 - max(1, round(peak * 48 / 255))}"
        f"V{50 + max(1, round(peak * 48 / 255))}"
        for index, peak in enumerate(peaks)
    )
    return (
        f'<svg class="wave" viewBox="0 0 {WIDTH} 100" preserveAspectRatio="none" '
        f'aria-hidden="true"><path d="{path}" stroke-width="{step * 0.8:.2f}"/></svg>'
    )


def event_bars(events: Sequence[tuple[float, float]], duration_seconds: float) -> str:
    """Draw when something is heard, as wide as its container."""
    scale = WIDTH / max(duration_seconds, 1e-3)
    bars = "".join(
        f'<rect x="{start * scale:.1f}" y="0" height="10" '
        f'width="{max((end - start) * scale, _MIN_WIDTH):.1f}"/>'
        for start, end in events
    )
    return (
        f'<svg class="events" viewBox="0 0 {WIDTH} 10" preserveAspectRatio="none" '
        f'aria-hidden="true">{bars}</svg>'
    )


def player_data(player: Player) -> str:
    """Say what a script needs to know to fetch a player's samples in pieces."""
    return (
        f'data-url="{file_url(player.path)}" data-header="{HEADER_BYTES}" '
        f'data-rate="{player.sample_rate}" data-channels="{player.num_channels}" '
        f'data-samples="{player.num_samples}"'
    )


def spoken(events: Sequence[tuple[float, float]]) -> str:
    """Say when something is heard."""
    return ", ".join(f"{clock(start)} to {clock(end)}" for start, end in events)


def clock(seconds: float) -> str:
    """Write seconds as ``m:ss.s``."""
    minutes, tenths = divmod(round(10.0 * seconds), 600)
    return f"{minutes}:{tenths // 10:02}.{tenths % 10}"
