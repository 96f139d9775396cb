"""Starting a training from weights that another one has left."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import Tensor, nn

from uss.checkpoints.bundle import read_tensors
from uss.checkpoints.flowsep_parts import placed_part
from uss.checkpoints.loading import load_model
from uss.checkpoints.pickled import read_state_dict
from uss.core.errors import InputError
from uss.core.state_dicts import COUNTERS, is_constant
from uss.models.flowsep import averaged, is_flowsep

logger = logging.getLogger(__name__)

_PREFIXES = ("separator.", "model.", "ss_model.", "module.")
_MAX_NAMED = 4
_HARDLY_ANY = 0.1
"""Below this share of a model's values, fitting is likely by chance, and a warning says so."""


def start_from(model: nn.Module, name_or_file: str) -> None:
    """Take over the weights whose names and shapes fit; all others stay as they were drawn.

    The log says how many these are; as a warning, where they are hardly any.

    Args:
        model: that is going to be trained.
        name_or_file: a bundle, a checkpoint of ``uss-train``, published weights, or the name of a
            model that ``uss-separate`` knows.

    Raises:
        FileNotFoundError, OSError, ValueError: if it cannot be read, or no entry fits.
    """
    given = _entries(name_or_file)
    own = model.state_dict()
    fitting = {
        name: given[name]
        for name, value in own.items()
        if name in given and given[name].shape == value.shape
    }
    counted = {name: value for name, value in own.items() if not is_constant(name, (COUNTERS,))}
    taken = counted.keys() & fitting.keys()
    if not taken:
        raise InputError(
            f"init_from {name_or_file}: none of its entries ({_some(given)}) fits one of a "
            f"{type(model).__name__} ({_some(counted)}) in name and shape; name weights of the "
            "same architecture, or make widths equal"
        )
    model.load_state_dict(own | fitting, strict=True)
    left = list(dict.fromkeys(n.partition(".")[0] for n in counted if n not in taken))
    fits, total = (sum(own[name].numel() for name in names) for names in (taken, counted))
    logger.log(
        logging.WARNING if fits < _HARDLY_ANY * total else logging.INFO,
        "%d of the model's %d entries (%.1f of %.1f million values) are taken from %s%s",
        len(taken),
        len(counted),
        fits / 1e6,
        total / 1e6,
        name_or_file,
        f"; entries of {', '.join(left)} are as they were drawn" if left else "",
    )


def _entries(name_or_file: str) -> dict[str, Tensor]:
    """Read the entries of a separator, by their names in it."""
    if not name_or_file.strip():
        raise InputError("init_from names nothing; name a file or a model, or leave it out")
    path = Path(name_or_file)
    if not path.is_file():
        separator = load_model(name_or_file).separator
        if separator is None:
            raise InputError(f"init_from {name_or_file}: it holds no separator; name another")
        return dict(separator.state_dict())
    tensors = read_tensors(path)
    state = read_state_dict(path) if tensors is None else tensors
    part = placed_part(state, str(path))
    if part is not None:
        return part
    for prefix in _PREFIXES:
        # One of these prefixes is also the name of a part of such a separator.
        if is_flowsep(state):
            has_averages = any(name.startswith("model_ema.") for name in state)
            return averaged(state, str(path)) if has_averages else state
        inner = {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
        state = inner or state
    return state


def _some(entries: dict[str, Tensor]) -> str:
    return ", ".join([*list(entries)[:_MAX_NAMED], "..."] if entries else ["none"])
