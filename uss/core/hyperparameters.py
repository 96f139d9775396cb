"""What a constructor was called with, kept so that a file can build the same object again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class Rebuildable:
    """Keeps the arguments of its constructor, defaults included.

    ``type(x)(**x.hyperparameters)`` builds another ``x``. What counts is the constructor of the
    object's own class: what that passes on to its parents does not matter. Options that it takes
    as ``**options`` are those of the next constructor in line, whose defaults are kept too.

    Attributes:
        hyperparameters: argument name -> value, as JSON holds it: tuples are lists.
        not_kept: arguments that files leave out, because they matter in training alone.
    """

    not_kept: ClassVar[frozenset[str]] = frozenset()
    hyperparameters: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Note the arguments; constructors then need not repeat them."""
        # Here and not around __init__, which stays as it is for whoever reads its signature.
        self = super().__new__(cls)
        try:
            given = _arguments(cls, args, kwargs)
        except TypeError:
            # They do not fit, so __init__ is about to say so; or there are none because a copy or
            # a pickle is being restored, which brings its own.
            return self
        self.__dict__["hyperparameters"] = {
            name: _as_json(value) for name, value in given.items() if name not in cls.not_kept
        }
        return self


def _arguments(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Bind a call of a class to the names of its arguments; those left out get their defaults."""
    signature, options = _parameters(cls)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    given = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            passed_on = given.pop(parameter.name)
            given = {**options, **given, **passed_on}
    return given


@functools.cache
def _parameters(cls: type) -> tuple[inspect.Signature, dict[str, Any]]:
    """Return the signature of a constructor, and the defaults of what it takes as ``**options``."""
    constructors = [vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)]
    first, *others = [inspect.signature(constructor) for constructor in constructors]
    # Without self.
    signature = first.replace(parameters=list(first.parameters.values())[1:])
    options: dict[str, Any] = {}
    passes_on = _takes_options(first)
    for parent in others:
        if not passes_on:
            break
        for name, parameter in parent.parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                options.setdefault(name, parameter.default)
        passes_on = _takes_options(parent)
    return signature, {
        name: default
        for name, default in options.items()
        if default is not inspect.Parameter.empty and name not in signature.parameters
    }


def _takes_options(signature: inspect.Signature) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())


def _as_json(value: Any) -> Any:
    """Turn tuples into lists, copying lists, which their owner may change."""
    return [_as_json(item) for item in value] if isinstance(value, tuple | list) else value
