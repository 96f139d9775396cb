"""FlowSep: separation by generation, in the latents of mels."""

from uss.models.flowsep.flow_separator import FlowSep, is_flowsep

__all__ = ["FlowSep", "is_flowsep"]
