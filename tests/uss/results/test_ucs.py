"""Categories of sounds for file names."""

import csv
import re
from importlib import resources

import pytest

from ontology import Ontology
from uss.results.ucs import UNKNOWN, category_of, load_categories

CAT_ID = re.compile(r"[A-Z]{2,6}[A-Za-z]{0,6}")


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("Dog", "ANMLDog"),
        ("Speech", "VOXMisc"),
        ("Rain", "RAIN"),
        ("Thunder", "THUN"),
        ("Helicopter", "AEROHeli"),
        ("Music", "MUSCMisc"),
        # By the nearest node above.
        ("Bark", "ANMLDog"),
        ("Acoustic guitar", "MUSCStr"),
        ("Techno", "MUSCSong"),
    ],
)
def test_a_sound_has_its_category(ontology: Ontology, name: str, category: str) -> None:
    assert category_of([ontology.find(name, aliases=False).mid]) == category


def test_every_node_of_the_upper_levels_has_its_own_judgement(ontology: Ontology) -> None:
    named = load_categories()
    upper = {node.mid for level in (1, 2, 3) for node in ontology.nodes_at_level(level)}
    assert upper <= named.keys()
    assert all(category_of([mid]) != UNKNOWN or mid in named for mid in ontology.nodes)


def test_the_table_is_of_nodes_and_categories(ontology: Ontology) -> None:
    lines = resources.files("uss.results").joinpath("ucs.csv").read_text("utf-8").splitlines()
    for row in csv.DictReader(lines):
        assert ontology.nodes[row["mid"]].name == row["name"]
        assert CAT_ID.fullmatch(row["cat_id"]), row


def test_what_stands_for_no_node_is_unknown() -> None:
    assert category_of([]) == category_of(["/m/nothing"]) == UNKNOWN
