"""Published text encoders and their tokenizers."""

from __future__ import annotations

from uss.checkpoints import training_data
from uss.checkpoints.published_file import PublishedFile

_CLAP = "https://huggingface.co/lukewys/laion_clap"
_ROBERTA, _BERT = "FacebookAI/roberta-base", "google-bert/bert-base-uncased"
_CLIP = "openai/clip-vit-base-patch32"
_FLAN_T5 = "google/flan-t5-large"
_TOKENIZER_LICENCES = {
    _ROBERTA: "MIT",
    _BERT: "Apache-2.0",
    _CLIP: "MIT (of the repository of its code)",
    _FLAN_T5: "Apache-2.0",
}
_TRAINED_ON = {
    _ROBERTA: training_data.WEB_TEXT,
    _BERT: training_data.BOOKS,
    _CLIP: training_data.CLIP,
    _FLAN_T5: training_data.FLAN,
}

ROBERTA_TOKENIZER = ("roberta-base-vocab", "roberta-base-merges")
"""Names of the files of the tokenizer that CLAP reads with."""
BERT_TOKENIZER = ("bert-base-uncased-vocab",)
"""Of the one that LASS-Net reads with."""
CLIP_TOKENIZER = ("clip-vit-base-patch32-vocab", "clip-vit-base-patch32-merges")
"""Of the one that CLIP reads with."""
FLAN_T5_TOKENIZER = ("flan-t5-large-tokenizer",)
"""Of the one that FlowSep reads with."""


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
        spdx=_TOKENIZER_LICENCES[repository].partition(" ")[0],
        trained_on=_TRAINED_ON[repository],
    )


WORD_FILES = (
    PublishedFile(
        name="clap-music-speech-audioset",
        kind="text encoder",
        file_name="clap-music-speech-audioset.pt",
        published_name="music_speech_audioset_epoch_15_esc_89.98.pt",
        url=f"{_CLAP}/resolve/main/music_speech_audioset_epoch_15_esc_89.98.pt",
        size_bytes=2_352_471_003,
        checksum="sha256:51c68f12f9d7ea25fdaaccf741ec7f81e93ee594455410f3bca4f47f88d8e006",
        source=f"{_CLAP}/tree/main",
        licence="CC0-1.0 (of the repository of its code)",
        needs=ROBERTA_TOKENIZER,
        spdx="CC0-1.0",
        space="clap-512",
        trained_on=training_data.CLAP,
    ),
    PublishedFile(
        name="clap-music-audioset",
        kind="text encoder",
        file_name="clap-music-audioset.pt",
        published_name="music_audioset_epoch_15_esc_90.14.pt",
        url=f"{_CLAP}/resolve/main/music_audioset_epoch_15_esc_90.14.pt",
        checksum="sha256:fae3e9c087f2909c28a09dc31c8dfcdacbc42ba44c70e972b58c1bd1caf6dedd",
        source=f"{_CLAP}/tree/main",
        licence="CC0-1.0 (of the repository of its code)",
        needs=ROBERTA_TOKENIZER,
        spdx="CC0-1.0",
        space="clap-512",
        trained_on=training_data.CLAP,
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
        licence="MIT (of the repository of its code)",
        needs=CLIP_TOKENIZER,
        spdx="MIT",
        space="clip-512",
        trained_on=training_data.CLIP,
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
        spdx="MIT",
        space="bert-mini-256",
        trained_on=training_data.BOOKS,
    ),
    PublishedFile(
        name="flan-t5-large",
        kind="text encoder",
        file_name="flan-t5-large.bin",
        published_name="pytorch_model.bin",
        url=f"https://huggingface.co/{_FLAN_T5}/resolve/main/pytorch_model.bin",
        source=f"https://huggingface.co/{_FLAN_T5}/tree/main",
        licence="Apache-2.0",
        needs=FLAN_T5_TOKENIZER,
        spdx="Apache-2.0",
        space="flan-t5-large-50",
        trained_on=training_data.FLAN,
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
    _tokenizer(
        FLAN_T5_TOKENIZER[0],
        _FLAN_T5,
        "tokenizer.json",
        2_424_064,
        "fe2ebbbbde2985be723e0ce18217853e4020c5e9d35bd07be2c27ab9d3ead57a",
    ),
)
"""All of them."""
