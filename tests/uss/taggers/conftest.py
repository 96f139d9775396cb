from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from uss.taggers import Cnn14

State = dict[str, torch.Tensor]


@pytest.fixture(scope="session")
def home_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def home(home_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the class list that panns-inference wants out of the real home folder."""
    monkeypatch.setenv("HOME", str(home_folder))


@pytest.fixture(scope="session")
def cnn14_state(published: Callable[[str], dict[str, Any]]) -> State:
    """Return the entries of Cnn14 and of Cnn14_DecisionLevelMax: 80 M numbers, made once."""
    return published("cnn14")


@pytest.fixture(scope="session")
def cnn14(cnn14_state: State, home_folder: Path) -> Iterator[Cnn14]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("HOME", str(home_folder))
        yield Cnn14.from_state_dict(cnn14_state, "cnn14.pth")
