import pickle

import pytest

from ontology import Ontology, OntologyError, OwnClass, load_ontology, own_mid, with_own_classes

TREE = load_ontology()
ENGINE = TREE.find("Engine")
MACHINE = OwnClass("/own/my_machine", "My machine", ENGINE.mid)
TOWER = OwnClass("/own/tower", "Tower")


def extended(*, indexed: bool = True) -> Ontology:
    return with_own_classes(TREE, [MACHINE, TOWER], indexed=indexed)


def test_own_classes_come_after_audiosets() -> None:
    ontology = extended()
    assert [node.name for node in ontology.classes[527:]] == ["My machine", "Tower"]
    assert [node.class_index for node in ontology.classes] == list(range(529))
    assert ontology.find(527) == ontology.find("/own/my_machine") == ontology.find("my  machine")
    assert ontology.own == ("/own/my_machine", "/own/tower")
    assert TREE.own == () and len(TREE.classes) == 527


def test_a_parent_stands_for_its_own_classes_too() -> None:
    ontology = extended()
    above = [node.name for node in ontology.ancestors("/own/my_machine")]
    assert above[0] == "Engine"
    assert above[1:] == [node.name for node in TREE.ancestors(ENGINE)]
    assert ontology.class_indexes(ENGINE.mid) == (*TREE.class_indexes(ENGINE), 527)
    assert ontology.levels("/own/my_machine") == (TREE.levels(ENGINE)[0] + 1,)
    assert ontology.ancestors("/own/tower") == ()


def test_without_indexes_audiosets_classes_stay_as_they_are() -> None:
    ontology = extended(indexed=False)
    assert len(ontology.classes) == 527
    assert ontology.find("My machine").class_index is None
    for mid in TREE.nodes:
        assert ontology.class_indexes(mid) == TREE.class_indexes(mid)
    for level in range(1, TREE.max_level + 1):
        names = [node.name for node in ontology.nodes_at_level(level, with_classes=True)]
        assert names == [n.name for n in TREE.nodes_at_level(level, with_classes=True)]


def test_own_names_are_looked_up_and_suggested_as_others_are() -> None:
    ontology = extended(indexed=False)
    assert ontology.look_up("my machines")[0].mid == "/own/my_machine"
    assert ontology.is_name("MY MACHINE")
    assert "My machine" in ontology.like("machine of mine")
    with pytest.raises(OntologyError, match=r'did you mean .*"My machine"'):
        ontology.find("My mashine")


def test_copies_know_them() -> None:
    copy = pickle.loads(pickle.dumps(extended()))
    assert copy.own == ("/own/my_machine", "/own/tower")
    assert copy.nodes == extended().nodes


def test_no_own_classes_change_nothing() -> None:
    assert with_own_classes(TREE, (), indexed=True) is TREE


@pytest.mark.parametrize(
    ("name", "mid"),
    [
        ("My machine", "/own/my_machine"),
        ("  Größe & Maß!", "/own/grösse_mass"),
        ("a-b_c", "/own/a_b_c"),
        ("ドア", "/own/ドア"),
    ],
)
def test_ids_are_made_of_names(name: str, mid: str) -> None:
    assert own_mid(name) == mid


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ([OwnClass("/own/dog", "dogs")], r"AudioSet's \"Dog\"; label its clips /m/0bt9lr, or give"),
        ([OwnClass("/own/x", "x", "/m/nobody")], 'kind of "/m/nobody", which is none of'),
        ([OwnClass("/own/x", "x", "/own/y"), OwnClass("/own/y", "y")], "none of AudioSet's nodes"),
        ([OwnClass("machine", "x")], '"machine" cannot be the id of "x"; ids .* /own/machine'),
        ([OwnClass("/own/a;b", "x")], "without blanks, commas and semicolons"),
        ([OwnClass("/own/", "x")], "cannot be the id"),
        ([OwnClass("/own/x", " ")], 'no class can be called " "; give it a name'),
        ([OwnClass("/own/7", "7")], 'no class can be called "7"; give it a name of letters'),
        ([OwnClass("/own/x", "A"), OwnClass("/own/x", "B")], "with the ids /own/x and /own/x"),
        ([OwnClass("/own/a", "ドア"), OwnClass("/own/b", "ドア")], "two classes of your own"),
        ([OwnClass("/own/a", "car wash"), OwnClass("/own/b", "Car-Wash")], "two classes of your"),
    ],
)
def test_what_can_be_no_class_is_refused(own: list[OwnClass], message: str) -> None:
    with pytest.raises(OntologyError, match=message):
        with_own_classes(TREE, own, indexed=True)
