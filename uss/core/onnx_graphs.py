"""Networks in ONNX files, run by onnxruntime; nothing else imports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uss.core.errors import InputError, one_line


class OnnxGraph:
    """A network in an ONNX file; it runs on the CPU, in as many threads as torch.

    Copies, also those in other processes, read the file again.

    Args:
        path: of the file; what it holds is read at once.

    Raises:
        OSError: if it cannot be read.
        ValueError: if onnxruntime is not installed, or cannot run it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._session = _session(path)
        self._inputs = [each.name for each in self._session.get_inputs()]

    def __reduce__(self) -> tuple[type[OnnxGraph], tuple[Path]]:
        return type(self), (self._path,)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run it on tensors in the order of its inputs; what it gives is where the first is."""
        given = (each.detach().cpu().contiguous().numpy() for each in inputs)
        outputs = self._session.run(None, dict(zip(self._inputs, given, strict=True)))
        return tuple(torch.from_numpy(each).to(inputs[0].device) for each in outputs)


def check_runtime() -> None:
    """See whether graphs can be run.

    Raises:
        ValueError: if onnxruntime is not installed.
    """
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise InputError(
            "models in ONNX need the package onnxruntime; pip install 'uss-pipeline[onnx]'"
        ) from error


def _session(path: Path) -> Any:
    check_runtime()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Warnings of graph optimisation are of no use to people; errors are raised.
    options.log_severity_level = 3
    content = path.read_bytes()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    # Its errors have no class in common but this.
    except Exception as error:
        raise InputError(
            f"{path}: onnxruntime {onnxruntime.__version__} cannot run it ({one_line(error)}); "
            "export the model again, with a lower --opset, or install a newer onnxruntime"
        ) from error
