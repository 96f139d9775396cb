"""Colours of the ontology's branches, in which tracks and markers are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """A colour for tracks, and for markers the nearest that OpenTimelineIO has a name for.

    Attributes:
        red, green, blue: 0 to 255.
        marker: the name.
    """

    red: int
    green: int
    blue: int
    marker: str


COLOURS: Mapping[str, Colour] = {
    "Human sounds": Colour(230, 126, 34, "ORANGE"),
    "Animal": Colour(241, 196, 15, "YELLOW"),
    "Music": Colour(142, 68, 173, "PURPLE"),
    "Natural sounds": Colour(39, 174, 96, "GREEN"),
    "Sounds of things": Colour(41, 128, 185, "BLUE"),
    "Source-ambiguous sounds": Colour(22, 160, 133, "CYAN"),
    "Channel, environment and background": Colour(127, 140, 141, "WHITE"),
}
"""By the name of the node at level 1."""
GREY = Colour(149, 165, 166, "WHITE")
"""Of the original, the residual, and what lies in no branch."""


def colour_of(branch: str | None) -> Colour:
    """Give the colour of a branch."""
    return COLOURS.get(branch or "", GREY)
