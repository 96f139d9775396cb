import csv
from pathlib import Path

import pytest

import ontology as package
from ontology import OntologyError, load_ontology
from ontology.words import folded

TREE = load_ontology()
GRAPH = load_ontology("graph")
FILE = Path(package.__file__).with_name("aliases.csv")


def rows() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_there_are_plenty() -> None:
    assert len(TREE.aliases) == len(rows()) > 1_000
    assert TREE.aliases == GRAPH.aliases


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["alias"])
def test_an_alias_stands_for_nodes_that_can_be_asked_for(row: dict[str, str]) -> None:
    nodes = TREE.look_up(row["alias"])
    assert ";".join(node.mid for node in nodes) == row["mids"]
    assert "; ".join(node.name for node in nodes) == row["names"]
    assert all(TREE.class_indexes(node) for node in nodes)
    assert len(set(nodes)) == len(nodes)


def test_no_alias_is_a_name_or_another_alias_in_any_form() -> None:
    names = {folded(node.name) for node in TREE.nodes.values()}
    forms = [folded(alias) for alias in TREE.aliases]
    assert names.isdisjoint(forms)
    assert len(forms) == len(set(forms))
    assert not any(alias.isdecimal() for alias in TREE.aliases)


def test_the_table_is_in_order() -> None:
    aliases = [row["alias"] for row in rows()]
    assert aliases == sorted(aliases, key=str.casefold)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("dialogue", "Speech"),
        ("Dialog", "Speech"),
        ("voices", "Human voice"),
        ("footsteps", "Walk, footsteps"),
        ("foot-steps", "Walk, footsteps"),
        ("gun shot", "Gunshot, gunfire"),
        ("Gunshots", "Gunshot, gunfire"),
        ("traffic", "Traffic noise, roadway noise"),
        ("vocals", "Singing"),
        ("score", "Music"),
        ("birdsong", "Bird vocalization, bird call, bird song"),
        ("TV", "Television"),
        ("R&B", "Rhythm and blues"),
        ("hi hats", "Hi-hat"),
        ("cicadas", "Cricket"),
        ("burglar alarm", "Alarm"),
        ("door slam", "Slam"),
        # Names of AudioSet in another form, which need no alias.
        ("dogs", "Dog"),
        ("hi hat", "Hi-hat"),
        ("Rock & Roll", "Rock and roll"),
        ("tick tock", "Tick-tock"),
        ("steel pan", "Steelpan"),
        ("walk footsteps", "Walk, footsteps"),
    ],
)
def test_words_people_use(word: str, name: str) -> None:
    assert TREE.find(word).name == name
    assert not TREE.is_name(word)


@pytest.mark.parametrize("word", ["room tone", "foley", "walla", "weather", "effects"])
def test_a_word_for_several_nodes_is_not_one_of_them(word: str) -> None:
    assert len(TREE.look_up(word)) > 1
    with pytest.raises(OntologyError, match=rf'^"{word}" stands for .*; choose one of them$'):
        TREE.find(word)


@pytest.mark.parametrize("node", TREE.nodes.values(), ids=lambda node: node.name)
def test_names_go_before_aliases(node: package.Node) -> None:
    for key in (node.name, node.name.upper(), node.mid):
        assert TREE.look_up(key) == (TREE.find(key),) == (node,)
        assert TREE.is_name(key)
    assert TREE.look_up(node.name.replace("-", " ") + " ") == (node,)


@pytest.mark.parametrize("word", ["dialogue", "dogs", "hi hat", "foley"])
def test_data_files_are_not_guessed_at(word: str) -> None:
    with pytest.raises(OntologyError, match="unknown class"):
        TREE.find(word, aliases=False)
    assert TREE.find("dog", aliases=False).name == "Dog"


@pytest.mark.parametrize("key", ["nothing of the kind", "600", 600, "", "foley"])
def test_what_is_no_name_of_audioset(key: str | int) -> None:
    assert not TREE.is_name(key)
