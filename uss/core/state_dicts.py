"""Loading state dicts strictly, with errors that name the entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from uss.core.errors import InputError

COUNTERS = "*.num_batches_tracked"
"""Of batch norms, which count batches in training: a constant of every network that has them."""

_MAX_NAMED = 3


def load_entries(
    module: nn.Module, state: Mapping[str, Any], source: str, constants: Sequence[str]
) -> None:
    """Load published weights; every entry but constants must be there and fit.

    Constants keep the values they were constructed with, whether the file holds them or not.

    Args:
        module: receives the weights.
        state: entry name -> tensor, without a prefix.
        source: what an error calls the file.
        constants: patterns of entries that follow from this architecture or that nothing in it
            reads, such as transform kernels. What is one elsewhere is none here.

    Raises:
        ValueError: if entries are missing, unknown or misshapen; it names them.
    """
    check_entries(module, state, source, constants)
    given = {name: value for name, value in state.items() if not is_constant(name, constants)}
    module.load_state_dict({**module.state_dict(), **given}, strict=True)


def check_entries(
    module: nn.Module, state: Mapping[str, Any], source: str, constants: Sequence[str]
) -> None:
    """Check that every entry but constants is there and fits; see ``load_entries``.

    Raises:
        ValueError: if entries are missing, unknown or misshapen; it names them.
    """
    own = module.state_dict()
    expected = {name: value for name, value in own.items() if not is_constant(name, constants)}
    given = {name: value for name, value in state.items() if not is_constant(name, constants)}
    problems = [
        _describe("it lacks", [name for name in expected if name not in given]),
        _describe("it has unknown entries", [name for name in given if name not in expected]),
        _describe(
            "entries of the wrong shape:",
            [
                f"{name} ({_shape(given[name])} instead of {tuple(value.shape)})"
                for name, value in expected.items()
                if name in given and _shape(given[name]) != tuple(value.shape)
            ],
        ),
    ]
    found = "; ".join(problem for problem in problems if problem)
    if found:
        raise InputError(
            f"{source} does not fit the {type(module).__name__} it looks like: {found}; it is "
            "damaged or of another model, download it again"
        )


def is_constant(name: str, constants: Sequence[str]) -> bool:
    """Whether an entry is accepted but not needed: whether one of the patterns fits its name."""
    return any(fnmatchcase(name, pattern) for pattern in constants)


def _shape(value: object) -> tuple[int, ...] | str:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__


def _describe(problem: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"{problem} {', '.join(names[:_MAX_NAMED])}{more}"
