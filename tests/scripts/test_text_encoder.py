"""How the embedded text encoder is trained and scored: WordNet's files, scores and storing."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from ontology import load_kinds, load_ontology
from ontology.words import folded
from uss.conditions.text_classes import TextClasses, load_text_classes
from uss.conditions.text_words import ENGLISH, NAME, OF_SOUNDS, Lexicon

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
learning = importlib.import_module("text_encoder.learning")
network_module = importlib.import_module("text_encoder.network")
query_scores = importlib.import_module("text_encoder.query_scores")
storing = importlib.import_module("text_encoder.storing")
wordnet = importlib.import_module("text_encoder.wordnet")

NOUNS = (
    "  1 a licence\n"
    '00000100 05 n 02 dog 0 domestic_dog 0 001 @ 00000200 n 0000 | an animal that barks; "it ran"\n'
    "00000200 05 n 01 canine 0 000 | a mammal; with teeth\n"
)


def test_wordnets_files(tmp_path: Path) -> None:
    for part in ("noun", "verb", "adj"):
        (tmp_path / f"data.{part}").write_text(NOUNS if part == "noun" else "  1 a licence\n")
    words = wordnet.WordNet(tmp_path)
    (dog,) = words.find("domestic dog", "noun.animal")
    assert (dog.lemmas, dog.gloss) == (("dog", "domestic dog"), "an animal that barks")
    (canine,) = words.find("canine", "noun.animal")
    assert [(depth, each.key) for depth, each in words.below(canine)] == [
        (0, "n00000200"),
        (1, "n00000100"),
    ]
    assert words.find("dog", "noun.artifact") == []


def test_average_precision_by_hand() -> None:
    found, labels = np.array([0.9, 0.8, 0.7, 0.1]), np.array([1.0, 0.0, 1.0, 0.0])
    # Precision 1 at the first label, and 2/3 at the second.
    assert learning.average_precision(found, labels) == pytest.approx((1.0 + 2 / 3) / 2)
    # Ties are one step: both labels are found among all four.
    assert learning.average_precision(np.zeros(4), labels) == pytest.approx(0.5)


def test_what_is_stored_is_what_was_trained(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    network = network_module.TextNetwork(vectors, width=6, hidden=5).eval()
    torch.nn.init.normal_(network.learned.weight)
    torch.nn.init.normal_(network.classes.bias)
    torch.nn.init.normal_(network.classes.weight)
    words, kinds = ["dog", "rome", "cat", "barks"], [OF_SOUNDS, NAME, ENGLISH, OF_SOUNDS]
    path = tmp_path / "text.safetensors"
    storing.store(path, network, words, kinds, {"mutt": "dog"}, {"abstaining": 0.3})
    with safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["text_classes"]) == {"abstaining": 0.3}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    encoder = TextClasses(Lexicon(words, kinds, {"mutt": "dog"}), weights, 0.3)
    (found,) = encoder.encode(["the mutt, cat and Rome barks"])
    with torch.no_grad():
        expected = network(*network_module.padded([[0, 1, 2]])).sigmoid()[0].numpy()
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert np.ptp(found) > 0.5


def test_the_list_of_queries_holds() -> None:
    encoder, ontology = load_text_classes(), load_ontology()
    found = query_scores.answers(ROOT / "quality" / "text_queries.csv", encoder, ontology)
    assert len(found) == 150
    assert query_scores.share(found, nonsense=False) >= 0.9
    assert query_scores.share(found, nonsense=True) >= 0.9


def test_kinds_of_sounds_are_listed_from_wordnet(tmp_path: Path) -> None:
    ontology, kinds = load_ontology(), load_kinds()
    assert len(kinds) > 3_000 and all(mid in ontology.nodes for mid in kinds.values())
    assert ontology.nodes[kinds["kookaburra"]].name == "Bird"
    names = {folded(name) for name in (*ontology.aliases, *ontology.hints)}
    assert names.isdisjoint(map(folded, kinds))
    (tmp_path / "index.noun").write_text(
        "  1 a licence\nbig_dog n 2 1 @ 2 1 00000100 00000300\n", encoding="utf-8"
    )
    assert wordnet.first_meanings(tmp_path) == {"big dog": "n00000100"}


def test_the_check_says_what_a_model_can_separate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "queries.csv"
    path.write_text(
        "query,kind,expected,excluded\na dog,everyday,Dog,\na sneeze,everyday,Sneeze,\n"
        "no dogs,exclusion,,Dog\nblorptang,nonsense,,\n"
    )
    check = importlib.import_module("check_text_encoder")
    assert check.main(["--queries", str(path), "--model", "default"]) == 0
    assert "1 of 2 understood texts can be separated by default (0.500)" in capsys.readouterr().out
    path.write_text("query,kind,expected,excluded\na dog,everyday,Doggle,\n")
    assert check.main(["--queries", str(path)]) == 2
    assert 'unknown class "Doggle"' in capsys.readouterr().err
