"""Separators: conditioned on a query, or blind."""

from collections.abc import Mapping

from uss.models.base import (
    GenerativeModel,
    MaskModel,
    SeparationModel,
    SeparatorNetwork,
    stems_of_space,
)
from uss.models.bimodal import BiModalUNet
from uss.models.blind_unet import BlindUNet
from uss.models.clipsep import CLIPSep
from uss.models.convtasnet import ConvTasNet
from uss.models.flowsep import DiffusionSep, FlowSep, LatentSeparator
from uss.models.lass_net import LASSNet
from uss.models.mrp_cnn import MRPCNN
from uss.models.openunmix import OpenUnmix
from uss.models.query_unet import QueryUNet
from uss.models.resunet import ResUNet
from uss.models.resunet30 import ResUNet30, ResUNet60, UNet

__all__ = [
    "BACKBONES",
    "MRPCNN",
    "BiModalUNet",
    "BlindUNet",
    "CLIPSep",
    "ConvTasNet",
    "DiffusionSep",
    "FlowSep",
    "GenerativeModel",
    "LASSNet",
    "LatentSeparator",
    "MaskModel",
    "OpenUnmix",
    "QueryUNet",
    "ResUNet",
    "ResUNet30",
    "ResUNet60",
    "SeparationModel",
    "SeparatorNetwork",
    "UNet",
    "stems_of_space",
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
        BlindUNet,
        MRPCNN,
        FlowSep,
        DiffusionSep,
        BiModalUNet,
    )
}
"""Class name -> class; ``BACKBONES[name](**hyperparameters)`` builds a stored separator again."""
