"""How a training step runs: memory formats and compiled code."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from uss.core.compilers import has_compiler
from uss.core.errors import InputError
from uss.models import LatentSeparator
from uss.models.masking import MaskNetwork

_STEPS = ("encode", "mask")
_IMAGES = (nn.Conv2d, nn.ConvTranspose2d)


def to_channels_last(model: nn.Module) -> None:
    """Store the weights of two-dimensional convolutions channels last, as fast kernels take them.

    Raises:
        ValueError: if the model has none.
    """
    if not any(isinstance(module, _IMAGES) for module in model.modules()):
        raise InputError(
            f"channels_last: a {type(model).__name__} has no convolutions of images; leave "
            "model.channels_last out"
        )
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def compile_model(model: nn.Module, device: torch.device) -> None:
    """Compile the parts of a model that are its work; torch does so at the first step.

    Of a ``LatentSeparator`` these are its networks. Of a ``MaskNetwork`` they are ``encode`` and
    ``mask``. What lies between them, transforms and products of complex numbers, stays as it is:
    compiled as well, torch 2.13 gave other gradients.

    Args:
        model: is changed in place; the names of its weights stay.
        device: where it lies.

    Raises:
        ValueError: if the machine has no compiler for the device.
    """
    if not has_compiler(device):
        raise InputError(
            f"compile: torch.compile finds no compiler for {device.type}; install g++ (CPU) or "
            "triton (CUDA), or leave model.compile out"
        )
    # A mask is put together of complex numbers at its end.
    warnings.filterwarnings("ignore", "Torchinductor does not support code generation")
    # Batches of a training all have one shape.
    if isinstance(model, MaskNetwork):
        for name in _STEPS:
            setattr(model, name, torch.compile(getattr(model, name), dynamic=False))
    elif isinstance(model, LatentSeparator):
        vae = model.first_stage_model
        for part in (model.unet, vae.encoder, vae.decoder, model.vocoder):
            part.compile(dynamic=False)
    else:
        model.compile(dynamic=False)
