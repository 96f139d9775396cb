"""Filled networks of FlowSep, whole and narrow, for tests."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.text_models import WORDS, published_file
from uss.checkpoints.published import PUBLISHED
from uss.checkpoints.published_words import FLAN_T5_TOKENIZER
from uss.models import FlowSep
from uss.models.flowsep.bigvgan import BigVGAN
from uss.models.flowsep.latent_unet import LatentUNet
from uss.models.flowsep.mel_vae import MelVAE

State = dict[str, Tensor]

UNET, VAE, VOCODER = "model.diffusion_model.", "first_stage_model.", "first_stage_model.vocoder."
TEXT = "cond_stage_models.0.model."
NARROW: dict[str, dict[str, Any]] = {
    "unet": {"base": 32},
    "vae": {"base": 32},
    "vocoder": {"channels": 64},
}
"""The sizes of ``flowsep_narrow.npz``."""
WHOLE: dict[str, dict[str, Any]] = {"unet": {}, "vae": {}, "vocoder": {}}


def listed_shapes(shared: Path, name: str, prefix: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a list, without its prefix."""
    path = shared / "systems" / "shapes" / f"flowsep_{name}.shapes.json"
    shapes: dict[str, list[int]] = json.loads(path.read_text())
    return {key.removeprefix(prefix): tuple(shape) for key, shape in shapes.items()}


def fill(shared: Path, module: nn.Module, prefix: str) -> None:
    """Fill a network by its full names; filters stay as they are built."""
    spec = importlib.util.spec_from_file_location("fill", shared / "parity" / "fill.py")
    assert spec is not None and spec.loader is not None
    filler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(filler)
    own = module.state_dict()
    wanted = {prefix + n: tuple(v.shape) for n, v in own.items() if not n.endswith(".filter")}
    state = {n.removeprefix(prefix): v for n, v in filler.fill_state_dict(wanted).items()}
    module.load_state_dict({**own, **state}, strict=True)
    module.eval()


def unet(shared: Path, sizes: dict[str, Any]) -> LatentUNet:
    network = LatentUNet(**sizes)
    fill(shared, network, UNET)
    return network


def vae(shared: Path, sizes: dict[str, Any]) -> MelVAE:
    network = MelVAE(**sizes)
    fill(shared, network, VAE)
    return network


def vocoder(shared: Path, sizes: dict[str, Any]) -> BigVGAN:
    """Its last layer is made small, as in the fixtures, lest tanh saturates."""
    network = BigVGAN(**sizes)
    fill(shared, network, VOCODER)
    with torch.no_grad():
        for parameter in network.conv_post.parameters():
            parameter.mul_(0.05)
    return network


def small(space: str = "fake-6", **changes: Any) -> FlowSep:
    """The smallest network there is, with weights of its own, for conditions of six numbers."""
    sizes: dict[str, Any] = {"unet_base": 32, "vae_base": 32, "vocoder_channels": 32}
    sizes |= {"condition_size": 6, "segment_seconds": 0.32} | changes
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FlowSep(space, **sizes).eval()


def checkpoint(shared: Path, text_layers: int = 0) -> State:
    """A Lightning checkpoint's entries at the narrow sizes: averages differ from last weights.

    Args:
        shared: the folder with reference data.
        text_layers: of a narrow text encoder; 0 for none.
    """
    networks: dict[str, nn.Module] = {
        UNET: unet(shared, NARROW["unet"]),
        VAE: vae(shared, NARROW["vae"]),
        VOCODER: vocoder(shared, NARROW["vocoder"]),
    }
    state: State = {}
    for prefix, network in networks.items():
        state |= {prefix + name: value for name, value in network.state_dict().items()}
    for name in [name for name in state if name.startswith(UNET)]:
        averaged = "model_ema.diffusion_model" + name.removeprefix(UNET).replace(".", "")
        state[averaged] = 0.9 * state[name]
    scalars = {"model_ema.decay": 0.9999, "model_ema.num_updates": 7.0, "scale_factor": 0.25}
    state |= {name: torch.tensor(value) for name, value in scalars.items()}
    state |= {"betas": torch.zeros(1000), "logvar": torch.zeros(1000)}
    state["first_stage_model.loss.logvar"] = torch.zeros(())
    if text_layers:
        state |= {TEXT + name: value for name, value in narrow_text(text_layers).items()}
    return state


def narrow_text(num_layers: int) -> State:
    """FLAN-T5's encoder with few and narrow layers and a few tokens, but its hidden size."""
    import transformers

    config = transformers.T5Config(
        vocab_size=80,
        d_model=1024,
        d_kv=8,
        d_ff=16,
        num_layers=num_layers,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = transformers.T5EncoderModel(config)
    return {name: value.clone() for name, value in network.state_dict().items()}


def t5_tokenizer() -> str:
    """``tokenizer.json`` of T5's kind, which knows ``WORDS`` as whole pieces, and letters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{word}", -1.0) for word in WORDS]
    pieces += [(letter, -9.0) for letter in "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.enable_truncation(5)
    text: str = tokenizer.to_str()
    return text


def write_t5_tokenizer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a small tokenizer into a cache, and let it pass for the published one."""
    folder.mkdir(parents=True, exist_ok=True)
    content = t5_tokenizer().encode()
    name = FLAN_T5_TOKENIZER[0]
    (folder / PUBLISHED[name].file_name).write_bytes(content)
    monkeypatch.setitem(PUBLISHED, name, published_file(name, content))  # type: ignore[arg-type]
    monkeypatch.setenv("USS_CACHE", str(folder))
