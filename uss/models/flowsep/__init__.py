"""FlowSep and DiffusionSep: separation by generation, in the latents of mels."""

from uss.models.flowsep.diffusion_separator import DiffusionSep
from uss.models.flowsep.flow_entries import averaged, is_flowsep
from uss.models.flowsep.flow_separator import DEFAULT_STEPS, FlowSep
from uss.models.flowsep.latent_separator import LatentSeparator

__all__ = ["DEFAULT_STEPS", "DiffusionSep", "FlowSep", "LatentSeparator", "averaged", "is_flowsep"]
