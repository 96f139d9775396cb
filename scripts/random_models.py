"""Models in the layouts of recipes, filled with random numbers.

Time and memory do not depend on weights, so that they can be measured where released ones cannot
be had. ``narrow`` makes the same networks small, for tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from pipelines.recipes import read_recipe
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.cards import SAVED_WEIGHTS
from uss.checkpoints.loading import load_tagger
from uss.checkpoints.published import PUBLISHED
from uss.checkpoints.published_words import FLAN_T5_TOKENIZER, ROBERTA_TOKENIZER
from uss.conditions.tokenizing import import_package
from uss.models import SeparatorNetwork

_LATENT = {"unet_base": 32, "vae_base": 32, "vocoder_channels": 64, "segment_seconds": 1.28}
NARROW: Mapping[str, Mapping[str, Any]] = {
    "audiosep": {"channels": [4, 4, 4, 4, 4, 4], "n_fft": 512},
    "mixit": {"channels": [4, 8], "n_fft": 256, "hop_length": 64},
    "flowsep": _LATENT,
    "diffusionsep": _LATENT,
}
"""Recipe -> what differs in its narrow network."""

# Of FLAN-T5 large (Chung et al. 2022).
_FLAN_T5_LARGE = {
    "vocab_size": 32_128,
    "d_model": 1024,
    "d_kv": 64,
    "d_ff": 2816,
    "num_layers": 24,
    "num_heads": 16,
    "feed_forward_proj": "gated-gelu",
}
_NARROW_T5 = {"vocab_size": 80, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2}
_LETTERS = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def random_network(recipe: str, *, narrow: bool = False, **changes: Any) -> SeparatorNetwork:
    """Build the separator of a recipe, in evaluation mode; the same one each time.

    Args:
        recipe: its name.
        narrow: see ``NARROW``.
        changes: of the network's arguments.
    """
    described = read_recipe(recipe)["model"]["model"]
    module, _, name = described["class_path"].rpartition(".")
    options = {**described["init_args"], **(NARROW[recipe] if narrow else {}), **changes}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: SeparatorNetwork = getattr(import_module(module), name)(**options)
    return network.eval()


def write_separator(path: Path, recipe: str, narrow: bool) -> None:
    """Write a bundle with the separator of a recipe and the embedded tagger."""
    save_bundle(path, Bundle(load_tagger(), random_network(recipe, narrow=narrow)))


def write_flan_t5(folder: Path, narrow: bool) -> None:
    """Write FLAN-T5's encoder by transformers' names, with a tokenizer that knows letters alone.

    Raises:
        ValueError: if transformers is not installed.
    """
    transformers, tokenizers = import_package("transformers"), import_package("tokenizers")
    config = transformers.T5Config(**_FLAN_T5_LARGE | (_NARROW_T5 if narrow else {}))
    _write_weights(folder, transformers.T5EncoderModel(config))
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((each, -1.0) for each in _LETTERS)]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.save(str(folder / PUBLISHED[FLAN_T5_TOKENIZER[0]].published_name))


def write_clap(folder: Path, narrow: bool) -> None:
    """Write CLAP's text branch by transformers' names, with a tokenizer of single bytes.

    Args:
        folder: where to.
        narrow: makes no difference; there is one size of it.

    Raises:
        ValueError: if transformers is not installed.
    """
    transformers, tokenizers = import_package("transformers"), import_package("tokenizers")
    config = transformers.ClapTextConfig(layer_norm_eps=1e-5, projection_dim=512)
    _write_weights(folder, transformers.ClapTextModelWithProjection(config))
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *tokenizers.pre_tokenizers.ByteLevel.alphabet()]
    vocabulary = {token: number for number, token in enumerate([*tokens, "th"])}
    contents = (json.dumps(vocabulary), "#version: 0.2\nt h\n")
    for name, content in zip(ROBERTA_TOKENIZER, contents, strict=True):
        (folder / PUBLISHED[name].published_name).write_text(content, encoding="utf-8")


def _write_weights(folder: Path, network: torch.nn.Module) -> None:
    folder.mkdir()
    torch.save(network.state_dict(), folder / SAVED_WEIGHTS[-1])


TEXT_ENCODERS: Mapping[str, Callable[[Path, bool], None]] = {
    "flan-t5-large": write_flan_t5,
    "clap": write_clap,
}
"""Name -> what writes a text encoder into a folder."""
