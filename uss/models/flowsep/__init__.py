"""FlowSep: separation by generation, in the latents of mels."""

from uss.models.flowsep.flow_entries import is_flowsep
from uss.models.flowsep.flow_separator import DEFAULT_STEPS, FlowSep

__all__ = ["DEFAULT_STEPS", "FlowSep", "is_flowsep"]
