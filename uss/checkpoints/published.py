"""The checkpoints that their authors published: where they are and how to tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

Kind = Literal["separator", "tagger", "text encoder", "tokenizer"]

DEFAULT_MODEL = "default"
"""The model inside the package."""


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One checkpoint as its authors published it.

    Attributes:
        name: what users call it here.
        kind: what the file holds; a ``separator`` may bring its query network along.
        file_name: what the file is called in the cache.
        published_name: what the file is called where it is published.
        url: direct address, or None where only a person with a browser gets at it.
        size_bytes: its size, or None if unknown.
        checksum: ``sha256:`` or ``md5:`` and the digits, whichever is known to be the publisher's;
            or None.
        source: a page where people find the file.
        licence: what its source says about its use, or None if that is unknown.
        needs: names of other published files that it does not work without.
    """

    name: str
    kind: Kind
    file_name: str
    published_name: str
    url: str | None
    size_bytes: int | None = None
    checksum: str | None = None
    source: str
    licence: str | None = None
    needs: tuple[str, ...] = ()


_USS = "https://huggingface.co/RSNuts/Universal_Source_Separation"
_USS_LICENCE = "Apache-2.0"
_AUDIOSEP = "https://huggingface.co/spaces/Audio-AGI/AudioSep"
_AUDIOSEP_HIVE = "https://huggingface.co/AlayaLab/AudioSep-hive"
_CLAP = "https://huggingface.co/lukewys/laion_clap"
_PANNS = "https://zenodo.org/record/3987831"
_PANNS_LICENCE = "CC BY 4.0"
_EFFICIENTAT = "https://github.com/fschmid56/EfficientAT/releases"
_EFFICIENTAT_LICENCE = "MIT, Copyright (c) 2022 Florian Schmid"


def _panns(
    name: str, published_name: str, checksum: str, size_bytes: int | None = None
) -> PublishedFile:
    return PublishedFile(
        name=name,
        kind="tagger",
        file_name=f"{name}.pth",
        published_name=published_name,
        url=f"{_PANNS}/files/{quote(published_name)}?download=1",
        size_bytes=size_bytes,
        checksum=checksum,
        source=_PANNS,
        licence=_PANNS_LICENCE,
    )


def _uss(name: str, published_name: str, size_bytes: int | None = None) -> PublishedFile:
    return PublishedFile(
        name=name,
        kind="separator",
        file_name=f"{name}.ckpt",
        published_name=published_name,
        url=f"{_USS}/resolve/main/uss_material/{quote(published_name)}",
        size_bytes=size_bytes,
        source=f"{_USS}/tree/main/uss_material",
        licence=_USS_LICENCE,
    )


def _efficientat(name: str, published_name: str, size_bytes: int, checksum: str) -> PublishedFile:
    return PublishedFile(
        name=name,
        kind="tagger",
        file_name=f"{name}.pt",
        published_name=published_name,
        url=f"{_EFFICIENTAT}/download/v0.0.1/{quote(published_name)}",
        size_bytes=size_bytes,
        checksum=checksum,
        source=f"{_EFFICIENTAT}/tag/v0.0.1",
        licence=_EFFICIENTAT_LICENCE,
    )


def _tokenizer(
    name: str, repository: str, published_name: str, size_bytes: int, sha256: str
) -> PublishedFile:
    source = f"https://huggingface.co/{repository}"
    return PublishedFile(
        name=name,
        kind="tokenizer",
        file_name=f"{name}.{published_name.rpartition('.')[2]}",
        published_name=published_name,
        url=f"{source}/resolve/main/{published_name}",
        size_bytes=size_bytes,
        checksum=f"sha256:{sha256}",
        source=f"{source}/tree/main",
        licence=_TOKENIZER_LICENCES[repository],
    )


_ROBERTA, _BERT = "FacebookAI/roberta-base", "google-bert/bert-base-uncased"
_CLIP = "openai/clip-vit-base-patch32"
_TOKENIZER_LICENCES = {_ROBERTA: "MIT", _BERT: "Apache-2.0", _CLIP: "MIT"}

ROBERTA_TOKENIZER = ("roberta-base-vocab", "roberta-base-merges")
"""Names of the files of the tokenizer that CLAP reads with."""
BERT_TOKENIZER = ("bert-base-uncased-vocab",)
"""Of the one that LASS-Net reads with."""
CLIP_TOKENIZER = ("clip-vit-base-patch32-vocab", "clip-vit-base-patch32-merges")
"""Of the one that CLIP reads with."""

_FILES = (
    _uss(
        "uss-at-soft-full",
        "ss_model=resunet30,querynet=at_soft,data=full,devices=8,step=1000000.ckpt",
        size_bytes=1_121_024_828,
    ),
    _uss(
        "uss-embedding-balanced",
        "ss_model=resunet30,querynet=emb,data=balanced,devices=1,steps=1000000.ckpt",
    ),
    PublishedFile(
        name="audiosep",
        kind="separator",
        file_name="audiosep.ckpt",
        published_name="audiosep_base_4M_steps.ckpt",
        url=f"{_AUDIOSEP}/resolve/main/checkpoint/audiosep_base_4M_steps.ckpt",
        size_bytes=1_264_844_076,
        checksum="sha256:f8cda01bfd0ebd141eef45d41db7a3ada23a56568465840d3cff04b8010ce82c",
        source=f"{_AUDIOSEP}/tree/main/checkpoint",
        licence="MIT",
        needs=ROBERTA_TOKENIZER,
    ),
    PublishedFile(
        name="audiosep-hive",
        kind="separator",
        file_name="audiosep-hive.ckpt",
        published_name="audiosep_hive.ckpt",
        url=f"{_AUDIOSEP_HIVE}/resolve/main/audiosep_hive.ckpt",
        size_bytes=1_264_846_755,
        checksum="sha256:a13fff5fa4ece1a8bc13e42e1c7b8d90e21603075302ca89e4339c9471973300",
        source=f"{_AUDIOSEP_HIVE}/tree/main",
        licence="Apache-2.0",
        needs=ROBERTA_TOKENIZER,
    ),
    PublishedFile(
        name="lass-net",
        kind="separator",
        file_name="lass-net.pt",
        published_name="LASSNet.pt",
        url=None,
        source="https://github.com/liuxubo717/LASS",
        needs=BERT_TOKENIZER,
    ),
    PublishedFile(
        name="clipsep-nit",
        kind="separator",
        file_name="clipsep-nit.pt",
        published_name="best_model.pt",
        url=None,
        source="https://github.com/sony/CLIPSep",
        licence="MIT (of the repository that links the file)",
        needs=("clip-vit-base-patch32", *CLIP_TOKENIZER),
    ),
    _panns(
        "cnn14",
        "Cnn14_mAP=0.431.pth",
        "md5:541141fa2ee191a88f24a3219fff024e",
        size_bytes=327_428_481,
    ),
    _panns(
        "cnn14-decision-level-max",
        "Cnn14_DecisionLevelMax_mAP=0.385.pth",
        "md5:70539c43c18b6a289b3199c503a82c5a",
        size_bytes=327_428_481,
    ),
    _panns("cnn6", "Cnn6_mAP=0.343.pth", "md5:e25e26b84585b14c7754c91e48efc9be"),
    _panns("cnn10", "Cnn10_mAP=0.380.pth", "md5:bfb1f1f9968938fa8ef4012b8471f5f6"),
    _efficientat(
        "mn04_as",
        "mn04_as_mAP_432.pt",
        size_bytes=4_066_513,
        checksum="sha256:899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
    ),
    _efficientat(
        "mn10_as",
        "mn10_as_mAP_471.pt",
        size_bytes=19_708_753,
        checksum="sha256:0bd7dc2443af498c289a2e739f02ebb515d6aa3fd3ab9db539c86123ae368a4e",
    ),
    PublishedFile(
        name="htsat",
        kind="tagger",
        file_name="htsat.ckpt",
        published_name="HTSAT_AudioSet_Saved_1.ckpt",
        url=None,
        source="https://github.com/RetroCirce/HTS-Audio-Transformer",
        licence="MIT, Copyright (c) 2022 Knut(Ke) Chen (of the repository that links the file)",
    ),
    PublishedFile(
        name="clap-music-speech-audioset",
        kind="text encoder",
        file_name="clap-music-speech-audioset.pt",
        published_name="music_speech_audioset_epoch_15_esc_89.98.pt",
        url=f"{_CLAP}/resolve/main/music_speech_audioset_epoch_15_esc_89.98.pt",
        size_bytes=2_352_471_003,
        checksum="sha256:51c68f12f9d7ea25fdaaccf741ec7f81e93ee594455410f3bca4f47f88d8e006",
        source=f"{_CLAP}/tree/main",
        licence="CC0-1.0",
        needs=ROBERTA_TOKENIZER,
    ),
    PublishedFile(
        name="clip-vit-base-patch32",
        kind="text encoder",
        file_name="clip-vit-base-patch32.bin",
        published_name="pytorch_model.bin",
        url=f"https://huggingface.co/{_CLIP}/resolve/main/pytorch_model.bin",
        size_bytes=605_247_071,
        checksum="sha256:a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f",
        source=f"https://huggingface.co/{_CLIP}/tree/main",
        licence="MIT",
        needs=CLIP_TOKENIZER,
    ),
    PublishedFile(
        name="bert-mini",
        kind="text encoder",
        file_name="bert-mini.bin",
        published_name="pytorch_model.bin",
        url="https://huggingface.co/prajjwal1/bert-mini/resolve/main/pytorch_model.bin",
        source="https://huggingface.co/prajjwal1/bert-mini/tree/main",
        licence="MIT",
        needs=BERT_TOKENIZER,
    ),
    _tokenizer(
        ROBERTA_TOKENIZER[0],
        _ROBERTA,
        "vocab.json",
        898_823,
        "9e7f63c2d15d666b52e21d250d2e513b87c9b713cfa6987a82ed89e5e6e50655",
    ),
    _tokenizer(
        ROBERTA_TOKENIZER[1],
        _ROBERTA,
        "merges.txt",
        456_318,
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    ),
    _tokenizer(
        BERT_TOKENIZER[0],
        _BERT,
        "vocab.txt",
        231_508,
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    ),
    _tokenizer(
        CLIP_TOKENIZER[0],
        _CLIP,
        "vocab.json",
        862_328,
        "5047b556ce86ccaf6aa22b3ffccfc52d391ea4accdab9c2f2407da5b742d4363",
    ),
    _tokenizer(
        CLIP_TOKENIZER[1],
        _CLIP,
        "merges.txt",
        524_657,
        "f526393189112391ce6f9795d4695f704121ce452c3aad1f5335cc41337eba85",
    ),
)

PUBLISHED: Mapping[str, PublishedFile] = {file.name: file for file in _FILES}
"""All published files by name."""
