"""CLAP's reading of texts word by word; ``test_clap.py`` holds it to the published numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.text_models import write_tokenizers
from uss.checkpoints.text_loading import text_encoder_of
from uss.conditions.clap import Clap
from uss.conditions.clap_words import ClapWords
from uss.conditions.text_encoders import TextEncoder
from uss.conditions.tokenizing import Tokens

LAION = "module.net_clap.model.model.text_branch.pooler.dense.bias"


class Numbers(nn.Module):
    """A text tower whose hidden states are the tokens' ids, and whose vector is their sum."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seen: list[Tokens] = []

    def text_model(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        self.seen.append(Tokens(input_ids, attention_mask))
        hidden = input_ids[:, :, None].expand(-1, -1, 768).float()
        total = (input_ids * attention_mask).sum(dim=1, keepdim=True).float()
        return type("Out", (), {"last_hidden_state": hidden, "pooler_output": total})

    def text_projection(self, pooled: torch.Tensor) -> torch.Tensor:
        return pooled.expand(-1, 512)


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClapWords:
    pytest.importorskip("tokenizers")
    write_tokenizers(tmp_path, monkeypatch)
    found = text_encoder_of({LAION: torch.zeros(768)}, Path("model_best.pth.tar"))
    assert isinstance(found, ClapWords)
    found.__dict__["network"] = Numbers()
    return found


def parts(made: Any) -> tuple[Any, Any, Any]:
    vector, hidden, mask = np.split(made, [512, 512 + 77 * 768])
    return vector, hidden.reshape(77, 768), mask


def test_it_is_a_text_encoder_of_its_space() -> None:
    encoder = ClapWords(Clap({}, "x", lambda: None))  # type: ignore[arg-type, return-value]
    assert isinstance(encoder, TextEncoder)
    assert encoder.space == f"clap-words-{encoder.size}" == "clap-words-59725"


def test_a_condition_is_the_vector_the_words_and_where_they_end(encoder: ClapWords) -> None:
    made = encoder.encode(["dog", "the dog barks"])
    assert made.shape == (2, 59_725)
    (seen,) = encoder.network.seen  # type: ignore[union-attr, misc]
    for row, condition in enumerate(made):
        vector, hidden, mask = parts(condition)
        np.testing.assert_allclose(np.linalg.norm(vector), 1.0, rtol=1e-5)
        assert hidden[:, 0].tolist() == seen.ids[row].tolist()
        assert mask.tolist() == seen.mask[row].tolist()
        # Padding is RoBERTa's own token, up to 77.
        assert set(hidden[mask == 0, 0]) == {1.0}


def test_a_text_is_encoded_alike_whatever_stands_beside_it(encoder: ClapWords) -> None:
    alone = encoder.encode(["dog"])[0]
    assert np.array_equal(alone, encoder.encode(["dog", "the dog barks in the rain"])[0])


def test_texts_without_words_and_of_two_thousand(encoder: ClapWords) -> None:
    long, empty = (parts(each) for each in encoder.encode(["dog " * 2_000, ""]))
    start, end = empty[1][:2, 0]
    assert empty[2].sum() == 2.0
    # It is cut at 77 tokens, and keeps its end.
    assert long[2].sum() == 77.0
    assert (long[1][0, 0], long[1][76, 0]) == (start, end)
