import argparse
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from uss.checkpoints.pickled import read_state_dict

WEIGHTS = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.zeros(2)}


class Harmful:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def save(path: Path, content: object, *, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        OrderedDict(WEIGHTS),
        {"iteration": 5, "model": WEIGHTS},
        {"epoch": 1, "state_dict": WEIGHTS, "optimizer_states": [{"state": {}}]},
        {name: torch.nn.Parameter(value) for name, value in WEIGHTS.items()},
    ],
    ids=["plain", "ordered", "panns", "lightning", "parameters"],
)
def test_weights_are_found_in_every_container(tmp_path: Path, content: Any, zipped: bool) -> None:
    state = read_state_dict(save(tmp_path / "file.pt", content, zipped=zipped))
    assert state.keys() == WEIGHTS.keys()
    for name, value in WEIGHTS.items():
        torch.testing.assert_close(state[name].detach(), value)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_numpy_arrays_beside_the_weights_are_harmless(tmp_path: Path, zipped: bool) -> None:
    sampler = {"pointers": np.arange(3), "share": np.float64(0.5), "names": np.array(["a", "b"])}
    content = {"model": WEIGHTS, "sampler": sampler}
    assert read_state_dict(save(tmp_path / "file.pt", content, zipped=zipped)).keys() == {*WEIGHTS}


def test_arrays_pickled_by_numpy_1_are_known(tmp_path: Path) -> None:
    path = save(tmp_path / "file.pt", {"model": WEIGHTS, "x": np.arange(3)}, zipped=False)
    old = path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != path.read_bytes()
    path.write_bytes(old)
    assert read_state_dict(path).keys() == {*WEIGHTS}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_what_else_a_file_wants_is_listed_and_not_run(tmp_path: Path, zipped: bool) -> None:
    content = {
        "state_dict": WEIGHTS,
        "callback": Harmful(tmp_path / "harm"),
        "hyper_parameters": argparse.Namespace(a=1),
    }
    path = save(tmp_path / "file.ckpt", content, zipped=zipped)
    with pytest.raises(ValueError) as refusal:
        read_state_dict(path)
    message = str(refusal.value)
    assert "argparse.Namespace" in message and "pathlib.Path" in message
    assert "torch._utils" not in message and "numpy" not in message
    assert "--trust-checkpoint" in message and str(path) in message
    assert "\n" not in message
    assert not (tmp_path / "harm").exists()


def test_a_trusted_file_is_loaded_with_all_it_wants(tmp_path: Path) -> None:
    content = {"state_dict": WEIGHTS, "callback": Harmful(tmp_path / "harm")}
    path = save(tmp_path / "file.ckpt", content)
    assert read_state_dict(path, trust_checkpoint=True).keys() == {*WEIGHTS}
    assert (tmp_path / "harm").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_object_is_named_whatever_the_protocol(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "object.pkl"
    path.write_bytes(pickle.dumps([argparse.Namespace(), argparse.Namespace()], protocol))
    with pytest.raises(ValueError, match=r"argparse\.Namespace"):
        read_state_dict(path)


def test_a_whole_module_is_refused_by_its_class(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_state_dict(save(tmp_path / "module.pt", torch.nn.Linear(2, 2)))


def test_a_trusted_module_that_is_not_installed_is_one_line(tmp_path: Path) -> None:
    path = save(tmp_path / "file.ckpt", {"a": argparse.Namespace()}, zipped=False)
    path.write_bytes(path.read_bytes().replace(b"argparse", b"argpurse"))
    with pytest.raises(ValueError, match="argpurse") as refusal:
        read_state_dict(path, trust_checkpoint=True)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_one_line(tmp_path: Path, zipped: bool, share: float) -> None:
    path = save(tmp_path / "file.pt", {"model": {"w": torch.rand(100, 100)}}, zipped=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="download it again") as refusal:
        read_state_dict(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [(3, "holds a int"), ({}, "no weights"), ({"model": {"a": 1}}, "no weights")],
    ids=["number", "empty", "numbers"],
)
def test_a_file_without_weights_says_so(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_state_dict(save(tmp_path / "file.pt", content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_state_dict(tmp_path / "nowhere.pt")
