"""Separators, each conditioned on a query."""

from collections.abc import Mapping

from uss.models.base import MaskModel, SeparationModel, SeparatorNetwork
from uss.models.bimodal import BiModalUNet
from uss.models.clipsep import CLIPSep
from uss.models.convtasnet import ConvTasNet
from uss.models.lass_net import LASSNet
from uss.models.openunmix import OpenUnmix
from uss.models.query_unet import QueryUNet
from uss.models.resunet import ResUNet
from uss.models.resunet30 import ResUNet30, ResUNet60, UNet

__all__ = [
    "BACKBONES",
    "BiModalUNet",
    "CLIPSep",
    "ConvTasNet",
    "LASSNet",
    "MaskModel",
    "OpenUnmix",
    "QueryUNet",
    "ResUNet",
    "ResUNet30",
    "ResUNet60",
    "SeparationModel",
    "SeparatorNetwork",
    "UNet",
]

BACKBONES: Mapping[str, type[SeparatorNetwork]] = {
    backbone.__name__: backbone
    for backbone in (
        QueryUNet,
        ResUNet,
        ResUNet30,
        ResUNet60,
        UNet,
        ConvTasNet,
        OpenUnmix,
        LASSNet,
        CLIPSep,
        BiModalUNet,
    )
}
"""Class name -> class; ``BACKBONES[name](**hyperparameters)`` builds a stored separator again."""
