"""Tokenizers from their published files: RoBERTa's and CLIP's byte pairs, BERT's word pieces.

Built with the package tokenizers, which transformers itself is made on, so that what they give does
not depend on how a release of transformers loads such files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from uss.core.errors import InputError

CLIP_START, CLIP_END = "<|startoftext|>", "<|endoftext|>"
BERT_CLASS = "[CLS]"

# Of CLIP's own tokenizer: what follows an apostrophe, words, single digits, the rest.
_CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


class Tokens(NamedTuple):
    """Texts as a network takes them.

    Attributes:
        ids: (N, L) int64, padded at the end.
        mask: (N, L) int64, 1 where a text's own tokens are.
    """

    ids: Tensor
    mask: Tensor


Tokenize = Callable[[Sequence[str]], Tokens]


def roberta_tokenizer(vocab: Path, merges: Path, *, max_tokens: int = 512) -> Tokenize:
    """Make RoBERTa's tokenizer: ``<s>``, byte pairs, ``</s>``, cut to ``max_tokens``.

    Args:
        vocab: ``vocab.json``, token -> id.
        merges: ``merges.txt``, one pair a line.
        max_tokens: with the two at the ends.

    Raises:
        OSError, ValueError: if the files cannot be read, are none, or tokenizers is missing.
    """
    tokenizers = import_package("tokenizers")
    ids = _vocabulary(vocab, ("<s>", "</s>", "<pad>"))
    model = _byte_pairs(tokenizers, ids, merges, {})
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.post_processor = tokenizers.processors.RobertaProcessing(
        ("</s>", ids["</s>"]), ("<s>", ids["<s>"]), add_prefix_space=False
    )
    return _padded(model, max_tokens, pad=ids["<pad>"])


def clip_tokenizer(vocab: Path, merges: Path, *, max_tokens: int = 77) -> Tokenize:
    """Make CLIP's tokenizer: lower case, byte pairs that end words, cut to ``max_tokens``.

    Args:
        vocab: see ``roberta_tokenizer``.
        merges: likewise.
        max_tokens: likewise.

    Raises:
        OSError, ValueError: see ``roberta_tokenizer``.
    """
    tokenizers = import_package("tokenizers")
    ids = _vocabulary(vocab, (CLIP_START, CLIP_END))
    model = _byte_pairs(tokenizers, ids, merges, {"end_of_word_suffix": "</w>"})
    normalizers, pre = tokenizers.normalizers, tokenizers.pre_tokenizers
    model.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(tokenizers.Regex(r"\s+"), " "),
            normalizers.Lowercase(),
        ]
    )
    model.pre_tokenizer = pre.Sequence(
        [
            pre.Split(tokenizers.Regex(_CLIP_WORDS), behavior="removed", invert=True),
            pre.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    model.post_processor = tokenizers.processors.RobertaProcessing(
        (CLIP_END, ids[CLIP_END]),
        (CLIP_START, ids[CLIP_START]),
        add_prefix_space=False,
        trim_offsets=False,
    )
    return _padded(model, max_tokens, pad=ids[CLIP_END])


def bert_tokenizer(vocab: Path, *, max_tokens: int = 512) -> Tokenize:
    """Make uncased BERT's tokenizer as LASS-Net uses it: ``[CLS]``, word pieces, no ``[SEP]``.

    Args:
        vocab: ``vocab.txt``, one token a line.
        max_tokens: with the one in front.

    Raises:
        OSError, ValueError: see ``roberta_tokenizer``.
    """
    tokenizers = import_package("tokenizers")
    pieces = vocab.read_text("utf-8").splitlines()
    ids = {piece: number for number, piece in enumerate(pieces)}
    _check_vocabulary(vocab, ids, (BERT_CLASS, "[UNK]", "[PAD]"))
    model = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token="[UNK]"))
    model.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    model.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    model.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{BERT_CLASS} $A", special_tokens=[(BERT_CLASS, ids[BERT_CLASS])]
    )
    return _padded(model, max_tokens, pad=ids["[PAD]"])


def t5_tokenizer(file: Path) -> Tokenize:
    """Make T5's tokenizer: sentence pieces and ``</s>``, not cut.

    Args:
        file: ``tokenizer.json``.

    Raises:
        OSError, ValueError: see ``roberta_tokenizer``.
    """
    tokenizers = import_package("tokenizers")
    text = file.read_text("utf-8")
    try:
        model = tokenizers.Tokenizer.from_str(text)
    # The package raises plain exceptions.
    except Exception as error:
        raise InputError(f"{file} is no tokenizer ({error}); fetch it again") from error
    pad = model.token_to_id("<pad>")
    if pad != 0 or model.token_to_id("</s>") is None:
        raise InputError(f"{file} has no </s>, or no <pad> of the number 0; it is not T5's")
    return _padded(model, None, pad=pad)


def import_package(name: str) -> Any:
    """Import what the extra ``text`` brings.

    Raises:
        ValueError: if it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"text encoders need the package {name}; pip install 'uss-pipeline[text]'"
        ) from error


def _byte_pairs(tokenizers: Any, ids: dict[str, int], merges: Path, options: Any) -> Any:
    lines = merges.read_text("utf-8").splitlines()
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise InputError(f"{merges} is no list of merges; fetch it again")
    try:
        return tokenizers.Tokenizer(tokenizers.models.BPE(ids, pairs, **options))
    # The package raises plain exceptions.
    except Exception as error:
        raise InputError(f"{merges} does not fit its vocabulary ({error})") from error


def _vocabulary(path: Path, needed: Sequence[str]) -> dict[str, int]:
    try:
        ids = json.loads(path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no vocabulary ({error}); fetch it again") from error
    if not isinstance(ids, dict):
        raise InputError(f"{path} is no vocabulary; fetch it again")
    _check_vocabulary(path, ids, needed)
    return ids


def _check_vocabulary(path: Path, ids: dict[str, int], needed: Sequence[str]) -> None:
    for token in needed:
        if token not in ids:
            raise InputError(f"{path} lacks the token {token!r}; it is of another tokenizer")


def _padded(model: Any, max_tokens: int | None, pad: int) -> Tokenize:
    if max_tokens is None:
        model.no_truncation()
    else:
        model.enable_truncation(max_tokens)
    model.enable_padding(pad_id=pad)

    def tokenize(texts: Sequence[str]) -> Tokens:
        encoded = model.encode_batch(list(texts))
        return Tokens(
            torch.tensor([each.ids for each in encoded]),
            torch.tensor([each.attention_mask for each in encoded]),
        )

    return tokenize
