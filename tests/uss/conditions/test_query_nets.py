import copy
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from uss.conditions.query_nets import QUERY_NETS, Adaptor, QueryNet, Shortcut, TaggerQueryNet
from uss.taggers import Cnn6, EfficientAT

SIZE = 512
SAMPLES = 32_000


def finetuned() -> QueryNet:
    return TaggerQueryNet("learned", "Cnn6", pretrained="cnn6")


def random() -> QueryNet:
    return TaggerQueryNet("random", "Cnn6", trained=False)


def shortcut() -> QueryNet:
    return Shortcut("shortcut", "cnn6-512", "Cnn6", pretrained="cnn6")


def adaptor() -> QueryNet:
    return Adaptor("adapted", "cnn6-512", SIZE)


MAKERS = [finetuned, random, shortcut, adaptor]


@pytest.fixture
def stored() -> torch.Tensor:
    return torch.rand(3, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def waveform() -> torch.Tensor:
    return 0.1 * torch.randn(3, SAMPLES, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("make", MAKERS)
def test_hyperparameters_rebuild_the_net(make: Callable[[], QueryNet]) -> None:
    net = make()
    parameters = json.loads(json.dumps(net.hyperparameters))
    again = QUERY_NETS[type(net).__name__](**parameters)
    again.load_state_dict(net.state_dict())
    assert (again.space, again.stored_space) == (net.space, net.stored_space)
    assert (again.hears, again.pretrained) == (net.hears, net.pretrained)


@pytest.mark.parametrize("make", MAKERS)
def test_conditions_have_the_right_shape(
    make: Callable[[], QueryNet], stored: torch.Tensor, waveform: torch.Tensor
) -> None:
    assert make()(stored, waveform).shape == (3, SIZE)


@pytest.mark.parametrize("make", [finetuned, shortcut, adaptor])
def test_one_step_changes_every_parameter_that_makes_the_condition(
    make: Callable[[], QueryNet], stored: torch.Tensor, waveform: torch.Tensor
) -> None:
    torch.manual_seed(0)
    net = make().train()
    before = copy.deepcopy(dict(net.named_parameters()))
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    net(stored, waveform).square().sum().backward()
    optimiser.step()
    changed = {n for n, p in net.named_parameters() if not torch.equal(p, before[n])}
    trained = {n for n, p in net.named_parameters() if p.requires_grad}
    assert trained == changed
    assert trained


def test_a_frozen_net_has_nothing_to_train_and_keeps_its_statistics(
    stored: torch.Tensor, waveform: torch.Tensor
) -> None:
    net = random().train()
    before = copy.deepcopy(net.state_dict())
    assert not any(parameter.requires_grad for parameter in net.parameters())
    first, second = net(stored, waveform), net(stored, waveform)
    assert torch.equal(first, second), "dropout must not run in a frozen net"
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_classifier_after_the_embedding_is_not_trained() -> None:
    """It gets no gradient, which distributed training would complain about."""
    for net in (finetuned(), shortcut()):
        frozen = [name for name, p in net.named_parameters() if not p.requires_grad]
        assert frozen and all("fc_audioset" in name for name in frozen)


def test_pretrained_weights_are_taken_over(waveform: torch.Tensor, stored: torch.Tensor) -> None:
    torch.manual_seed(3)
    tagger = Cnn6().eval()
    net = TaggerQueryNet("learned", "Cnn6", pretrained="cnn6").eval()
    clone = Shortcut("shortcut", "cnn6-512", "Cnn6", pretrained="cnn6").eval()
    with torch.inference_mode():
        embedding = tagger(waveform).embedding
        assert not torch.allclose(net(stored, waveform), embedding)
        net.start_from(tagger)
        clone.start_from(tagger)
        torch.testing.assert_close(net(stored, waveform), embedding)
        torch.testing.assert_close(clone(stored, waveform), stored + embedding)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Cnn6.*EfficientAT"):
        finetuned().start_from(EfficientAT(width=0.1))


def test_an_adaptor_does_not_hear(stored: torch.Tensor) -> None:
    net = adaptor()
    assert not net.hears
    torch.testing.assert_close(
        net(stored, torch.zeros(3, 1)), net(stored, torch.full((3, 1), np.inf))
    )


def test_unknown_taggers_are_named() -> None:
    for make in (TaggerQueryNet, lambda space, tagger: Shortcut(space, "x", tagger)):
        with pytest.raises(ValueError, match=r"Cnn15.*Cnn14"):
            make("space", "Cnn15")
