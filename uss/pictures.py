"""Pictures of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from uss.audio import Waveform
from uss.files import written_whole
from uss.results import SeparationResult, StemResult

_COLUMNS = 1600
_MAX_STEMS = 60
_MARGINS_INCHES = 1.2
_WAVE_COLOUR = "#33475b"
_CURVE_COLOUR = "#c2410c"
_ACTIVE_COLOUR = "#fdba74"
_GRID_COLOUR = "#d4d4d8"


def draw_timeline(
    path: str | Path,
    result: SeparationResult,
    mixture: Waveform,
    stems: Sequence[Waveform] | None,
    threshold: float | None,
) -> None:
    """Draw the mixture and, beneath it, each stem with its probability curve and active spans.

    Where nothing was separated the curves stand alone.

    A picture of more than 60 stems nobody can read: it shows the most probable and says how many
    are left out.

    Args:
        path: the PNG file.
        result: gives names, probabilities and intervals.
        mixture: (C, T).
        stems: (C, T) each, in the order of ``result.stems``; None if nothing was separated.
        threshold: drawn as a line; None where each class has its own.
    """
    by_probability = sorted(
        range(len(result.stems)), key=lambda row: -result.stems[row].probability
    )
    shown = sorted(by_probability[:_MAX_STEMS])
    heights = [1.4] + ([0.8] if stems is None else [1.0, 0.55]) * len(shown)
    inches = _MARGINS_INCHES + 0.95 * sum(heights)
    figure = Figure(figsize=(12.0, inches))
    FigureCanvasAgg(figure)
    figure.subplots_adjust(
        left=0.2, right=0.98, top=1.0 - 0.45 / inches, bottom=0.6 / inches, hspace=0.25
    )
    axes = np.atleast_1d(
        figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights})
    )
    _draw_wave(axes[0], mixture, result.sample_rate)
    axes[0].set_title(result.input, loc="left", fontsize=11, fontweight="bold", parse_math=False)
    _label(axes[0], "mixture")
    rows = iter(axes[1:])
    for row in shown:
        stem = result.stems[row]
        first = next(rows)
        curve_axes = first
        if stems is not None:
            _draw_wave(first, stems[row], result.sample_rate)
            _shade(first, stem)
            curve_axes = next(rows)
            _label(curve_axes, "probability", colour=_CURVE_COLOUR)
        where = "named" if stem.level is None else f"level {stem.level}"
        _label(first, f"{stem.name}\n{where} · max {stem.probability:.2f}")
        _draw_curve(curve_axes, stem, result, threshold)
    axes[-1].set_xlim(0.0, max(result.duration_seconds, 1e-3))
    left_out = len(result.stems) - len(shown)
    note = f" (the least probable {left_out} stems are not shown)" if left_out else ""
    axes[-1].set_xlabel(f"time in seconds{note}")
    with written_whole(path) as part:
        figure.savefig(part, format="png", dpi=110)


def _draw_wave(axes: Axes, waveform: Waveform, sample_rate: int) -> None:
    low, high, times = _envelope(waveform, sample_rate)
    axes.fill_between(times, low, high, color=_WAVE_COLOUR, linewidth=0.3, step="mid")
    peak = max(float(np.abs(waveform).max(initial=0.0)), 1e-4)
    axes.set_ylim(-1.05 * peak, 1.05 * peak)
    axes.set_yticks([-peak, 0.0, peak], [f"{-peak:.2g}", "0", f"{peak:.2g}"], fontsize=7)
    _tidy(axes)


def _draw_curve(
    axes: Axes, stem: StemResult, result: SeparationResult, threshold: float | None
) -> None:
    centres = np.array(result.segment_starts) + result.segment_seconds / 2.0
    centres = np.minimum(centres, result.duration_seconds)
    axes.plot(centres, stem.probabilities, color=_CURVE_COLOUR, marker=".", linewidth=1.2)
    if threshold is not None:
        axes.axhline(threshold, color="grey", linewidth=0.7, linestyle="--")
    _shade(axes, stem)
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([0.0, 0.5, 1.0], ["0", "0.5", "1"], fontsize=7)
    _tidy(axes)


def _shade(axes: Axes, stem: StemResult) -> None:
    for start, end in stem.active_intervals:
        axes.axvspan(start, end, color=_ACTIVE_COLOUR, alpha=0.35, linewidth=0.0)


def _label(axes: Axes, text: str, colour: str = "black") -> None:
    axes.set_ylabel(
        text,
        rotation=0,
        horizontalalignment="right",
        verticalalignment="center",
        fontsize=8,
        color=colour,
        labelpad=8,
        parse_math=False,
    )


def _tidy(axes: Axes) -> None:
    axes.grid(axis="x", color=_GRID_COLOUR, linewidth=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _envelope(
    waveform: Waveform, sample_rate: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Lowest and highest sample over all channels for each column of the picture."""
    num_samples = waveform.shape[1]
    edges = np.linspace(0, num_samples, min(_COLUMNS, num_samples) + 1).astype(np.int64)
    low = np.minimum.reduceat(waveform.min(axis=0), edges[:-1])
    high = np.maximum.reduceat(waveform.max(axis=0), edges[:-1])
    return low, high, (edges[:-1] + edges[1:]) / 2.0 / sample_rate
