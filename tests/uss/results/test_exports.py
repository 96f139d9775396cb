"""From a result to what formats are written from."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ontology import load_ontology
from uss.conditions.text_queries import MeantClass
from uss.interchange.hand_over import Event
from uss.results.exports import branch_of, hand_over_of, relative_path
from uss.results.result import RunSettings, SeparationResult, StemResult

ONTOLOGY = load_ontology()
DOG = StemResult(
    mid=ONTOLOGY.find("Dog").mid,
    name="Dog",
    level=3,
    probability=0.75,
    probabilities=(0.75, 0.1),
    active_intervals=((0.0, 2.0), (5.0, 6.0)),
    loudness_dbfs=-20.0,
    file="level3/Dog.wav",
    events=(Event(0.5, 1.25, 0.75), Event(5.0, 6.0, 0.5)),
)
RESULT = SeparationResult(
    input="film.mov",
    sample_rate=48_000,
    num_channels=2,
    duration_seconds=6.0,
    segment_seconds=2.0,
    segment_starts=(0.0, 4.0),
    settings=RunSettings(),
    stems=(DOG,),
    residuals={"level3": "level3/residual.wav"},
    start_seconds=60.0,
)


def test_a_result_as_records() -> None:
    taken = hand_over_of(RESULT, Path("/films/film.mov"), film_seconds=61.5, ontology=ONTOLOGY)
    (sound,) = taken.sounds
    assert (sound.name, sound.group, sound.branch) == ("Dog", "level3", "Animal")
    assert (sound.file, sound.events) == (DOG.file, DOG.events)
    assert taken.residuals == RESULT.residuals
    source = taken.source
    assert (source.start_seconds, source.film_seconds, source.duration_seconds) == (60.0, 61.5, 6.0)
    assert hand_over_of(RESULT, None).source.film_seconds == 60.0


@pytest.mark.parametrize(
    ("name", "branch"),
    [
        ("Dog", "Animal"),
        ("Animal", "Animal"),
        ("Guitar", "Music"),
        ("Rain", "Natural sounds"),
        ("Speech", "Human sounds"),
        ("Car", "Sounds of things"),
    ],
)
def test_the_branch_of_a_class(name: str, branch: str) -> None:
    assert branch_of(replace(DOG, mid=ONTOLOGY.find(name).mid), ONTOLOGY) == branch


def test_the_branch_of_what_is_no_class() -> None:
    nothing = replace(DOG, mid=None)
    assert branch_of(nothing, ONTOLOGY) is None
    assert branch_of(replace(nothing, mids=(str(DOG.mid),)), ONTOLOGY) == "Animal"
    meant = MeantClass(0, str(DOG.mid), "Dog", 1.0)
    assert branch_of(replace(nothing, understood=(meant,)), ONTOLOGY) == "Animal"
    assert branch_of(replace(DOG, mid="/m/of_my_own"), ONTOLOGY) is None


def test_paths_are_relative_to_where_the_result_will_be(tmp_path: Path) -> None:
    film = tmp_path / "reels" / "film.mov"
    folder = tmp_path / "out" / "film"
    assert relative_path(film, folder) == "../../reels/film.mov"
    assert relative_path(Path("film.mov"), Path("separated/film")) == "../../film.mov"


def test_paths_from_a_linked_folder_lead_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "deep")
    (tmp_path / "film.mov").touch()
    relative = relative_path(tmp_path / "film.mov", tmp_path / "out" / "film")
    (tmp_path / "out" / "film").mkdir()
    assert os.path.samefile(tmp_path / "out" / "film" / relative, tmp_path / "film.mov")
