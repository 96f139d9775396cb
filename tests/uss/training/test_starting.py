import logging
from pathlib import Path

import pytest
import torch

from tests.flowsep_files import small
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.models import BlindUNet, FlowSep, QueryUNet, ResUNet, ResUNet30
from uss.training.starting import start_from

SIZES = {"channels": (4, 6), "n_fft": 256, "hop_length": 64}


def seeded(seed: int, kind: type[torch.nn.Module], *arguments: object, **options: object):  # type: ignore[no-untyped-def]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(*arguments, **options)


def blind(seed: int = 0) -> BlindUNet:
    model: BlindUNet = seeded(seed, BlindUNet, 4, **SIZES)
    return model


TRUNK = ("encoder", "bottleneck", "decoder", "pre_conv", "bin_norm")


@pytest.mark.parametrize("kind", [ResUNet, QueryUNet])
def test_the_trunk_of_a_blind_model_starts_one_that_is_asked(
    kind: type[torch.nn.Module], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"ear_width": None, "num_heads": 1, "query_size": 8} if kind is QueryUNet else {}
    model = seeded(1, kind, "space", 5, **SIZES, **options)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained = blind()
    save_bundle(tmp_path / "mixit.safetensors", Bundle(separator=trained))
    with caplog.at_level(logging.INFO):
        start_from(model, str(tmp_path / "mixit.safetensors"))
    given = trained.state_dict()
    taken = 0
    for name, value in model.state_dict().items():
        part = name.partition(".")[0]
        if part in TRUNK or (part == "shifts" and kind is QueryUNet):
            assert torch.equal(value, given[name]), name
            taken += "num_batches_tracked" not in name
        elif "num_batches" not in name:
            assert torch.equal(value, before[name]), name
    counted = sum("num_batches_tracked" not in name for name in before)
    assert f"{taken} of the model's {counted} entries" in caplog.text
    assert "after_conv" in caplog.text.partition("entries of")[2]


def test_a_training_checkpoint_and_plain_weights_do_as_well(tmp_path: Path) -> None:
    trained = blind().state_dict()
    torch.save(
        {"state_dict": {f"model.{name}": value for name, value in trained.items()}, "epoch": 1},
        tmp_path / "last.ckpt",
    )
    torch.save(trained, tmp_path / "plain.pt")
    for name in ("last.ckpt", "plain.pt"):
        model = blind(seed=5)
        start_from(model, str(tmp_path / name))
        assert all(torch.equal(v, trained[n]) for n, v in model.state_dict().items())


def test_a_model_by_name_starts_one_of_its_kind(caplog: pytest.LogCaptureFixture) -> None:
    model = seeded(0, BlindUNet, 4)
    with caplog.at_level(logging.INFO):
        start_from(model, "default")
    assert "are taken from default" in caplog.text


def test_where_hardly_anything_fits_that_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of other widths nothing but the norm of the bins fits."""
    trained, model = (seeded(0, BlindUNet, 4, **SIZES | {"channels": (n, n)}) for n in (31, 30))
    save_bundle(tmp_path / "mixit.safetensors", Bundle(separator=trained))
    with caplog.at_level(logging.INFO):
        start_from(model, str(tmp_path / "mixit.safetensors"))
    (told,) = caplog.records
    assert told.levelno == logging.WARNING, told.getMessage()
    assert "5 of the model" in told.getMessage()
    with pytest.raises(ValueError, match="init_from names nothing"):
        start_from(blind(1), " ")


def test_a_generative_model_is_started_by_its_own_files(tmp_path: Path) -> None:
    """Its entries begin as prefixes of other files do."""
    trained = small()
    state = trained.state_dict()
    save_bundle(tmp_path / "bundle.safetensors", Bundle(separator=trained))
    torch.save(
        {"state_dict": {f"model.{name}": value for name, value in state.items()}},
        tmp_path / "last.ckpt",
    )
    for name in ("bundle.safetensors", "last.ckpt"):
        model = seeded(5, FlowSep, **trained.hyperparameters)
        start_from(model, str(tmp_path / name))
        assert all(torch.equal(v, state[n]) for n, v in model.state_dict().items())


def test_where_nothing_fits_nothing_starts(tmp_path: Path) -> None:
    save_bundle(tmp_path / "mixit.safetensors", Bundle(separator=blind()))
    model = seeded(1, ResUNet30, "space", 5, **SIZES)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"none of its entries .* fits one of a ResUNet30"):
        start_from(model, str(tmp_path / "mixit.safetensors"))
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())
    with pytest.raises(FileNotFoundError, match="no such file"):
        start_from(model, "nowhere.safetensors")
