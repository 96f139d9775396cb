import copy
import inspect
import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from uss.conditions.query_nets import QUERY_NETS
from uss.core.hyperparameters import Rebuildable
from uss.models import BACKBONES, ResUNet60
from uss.taggers import TAGGERS, EfficientAT


class Base(Rebuildable):
    """Takes one argument, and options with defaults."""

    def __init__(self, name: str, *, depth: int = 3, widths: Sequence[int] = (1, 2)) -> None:
        self.widths = widths


class Child(Base):
    """Has another default for one option, and passes the others on."""

    def __init__(self, name: str, *, depth: int = 6, **options: Any) -> None:
        super().__init__(name, depth=depth, **options)


class Grandchild(Child):
    """Adds an argument of its own and decides what its parents get."""

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__(f"of size {size}", **options)


class Plain(Base):
    """Takes nothing."""

    def __init__(self) -> None:
        super().__init__("plain", depth=1)


class Heir(Child):
    """Has no constructor of its own."""


def test_defaults_and_positions_are_kept() -> None:
    assert Base("a").hyperparameters == {"name": "a", "depth": 3, "widths": [1, 2]}
    assert Base(name="a", depth=5).hyperparameters == {"name": "a", "depth": 5, "widths": [1, 2]}


@pytest.mark.parametrize("kind", [Child, Heir])
def test_options_that_are_passed_on_are_kept_with_their_defaults(kind: type[Child]) -> None:
    assert kind("a").hyperparameters == {"name": "a", "depth": 6, "widths": [1, 2]}
    given = {"name": "a", "depth": 2, "widths": [7]}
    assert kind("a", depth=2, widths=(7,)).hyperparameters == given


def test_the_arguments_are_those_of_the_objects_own_class() -> None:
    assert Plain().hyperparameters == {}
    assert Grandchild(4).hyperparameters == {"size": 4, "depth": 6, "widths": [1, 2]}
    again = Grandchild(**Grandchild(4, depth=8).hyperparameters)
    assert again.hyperparameters == {"size": 4, "depth": 8, "widths": [1, 2]}


def test_a_list_that_its_owner_changes_later_does_not_count() -> None:
    widths = [[1], [2]]
    made = Base("a", widths=widths)  # type: ignore[arg-type]
    widths[0].append(9)
    made.hyperparameters["widths"].append(9)
    assert made.widths == [[1, 9], [2]]
    assert made.hyperparameters["widths"] == [[1], [2], 9]
    assert Base("b").hyperparameters["widths"] == [1, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Base(), "name"),
        (lambda: Base("a", dept=1), "dept"),
        (lambda: Child("a", dept=1), "dept"),
        (lambda: Plain(1), "argument"),
    ],
)
def test_arguments_that_do_not_fit_are_the_constructors_to_refuse(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises(TypeError, match=rf"__init__.*{message}"):
        call()


def test_signatures_stay_as_they_are_written() -> None:
    assert list(inspect.signature(Base).parameters) == ["name", "depth", "widths"]
    assert list(inspect.signature(BACKBONES["ResUNet60"]).parameters) == [
        "condition_space",
        "condition_size",
        "blocks_per_stage",
        "options",
    ]


# The networks of this package

BACKBONE_OPTIONS: dict[str, dict[str, Any]] = {
    "LASSNet": {"channels": (2, 3), "text_size": 4, "n_fft": 64},
    "CLIPSep": {"num_maps": 3, "width": 2, "depth": 3, "num_rows": 16, "n_fft": 64},
    "QueryUNet": {
        "channels": (2, 3),
        "fold": 2,
        "query_size": 8,
        "num_heads": 2,
        "ear_width": None,
        "n_fft": 64,
    },
    "ResUNet": {"channels": (2, 3), "fold": 2, "n_fft": 64, "min_gain": 0.03},
    "ResUNet30": {"channels": (2, 3), "n_fft": 64, "shortcuts": False},
    "ResUNet60": {"channels": (2, 3), "n_fft": 64},
    "UNet": {"channels": (2, 3), "n_fft": 64, "blocks_per_stage": 3},
    "ConvTasNet": {"num_filters": 6, "blocks_per_repeat": 2, "num_repeats": 1},
    "OpenUnmix": {"hidden_size": 8, "num_layers": 1, "n_fft": 64},
    "BiModalUNet": {"width": 2, "depth": 5, "n_fft": 62},
    "MRPCNN": {"gene": 0, "n_fft": 64},
    "DiffusionSep": {"unet_base": 32, "vae_base": 32, "vocoder_channels": 32},
    "FlowSep": {"unet_base": 32, "vae_base": 32, "vocoder_channels": 32},
    "BlindUNet": {"channels": (2, 3), "fold": 2, "n_fft": 64},
}
MAKERS: dict[str, Callable[[], Any]] = {
    **{
        name: lambda kind=kind, name=name: kind(
            # One is asked for one of its stems alone.
            *((5,) if name == "BlindUNet" else ("own-5", 5)),
            segment_seconds=0.75,
            **BACKBONE_OPTIONS[name],
        )
        for name, kind in BACKBONES.items()
    },
    **TAGGERS,
    "EfficientAT": lambda: EfficientAT(0.1, "tiny", dropout=0.5),
    "Adaptor": lambda: QUERY_NETS["Adaptor"]("own", "cnn6-512", 7),
    "TaggerQueryNet": lambda: QUERY_NETS["TaggerQueryNet"]("own", "Cnn6", trained=False),
    "Shortcut": lambda: QUERY_NETS["Shortcut"]("own", "cnn6-512", "Cnn6", pretrained="cnn6"),
}
CLASSES = {**BACKBONES, **TAGGERS, **QUERY_NETS}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the class list that panns-inference wants out of the real home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in network.state_dict().items()}


@pytest.fixture(params=CLASSES)
def network(request: pytest.FixtureRequest) -> Any:
    with torch.device("meta"):
        return MAKERS[request.param]()


def test_every_network_is_built_again_from_its_hyperparameters(network: Any) -> None:
    stored = json.loads(json.dumps(network.hyperparameters))
    assert stored == network.hyperparameters
    with torch.device("meta"):
        again = CLASSES[type(network).__name__](**stored)
    assert type(again) is type(network)
    assert shapes(again) == shapes(network)
    assert again.hyperparameters == stored


def test_every_network_can_be_copied_and_pickled(network: Any) -> None:
    kept = network.hyperparameters
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert type(other) is type(network)
        assert other.hyperparameters == kept
        assert other.hyperparameters is not kept
        assert shapes(other) == shapes(network)


def test_bundles_hold_the_same_keys_as_before() -> None:
    expected = {
        "ResUNet": "channels fold hop_length joint min_gain n_fft",
        "ResUNet30": "blocks_per_stage channels features hop_length n_fft shortcuts",
        "ResUNet60": "blocks_per_stage channels features hop_length n_fft shortcuts",
        "UNet": "blocks_per_stage channels features hop_length n_fft shortcuts",
        "ConvTasNet": "blocks_per_repeat bottleneck_channels hidden_channels kernel_size "
        "num_filters num_repeats skip_channels window_samples",
        "OpenUnmix": "dropout hidden_size hop_length n_fft num_layers",
    }
    common = {"condition_space", "condition_size", "sample_rate", "segment_seconds"}
    for name, own in expected.items():
        assert MAKERS[name]().hyperparameters.keys() == common | set(own.split()), name
    assert MAKERS["EfficientAT"]().hyperparameters == {"width": 0.1, "name": "tiny"}
    assert ResUNet60("own-5", 5, channels=(2, 3), n_fft=64).hyperparameters["channels"] == [2, 3]
    for name in TAGGERS.keys() - {"EfficientAT"}:
        with torch.device("meta"):
            assert MAKERS[name]().hyperparameters == {}
