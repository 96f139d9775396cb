"""What evaluations of lists and of scenes have in common when they are run as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uss.detection.defaults import DEFAULT_OVERLAP


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """What is evaluated, and where its results go.

    Attributes:
        path: the list of mixtures or of scenes.
        audio_root: the folder its audio starts from.
        output: the folder of the results.
        overlap: of neighbouring segments.
        joint: stems of a scene's level share bins, and mixtures of lists are also asked for both
            their sources together; None for what the model was trained for.
        limit: how many mixtures or scenes; None for all.
        model_name: what the model is called, for the record.
        command: what was typed, for the record.
    """

    path: Path
    audio_root: Path
    output: Path
    overlap: float = DEFAULT_OVERLAP
    joint: bool | None = None
    limit: int | None = None
    model_name: str = ""
    command: str = ""
