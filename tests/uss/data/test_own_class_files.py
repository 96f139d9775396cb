from pathlib import Path

import pytest

from ontology import OwnClass, load_ontology
from uss.core.errors import InputError
from uss.data.own_class_files import (
    own_classes_file,
    own_classes_of,
    read_own_classes,
    write_own_classes,
)

ENGINE = load_ontology().find("Engine").mid


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    own = (OwnClass("/own/a", 'A, "quoted"', ENGINE), OwnClass("/own/größe", "Größe"))
    path = tmp_path / "x.csv"
    write_own_classes(path, own)
    assert read_own_classes(path) == own


def test_a_name_is_enough_and_a_parent_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("name,parent\nMy machine,engine\nTower,\n")
    assert read_own_classes(path) == (
        OwnClass("/own/my_machine", "My machine", ENGINE),
        OwnClass("/own/tower", "Tower"),
    )
    path.write_text("name\nTower\n")
    assert read_own_classes(path) == (OwnClass("/own/tower", "Tower"),)


def test_the_file_beside_the_manifest_is_meant_unless_another_is_named(tmp_path: Path) -> None:
    manifest, other = tmp_path / "sounds.csv", tmp_path / "other.csv"
    assert own_classes_of(manifest) == ()
    assert own_classes_file(manifest) == tmp_path / "sounds.classes.csv"
    own_classes_file(manifest).write_text("name\nTower\n")
    other.write_text("name\nMachine X\n")
    assert own_classes_of(manifest) == (OwnClass("/own/tower", "Tower"),)
    assert own_classes_of(manifest, other) == (OwnClass("/own/machine_x", "Machine X"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,parent\n/own/x,\n", r"x\.csv lacks the column name; it has id,name,parent"),
        ("name,parent\nx,Dgo\n", r'x\.csv: unknown class "Dgo"; did you mean "Dog"'),
        ("name\ndogs\n", r"x\.csv: \"dogs\" is AudioSet's \"Dog\""),
        ("id,name\nmachine,x\n", r'x\.csv: "machine" cannot be the id of "x"'),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as refusal:
        read_own_classes(path)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.csv: no such file of classes; name"):
        own_classes_of(tmp_path / "m.csv", tmp_path / "gone.csv")
