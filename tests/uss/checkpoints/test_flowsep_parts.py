"""FlowSep in several files."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.flowsep_files import TEXT, VAE, VOCODER, checkpoint, narrow_text, t5_tokenizer
from uss.checkpoints.loading import load_model, load_tagger
from uss.conditions.flan_t5 import FlanT5
from uss.models import FlowSep

pytest.importorskip("transformers")

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state(shared: Path) -> State:
    return checkpoint(shared)


def below(state: State, prefix: str, but: str = "-") -> State:
    return {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.startswith(prefix) and not name.startswith(but)
    }


def with_weight_norms(state: State) -> State:
    """As a generator's file has it: gains and directions of convolutions."""
    normed: State = {}
    for name, value in state.items():
        if not name.endswith(".weight"):
            normed[name] = value
            continue
        direction = 3.0 * value
        dims = tuple(range(1, value.dim()))
        normed[f"{name}_g"] = value.norm(dim=dims, keepdim=True)
        normed[f"{name}_v"] = direction
    return normed


@pytest.fixture
def folder(state: State, tmp_path: Path) -> Path:
    """A checkpoint of the U-Net alone, and the others beside it as they are published."""
    folder = tmp_path / "flowsep"
    (folder / "flan-t5-large").mkdir(parents=True)
    unet = {n: v for n, v in state.items() if not n.startswith((VAE, TEXT))}
    torch.save({"state_dict": unet, "global_step": 1}, folder / "v2_100k.ckpt")
    vae = below(state, VAE, but=VOCODER) | {"loss.logvar": torch.zeros(())}
    torch.save({"state_dict": vae}, folder / "vae.ckpt")
    vocoder = with_weight_norms(below(state, VOCODER))
    torch.save({"generator": vocoder}, folder / "g_01000000")
    torch.save(narrow_text(2), folder / "flan-t5-large" / "pytorch_model.bin")
    (folder / "flan-t5-large" / "tokenizer.json").write_text(t5_tokenizer())
    return folder


def test_parts_in_a_folder_are_one_checkpoint(state: State, folder: Path) -> None:
    bundle = load_model(folder)
    whole = FlowSep.from_state_dict(state, "x").state_dict()
    assert isinstance(bundle.separator, FlowSep)
    for name, value in bundle.separator.state_dict().items():
        torch.testing.assert_close(value, whole[name], atol=1e-6, rtol=1e-5)
    assert isinstance(bundle.text_encoder, FlanT5)
    # With the tokenizer that lies beside its weights.
    assert bundle.text_encoder.encode(["the dog"]).shape == (1, 50 * 1025)
    assert bundle.provenance == {"folder": "flowsep"}


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("v2_100k.ckpt", r"holds no U-Net of FlowSep \(it holds .*vae.ckpt"),
        ("vae.ckpt", r"holds no autoencoder \(first_stage_model.encoder.\*\); put the file"),
        ("g_01000000", r"holds no vocoder"),
    ],
)
def test_a_missing_part_is_named(folder: Path, file: str, said: str) -> None:
    (folder / file).unlink()
    with pytest.raises(ValueError, match=said) as error:
        load_model(folder)
    assert "\n" not in str(error.value)


def test_without_a_text_encoder_one_must_be_named(folder: Path) -> None:
    (folder / "flan-t5-large" / "pytorch_model.bin").unlink()
    assert load_model(folder).text_encoder is None


def test_a_part_in_two_files_is_refused(folder: Path) -> None:
    (folder / "again.ckpt").write_bytes((folder / "vae.ckpt").read_bytes())
    with pytest.raises(ValueError, match=r"again.ckpt and .*vae.ckpt both hold FlowSep's autoenc"):
        load_model(folder)


def test_what_is_of_no_part_is_left_aside(folder: Path) -> None:
    torch.save({"anything": torch.zeros(1)}, folder / "other.pt")
    (folder / "notes.txt").write_text("nothing")
    assert isinstance(load_model(folder).separator, FlowSep)


def test_the_checkpoints_own_parts_come_first(state: State, folder: Path) -> None:
    """As released: the checkpoint replaces what the autoencoder's file held."""
    torch.save({"state_dict": state}, folder / "v2_100k.ckpt")
    other = {n: v + 1.0 for n, v in below(state, VAE, but=VOCODER).items() if v.is_floating_point()}
    torch.save({"state_dict": other}, folder / "vae.ckpt")
    found = load_model(folder).separator
    assert found is not None
    name = f"{VAE}quant_conv.bias"
    assert torch.equal(found.state_dict()[name], state[name])


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("vae.ckpt", "autoencoder"),
        ("g_01000000", "vocoder"),
        ("flan-t5-large/pytorch_model.bin", "text encoder"),
    ],
)
def test_a_part_alone_is_no_model(folder: Path, name: str, part: str) -> None:
    with pytest.raises(ValueError, match=f"holds FlowSep's {part} alone; put it into one folder"):
        load_model(folder / name)


def test_halves_of_weight_norms_are_refused(state: State, folder: Path) -> None:
    normed: dict[str, Any] = with_weight_norms(below(state, VOCODER))
    for lost in ("conv_pre.weight_g", "conv_pre.weight_v"):
        broken = {name: value for name, value in normed.items() if name != lost}
        torch.save({"generator": broken}, folder / "g_01000000")
        with pytest.raises(ValueError, match=r"g_01000000.*conv_pre.weight"):
            load_model(folder)


def test_a_folder_holds_no_tagger(folder: Path) -> None:
    with pytest.raises(ValueError, match="holds no tagger"):
        load_tagger(folder)
