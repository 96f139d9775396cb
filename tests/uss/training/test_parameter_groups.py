from collections.abc import Sequence

import pytest
import torch
from torch import nn

from uss.models import BACKBONES, ResUNet
from uss.taggers import TAGGERS
from uss.training.module import SeparationTask
from uss.training.parameter_groups import parameter_groups


class Several(nn.Module):
    """One of each kind of parameter that is treated in its own way."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.conv = nn.Conv2d(2, 3, 3)
        self.batch_norm = nn.BatchNorm2d(3)
        self.layer_norm = nn.LayerNorm((2, 3))
        self.group_norm = nn.GroupNorm(1, 4)
        self.embedding = nn.Embedding(5, 3)
        self.relative_position_bias_table = nn.Parameter(torch.ones(9, 2))
        self.lstm = nn.LSTM(2, 3)
        self.prelu = nn.PReLU()
        self.gain = nn.Parameter(torch.ones(()))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.shared = self.linear


DECAYED = {"linear.weight", "conv.weight", "lstm.weight_ih_l0", "lstm.weight_hh_l0"}


def names(module: nn.Module, parameters: Sequence[nn.Parameter]) -> list[str]:
    name_of = {parameter: name for name, parameter in module.named_parameters()}
    return [name_of[parameter] for parameter in parameters]


def test_weights_of_products_decay_and_nothing_else() -> None:
    module = Several()
    decayed, others = parameter_groups(module, 0.1)
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert set(names(module, decayed["params"])) == DECAYED
    trained = [name for name, p in module.named_parameters() if p.requires_grad]
    # A parameter of two owners is given once.
    assert sorted(names(module, [*decayed["params"], *others["params"]])) == sorted(trained)
    assert {"embedding.weight", "relative_position_bias_table", "layer_norm.weight"} <= set(
        names(module, others["params"])
    )


def test_all_may_decay_in_one_group_in_the_modules_order() -> None:
    module = Several()
    (group,) = parameter_groups(module, 0.1, decay_norms_and_biases=True)
    assert group["weight_decay"] == 0.1
    trained = [name for name, p in module.named_parameters() if p.requires_grad]
    assert names(module, group["params"]) == trained


def test_a_module_without_weights_has_one_group() -> None:
    assert [group["weight_decay"] for group in parameter_groups(nn.LayerNorm(3), 0.1)] == [0.0]


@pytest.mark.parametrize("name", [*BACKBONES, *TAGGERS])
def test_groups_of_every_network_partition_what_is_trained(name: str) -> None:
    with torch.device("meta"):
        network = (
            TAGGERS[name]()
            if name in TAGGERS
            else BACKBONES[name]()
            if name == "BlindUNet"
            else BACKBONES[name](condition_space="test-6", condition_size=6)
        )
    decayed, others = parameter_groups(network, 0.1)
    given = [*decayed["params"], *others["params"]]
    assert len(given) == len(set(given))
    assert set(given) == {p for p in network.parameters() if p.requires_grad}
    assert all(parameter.ndim >= 2 for parameter in decayed["params"])
    assert not any("bias" in each for each in names(network, decayed["params"]))
    tables = [each for each in names(network, others["params"]) if each.endswith("bias_table")]
    assert bool(tables) == (name == "HTSAT")
    # Everything else of two dimensions and more is a weight of products.
    assert all(parameter.ndim <= 1 for parameter in others["params"]) or name == "HTSAT"


def resunet() -> ResUNet:
    return ResUNet("test-6", 6, channels=(4, 8), n_fft=256, hop_length=64, segment_seconds=0.5)


@pytest.mark.parametrize("all_decay", [False, True])
def test_a_step_without_gradient_shrinks_what_decays_alone(all_decay: bool) -> None:
    """AdamW without a gradient multiplies by 1 - rate x decay, exactly."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        task = SeparationTask(
            resunet(), weight_decay=0.5, learning_rate=0.1, decay_norms_and_biases=all_decay
        )
    with torch.no_grad():
        for parameter in task.parameters():
            # Biases begin at zero, where decay could not be seen.
            parameter.add_(0.25)
    before = {name: p.detach().clone() for name, p in task.named_parameters()}
    optimiser = torch.optim.AdamW(task.parameter_groups(), lr=0.1)
    for parameter in task.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    shrunk = 0
    for name, parameter in task.named_parameters():
        decays = all_decay or parameter.ndim > 1
        shrunk += decays
        expected = before[name] * (1.0 - 0.1 * 0.5) if decays else before[name]
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-6, atol=0.0, msg=name)
    assert 0 < shrunk <= len(before)
    assert (shrunk == len(before)) == all_decay
    assert torch.equal(task.model.film.linear.bias.detach(), before["model.film.linear.bias"]) == (
        not all_decay
    )
