"""Memory formats and compiled steps give what the plain step gives."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.flowsep_files import small
from uss.core.compilers import has_compiler
from uss.core.errors import InputError
from uss.data.dataset import Batch
from uss.data.joint import JointBatch
from uss.models import ConvTasNet, QueryUNet, ResUNet, ResUNet30
from uss.training.execution import compile_model, to_channels_last
from uss.training.module import SeparationTask
from uss.training.objectives import JointError, Objective, WaveformL1

CPU = torch.device("cpu")
SMALL = {"ear_width": None, "num_maps": 2, "query_size": 4, "num_heads": 1, "num_layers": 1}


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Leave neither compiled code nor filters to other tests."""
    with warnings.catch_warnings():
        yield
    torch._dynamo.reset()


def network(kind: Any = ResUNet, channels: tuple[int, ...] = (4, 6), **options: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind("fake-5", 5, channels=channels, n_fft=64, hop_length=16, **options)


def single(seed: int = 0) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    target, other = 0.1 * torch.randn(2, 3, 1, 640, generator=rng)
    return Batch(target + other, target, torch.randn(3, 5, generator=rng))


def joint(seed: int = 0) -> JointBatch:
    rng = torch.Generator().manual_seed(seed)
    targets = 0.1 * torch.randn(3, 2, 640, generator=rng)
    asked = torch.tensor([[True, True], [True, False], [True, True]])
    return JointBatch(
        targets.sum(dim=1)[:, None], targets, torch.randn(3, 2, 5, generator=rng), asked
    )


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_channels_last_changes_how_weights_lie_and_nothing_else() -> None:
    plain, changed = network(), network()
    to_channels_last(changed)
    weights = [p for p in changed.parameters() if p.ndim == 4 and min(p.shape[1:]) > 1]
    assert weights
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)
    losses = []
    for model in (plain, changed):
        loss = WaveformL1()(model, single())["loss"]
        loss.backward()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    ours, theirs = gradients(changed), gradients(plain)
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-3, atol=1e-5)


def test_channels_last_needs_convolutions_of_images() -> None:
    model = ConvTasNet("fake-5", 5)
    with pytest.raises(InputError, match="a ConvTasNet has no convolutions of images; leave"):
        SeparationTask(model, channels_last=True)


@pytest.mark.slow
@pytest.mark.skipif(not has_compiler(CPU), reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.parametrize(
    ("kind", "options", "objective", "make"),
    [
        pytest.param(ResUNet30, {}, WaveformL1(), single, id="paper", marks=pytest.mark.long),
        pytest.param(ResUNet, {}, JointError(), joint, id="joint"),
        pytest.param(QueryUNet, SMALL, JointError(), joint, id="default"),
    ],
)
def test_a_compiled_step_is_the_plain_one(
    kind: Any, options: dict[str, Any], objective: Objective, make: Any
) -> None:
    """Gradients most of all: those of products of complex numbers once came out wrong.

    A sum on either side of a kink may move a gradient by a thousandth.
    """
    # Each stage takes the compiler seconds.
    plain, model = (network(kind, channels=(4,), **options) for _ in range(2))
    names = list(model.state_dict())
    compile_model(model, CPU)
    # A second batch of the same shape, as a training has.
    for seed in range(2):
        expected, given = objective(plain, make(seed)), objective(model, make(seed))
        assert given.keys() == expected.keys()
        assert given["loss"].item() == pytest.approx(expected["loss"].item(), rel=1e-4)
        for network_, losses in ((plain, expected), (model, given)):
            network_.zero_grad()
            losses["loss"].backward()
        ours, theirs = gradients(model), gradients(plain)
        assert ours.keys() == theirs.keys()
        largest = max(float(value.abs().max()) for value in theirs.values())
        for name, gradient in ours.items():
            assert float((gradient - theirs[name]).abs().max()) < 1e-2 * largest, name
    # What is saved keeps its names.
    assert list(model.state_dict()) == names


def test_of_a_generative_model_its_networks_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uss.training.execution.has_compiler", lambda device: True)
    model = small()
    names = list(model.state_dict())
    compile_model(model, CPU)
    compiled = [each for each in model.modules() if each._compiled_call_impl is not None]
    vae = model.first_stage_model
    assert compiled == [model.unet, vae.encoder, vae.decoder, model.vocoder]
    assert list(model.state_dict()) == names


def test_without_a_compiler_the_step_is_not_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "g++")
    with pytest.raises(InputError, match=r"finds no compiler for cpu; install g\+\+"):
        compile_model(network(), CPU)
