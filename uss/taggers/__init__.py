"""Audio taggers: they detect which AudioSet classes sound, and when."""

from collections.abc import Mapping

from uss.taggers.base import (
    LABEL_SPACES,
    NUM_CLASSES,
    ONE_HOT_SPACE,
    PROBABILITY_SPACE,
    ArchitectureSource,
    Tagger,
    TaggerNetwork,
    TaggerOutput,
)
from uss.taggers.efficientat import EfficientAT
from uss.taggers.htsat import HTSAT
from uss.taggers.panns import Cnn6, Cnn10, Cnn14, Cnn14DecisionLevelMax

TAGGERS: Mapping[str, type[TaggerNetwork]] = {
    tagger.__name__: tagger
    for tagger in (EfficientAT, Cnn14, Cnn14DecisionLevelMax, Cnn6, Cnn10, HTSAT)
}
"""Class name -> class; ``TAGGERS[name](**hyperparameters)`` builds a stored tagger again."""

__all__ = [
    "HTSAT",
    "LABEL_SPACES",
    "NUM_CLASSES",
    "ONE_HOT_SPACE",
    "PROBABILITY_SPACE",
    "TAGGERS",
    "ArchitectureSource",
    "Cnn6",
    "Cnn10",
    "Cnn14",
    "Cnn14DecisionLevelMax",
    "EfficientAT",
    "Tagger",
    "TaggerNetwork",
    "TaggerOutput",
]
