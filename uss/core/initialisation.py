"""Building networks whose weights a file is about to replace."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

_RANDOM = frozenset({Tensor.normal_, Tensor.uniform_})


class _WithoutRandomNumbers(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _RANDOM:
            return args[0]
        return func(*args, **(kwargs or {}))


def without_random_numbers() -> TorchFunctionMode:
    """Spare a network the seconds that it takes to draw weights which a file replaces."""
    return _WithoutRandomNumbers()
