"""Text encoders by name, file or folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from uss.checkpoints.bundle import is_bundle, read_tensors
from uss.checkpoints.cards import SAVED_WEIGHTS, weights_in
from uss.checkpoints.downloads import fetch
from uss.checkpoints.pickled import read_state_dict
from uss.checkpoints.published import PUBLISHED
from uss.checkpoints.published_words import (
    BERT_TOKENIZER,
    CLIP_TOKENIZER,
    FLAN_T5_TOKENIZER,
    ROBERTA_TOKENIZER,
)
from uss.conditions.bert_mini import BERT_MINI_SPACE, LASS_NET_SPACE, BertMini
from uss.conditions.clap import Clap
from uss.conditions.clap_words import NUM_WORDS, ClapWords
from uss.conditions.class_queries import WORDS_SPACE
from uss.conditions.clip_text import ClipText
from uss.conditions.flan_t5 import FlanT5
from uss.conditions.text_towers import TextTower
from uss.conditions.tokenizing import (
    Tokenize,
    bert_tokenizer,
    clip_tokenizer,
    roberta_tokenizer,
    t5_tokenizer,
)
from uss.core.errors import InputError

_CONFIG = "config.json"
_CLAP_PREFIXES = ("query_encoder.model.", "module.", "")
_CLAP_OF_WORDS = "net_clap.model.model."
_CLAP_TOWERS = ("text_branch.", "text_model.")
# CLIP has one table of tokens, where RoBERTa has word embeddings.
_CLIP_ENTRY = "text_model.embeddings.token_embedding.weight"
_LASS_PREFIX = "text_embedder.bert_layer."
_BERT_PREFIX = "bert."
_T5_PREFIXES = ("cond_stage_models.0.model.", "")
_T5_ENTRY = "encoder.block."


def load_text_encoder(
    name_or_file: str | Path, *, space: str | None = None, trust_checkpoint: bool = False
) -> TextTower:
    """Load a text encoder: a published name, a file, or a folder as transformers saves it.

    A file is recognised by its entries: AudioSep's checkpoints, LAION's CLAP, LASS-Net's, CLIP's,
    BERT-mini's, FlowSep's and FLAN-T5's. Its network is built when it is first asked; so are the
    tokenizer's files fetched then, which a folder may hold.

    Args:
        name_or_file: which.
        space: of the separator that is to be asked; a CLAP reads word by word for one that wants
            that.
        trust_checkpoint: unpickle whatever a file holds. That can run any code.

    Raises:
        FileNotFoundError: if there is no such file, nor an encoder of that name.
        OSError, ValueError: if a download fails, or what is there is of no known kind.
    """
    if not str(name_or_file).strip():
        raise InputError("no text encoder is named; name a file, a folder or a published one")
    path = Path(name_or_file)
    folder = None
    if path.is_dir():
        folder, path = path, _weights_of(path)
    elif not path.is_file():
        published = PUBLISHED.get(str(name_or_file))
        if published is None or published.kind not in ("text encoder", "separator"):
            known = [name for name, file in PUBLISHED.items() if file.kind == "text encoder"]
            raise FileNotFoundError(
                f"{path}: no such file or folder, and no text encoder of that name; check the "
                f"path, or choose {', '.join(known)}"
            )
        path = fetch(published)
    if is_bundle(path):
        raise InputError(
            f"{path} is a bundle, which holds no text encoder; name a checkpoint as it was "
            "published, or a folder"
        )
    state = read_tensors(path)
    if state is None:
        state = read_state_dict(path, trust_checkpoint=trust_checkpoint)
    encoder = text_encoder_of(state, path, folder, space)
    if encoder is None:
        some = ", ".join(sorted(state)[:3])
        raise InputError(
            f"{path} is of no text encoder this program knows (its entries begin with {some}); it "
            "knows CLAP (HTSAT-base), CLIP ViT-B/32, BERT-mini and FLAN-T5"
        )
    return encoder


def text_encoder_of(
    state: Mapping[str, Tensor],
    path: Path,
    folder: Path | None = None,
    space: str | None = None,
) -> TextTower | None:
    """Find the text encoder whose entries a state dict holds; None if it holds none.

    Args:
        state: entry name -> tensor, as in the file.
        path: of the file, for errors.
        folder: where the tokenizer's files may lie; without it they are fetched.
        space: see ``load_text_encoder``.
    """
    if _CLIP_ENTRY in state:
        return ClipText(state, str(path), _tokenizer(clip_tokenizer, CLIP_TOKENIZER, folder))
    for prefix in _T5_PREFIXES:
        if _any_starts(state, prefix + _T5_ENTRY):
            read_t5 = _tokenizer(t5_tokenizer, FLAN_T5_TOKENIZER, folder)
            return FlanT5(_below(state, prefix), str(path), read_t5)
    of_words = _below(_below(state, "module.") or state, _CLAP_OF_WORDS)
    if of_words:
        state, space = of_words, WORDS_SPACE
    for prefix in _CLAP_PREFIXES:
        if _any_starts(state, *(prefix + tower for tower in _CLAP_TOWERS)):
            return _clap(_below(state, prefix), path, folder, space == WORDS_SPACE)
    read_bert = _tokenizer(bert_tokenizer, BERT_TOKENIZER, folder)
    inner = _below(state, "module.") or dict(state)
    if _any_starts(inner, _LASS_PREFIX):
        return BertMini(_below(inner, _LASS_PREFIX), str(path), read_bert, LASS_NET_SPACE)
    bert = _below(inner, _BERT_PREFIX) or inner
    if _any_starts(bert, "embeddings.word_embeddings."):
        return BertMini(bert, str(path), read_bert, BERT_MINI_SPACE)
    return None


def _clap(
    state: Mapping[str, Tensor], path: Path, folder: Path | None, by_words: bool
) -> Clap | ClapWords:
    if not by_words:
        return Clap(state, str(path), _tokenizer(roberta_tokenizer, ROBERTA_TOKENIZER, folder))
    make = partial(roberta_tokenizer, max_tokens=NUM_WORDS)
    return ClapWords(Clap(state, str(path), _tokenizer(make, ROBERTA_TOKENIZER, folder)))


def _tokenizer(
    make: Callable[..., Tokenize], names: Sequence[str], folder: Path | None
) -> Callable[[], Tokenize]:
    """Make a tokenizer later: of the folder's own files, else of those in the cache."""

    def of_files() -> Tokenize:
        own = [] if folder is None else [folder / PUBLISHED[name].published_name for name in names]
        if own and all(path.is_file() for path in own):
            return make(*own)
        return make(*(fetch(PUBLISHED[name]) for name in names))

    return of_files


def _weights_of(folder: Path) -> Path:
    """Find the weights in a folder that transformers has saved, or LAION's single file."""
    found = [*weights_in(folder)]
    if not found:
        raise FileNotFoundError(
            f"{folder} holds neither {' nor '.join(SAVED_WEIGHTS)}; name a folder as transformers "
            "saves it, or a file"
        )
    _check_kind(folder)
    return found[0]


def _check_kind(folder: Path) -> None:
    """Refuse what another configuration than the known ones would have to be built for."""
    config = folder / _CONFIG
    if not config.is_file():
        return
    try:
        kind = json.loads(config.read_text("utf-8")).get("model_type")
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise InputError(f"{config} is no configuration ({error}); download it again") from error
    if not str(kind).startswith(("clap", "clip", "bert", "t5")):
        raise InputError(
            f"{folder} holds a model of the type {kind!r}; text encoders are of clap, clip, bert "
            "or t5"
        )


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: v for name, v in state.items() if name.startswith(prefix)}


def _any_starts(state: Mapping[str, Tensor], *prefixes: str) -> bool:
    return any(name.startswith(prefixes) for name in state)
