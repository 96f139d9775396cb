import math
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from uss.conditions.query_nets import TaggerQueryNet
from uss.data.dataset import Batch
from uss.data.validation_mixtures import ValidationBatch
from uss.models import ResUNet
from uss.training.module import SeparationTask
from uss.training.objectives import WaveformL1
from uss.training.schedules import stepped_decay, warm_up_then_cosine

NUM_SAMPLES = 4_000
CONDITION_SIZE = 6


class Oracle(nn.Module):
    """A "separator" whose condition is the answer."""

    sample_rate = 32_000
    segment_seconds = NUM_SAMPLES / 32_000
    condition_space = "answers"

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(
        self, mixture: Tensor, condition: Tensor, rng: np.random.Generator | None = None
    ) -> Tensor:
        return self.gain * condition[:, None]


def resunet() -> ResUNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ResUNet(
            "test-6", CONDITION_SIZE, channels=(4, 8), n_fft=256, hop_length=64, segment_seconds=0.5
        )


def batch(seed: int = 0, size: int = 3) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    target, other = 0.1 * torch.randn(2, size, 1, NUM_SAMPLES, generator=rng)
    return Batch(target + other, target, torch.randn(size, CONDITION_SIZE, generator=rng))


def optimiser_of(task: SeparationTask, max_steps: int = 10) -> tuple[Any, Any]:
    task.trainer = pl.Trainer(
        max_steps=max_steps, accelerator="cpu", logger=False, enable_checkpointing=False
    )
    config: Any = task.configure_optimizers()
    assert config["lr_scheduler"]["interval"] == "step"
    return config["optimizer"], config["lr_scheduler"]["scheduler"]


def test_the_optimiser_gets_every_parameter_and_moves_it() -> None:
    # Weight decay would move also what has no gradient.
    task = SeparationTask(resunet(), weight_decay=0.0, warm_up_steps=0)
    optimiser, _ = optimiser_of(task)
    given = {id(p) for group in optimiser.param_groups for p in group["params"]}
    assert given == {id(p) for p in task.parameters()}
    before = {name: p.detach().clone() for name, p in task.named_parameters()}
    task.objective(task.model, batch())["loss"].backward()
    optimiser.step()
    assert [name for name, p in task.named_parameters() if torch.equal(p, before[name])] == []


def test_frozen_parameters_are_not_trained() -> None:
    task = SeparationTask(resunet(), weight_decay=0.5)
    task.model.film.requires_grad_(False)
    before = task.model.film.linear.weight.detach().clone()
    optimiser, _ = optimiser_of(task)
    task.objective(task.model, batch())["loss"].backward()
    optimiser.step()
    assert torch.equal(task.model.film.linear.weight, before)


@pytest.mark.parametrize("trained", [True, False])
def test_the_optimiser_gets_what_is_trained_of_a_query_net(trained: bool) -> None:
    """An earlier system had an adaptor whose parameters its optimiser never got."""
    net = TaggerQueryNet("test-6", "EfficientAT", trained=trained)
    task = SeparationTask(resunet(), query_net=net)
    optimiser, _ = optimiser_of(task)
    given = {id(p) for group in optimiser.param_groups for p in group["params"]}
    names = {name for name, p in task.named_parameters() if id(p) in given}
    assert len(given) == len(names)
    assert names >= {f"model.{name}" for name, _ in task.model.named_parameters()}
    of_the_net = {name for name, _ in net.network.named_parameters()}
    not_trained = {name for name in of_the_net if name.startswith(f"{net.network.head}.")}
    expected = of_the_net - not_trained if trained else set()
    prefix = "query_net.network."
    assert {name.removeprefix(prefix) for name in names if name.startswith(prefix)} == expected


def test_the_condition_reaches_the_output() -> None:
    model = resunet().eval()
    mixture, _, condition, _ = batch()
    with torch.inference_mode():
        first, second = model(mixture, condition), model(mixture, condition + 1.0)
    assert (first - second).abs().max() > 1e-4


def test_the_objective_is_the_mean_absolute_error() -> None:
    target = torch.tensor([[[0.0, 1.0, -1.0]], [[0.5, 0.5, 0.5]]])
    condition = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    losses = WaveformL1()(Oracle(), Batch(torch.zeros_like(target), target, condition))
    assert losses["loss"].item() == pytest.approx((1.0 + 1.0 + 0.5) / 6)


def test_validation_measures_each_condition_against_its_own_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two sines with whole periods are orthogonal, so the mixture is at 0 dB for both.
    times = torch.arange(NUM_SAMPLES) / NUM_SAMPLES
    target = (0.1 * torch.sin(2 * math.pi * 50 * times))[None]
    interferer = (0.1 * torch.sin(2 * math.pi * 80 * times))[None]
    # The class average asks for twice the target: right but for its scale.
    conditions = (target, 2.0 * target, interferer, 2.0 * interferer, 0.0 * target)
    waveforms = (target + interferer, target, interferer)
    class_index = torch.tensor([[3, 4, 5]])
    logged: dict[str, float] = {}

    def keep(figures: dict[str, Tensor], **_: object) -> None:
        logged.update({name: float(value.detach()) for name, value in figures.items()})

    task = SeparationTask(Oracle())
    monkeypatch.setattr(task, "log_dict", keep)
    batch = ValidationBatch(*(w[None] for w in waveforms), *conditions, class_index)
    task.validation_step(batch, 0)
    expected = {
        "validation/SDRi oracle": 100.0,
        "validation/SDRi class average": 0.0,
        "validation/SDRi swapped": 100.0,
        "validation/SI-SDRi oracle": 100.0,
        "validation/SI-SDRi class average": 100.0,
        "validation/SI-SDRi swapped": 100.0,
    }
    assert logged == pytest.approx(expected, abs=0.01)


def test_what_is_no_separator_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear is no SeparationModel"):
        SeparationTask(nn.Linear(2, 2))


def test_a_cosine_needs_an_end() -> None:
    with pytest.raises(ValueError, match="max_steps"):
        optimiser_of(SeparationTask(Oracle(), decay="cosine"), max_steps=-1)


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("cosine", [1 / 3, 2 / 3, 1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0]),
        ("none", [1 / 3, 2 / 3, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_learning_rate_over_six_steps(decay: Any, expected: list[float]) -> None:
    task = SeparationTask(Oracle(), learning_rate=0.01, warm_up_steps=2, decay=decay)
    optimiser, schedule = optimiser_of(task, max_steps=6)
    rates = []
    for _ in range(7):
        rates.append(optimiser.param_groups[0]["lr"] / 0.01)
        optimiser.step()
        schedule.step()
    assert rates == pytest.approx(expected, abs=1e-12)


def test_a_stepped_decay_falls_every_so_many_steps() -> None:
    """As the published bi-modal training: PyTorch's StepLR, in steps."""
    options: Any = {"decay": "stepped", "decay_every_steps": 3, "warm_up_steps": 0}
    task = SeparationTask(Oracle(), learning_rate=0.01, **options)
    optimiser, schedule = optimiser_of(task)
    released = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.01)
    steps = torch.optim.lr_scheduler.StepLR(released, step_size=3, gamma=0.1)
    for _ in range(8):
        rates = [each.param_groups[0]["lr"] for each in (optimiser, released)]
        assert rates[0] == pytest.approx(rates[1], rel=1e-12)
        for each in (optimiser, released, schedule, steps):
            each.step()
    assert stepped_decay(2, 4, 0.5)(1) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"decay": "stepped"}, "decay stepped with decay_every_steps None"),
        ({"decay": "none", "decay_every_steps": 5}, "decay none with decay_every_steps 5"),
        ({"decay": "stepped", "decay_every_steps": 0}, "decay_every_steps 0"),
        ({"decay": "stepped", "decay_every_steps": 5, "decay_factor": 1.5}, "decay_factor 1.5"),
    ],
)
def test_a_stepped_decay_needs_its_steps(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        optimiser_of(SeparationTask(Oracle(), **options))


@pytest.mark.parametrize(("kind", "expected"), [("adamw", 1.0 - 0.1 * 0.5), ("adam", 1.0 - 0.1)])
def test_weight_decay_is_beside_the_gradient_or_part_of_it(kind: Any, expected: float) -> None:
    """Of 1 without a gradient AdamW takes rate times decay, Adam's first step the rate."""
    options: Any = {"decay_norms_and_biases": True, "warm_up_steps": 0, "decay": "none"}
    model = resunet()
    task = SeparationTask(model, learning_rate=0.1, weight_decay=0.5, optimiser=kind, **options)
    optimiser, _ = optimiser_of(task)
    weight = model.after_conv.weight
    weight.data.fill_(1.0)
    weight.grad = torch.zeros_like(weight)
    optimiser.step()
    torch.testing.assert_close(weight.data, torch.full_like(weight, expected))


def test_a_warm_up_longer_than_the_training_never_decays() -> None:
    factor = warm_up_then_cosine(10, 5)
    assert [factor(step) for step in (0, 4, 9, 10, 50)] == pytest.approx(
        [1 / 11, 5 / 11, 10 / 11, 1.0, 1.0]
    )
