import pytest

from uss.separation.groups import NAMED_GROUP, group_of, level_of


@pytest.mark.parametrize("level", [None, 1, 2, 6])
def test_a_group_tells_its_level(level: int | None) -> None:
    assert level_of(group_of(level)) == level


def test_groups_are_called_as_their_folders() -> None:
    assert group_of(2) == "level2"
    assert group_of(None) == NAMED_GROUP == "queries"


@pytest.mark.parametrize("group", ["", "level", "levels", "3", "level-1", "level2b", "query"])
def test_nothing_else_is_a_group(group: str) -> None:
    with pytest.raises(ValueError, match="there is no group"):
        level_of(group)
