"""CLAP's reading of texts word by word, against the numbers of the published code."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.text_models import as_laion, filled_clap, write_tokenizers
from uss.checkpoints.text_loading import text_encoder_of
from uss.conditions.clap import Clap
from uss.conditions.clap_words import ClapWords
from uss.conditions.text_encoders import TextEncoder
from uss.conditions.tokenizing import Tokens

pytest.importorskip("transformers")


def no_tokenizer() -> Any:
    raise AssertionError("these texts are tokenized")


def test_it_is_a_text_encoder_of_its_space() -> None:
    encoder = ClapWords(Clap({}, "x", no_tokenizer))
    assert isinstance(encoder, TextEncoder)
    assert encoder.space == f"clap-words-{encoder.size}" == "clap-words-59725"


@pytest.mark.slow
def test_words_are_what_the_released_text_tower_gives(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tokenizers(tmp_path, monkeypatch)
    state = as_laion(shared, filled_clap(shared))
    checkpoint = {f"module.net_clap.model.model.{name}": value for name, value in state.items()}
    encoder = text_encoder_of(checkpoint, Path("model_best.pth.tar"))
    assert isinstance(encoder, ClapWords)
    expected = np.load(shared / "parity" / "clap.npz")
    ids = torch.from_numpy(expected["ids_5"])[None].long()
    with torch.inference_mode():
        made = encoder.vectors(Tokens(ids, torch.ones_like(ids)))[0].numpy()
    vector, hidden, mask = np.split(made, [512, 512 + 77 * 768])
    hidden = hidden.reshape(77, 768)
    np.testing.assert_allclose(vector, expected["text_embedding_5"], atol=2e-6, rtol=0.0)
    # The first and the last token, and, without a mask of their own, two places of padding.
    places = hidden[[0, 4, 5, 76]]
    np.testing.assert_allclose(places, expected["hidden_5_first_last_pad"], atol=2e-5, rtol=0.0)
    assert mask.tolist() == [1.0] * 5 + [0.0] * 72
    # A text of 2,000 words is cut at 77 tokens, and keeps its end; an empty one has two.
    long, empty = encoder.encode(["dog " * 2_000, ""])
    assert long[-77:].tolist() == [1.0] * 77 and empty[-77:].sum() == 2.0
    assert encoder.tokenize(["dog " * 2_000]).ids[0, -1] == encoder.tokenize([""]).ids[0, 1]
