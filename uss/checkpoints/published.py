"""The checkpoints that their authors published: where they are and how to tell them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from uss.checkpoints import training_data
from uss.checkpoints.published_file import PublishedFile
from uss.checkpoints.published_words import (
    BERT_TOKENIZER,
    CLIP_TOKENIZER,
    FLAN_T5_TOKENIZER,
    ROBERTA_TOKENIZER,
    WORD_FILES,
)

__all__ = ["DEFAULT_MODEL", "PUBLISHED", "PublishedFile"]


DEFAULT_MODEL = "default"
"""The model inside the package."""


_USS = "https://huggingface.co/RSNuts/Universal_Source_Separation"
_USS_LICENCE = "Apache-2.0"
_AUDIOSEP = "https://huggingface.co/spaces/Audio-AGI/AudioSep"
_AUDIOSEP_HIVE = "https://huggingface.co/AlayaLab/AudioSep-hive"
_FLOWSEP = "https://zenodo.org/record/13869712"
_FLOWSEP_HIVE = "https://huggingface.co/AlayaLab/FlowSep-hive"
_PANNS = "https://zenodo.org/record/3987831"
_PANNS_LICENCE = "CC BY 4.0"
_EFFICIENTAT = "https://github.com/fschmid56/EfficientAT/releases"
_EFFICIENTAT_SIZES = {"mn04_as": 384, "mn10_as": 960}
_EFFICIENTAT_LICENCE = "MIT, Copyright (c) 2022 Florian Schmid"


def _panns(
    name: str,
    published_name: str,
    checksum: str,
    space: str,
    size_bytes: int | None = None,
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
        spdx="CC-BY-4.0",
        space=space,
        trained_on=training_data.AUDIOSET,
    )


def _uss(
    name: str, published_name: str, space: str, trained_on: str, size_bytes: int | None = None
) -> PublishedFile:
    return PublishedFile(
        name=name,
        kind="separator",
        file_name=f"{name}.ckpt",
        published_name=published_name,
        url=f"{_USS}/resolve/main/uss_material/{quote(published_name)}",
        size_bytes=size_bytes,
        source=f"{_USS}/tree/main/uss_material",
        licence=_USS_LICENCE,
        spdx="Apache-2.0",
        space=space,
        trained_on=trained_on,
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
        spdx="MIT",
        space=f"{name}-{_EFFICIENTAT_SIZES[name]}",
        trained_on=training_data.EFFICIENTAT,
    )


_FILES = (
    _uss(
        "uss-at-soft-full",
        "ss_model=resunet30,querynet=at_soft,data=full,devices=8,step=1000000.ckpt",
        "audioset-527",
        training_data.AUDIOSET,
        size_bytes=1_121_024_828,
    ),
    _uss(
        "uss-embedding-balanced",
        "ss_model=resunet30,querynet=emb,data=balanced,devices=1,steps=1000000.ckpt",
        "cnn14-2048",
        training_data.AUDIOSET_BALANCED,
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
        spdx="MIT",
        space="clap-512",
        trained_on=training_data.AUDIOSEP,
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
        spdx="Apache-2.0",
        space="clap-512",
        trained_on=training_data.HIVE,
    ),
    PublishedFile(
        name="lass-net",
        kind="separator",
        file_name="lass-net.pt",
        published_name="LASSNet.pt",
        url=None,
        source="https://github.com/liuxubo717/LASS",
        needs=BERT_TOKENIZER,
        space="lass-net-256",
        trained_on=training_data.AUDIOCAPS,
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
        spdx="MIT",
        space="clip-512",
        trained_on=training_data.VGGSOUND,
    ),
    PublishedFile(
        name="flowsep",
        kind="separator",
        file_name="flowsep.ckpt",
        published_name="v2_100k.ckpt",
        url=f"{_FLOWSEP}/files/v2_100k.ckpt?download=1",
        source=_FLOWSEP,
        needs=FLAN_T5_TOKENIZER,
        space="flan-t5-large-50",
        trained_on=training_data.FLOWSEP,
    ),
    PublishedFile(
        name="flowsep-hive",
        kind="separator",
        file_name="flowsep-hive.ckpt",
        published_name="flowsep_hive.ckpt",
        url=f"{_FLOWSEP_HIVE}/resolve/main/flowsep_hive.ckpt",
        size_bytes=5_963_371_062,
        source=f"{_FLOWSEP_HIVE}/tree/main",
        licence="Apache-2.0",
        needs=FLAN_T5_TOKENIZER,
        spdx="Apache-2.0",
        space="flan-t5-large-50",
        trained_on=training_data.HIVE,
    ),
    PublishedFile(
        name="bimodal",
        kind="separator",
        file_name="bimodal.tar",
        published_name="model_weights.pth.tar",
        url=None,
        source="https://github.com/microsoft/BiModalAudioSeparation",
        licence="MIT (of the repository that links the file)",
        needs=ROBERTA_TOKENIZER,
        spdx="MIT",
        space="clap-words-59725",
        trained_on=training_data.AUDIOCAPS,
    ),
    _panns(
        "cnn14",
        "Cnn14_mAP=0.431.pth",
        "md5:541141fa2ee191a88f24a3219fff024e",
        "cnn14-2048",
        size_bytes=327_428_481,
    ),
    _panns(
        "cnn14-decision-level-max",
        "Cnn14_DecisionLevelMax_mAP=0.385.pth",
        "md5:70539c43c18b6a289b3199c503a82c5a",
        "cnn14-2048",
        size_bytes=327_428_481,
    ),
    _panns("cnn6", "Cnn6_mAP=0.343.pth", "md5:e25e26b84585b14c7754c91e48efc9be", "cnn6-512"),
    _panns("cnn10", "Cnn10_mAP=0.380.pth", "md5:bfb1f1f9968938fa8ef4012b8471f5f6", "cnn10-512"),
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
        spdx="MIT",
        space="htsat-768",
        trained_on=training_data.AUDIOSET,
    ),
    *WORD_FILES,
)

PUBLISHED: Mapping[str, PublishedFile] = {file.name: file for file in _FILES}
"""All published files by name."""
