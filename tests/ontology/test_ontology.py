import copy
import csv
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from ontology import Node, Ontology, load_ontology

SHARED_CLASSES = Path(__file__).parents[3] / "shared" / "ontology" / "classes.csv"

TREE = load_ontology()
GRAPH = load_ontology("graph")


@pytest.mark.parametrize(
    ("ontology", "level", "num_nodes", "num_with_classes"),
    [
        (TREE, 1, 7, 7),
        (TREE, 2, 42, 41),
        (TREE, 3, 286, 251),
        (GRAPH, 1, 7, 7),
        (GRAPH, 2, 43, 42),
        (GRAPH, 3, 306, 271),
    ],
)
def test_level_sizes_are_the_published_ones(
    ontology: Ontology, level: int, num_nodes: int, num_with_classes: int
) -> None:
    assert len(ontology.nodes_at_level(level)) == num_nodes
    assert len(ontology.nodes_at_level(level, with_classes=True)) == num_with_classes


@pytest.mark.parametrize(("ontology", "num_classes"), [(TREE, 146), (GRAPH, 150)])
def test_music_has_the_published_number_of_classes(ontology: Ontology, num_classes: int) -> None:
    indexes = ontology.class_indexes(ontology.find("Music"))
    assert len(indexes) == num_classes
    assert list(indexes) == sorted(set(indexes))


@pytest.mark.parametrize("ontology", [TREE, GRAPH])
def test_sizes_and_links_of_the_whole_graph(ontology: Ontology) -> None:
    assert len(ontology.nodes) == 632
    assert len(ontology.classes) == 527
    assert ontology.max_level == 6
    for node in ontology.nodes.values():
        assert all(node.mid in ontology.nodes[parent].children for parent in node.parents)
        assert all(node.mid in ontology.nodes[child].parents for child in node.children)


def test_38_nodes_have_several_parents_in_the_graph_and_none_in_the_tree() -> None:
    assert sum(len(node.parents) > 1 for node in GRAPH.nodes.values()) == 38
    assert max(len(node.parents) for node in TREE.nodes.values()) == 1


def test_tree_levels_partition_the_nodes() -> None:
    levels = [TREE.nodes_at_level(level) for level in range(1, TREE.max_level + 1)]
    assert sum(len(nodes) for nodes in levels) == 632
    assert all(len(TREE.levels(node)) == 1 for node in TREE.nodes.values())


def test_class_order_is_dense_and_matches_the_indexes() -> None:
    assert [node.class_index for node in TREE.classes] == list(range(527))
    assert [node.mid for node in TREE.classes] == [node.mid for node in GRAPH.classes]
    assert TREE.classes[0].name == "Speech"
    assert TREE.classes[526].name == "Field recording"


def test_class_order_is_that_of_the_source_list() -> None:
    if not SHARED_CLASSES.exists():
        pytest.skip("the source class list is not beside this checkout")
    with SHARED_CLASSES.open(encoding="utf-8", newline="") as file:
        expected = [(int(row["index"]), row["mid"], row["name"]) for row in csv.DictReader(file)]
    assert [(node.class_index, node.mid, node.name) for node in TREE.classes] == expected


def test_in_the_tree_every_class_lies_below_exactly_one_root() -> None:
    roots = TREE.nodes_at_level(1)
    covered = [index for root in roots for index in TREE.class_indexes(root)]
    assert sorted(covered) == list(range(527))


def test_node_with_several_parents() -> None:
    # Listed under Cat, then under Snake, Steam and Onomatopoeia.
    in_graph, in_tree = GRAPH.find("Hiss"), TREE.find("Hiss")
    assert len(in_graph.parents) == 4
    assert in_tree.parents == in_graph.parents[:1]
    for parent in in_graph.parents:
        assert in_graph.class_index in GRAPH.class_indexes(parent)
        assert (in_tree.class_index in TREE.class_indexes(parent)) == (parent in in_tree.parents)


def test_node_reached_by_paths_of_different_length_has_several_levels() -> None:
    several = [node for node in GRAPH.nodes.values() if len(GRAPH.levels(node)) > 1]
    assert several
    for node in several:
        levels = GRAPH.levels(node)
        assert list(levels) == sorted(set(levels))
        assert all(node in GRAPH.nodes_at_level(level) for level in levels)


def test_class_without_children_stands_for_itself() -> None:
    bark = TREE.find("Bark")
    assert bark.children == ()
    assert TREE.descendants(bark) == ()
    assert TREE.class_indexes(bark) == (bark.class_index,)


def test_node_without_classes_below_it_has_no_indexes() -> None:
    empty = set(TREE.nodes_at_level(2)) - set(TREE.nodes_at_level(2, with_classes=True))
    (node,) = empty
    assert TREE.class_indexes(node) == ()


def test_ancestors_and_descendants_are_inverse_and_leave_the_node_out() -> None:
    bark = TREE.find("Bark")
    assert [node.name for node in TREE.ancestors(bark)] == [
        "Dog",
        "Domestic animals, pets",
        "Animal",
    ]
    assert bark in TREE.descendants(TREE.find("Animal"))
    assert TREE.find("Animal") not in TREE.descendants(TREE.find("Animal"))
    diamonds = [GRAPH.descendants(node) for node in GRAPH.nodes_at_level(1)]
    assert all(len(set(nodes)) == len(nodes) for nodes in diamonds)


def test_methods_take_a_mid_or_a_node_of_the_other_reading() -> None:
    music = TREE.find("Music")
    assert TREE.class_indexes("/m/04rlf") == TREE.class_indexes(music)
    assert len(GRAPH.class_indexes(music)) == 150


@pytest.mark.parametrize("key", ["/m/0bt9lr", 74, "74", "Dog", "dog", "  DOG "])
def test_find_takes_mid_index_and_name(key: str | int) -> None:
    assert TREE.find(key).name == "Dog"


def test_find_returns_every_node_by_its_own_name() -> None:
    assert all(TREE.find(node.name) == node for node in TREE.nodes.values())


def test_find_suggests_close_names() -> None:
    with pytest.raises(ValueError, match=r'^unknown class "dgo"; did you mean .*"Dog"'):
        TREE.find("dgo")


def test_find_without_close_names_says_what_to_give() -> None:
    with pytest.raises(ValueError, match=r"class index from 0 to 526"):
        TREE.find("qqqqqq")


@pytest.mark.parametrize("key", [-1, 527, "527"])
def test_find_rejects_an_index_out_of_range(key: str | int) -> None:
    with pytest.raises(ValueError, match=rf"class index {key} does not exist; choose 0 to 526"):
        TREE.find(key)


def test_shared_name_prefers_the_class_and_is_ambiguous_without_one() -> None:
    def node(mid: str, class_index: int | None, name: str) -> Node:
        return Node(mid, name, class_index, restrictions=(), parents=(), children=())

    nodes = [node("/a", None, "Roll"), node("/b", 0, "Roll"), node("/c", None, "Snap")]
    nodes.append(node("/d", None, "snap"))
    ontology = Ontology("tree", {n.mid: n for n in nodes}, classes=(nodes[1],))
    assert ontology.find("roll").mid == "/b"
    with pytest.raises(ValueError, match=r'"Snap" is ambiguous; choose one of the mids /c, /d'):
        ontology.find("Snap")


@pytest.mark.parametrize("level", [-1, 0, 7, 9])
def test_level_out_of_range(level: int) -> None:
    with pytest.raises(ValueError, match=rf"^level {level} does not exist; choose 1 to 6$"):
        TREE.nodes_at_level(level)


def test_unknown_mid_and_unknown_reading() -> None:
    with pytest.raises(ValueError, match=r'unknown mid "/m/none"'):
        TREE.levels("/m/none")
    with pytest.raises(ValueError, match=r'unknown reading "bush"; choose "tree" or "graph"'):
        load_ontology("bush")  # type: ignore[arg-type]


def test_loading_is_cached() -> None:
    assert load_ontology() is load_ontology("tree") is load_ontology(reading="tree")


def test_importing_reads_no_file_and_no_other_package() -> None:
    program = (
        "import sys; before = set(sys.modules)\n"
        "import ontology.loading\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "foreign = new - set(sys.stdlib_module_names) - {'ontology'}\n"
        "sys.exit(bool(foreign or ontology.loading._load.cache_info().currsize))\n"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0


def test_what_was_asked_before_is_answered_from_memory() -> None:
    ontology = load_ontology()
    first = ontology.nodes_at_level(3, with_classes=True)
    assert ontology.nodes_at_level(3, with_classes=True) is first
    assert ontology.nodes_at_level(3) is not first
    music = ontology.find("Music")
    assert ontology.class_indexes(music) is ontology.class_indexes(music.mid)


@pytest.mark.parametrize("reading", ["tree", "graph"])
def test_an_ontology_can_be_pickled_and_copied(reading: Literal["tree", "graph"]) -> None:
    ontology = load_ontology(reading)
    for twin in (pickle.loads(pickle.dumps(ontology)), copy.deepcopy(ontology)):
        assert twin.reading == reading
        assert dict(twin.nodes) == dict(ontology.nodes)
        assert list(twin.nodes) == list(ontology.nodes)
        assert twin.nodes_at_level(2) == ontology.nodes_at_level(2)
        with pytest.raises(TypeError):
            twin.nodes["/m/0"] = twin.classes[0]
