"""Writing one network as an ONNX graph, which is compared with it; the only user of onnx."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.core.onnx_graphs import OnnxGraph, check_runtime
from uss.models.portable import parts_of

OPSETS = range(18, 24)
"""What torch can write."""
_TOLERANCE = 1e-3


def check_writing(opset: int) -> None:
    """See whether graphs can be written.

    Raises:
        ValueError: if the opset is unknown, or packages are missing.
    """
    if opset not in OPSETS:
        raise InputError(
            f"opset {opset} cannot be written; choose {OPSETS.start} to {OPSETS.stop - 1}"
        )
    check_runtime()
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"exporting needs the packages onnx and onnxscript ({error}); pip install "
            "'uss-pipeline[onnx]'"
        ) from error


@dataclass(frozen=True)
class Signature:
    """What a graph takes and gives.

    Attributes:
        inputs, outputs: names.
        rows: of each input, what its first axis counts if that may vary.
        frames_of: the input whose last axis may vary too.
    """

    inputs: Sequence[str]
    outputs: Sequence[str]
    rows: Sequence[str | None]
    frames_of: str | None = None

    def dynamic(self) -> tuple[dict[int, Any], ...]:
        """Say of each input which axes may vary, as ``torch.export`` takes it."""
        axes = {name: torch.export.Dim(name) for name in self.rows if name is not None}
        shapes = []
        for name, rows in zip(self.inputs, self.rows, strict=True):
            shape: dict[int, Any] = {} if rows is None else {0: axes[rows]}
            if name == self.frames_of:
                shape[2] = torch.export.Dim.DYNAMIC
            shapes.append(shape)
        return tuple(shapes)

    def smaller(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Make an example of fewer rows and frames of another one."""
        cut = []
        for name, rows, each in zip(self.inputs, self.rows, inputs, strict=True):
            fewer = each if rows is None else each[:1]
            cut.append(fewer[..., : each.shape[-1] * 3 // 4] if name == self.frames_of else fewer)
        return cut


class _Called(nn.Module):
    """A network that takes its inputs as ``torch.export`` wants them: all alike."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Any:
        return self.network(*inputs)


def write_graph(
    network: nn.Module, inputs: Sequence[Tensor], signature: Signature, path: Path, opset: int
) -> None:
    """Write a graph, and compare what it gives with what the network does.

    Args:
        network: takes tensors, and gives one or several.
        inputs: an example, of two rows or more.
        signature: of the graph.
        path: of the file.
        opset: of the graph.
    """
    with _quiet():
        program = torch.onnx.export(
            _Called(network).eval(),
            tuple(inputs),
            input_names=list(signature.inputs),
            output_names=list(signature.outputs),
            # What is taken as *inputs is one argument.
            dynamic_shapes=(signature.dynamic(),),
            opset_version=opset,
            dynamo=True,
            external_data=False,
            # Its optimiser takes a floor of 1e-10 below a logarithm for nothing, and drops it.
            optimize=False,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    _forget_origins(graph)
    path.write_bytes(graph.SerializeToString())
    run = OnnxGraph(path)
    _compare(network, run, inputs, path.name)
    # What may vary must not be a constant of the example.
    _compare(network, run, signature.smaller(inputs), path.name)


def _compare(network: nn.Module, graph: OnnxGraph, inputs: Sequence[Tensor], name: str) -> None:
    for want, got in zip(parts_of(network(*inputs)), graph(*inputs), strict=True):
        error = float((want - got).abs().max() / want.abs().max().clamp(min=1.0))
        # Not the other way round: it may be no number.
        if not error < _TOLERANCE:
            raise RuntimeError(f"{name} differs from its network by {error:.1e}")


def _forget_origins(model: Any) -> None:
    """Drop which line of which file each node comes from: it is of no use to who runs a graph."""
    del model.metadata_props[:]
    for graph in (model.graph, *model.functions):
        del graph.metadata_props[:]
        for each in (*graph.node, *graph.value_info):
            del each.metadata_props[:]
            each.ClearField("doc_string")
    for each in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del each.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of itself from the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
