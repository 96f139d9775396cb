from typing import Any

import pytest
import torch
from torch import Tensor, nn

from uss.core.state_dicts import COUNTERS, is_constant, load_entries
from uss.models import ResUNet30
from uss.taggers import HTSAT, Cnn6, Cnn14, EfficientAT


class Transform(nn.Module):
    """Entries that follow from the architecture."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.full((3,), 7.0))


class Network(nn.Module):
    """Two batch-norm parameters, two statistics, a matrix and a bias; all else is constant."""

    def __init__(self) -> None:
        super().__init__()
        self.stft = Transform()
        self.register_buffer("melW", torch.full((2, 2), 7.0))
        self.bn = nn.BatchNorm1d(2)
        self.linear = nn.Linear(3, 2)
        self.head = nn.Linear(2, 2)


CONSTANTS = {"stft.kernel", "melW", "bn.num_batches_tracked", "head.weight", "head.bias"}
PATTERNS = ("stft.*", "melW", COUNTERS, "head.*")


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def entries(network: Network) -> dict[str, Tensor]:
    """Return what a file holds: every weight, of values that no network starts with."""
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    return {name: torch.rand(shapes[name]) + 2.0 for name in shapes if name not in CONSTANTS}


def error(network: Network, state: dict[str, object]) -> str:
    """Load what must not be loaded; nothing of it may stay."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError) as caught:
        load_entries(network, state, "folder/file.pt", PATTERNS)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_all_weights_are_loaded(network: Network, entries: dict[str, Tensor]) -> None:
    load_entries(network, entries, "file.pt", PATTERNS)
    loaded = network.state_dict()
    assert entries.keys() == loaded.keys() - CONSTANTS
    for name, value in entries.items():
        assert torch.equal(loaded[name], value), name


@pytest.mark.parametrize("shape", [None, (3,), (5, 5)], ids=["absent", "some fit", "none fits"])
def test_constants_may_be_absent_or_anything_and_keep_their_values(
    network: Network, entries: dict[str, Tensor], shape: tuple[int, ...] | None
) -> None:
    before = {name: network.state_dict()[name].clone() for name in CONSTANTS}
    given = {} if shape is None else {name: torch.zeros(shape) for name in CONSTANTS}
    load_entries(network, entries | given, "file.pt", PATTERNS)
    for name in CONSTANTS:
        assert torch.equal(network.state_dict()[name], before[name]), name
    assert torch.equal(network.linear.weight, entries["linear.weight"])


def test_constants_that_the_network_does_not_have_are_accepted(
    network: Network, entries: dict[str, Tensor]
) -> None:
    others = ("stft.ola_window", "head.scale", "other.num_batches_tracked")
    load_entries(network, entries | dict.fromkeys(others, torch.zeros(2)), "file.pt", PATTERNS)


def test_a_head_that_is_read_must_be_there(network: Network, entries: dict[str, Tensor]) -> None:
    """It is left out of the patterns of a network that reads it; one shared list let it pass."""
    patterns = tuple(pattern for pattern in PATTERNS if pattern != "head.*")
    head = {"head.weight": torch.full((2, 2), 5.0), "head.bias": torch.full((2,), 6.0)}
    for name in head:
        incomplete = entries | {other: value for other, value in head.items() if other != name}
        with pytest.raises(ValueError, match=rf"it lacks {name};"):
            load_entries(network, incomplete, "file.pt", patterns)
    load_entries(network, entries | head, "file.pt", patterns)
    assert torch.equal(network.head.weight, head["head.weight"])


@pytest.mark.parametrize("name", ["layers.0.attn_mask", "istft.kernel", "base.melW"])
def test_what_is_constant_elsewhere_is_unknown_here(
    network: Network, entries: dict[str, Tensor], name: str
) -> None:
    with pytest.raises(ValueError, match=rf"it has unknown entries {name};"):
        load_entries(network, entries | {name: torch.zeros(2)}, "file.pt", PATTERNS)


KERNELS = {"spectrogram_extractor.stft.conv_real.weight", "logmel_extractor.melW"}
SWIN = {
    "layers.0.blocks.1.attn.relative_position_index",
    "layers.0.blocks.1.attn_mask",
    "head.weight",
    "head.bias",
}
SEPARATOR = {"base.stft.conv_imag.weight", "base.istft.ola_window"}
COUNTER = {"bn0.num_batches_tracked"}


@pytest.mark.parametrize(
    ("kind", "constants"),
    [
        (ResUNet30, SEPARATOR | COUNTER),
        (Cnn14, KERNELS | COUNTER),
        (Cnn6, KERNELS | COUNTER),
        (HTSAT, KERNELS | SWIN | COUNTER),
        (EfficientAT, COUNTER),
    ],
)
def test_each_architecture_tolerates_its_own_constants(kind: Any, constants: set[str]) -> None:
    everything = KERNELS | SWIN | SEPARATOR | COUNTER
    assert {name for name in everything if is_constant(name, kind.constants)} == constants


@pytest.mark.parametrize("kind", [ResUNet30, Cnn14, Cnn6, HTSAT, EfficientAT])
@pytest.mark.parametrize(
    "name",
    [
        "bn0.running_mean",
        "fc_audioset.weight",
        "tscam_conv.bias",
        "layers.0.blocks.1.attn.relative_position_bias_table",
        "network.head.weight",
        "logmel_extractor.melW.bias",
    ],
)
def test_weights_are_constants_of_none(kind: Any, name: str) -> None:
    assert not is_constant(name, kind.constants)


@pytest.mark.parametrize("name", ["bn.weight", "bn.running_var", "linear.bias"])
def test_a_missing_entry_is_named(network: Network, entries: dict[str, Tensor], name: str) -> None:
    del entries[name]
    assert error(network, {**entries}) == (
        f"folder/file.pt does not fit the Network it looks like: it lacks {name}; it is damaged or "
        "of another model, download it again"
    )


def test_three_missing_entries_are_all_named(network: Network, entries: dict[str, Tensor]) -> None:
    for name in ("bn.weight", "linear.weight", "linear.bias"):
        del entries[name]
    message = error(network, {**entries})
    assert "it lacks bn.weight, linear.weight, linear.bias; it is damaged" in message


def test_of_many_missing_entries_three_are_named_and_the_others_counted(network: Network) -> None:
    message = error(network, {"melW": torch.zeros(2, 2)})
    assert "it lacks bn.weight, bn.bias, bn.running_mean and 3 more; it is" in message
    assert "linear" not in message and "kernel" not in message


def test_unknown_entries_are_named_and_counted(
    network: Network, entries: dict[str, Tensor]
) -> None:
    message = error(network, {**entries, "extra.weight": torch.zeros(2)})
    assert "looks like: it has unknown entries extra.weight; it is damaged" in message
    message = error(network, {**entries, **{f"x{i}": torch.zeros(1) for i in range(5)}})
    assert "it has unknown entries x0, x1, x2 and 2 more;" in message


@pytest.mark.parametrize("shape", [(3, 2), (6,), (2, 3, 1), ()])
def test_a_misshapen_entry_is_named_with_both_shapes(
    network: Network, entries: dict[str, Tensor], shape: tuple[int, ...]
) -> None:
    message = error(network, {**entries, "linear.weight": torch.zeros(shape)})
    assert f"entries of the wrong shape: linear.weight ({shape} instead of (2, 3));" in message
    assert "lacks" not in message and "unknown" not in message


def test_of_many_misshapen_entries_three_are_named(
    network: Network, entries: dict[str, Tensor]
) -> None:
    message = error(network, {name: torch.zeros(9) for name in entries})
    assert "bn.weight ((9,) instead of (2,)), bn.bias " in message
    assert " and 3 more;" in message and "linear" not in message


@pytest.mark.parametrize(
    ("value", "kind"), [(3, "int"), ("text", "str"), (None, "NoneType"), ([0.0, 0.0], "list")]
)
def test_an_entry_that_is_no_tensor_is_named_with_its_kind(
    network: Network, entries: dict[str, Tensor], value: object, kind: str
) -> None:
    message = error(network, {**entries, "linear.bias": value})
    assert f"linear.bias ({kind} instead of (2,))" in message


def test_problems_of_all_kinds_are_told_at_once(
    network: Network, entries: dict[str, Tensor]
) -> None:
    del entries["bn.bias"]
    changes = {"linear.bias": torch.zeros(5), "extra": torch.zeros(1)}
    message = error(network, {**entries, **changes})
    for part in (
        "it lacks bn.bias; ",
        "it has unknown entries extra; ",
        "linear.bias ((5,) instead of (2,)); ",
    ):
        assert part in message


def test_an_empty_file_lacks_everything(network: Network) -> None:
    assert "and 3 more" in error(network, {})
