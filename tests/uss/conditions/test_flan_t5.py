"""FLAN-T5 as FlowSep reads with it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.flowsep_files import narrow_text, t5_tokenizer
from uss.conditions import flan_t5
from uss.conditions.class_queries import FLAN_T5_SPACE
from uss.conditions.flan_t5 import FlanT5
from uss.conditions.tokenizing import t5_tokenizer as make_tokenizer
from uss.core.errors import InputError

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return narrow_text(2)


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.json"
    path.write_text(t5_tokenizer())
    return path


def encoder(state: dict[str, torch.Tensor], file: Path) -> FlanT5:
    return FlanT5(state, "flowsep.ckpt", lambda: make_tokenizer(file))


def test_tokens_are_not_cut(tokenizer_file: Path) -> None:
    """What the file itself would cut to, five tokens here, does not count."""
    ids, mask = make_tokenizer(tokenizer_file)(["the dog barks a dog barks", "dog"])
    assert ids.shape == (2, 7) and ids[0, -1] == 1
    assert ids[1].tolist()[1:] == [1, 0, 0, 0, 0, 0]
    assert mask.sum(dim=1).tolist() == [7, 2]


def test_a_condition_holds_hidden_states_and_which_count(
    state: dict[str, torch.Tensor], tokenizer_file: Path
) -> None:
    """Against the released way: padded to 50 tokens, encoded with a mask."""
    reads = encoder(state, tokenizer_file)
    assert (reads.space, reads.size) == (FLAN_T5_SPACE, 50 * 1025)
    vectors = reads.encode(["the dog barks", "dog"])
    assert vectors.shape == (2, 50 * 1025) and vectors.dtype == np.float32
    config = transformers.T5Config(
        vocab_size=80,
        d_model=1024,
        d_kv=8,
        d_ff=16,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    reference = transformers.T5EncoderModel(config).eval()
    reference.load_state_dict(state)
    ids = torch.zeros(1, 50, dtype=torch.int64)
    ids[0, :4] = make_tokenizer(tokenizer_file)(["the dog barks"]).ids
    mask = (torch.arange(50) < 4).to(torch.int64)[None]
    with torch.inference_mode():
        hidden = reference(input_ids=ids, attention_mask=mask).last_hidden_state[0]
    rows = vectors[0].reshape(50, 1025)
    np.testing.assert_allclose(rows[:, :-1], hidden, atol=1e-5)
    assert rows[:, -1].tolist() == [1.0] * 4 + [0.0] * 46
    np.testing.assert_allclose(vectors[1], reads.encode(["dog"])[0], atol=1e-5)


def test_one_table_of_tokens_is_enough(
    state: dict[str, torch.Tensor], tokenizer_file: Path
) -> None:
    expected = encoder(state, tokenizer_file).encode(["dog"])
    for name in ("shared.weight", "encoder.embed_tokens.weight"):
        fewer = {key: value for key, value in state.items() if key != name}
        more = {**fewer, "decoder.block.0.x": torch.zeros(1), "lm_head.weight": torch.zeros(2, 2)}
        np.testing.assert_array_equal(encoder(more, tokenizer_file).encode(["dog"]), expected)


def test_long_texts_are_refused(state: dict[str, torch.Tensor], tokenizer_file: Path) -> None:
    reads = encoder(state, tokenizer_file)
    assert reads.encode([" ".join(["dog"] * 49)]).shape == (1, 50 * 1025)
    with pytest.raises(InputError, match="has 51 tokens, and the model reads 50; say it in fewer"):
        reads.encode(["dog", " ".join(["dog"] * 50)])


@pytest.mark.parametrize(
    ("drop", "said"),
    [
        ("encoder.final_layer_norm.weight", "lacks encoder.final_layer_norm.weight"),
        ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "of a FLAN-T5"),
        ("encoder.block.1.layer.1.DenseReluDense.wo.weight", "it lacks encoder.block.1"),
    ],
)
def test_what_is_missing_is_named(
    state: dict[str, torch.Tensor], tokenizer_file: Path, drop: str, said: str
) -> None:
    broken = {name: value for name, value in state.items() if name != drop}
    with pytest.raises(InputError, match=said):
        encoder(broken, tokenizer_file).encode(["dog"])
    tables = ("shared.weight", "encoder.embed_tokens.weight")
    with pytest.raises(InputError, match=r"lacks shared.weight"):
        FlanT5({n: v for n, v in state.items() if n not in tables}, "x", lambda: pytest.fail(""))


def test_it_says_that_memory_is_short(
    state: dict[str, torch.Tensor], tokenizer_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uss.core.memory.available_bytes", lambda: 1_000)
    with pytest.raises(InputError, match="too little memory: the text encoder needs"):
        encoder(state, tokenizer_file).encode(["dog"])


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is no tokenizer"), ("other", "is not T5's")],
)
def test_other_tokenizers_are_refused(tmp_path: Path, content: str, said: str) -> None:
    from tokenizers import Tokenizer, models

    path = tmp_path / "tokenizer.json"
    path.write_text(content if content == "{" else Tokenizer(models.WordLevel({"a": 0})).to_str())
    with pytest.raises(InputError, match=said):
        make_tokenizer(path)


def test_the_whole_encoder_has_the_published_entries(shared: Path) -> None:
    from tests.flowsep_files import TEXT, listed_shapes

    listed = listed_shapes(shared, "flan_t5_large_encoder", TEXT)
    state: Any = {name: torch.empty(shape, device="meta") for name, shape in listed.items()}
    with torch.device("meta"):
        network = transformers.T5EncoderModel(flan_t5._config(transformers, state, "x"))
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert own == listed
    assert network.config.num_layers == 24 and network.config.num_heads == 16
