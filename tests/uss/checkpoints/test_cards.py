"""What is known of weights before they are loaded."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from uss.checkpoints import cards
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.cards import card_of, embedded_cards, published_card
from uss.checkpoints.published import PUBLISHED
from uss.checkpoints.published_file import NO_ASSERTION
from uss.taggers import EfficientAT

# The licences there are here, as SPDX lists them.
SPDX = {"Apache-2.0", "MIT", "CC-BY-4.0", "CC0-1.0", NO_ASSERTION}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("USS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_every_published_file_has_licence_training_data_and_space() -> None:
    for name, published in PUBLISHED.items():
        card = published_card(published)
        assert card.spdx in SPDX, name
        assert (card.spdx == NO_ASSERTION) == (card.licence is None), name
        assert card.trained_on != "not stated" and card.source, name
        # Tokenizers have to do with no conditions.
        assert (card.space is None) == (published.kind == "tokenizer"), name
        assert card.space is None or re.fullmatch(r"[a-z0-9_-]+-\d+", card.space), name
        assert card.path is None and card.sha256 is None


def test_the_embedded_weights_say_what_they_are() -> None:
    default, text = embedded_cards()
    assert (default.name, default.spdx, default.space) == (
        "default",
        "Apache-2.0",
        "uss-scenes-384",
    )
    assert default.path is not None
    assert default.sha256 == hashlib.sha256(default.path.read_bytes()).hexdigest()
    assert (text.name, text.spdx) == ("text", "Apache-2.0")
    assert text.licence is not None and "WordNet" in text.licence
    assert card_of("default") == default


def test_a_bundle_says_itself_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_bundle(
        path,
        Bundle(EfficientAT(width=0.1), licence="CC0-1.0", provenance={"clips": 3}),
    )
    card = card_of(path)
    assert (card.name, card.spdx, card.task) == ("mine.safetensors", "CC0-1.0", "detection")
    assert card.provenance == {"clips": 3} and card.space is None
    save_bundle(path, Bundle(EfficientAT(width=0.1)))
    assert card_of(path).spdx == NO_ASSERTION
    assert card_of(path).trained_on == "not stated"


def test_a_file_is_known_by_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "somewhere.pt"
    path.write_bytes(b"weights")
    digits = hashlib.md5(b"weights").hexdigest()
    small = replace(PUBLISHED["cnn6"], size_bytes=None, checksum=f"md5:{digits}")
    monkeypatch.setattr(cards, "PUBLISHED", {"cnn6": small})
    for named in (path, f"cnn14:{path}"):
        card = card_of(named)
        assert (card.name, card.spdx, card.path) == ("cnn6", "CC-BY-4.0", path)
    path.write_bytes(b"others")
    unknown = card_of(path)
    assert (unknown.name, unknown.spdx, unknown.task) == ("somewhere.pt", NO_ASSERTION, "unknown")
    assert unknown.sha256 == hashlib.sha256(b"others").hexdigest()


def test_a_folder_of_transformers_is_known_by_its_weights(tmp_path: Path) -> None:
    folder = tmp_path / "clap"
    folder.mkdir()
    assert card_of(folder).path is None
    (folder / "pytorch_model.bin").write_bytes(b"old")
    (folder / "model.safetensors").write_bytes(b"new")
    assert card_of(folder).path == folder / "model.safetensors"


def test_a_folder_called_like_a_model_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("default", "cnn14"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert card_of("default").spdx == "Apache-2.0"
    assert card_of("cnn14").spdx == "CC-BY-4.0"
    assert card_of("nothing").task == "unknown"
