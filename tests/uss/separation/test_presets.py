from pathlib import Path

import pytest

from ontology import Ontology
from uss.conditions.queries import UnionQuery, named_queries
from uss.core.errors import InputError
from uss.separation.preset_files import (
    StemClasses,
    available_presets,
    find_preset,
    preset_folder,
    read_preset,
)
from uss.separation.presets import Preset, load_preset, load_presets

BUILT_IN = ("film", "nature", "speech")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for a person's own presets, which is not there yet."""
    path = tmp_path / "presets"
    monkeypatch.setenv("USS_PRESETS", str(path))
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return write(
        tmp_path / "pets.yaml",
        "description: cats and dogs\n"
        "stems:\n"
        "  dogs: [Dog]\n"
        "  other pets:\n"
        "    classes: [pets, 81]\n"
        "    without: Dog\n",
    )


def stem(preset: Preset, name: str) -> UnionQuery:
    (found,) = (query for query in preset.stems if query.name == name)
    return found


# What is in the package


@pytest.mark.parametrize("name", BUILT_IN)
def test_stems_of_a_preset_of_the_package_share_no_class(name: str, ontology: Ontology) -> None:
    preset = load_preset(name, ontology)
    assert preset.name == name
    assert preset.description
    indexes = [index for query in preset.stems for index in query.class_indexes]
    assert len(set(indexes)) == len(indexes)


def test_presets_of_the_package_are_listed() -> None:
    assert set(available_presets()) == set(BUILT_IN)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("Speech", "dialogue"),
        ("Laughter", "dialogue"),
        ("Screaming", "dialogue"),
        ("Singing", "music"),
        ("Choir", "music"),
        ("Rapping", "music"),
        ("Beatboxing", "music"),
        ("Guitar", "music"),
        ("Church bell", "effects"),
        ("Doorbell", "effects"),
        ("Walk, footsteps", "effects"),
        ("Crowd", "effects"),
        ("Dog", "effects"),
        ("Wind noise (microphone)", "effects"),
        ("Gunshot, gunfire", "effects"),
        ("Whoosh, swoosh, swish", "effects"),
        ("Silence", None),
        ("Inside, small room", None),
        ("Television", None),
    ],
)
def test_what_is_where_in_a_film(name: str, where: str | None, ontology: Ontology) -> None:
    index = ontology.find(name).class_index
    film = load_preset("film", ontology)
    found = [query.name for query in film.stems if index in query.class_indexes]
    assert found == ([where] if where else [])


def test_only_rooms_media_and_silence_are_left_out_of_a_film(ontology: Ontology) -> None:
    film = load_preset("film", ontology)
    used = {index for query in film.stems for index in query.class_indexes}
    left = {
        index
        for name in ("Acoustic environment", "Sound reproduction", "Silence")
        for index in ontology.class_indexes(ontology.find(name))
    }
    assert used == set(range(527)) - left


def test_the_word_effects_means_those_of_a_film(ontology: Ontology) -> None:
    (effects,) = named_queries("effects", ontology)
    assert effects.class_indexes == stem(load_preset("film", ontology), "effects").class_indexes


@pytest.mark.parametrize(
    ("preset", "name", "where"),
    [
        ("nature", "Owl", "birds"),
        ("nature", "Cricket", "insects"),
        ("nature", "Croak", "frogs"),
        ("nature", "Whale vocalization", "other animals"),
        ("nature", "Rain", "weather and water"),
        ("nature", "Splash, splatter", "weather and water"),
        ("nature", "Motorcycle", "people and machines"),
        ("nature", "Speech", "people and machines"),
        ("speech", "Conversation", "speech"),
        ("speech", "Whispering", "speech"),
        ("speech", "Cough", "other voices"),
        ("speech", "Singing", "other voices"),
        ("speech", "Crowd", "other voices"),
        ("speech", "Rain", "background"),
        ("speech", "Music", "background"),
    ],
)
def test_what_is_where_in_others(preset: str, name: str, where: str, ontology: Ontology) -> None:
    index = ontology.find(name).class_index
    stems = load_preset(preset, ontology).stems
    assert [query.name for query in stems if index in query.class_indexes] == [where]


# Files of one's own


def test_a_file_names_classes_by_name_alias_and_index(pets: Path, ontology: Ontology) -> None:
    preset = load_preset(pets, ontology)
    assert (preset.name, preset.description) == ("pets", "cats and dogs")
    dogs, others = preset.stems
    dog, domestic = ontology.find("Dog"), ontology.find("Domestic animals, pets")
    assert dogs == UnionQuery("dogs", (dog.mid,), ontology.class_indexes(dog))
    assert others.mid is None
    assert others.mids == (domestic.mid, ontology.find(81).mid)
    wanted = {*ontology.class_indexes(domestic), *ontology.class_indexes(ontology.classes[81])}
    assert set(others.class_indexes) == wanted - set(ontology.class_indexes(dog))
    assert list(others.class_indexes) == sorted(others.class_indexes)


def test_presets_of_ones_own_are_found_by_name_and_go_first(
    pets: Path, folder: Path, ontology: Ontology
) -> None:
    assert find_preset("film").parent.name == "presets"
    with pytest.raises(InputError, match="unknown preset 'pets'; there are film, nature, speech"):
        find_preset("pets")
    for name in ("pets.yaml", "film.YML", ".hidden.yaml", "notes.txt"):
        write(folder / name, pets.read_text(encoding="utf-8"))
    assert set(available_presets()) == {*BUILT_IN, "pets"}
    assert find_preset("pets") == folder / "pets.yaml"
    assert [query.name for query in load_preset("film", ontology).stems] == ["dogs", "other pets"]


def test_the_folder_is_where_the_system_keeps_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("USS_PRESETS")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert preset_folder() == tmp_path / "uss-pipeline" / "presets"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert preset_folder() == tmp_path / ".config" / "uss-pipeline" / "presets"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("APPDATA", str(tmp_path / "Roaming"))
    assert preset_folder() == tmp_path / "Roaming" / "uss-pipeline" / "presets"
    monkeypatch.setattr("sys.platform", "darwin")
    assert "Application Support" in preset_folder().parts


def test_a_file_is_read_as_it_is_written(pets: Path) -> None:
    file = read_preset(pets)
    assert file.stems == {
        "dogs": StemClasses(("Dog",)),
        "other pets": StemClasses(("pets", 81), ("Dog",)),
    }


def test_several_presets_each_once(pets: Path, tmp_path: Path, ontology: Ontology) -> None:
    film = load_preset("film", ontology)
    assert [p.name for p in load_presets(["film", pets, film], ontology)] == ["film", "pets"]
    assert load_presets("film", ontology) == load_presets(film, ontology) == [film]
    other = write(tmp_path / "other" / "Pets.yaml", "stems: {cats: [Cat]}\n")
    with pytest.raises(InputError, match="two presets are called Pets"):
        load_presets([pets, other], ontology)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stems: {a: [Dog], b: [Bark]}", r'"Bark" is in both a and b; list it under "without"'),
        ("stems: {a: [dog barking]}", r'stem \'a\': unknown class .*did you mean "Bark", "Dog"'),
        ("stems: {a: {classes: [Dog], without: [pets]}}", "has no class that taggers know"),
        ("stems: {a: [Yawn]}", "has no class that taggers know"),
        ("stems: {a: []}", "lists no classes"),
        ("stems: {a: }", "has the keys classes and without"),
        ("stems: {a: {classes: [Dog], not: [Bark]}}", "unknown key 'not'"),
        ("stems: {a: [{classes: Dog}]}", "no name; put it in quotes"),
        ("stems: {a: [yes]}", "no name; put it in quotes"),
        ("stems: {a: [0.5]}", "no name; put it in quotes"),
        ("stems: {a: [600]}", "class index 600 does not exist"),
        ("stems: {residual: [Dog]}", "no stem can be called 'residual'"),
        ("stems: {no: [Dog]}", "no stem can be called False"),
        ("stems: {a: [Dog], A: [Cat]}", "the same name but for case"),
        ("stems:\n  a: [Dog]\n  a: [Cat]", "'a' is given twice"),
        ("stems: {}", "names no stems"),
        ("description: nothing", "names no stems"),
        ("name: pets\nstems: {a: [Dog]}", "unknown key 'name'; a preset has the keys"),
        ("- Dog", "a preset has the keys description and stems"),
        ("", "a preset has the keys description and stems"),
        ("stems: [", "is no YAML file"),
        ("stems: !!python/name:os.system", "is no YAML file"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(
    text: str, message: str, tmp_path: Path, ontology: Ontology
) -> None:
    path = write(tmp_path / "mine.yaml", text)
    with pytest.raises(InputError, match=message) as caught:
        load_preset(path, ontology)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_text_or_not_there(tmp_path: Path, ontology: Ontology) -> None:
    path = tmp_path / "mine.yaml"
    with pytest.raises(FileNotFoundError):
        load_preset(path, ontology)
    path.write_bytes(b"stems: {caf\xe9: [Dog]}")
    with pytest.raises(InputError, match="is no YAML file"):
        load_preset(path, ontology)


def test_a_file_called_like_another_group_is_refused(tmp_path: Path, ontology: Ontology) -> None:
    path = write(tmp_path / "level2.yaml", "stems: {a: [Dog]}")
    with pytest.raises(InputError, match="no preset can be called 'level2'"):
        load_preset(path, ontology)
