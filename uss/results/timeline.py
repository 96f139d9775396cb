"""Pictures of results."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uss.audio.envelopes import Envelope
from uss.core.files import written_whole
from uss.core.pictures import own_style, printable
from uss.results.result import SeparationResult, StemResult

if TYPE_CHECKING:
    # The user's settings may keep matplotlib from being imported, which only pictures may fail of.
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_STEMS = 40
_MARGINS_INCHES = 1.3
_COLUMNS = 1016  # about the width of the axes in pixels
_MAX_MARKERS = 100
_MAX_TICKS = 12
_MAX_UNDERSTOOD = 3
_LABEL_LETTERS = 30
_TICK_SECONDS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200)
_DAY_SECONDS = 86400
_WAVE_COLOUR = "#33475b"
_CURVE_COLOUR = "#c2410c"
_ACTIVE_COLOUR = "#fed7aa"
_GRID_COLOUR = "#d4d4d8"
_UNDERLINE_HEIGHT = 0.06


def draw_timeline(
    path: str | Path,
    result: SeparationResult,
    mixture: Envelope,
    stems: Sequence[Envelope] | None,
    threshold: float | None,
) -> None:
    """Draw the mixture and, beneath it, each stem with its probability curve and active spans.

    Where nothing was separated the curves stand alone.

    A picture of more than 40 stems nobody can read: it shows the most probable and says how many
    are left out. A curve of more segments than pixels shows the highest probability in each pixel,
    and spans shorter than two pixels are drawn as wide as two.

    Args:
        path: the PNG file.
        result: gives names, probabilities and intervals.
        mixture: of the input.
        stems: in the order of ``result.stems``; None if nothing was separated.
        threshold: drawn as a line; None where each class has its own.
    """
    with own_style():
        figure = _draw(result, mixture, stems, threshold)
        with written_whole(path) as part, warnings.catch_warnings():
            # A file may be named in a script that the font lacks.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            figure.savefig(part, format="png", dpi=110)


def _draw(
    result: SeparationResult,
    mixture: Envelope,
    stems: Sequence[Envelope] | None,
    threshold: float | None,
) -> Figure:
    # What has no probability cannot be the least probable.
    by_probability = sorted(
        range(len(result.stems)),
        key=lambda row: -1.0 if (known := result.stems[row].probability) is None else -known,
    )
    shown = sorted(by_probability[:_MAX_STEMS])
    heights = [1.4] + ([0.8] if stems is None else [1.0, 0.55]) * len(shown)
    figure, axes = _rows(heights)
    _draw_wave(axes[0], mixture)
    title = _shorten(printable(result.input), 110)
    axes[0].set_title(title, loc="left", fontsize=11, fontweight="bold", parse_math=False)
    _label(axes[0], "mixture")
    rows = iter(axes[1:])
    for row in shown:
        stem = result.stems[row]
        first = next(rows)
        curve_axes = first
        if stems is not None:
            _draw_wave(first, stems[row])
            _shade(first, stem, result.duration_seconds)
            curve_axes = next(rows)
            _label(curve_axes, "probability", colour=_CURVE_COLOUR)
        _underline(first, stem, result)
        _label(first, _describe(stem))
        _draw_curve(curve_axes, stem, result, threshold)
    unit = _set_time_axis(axes, result.duration_seconds)
    left_out = len(result.stems) - len(shown)
    note = f" (the least probable {left_out} stems are not shown)" if left_out else ""
    axes[-1].set_xlabel(f"time {unit}{note}")
    return figure


def _rows(heights: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """Stack axes of these relative heights, the first with a scale of its own above it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    inches = _MARGINS_INCHES + 0.95 * sum(heights)
    figure = Figure(figsize=(12.0, inches))
    FigureCanvasAgg(figure)
    figure.subplots_adjust(
        left=0.2, right=0.97, top=1.0 - 0.6 / inches, bottom=0.6 / inches, hspace=0.25
    )
    axes = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    return figure, list(axes[:, 0])


def _draw_wave(axes: Axes, envelope: Envelope) -> None:
    low, high = envelope.low, envelope.high
    axes.fill_between(
        envelope.centres_seconds, low, high, color=_WAVE_COLOUR, linewidth=0.3, step="mid"
    )
    peak = max(float(np.maximum(high, -low).max(initial=0.0)), 1e-4)
    axes.set_ylim(-1.05 * peak, 1.05 * peak)
    axes.set_yticks([-peak, 0.0, peak], [f"{-peak:.2g}", "0", f"{peak:.2g}"], fontsize=7)
    _tidy(axes)


def _draw_curve(
    axes: Axes, stem: StemResult, result: SeparationResult, threshold: float | None
) -> None:
    if stem.probabilities is not None:
        centres = np.array(result.segment_starts) + result.segment_seconds / 2.0
        centres = np.minimum(centres, result.duration_seconds)
        values = np.array(stem.probabilities)
        marker = "." if len(values) <= _MAX_MARKERS else None
        if len(values) > _COLUMNS:
            firsts = np.linspace(0, len(values), _COLUMNS, endpoint=False).astype(int)
            centres, values = centres[firsts], np.maximum.reduceat(values, firsts)
        width = 1.2 if marker else 0.8
        axes.plot(centres, values, color=_CURVE_COLOUR, marker=marker, linewidth=width)
    if threshold is not None:
        axes.axhline(threshold, color="grey", linewidth=0.7, linestyle="--")
    _shade(axes, stem, result.duration_seconds)
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([0.0, 0.5, 1.0], ["0", "0.5", "1"], fontsize=7)
    _tidy(axes)


def _shade(axes: Axes, stem: StemResult, duration_seconds: float) -> None:
    """Mark the active spans: one opaque collection, so that overlaps do not show."""
    shortest = 2.0 * duration_seconds / _COLUMNS
    spans = [(start, max(end - start, shortest)) for start, end in stem.active_intervals]
    axes.broken_barh(
        spans,
        (0.0, 1.0),
        transform=axes.get_xaxis_transform(),
        color=_ACTIVE_COLOUR,
        linewidth=0.0,
        zorder=0.0,
    )


def _underline(axes: Axes, stem: StemResult, result: SeparationResult) -> None:
    """Show which seconds asked for a stem, beneath it."""
    shortest = 2.0 * result.duration_seconds / _COLUMNS
    spans = [
        (start - result.start_seconds, max(end - start, shortest)) for start, end in stem.marked
    ]
    axes.broken_barh(
        spans,
        (0.0, _UNDERLINE_HEIGHT),
        transform=axes.get_xaxis_transform(),
        color=_CURVE_COLOUR,
        linewidth=0.0,
    )


def _describe(stem: StemResult) -> str:
    how = "named" if stem.mid or stem.mids else "audio query"
    how = "marked" if stem.marked else how
    if stem.text is not None:
        how = ", ".join(each.name for each in stem.understood[:_MAX_UNDERSTOOD]) or "in words"
    where = (stem.preset or how) if stem.level is None else f"level {stem.level}"
    known = "" if stem.probability is None else f" · max {stem.probability:.2f}"
    lines = (_shorten(printable(stem.name), 80), f"{where}{known}")
    return "\n".join(textwrap.fill(line, _LABEL_LETTERS) for line in lines)


def _shorten(name: str, width: int) -> str:
    """Leave out the middle: files often differ only at the end."""
    half = width // 2
    return name if len(name) <= width else f"{name[:half]}…{name[-half:]}"


def _set_time_axis(axes: Sequence[Axes], duration_seconds: float) -> str:
    """Number the time axis in round steps, above the first axes and below the last.

    Returns:
        In what the numbers are.
    """
    from matplotlib.ticker import MultipleLocator

    axes[0].tick_params(axis="x", top=True, labeltop=True, labelsize=8)
    axes[-1].tick_params(axis="x", labelsize=8)
    axes[0].set_xlim(0.0, max(duration_seconds, 1e-3))
    if duration_seconds < 60.0:
        return "in seconds"
    with_hours = duration_seconds >= 3600.0
    steps = (step for step in _TICK_SECONDS if duration_seconds <= step * _MAX_TICKS)
    days = 1 + int(duration_seconds / _DAY_SECONDS / _MAX_TICKS)
    axes[0].xaxis.set_major_locator(MultipleLocator(next(steps, days * _DAY_SECONDS)))
    axes[0].xaxis.set_major_formatter(lambda seconds, _: _clock(seconds, with_hours))
    return "as h:mm:ss" if with_hours else "as m:ss"


def _clock(seconds: float, with_hours: bool) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours}:{minutes_left:02}:{rest:02}" if with_hours else f"{minutes}:{rest:02}"


def _label(axes: Axes, text: str, colour: str = "black") -> None:
    axes.set_ylabel(
        text,
        rotation=0,
        horizontalalignment="right",
        verticalalignment="center",
        fontsize=8,
        color=colour,
        parse_math=False,
    )
    axes.yaxis.set_label_coords(-0.045, 0.5)


def _tidy(axes: Axes) -> None:
    axes.grid(axis="x", color=_GRID_COLOUR, linewidth=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
