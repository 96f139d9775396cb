"""Which encoders are named how, and what shards call their spaces."""

from pathlib import Path

import pytest
import torch

from uss.mining.networks import MiningNetworks, NetworkNames
from uss.taggers import EfficientAT

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_tagger(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger = EfficientAT(0.1, "tiny")
    monkeypatch.setattr("uss.mining.networks.load_tagger", lambda *_, **__: tagger)


@pytest.fixture
def bert_file(tmp_path: Path) -> Path:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    path = tmp_path / "bert.bin"
    torch.save(transformers.BertModel(config).state_dict(), path)
    return path


def test_text_encoders_are_stored_beside_taggers(bert_file: Path) -> None:
    names = NetworkNames("tiny", encoders=("tiny", f"bert-mini:{bert_file}"))
    networks = MiningNetworks.load(names, CPU)
    assert networks.spaces == {"tiny-96": 96, "bert-mini-256": 256}
    assert list(networks.readers) == ["bert-mini-256"]
    (digest,) = networks.attributes()["text_encoder_hashes"]
    assert len(digest) == 16


def test_without_them_nothing_is_said_of_them() -> None:
    networks = MiningNetworks.load(NetworkNames("tiny"), CPU)
    assert networks.readers == {} and "text_encoder_hashes" not in networks.attributes()


def test_a_file_of_another_kind_is_refused(bert_file: Path) -> None:
    with pytest.raises(ValueError, match="holds a BertMini, not what 'clap:' stands for"):
        MiningNetworks.load(NetworkNames("tiny", encoders=(f"clap:{bert_file}",)), CPU)


def test_two_encoders_of_one_space_are_refused(bert_file: Path) -> None:
    copy = bert_file.with_name("copy.bin")
    copy.write_bytes(bert_file.read_bytes())
    names = NetworkNames("tiny", encoders=(f"bert-mini:{bert_file}", f"bert-mini:{copy}"))
    with pytest.raises(ValueError, match="2 encoders make conditions of 'bert-mini-256'"):
        MiningNetworks.load(names, CPU)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no text encoder of that name"):
        MiningNetworks.load(NetworkNames("tiny", encoders=(f"clap:{tmp_path}/x.pt",)), CPU)
