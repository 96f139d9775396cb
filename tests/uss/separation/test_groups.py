import pytest

from uss.core.errors import InputError
from uss.separation.groups import NAMED_GROUP, check_preset_name, group_of, level_of


@pytest.mark.parametrize("level", [None, 1, 2, 6])
def test_a_group_tells_its_level(level: int | None) -> None:
    assert level_of(group_of(level)) == level


@pytest.mark.parametrize("name", ["film", "my film", "Übersicht", "sound-effects", "tape_2"])
def test_a_preset_is_a_group_of_no_level(name: str) -> None:
    check_preset_name(name)
    assert level_of(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "level2",
        "levels",
        "Level 2",
        "queries",
        "Query",
        "",
        " film",
        "film ",
        "2film",
        "a/b",
        "a.b",
        "..",
        "con",
    ],
)
def test_names_of_other_groups_and_of_no_folder_are_no_presets(name: str) -> None:
    with pytest.raises(InputError, match="no preset can be called"):
        check_preset_name(name)


def test_groups_are_called_as_their_folders() -> None:
    assert group_of(2) == "level2"
    assert group_of(None) == NAMED_GROUP == "queries"


@pytest.mark.parametrize("group", ["", "level", "levels", "3", "level-1", "level2b", "query"])
def test_nothing_else_is_a_group(group: str) -> None:
    with pytest.raises(ValueError, match="there is no group"):
        level_of(group)
