"""Fixtures shared by all tests."""

import functools
import importlib.util
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.http_server import FakeSite, serve
from uss.core.state_dicts import is_constant
from uss.models import ResUNet30
from uss.taggers import HTSAT, Cnn6, Cnn10, Cnn14

CONSTANTS = {
    "resunet30_at_soft": ResUNet30.constants,
    "resunet30_embedding": ResUNet30.constants,
    "resunet30_audiosep": ResUNet30.constants,
    "cnn6": Cnn6.constants,
    "cnn10": Cnn10.constants,
    "cnn14": Cnn14.constants,
    "htsat": HTSAT.constants,
}
"""Published model -> patterns of the entries of its file that loaders construct."""

ROOT = Path(__file__).resolve().parent.parent

LONG_TESTS = "USS_LONG_TESTS"
"""Environment variable; with 1 the tests marked ``long`` run as well."""


def pytest_configure() -> None:
    """Compute in one thread unless told otherwise, also in the commands that tests start.

    The networks are small: several threads wait for each other longer than they work.
    """
    # Jobs in the background of a shell ignore Ctrl-C, and so would what tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out long tests unless they are asked for; begin with the files that hold slow ones.

    So no worker is left alone with one at the end.
    """
    if os.environ.get(LONG_TESTS) != "1":
        skipped = pytest.mark.skip(reason=f"long; {LONG_TESTS}=1 runs it")
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(skipped)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with reference weights, parity files and audio, or skip without it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference data (../shared, beside the checkout) is not here")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fixed seed; each test gets a fresh one."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def published(shared: Path) -> Callable[[str], dict[str, Any]]:
    """Return a function that makes the state dict of a published model, filled by its names.

    Constants (transform kernels, mel matrices, masks) are left out, as loaders construct them.
    The tensors are shared by all who ask; loaders copy them.
    """
    spec = importlib.util.spec_from_file_location("fill", shared / "parity" / "fill.py")
    assert spec is not None and spec.loader is not None
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)

    # The largest has 80 million numbers; more than a few of them would fill the memory.
    @functools.lru_cache(maxsize=3)
    def filled(model: str) -> dict[str, torch.Tensor]:
        shapes = json.loads((shared / "parity" / f"{model}.shapes.json").read_text())
        state: dict[str, torch.Tensor] = fill.fill_state_dict(
            {
                name: tuple(shape)
                for name, shape in shapes.items()
                if not is_constant(name, CONSTANTS[model])
            }
        )
        return state

    return lambda model: dict(filled(model))


@pytest.fixture
def no_initialisation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares new networks millions of random numbers where a file replaces all of them."""
    for name in ("kaiming_uniform_", "trunc_normal_", "uniform_", "xavier_uniform_"):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSite]:
    """Serve a site on a local port, past any proxy; the test says what it holds."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    site = FakeSite()
    with serve(site):
        yield site
