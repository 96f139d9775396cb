"""How a training step runs: memory formats and compiled code."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from uss.core.compilers import has_compiler
from uss.core.errors import InputError
from uss.models import SeparationModel
from uss.training.objectives import Objective

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


def compiled_objective(objective: Objective, device: torch.device) -> Objective:
    """Compile an objective, with all of the model that it calls; torch does so at the first step.

    Raises:
        ValueError: if the machine has no compiler for the device.
    """
    if not has_compiler(device):
        raise InputError(
            f"compile: torch.compile finds no compiler for {device.type}; install g++ (CPU) or "
            "triton (CUDA), or leave model.compile out"
        )
    # Transforms are of complex numbers, which stay as they are.
    warnings.filterwarnings("ignore", "Torchinductor does not support code generation")

    def losses(model: SeparationModel, batch: Any) -> dict[str, Tensor]:
        return objective(model, batch)

    # Batches of a training all have one shape.
    compiled: Objective = torch.compile(losses, dynamic=False)
    return compiled
