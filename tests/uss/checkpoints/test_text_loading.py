"""Text encoders by name, file and folder, offline and from a server on this machine."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.http_server import FakeSite
from tests.text_models import byte_pairs, published_file, write_tokenizers
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.loading import load_model
from uss.checkpoints.published import PUBLISHED
from uss.checkpoints.text_loading import load_text_encoder, text_encoder_of
from uss.conditions.bert_mini import BertMini
from uss.conditions.clap import Clap
from uss.conditions.clap_words import ClapWords
from uss.conditions.clip_text import ClipText
from uss.conditions.flan_t5 import FlanT5
from uss.conditions.text_encoders import TextEncoder

transformers = pytest.importorskip("transformers")

State = dict[str, torch.Tensor]


def bert_state(prefix: str = "") -> State:
    """BERT-mini with its own random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(
            hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
        )
        network = transformers.BertModel(config)
    return {prefix + name: value for name, value in network.state_dict().items()}


@pytest.fixture(scope="module")
def bert() -> State:
    return bert_state()


@pytest.fixture
def bert_file(bert: State, tmp_path: Path) -> Path:
    path = tmp_path / "bert-mini.bin"
    torch.save({f"bert.{name}": value for name, value in bert.items()}, path)
    return path


def test_a_file_is_recognised_by_its_entries() -> None:
    one = torch.zeros(1, 1)
    kinds: dict[str, tuple[type, str]] = {
        "query_encoder.model.text_branch.pooler.dense.bias": (Clap, "clap-512"),
        "module.text_branch.pooler.dense.bias": (Clap, "clap-512"),
        "text_branch.pooler.dense.bias": (Clap, "clap-512"),
        "module.net_clap.model.model.text_branch.pooler.dense.bias": (
            ClapWords,
            "clap-words-59725",
        ),
        "text_model.embeddings.word_embeddings.weight": (Clap, "clap-512"),
        "text_model.embeddings.token_embedding.weight": (ClipText, "clip-512"),
        "module.text_embedder.bert_layer.embeddings.word_embeddings.weight": (
            BertMini,
            "lass-net-256",
        ),
        "bert.embeddings.word_embeddings.weight": (BertMini, "bert-mini-256"),
        "embeddings.word_embeddings.weight": (BertMini, "bert-mini-256"),
        "cond_stage_models.0.model.encoder.block.0.x": (FlanT5, "flan-t5-large-50"),
        "encoder.block.0.x": (FlanT5, "flan-t5-large-50"),
    }
    for name, (kind, space) in kinds.items():
        tables = {f"{prefix}shared.weight": one for prefix in ("", "cond_stage_models.0.model.")}
        encoder = text_encoder_of({name: one, "ss_model.x": one, **tables}, Path("x"))
        assert type(encoder) is kind and isinstance(encoder, TextEncoder)
        assert encoder.space == space
    assert text_encoder_of({"ss_model.film.x": one}, Path("x")) is None


def test_words_go_through_the_whole_of_it(
    bert: State, bert_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tokenizers(tmp_path / "cache", monkeypatch)
    encoder = load_text_encoder(bert_file)
    vectors = encoder.encode(["The dog barks", "rain", "the DOG barks"])
    assert vectors.shape == (3, 256) and vectors.dtype == np.float32
    # Case does not matter, nor what stands beside a text in its batch.
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    np.testing.assert_allclose(vectors[1], encoder.encode(["rain"])[0], atol=1e-6)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.1
    reference = transformers.BertModel(
        transformers.BertConfig(
            hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
        )
    ).eval()
    reference.load_state_dict(bert)
    ids = encoder.tokenize(["rain"]).ids
    expected = reference(ids).last_hidden_state[0, 0].detach()
    np.testing.assert_allclose(vectors[1], expected, atol=1e-5)
    assert encoder.encode([]).shape == (0, 256)


def test_a_folder_brings_its_own_tokenizer(
    bert: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USS_CACHE", str(tmp_path / "empty"))
    folder = tmp_path / "bert-mini"
    folder.mkdir()
    torch.save(bert, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nrain\n")
    encoder = load_text_encoder(folder)
    assert encoder.tokenize(["rain"]).ids.tolist() == [[2, 4]]
    assert not (tmp_path / "empty").exists()


def test_the_tokenizer_is_fetched_when_it_is_needed_and_once(
    site: FakeSite, bert_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.content = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nrain\n"
    monkeypatch.setenv("USS_CACHE", str(tmp_path / "cache"))
    served = published_file("bert-base-uncased-vocab", site.content, url=site.url)
    monkeypatch.setitem(PUBLISHED, served.name, served)  # type: ignore[arg-type]
    encoder = load_text_encoder(bert_file)
    assert site.ranges == []
    assert encoder.tokenize(["rain"]).ids.tolist() == [[2, 4]]
    assert load_text_encoder(bert_file).tokenize(["rain"]).ids.tolist() == [[2, 4]]
    assert site.ranges == [None]
    assert (tmp_path / "cache" / "bert-base-uncased-vocab.txt").read_bytes() == site.content


def test_what_is_fetched_is_checked(
    site: FakeSite, bert_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.content = b"another vocabulary"
    monkeypatch.setenv("USS_CACHE", str(tmp_path / "cache"))
    checksum = PUBLISHED["bert-base-uncased-vocab"].checksum
    served = published_file(
        "bert-base-uncased-vocab", site.content, url=site.url, checksum=checksum
    )
    monkeypatch.setitem(PUBLISHED, served.name, served)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="07eced375cec144d27c900241f3e339478dec958f92fddbc551f29"):
        load_text_encoder(bert_file).encode(["rain"])


def test_offline_one_line_says_which_file_to_put_where(
    bert_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("USS_CACHE", str(cache))
    monkeypatch.setenv("NO_PROXY", "*")
    nobody = published_file("bert-base-uncased-vocab", b"", url="http://127.0.0.1:9/vocab.txt")
    monkeypatch.setitem(PUBLISHED, nobody.name, nobody)  # type: ignore[arg-type]
    with pytest.raises(OSError) as caught:
        load_text_encoder(bert_file).encode(["rain"])
    message = str(caught.value)
    assert "\n" not in message
    assert "download http://127.0.0.1:9/vocab.txt elsewhere" in message
    assert f"put it at {cache / 'bert-base-uncased-vocab.txt'}" in message


def test_clip_is_read_from_transformers_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tokenizers(tmp_path / "cache", monkeypatch)
    vocab, _ = byte_pairs(clip=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.CLIPTextConfig(projection_dim=512, eos_token_id=49_407)
        network = transformers.CLIPTextModelWithProjection(config).eval()
    # The tokenizer of the test ends texts with another token than the real one's 49,407.
    end = json.loads(vocab)["<|endoftext|>"]
    network.text_model.eos_token_id = end
    network.config.eos_token_id = end
    folder = tmp_path / "clip"
    network.save_pretrained(folder)
    encoder = load_text_encoder(folder)
    assert isinstance(encoder, ClipText)
    found = encoder.encode(["a photo of rain", "dog"])
    tokens = encoder.tokenize(["a photo of rain"])
    with torch.inference_mode():
        expected = network(input_ids=tokens.ids).text_embeds[0]
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    # As CLIPSep takes them, they are not of unit length.
    assert abs(np.linalg.norm(found[0]) - 1.0) > 0.01


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no text encoder of that name; check the path, or choose clap-music"),
        (lambda path: path.mkdir(), "holds neither model.safetensors nor pytorch_model.bin"),
        (lambda path: torch.save({"x": torch.zeros(1)}, path), "of no text encoder this program"),
        (lambda path: path.write_bytes(b"words"), "is not a PyTorch weights file"),
    ],
)
def test_what_is_none_is_refused(tmp_path: Path, make: Any, said: str) -> None:
    path = tmp_path / "none"
    make(path)
    with pytest.raises((ValueError, OSError), match=said):
        load_text_encoder(path)


def test_a_tagger_and_a_bundle_are_no_text_encoders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no text encoder of that name"):
        load_text_encoder("cnn14")
    path = tmp_path / "bundle.safetensors"
    save_bundle(path, Bundle())
    with pytest.raises(ValueError, match="is a bundle, which holds no text encoder"):
        load_text_encoder(path)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ValueError, match="a model of the type 'llama'"):
        load_text_encoder(tmp_path)


def test_without_the_packages_one_line_says_what_to_install(
    bert_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tokenizers(tmp_path / "cache", monkeypatch)
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ValueError, match=r"package transformers; pip install 'uss-pipeline\[text"):
        load_text_encoder(bert_file).encode(["rain"])


def test_a_bundle_keeps_the_words_it_was_trained_with(tmp_path: Path) -> None:
    path = tmp_path / "bundle.safetensors"
    save_bundle(path, Bundle(template="the sound of {lower}"))
    assert load_model(path).template == "the sound of {lower}"
    save_bundle(path, Bundle())
    assert load_model(path).template == "{name}"
