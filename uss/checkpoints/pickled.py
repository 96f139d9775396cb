"""Reading PyTorch checkpoint files without running what they hold."""

from __future__ import annotations

import contextlib
import logging
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from uss.core.errors import InputError

logger = logging.getLogger(__name__)

_HARMLESS = re.compile(
    r"torch\.\w+|torch\._utils\.\w+|torch\.storage\.\w+|torch\.nn\.parameter\.Parameter"
    r"|numpy\.(ndarray|dtype)|numpy\._?core\.multiarray\.\w+|numpy\.dtypes\.\w+"
    r"|collections\.OrderedDict|_codecs\.encode"
)


def read_state_dict(path: Path, *, trust_checkpoint: bool = False) -> dict[str, Tensor]:
    """Read the weights of a checkpoint: a plain state dict, PANNs', Lightning's or BigVGAN's.

    Args:
        path: the file.
        trust_checkpoint: unpickle whatever the file holds. That can run any code.

    Returns:
        Entry name -> tensor, on the CPU; mapped from the file where its format allows it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is none, not whole, holds no weights, or holds objects of which
            weights need none and ``trust_checkpoint`` is not set; the message names them.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    content = _read(path, trust_checkpoint)
    for key in ("state_dict", "model", "generator"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}, not a state dict")
    state = {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not state:
        raise InputError(f"{path} holds no weights; name a checkpoint or a state dict")
    return state


def _read(path: Path, trust: bool) -> Any:
    # Only the zip format can be mapped; then the optimiser's state costs no memory.
    options: Any = {"map_location": "cpu", "mmap": zipfile.is_zipfile(path)}
    try:
        if trust:
            logger.info("unpickling all of %s, as asked", path)
            return torch.load(path, weights_only=False, **options)
        with torch.serialization.safe_globals(_array_parts()), warnings.catch_warnings():
            # Torch warns of pickle protocols that its restricted unpickler may not know.
            warnings.simplefilter("ignore")
            return torch.load(path, weights_only=True, **options)
    # The unpickler raises whatever the bytes of a file that is none lead it to.
    except Exception as error:
        refused = [] if trust else _refused_globals(path)
        if refused:
            raise InputError(
                f"{path} holds more than weights; loading it would run {', '.join(refused)}. If "
                "you trust its source, say --trust-checkpoint (trust_checkpoint=True in Python)"
            ) from error
        reason = str(error).split(". ")[0].splitlines() or ["it ends too early"]
        raise InputError(
            f"{path} is not a PyTorch weights file, or not a whole one ({reason[0]}); download it "
            "again, or name another"
        ) from error


def _array_parts() -> list[Any]:
    """What rebuilds plain NumPy arrays and numbers, which old files hold beside their weights.

    They run nothing of the file's. NumPy 2 has renamed the module, files have either name.
    """
    parts: list[Any] = [np.ndarray, np.dtype]
    parts += [getattr(np.dtypes, name) for name in np.dtypes.__all__]
    multiarray: Any = np._core.multiarray  # type: ignore[attr-defined]
    for function in (multiarray._reconstruct, multiarray.scalar):
        for module in ("numpy.core", "numpy._core"):
            parts.append((function, f"{module}.multiarray.{function.__name__}"))
    return parts


def _refused_globals(path: Path) -> list[str]:
    """Names that a file wants to call beside what weights and arrays need, without calling them."""
    wanted: set[str] = set()
    # What is cut off or no pickle at all ends the scan; the names before it count.
    with contextlib.suppress(Exception), _pickle_stream(path) as stream:
        while True:
            wanted |= _globals_of_one_pickle(stream)
    return sorted(name for name in wanted if not _HARMLESS.fullmatch(name))


@contextlib.contextmanager
def _pickle_stream(path: Path) -> Iterator[IO[bytes]]:
    """Open the pickle within the zip format, or the file itself: a run of pickles, then data."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            yield stream
        return
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        with archive.open(name) as stream:
            yield stream


def _globals_of_one_pickle(stream: IO[bytes]) -> set[str]:
    """Read one pickle's instructions.

    Newer protocols push module and name as strings, perhaps recalled from the memo, before the
    instruction that imports.
    """
    names: set[str] = set()
    memo: dict[Any, object] = {}
    pushed: list[object] = []
    for operation, argument, _ in pickletools.genops(stream):
        if operation.name == "GLOBAL":
            names.add(str(argument).replace(" ", "."))
        elif operation.name == "STACK_GLOBAL":
            names.add(f"{pushed[-2]}.{pushed[-1]}")
        elif operation.name == "MEMOIZE":
            memo[len(memo)] = pushed[-1] if pushed else None
        elif "PUT" in operation.name:
            memo[argument] = pushed[-1] if pushed else None
        elif "GET" in operation.name:
            pushed.append(memo.get(argument))
        elif isinstance(argument, str):
            pushed.append(argument)
    return names
