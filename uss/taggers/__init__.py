"""Audio taggers: they detect which AudioSet classes sound, and when."""

from uss.taggers.base import NUM_CLASSES, Tagger, TaggerOutput
from uss.taggers.efficientat import EfficientAT

__all__ = ["NUM_CLASSES", "EfficientAT", "Tagger", "TaggerOutput"]
