"""Audio taggers: they detect which AudioSet classes sound, and when."""

from uss.taggers.base import NUM_CLASSES, PROBABILITY_SPACE, Tagger, TaggerOutput
from uss.taggers.efficientat import EfficientAT

__all__ = ["NUM_CLASSES", "PROBABILITY_SPACE", "EfficientAT", "Tagger", "TaggerOutput"]
