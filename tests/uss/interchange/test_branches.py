"""Colours of branches."""

from ontology import load_ontology
from uss.interchange.branches import COLOURS, GREY, colour_of


def test_every_branch_has_a_colour_of_its_own() -> None:
    assert list(COLOURS) == [node.name for node in load_ontology().nodes_at_level(1)]
    assert len({(each.red, each.green, each.blue) for each in COLOURS.values()}) == len(COLOURS)


def test_what_is_in_no_branch_is_grey() -> None:
    assert colour_of(None) is colour_of("Chairs") is GREY
