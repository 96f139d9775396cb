"""A picture of how well each class is separated."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uss.core.files import written_whole
from uss.core.pictures import own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CLASSES_PER_PANEL = 60
_COLOURS = ("#33475b", "#c2410c", "#0f766e", "#7c3aed")
_MARKERS = ("o", "s", "^", "D")
_MAX_NAME = 32


def draw_classes(
    path: str | Path, classes: Mapping[str, Mapping[str, float | None]], conditions: Sequence[str]
) -> None:
    """Draw the SDRi of each class under each condition, the best class first (figure 7).

    Args:
        path: the PNG file.
        classes: name to condition to the median SDRi in dB; None where it is undefined.
        conditions: the first one sorts the classes.
    """
    with own_style():
        figure = _draw(classes, conditions)
        with written_whole(path) as part, warnings.catch_warnings():
            # A class may be named in a script that the font lacks.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            figure.savefig(part, format="png", dpi=110)


def _draw(classes: Mapping[str, Mapping[str, float | None]], conditions: Sequence[str]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = sorted(classes, key=lambda name: (-_sortable(classes[name], conditions[0]), name))
    panels = [
        names[start : start + _CLASSES_PER_PANEL]
        for start in range(0, len(names), _CLASSES_PER_PANEL)
    ]
    columns = max(len(panel) for panel in panels)
    figure = Figure(figsize=(max(6.0, 2.0 + 0.2 * columns), 0.6 + 3.4 * len(panels)))
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    all_axes = figure.subplots(len(panels), 1, squeeze=False, sharey=True)[:, 0]
    for axes, panel in zip(all_axes, panels, strict=True):
        axes.set_xlim(-0.7, columns - 0.3)
        _draw_panel(axes, panel, classes, conditions)
    all_axes[0].legend(fontsize=8, frameon=False, loc="upper right")
    all_axes[0].set_title("Median SDRi of each class", loc="left", fontsize=10, fontweight="bold")
    return figure


def _draw_panel(
    axes: Axes,
    names: Sequence[str],
    classes: Mapping[str, Mapping[str, float | None]],
    conditions: Sequence[str],
) -> None:
    """Draw a line per condition over some classes."""
    for number, condition in enumerate(conditions):
        axes.plot(
            range(len(names)),
            [_value(classes[name], condition) for name in names],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=3.5,
            linewidth=1.0,
            linestyle="--" if number == 0 else "-",
            color=_COLOURS[number % len(_COLOURS)],
            label=condition,
        )
    axes.axhline(0.0, color="#71717a", linewidth=0.8)
    axes.set_xticks(
        range(len(names)),
        [_shorten(name) for name in names],
        rotation=90,
        fontsize=7,
        parse_math=False,
    )
    axes.set_ylabel("SDRi (dB)", fontsize=8)
    axes.tick_params(axis="y", labelsize=7)
    axes.grid(axis="y", color="#e4e4e7", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _value(scores: Mapping[str, float | None], condition: str) -> float:
    value = scores.get(condition)
    return math.nan if value is None else value


def _sortable(scores: Mapping[str, float | None], condition: str) -> float:
    value = _value(scores, condition)
    return -math.inf if math.isnan(value) else value


def _shorten(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"
