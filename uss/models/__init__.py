"""Separators, each conditioned on a query."""

from uss.models.base import MaskModel, SeparationModel
from uss.models.resunet import ResUNet

__all__ = ["MaskModel", "ResUNet", "SeparationModel"]
