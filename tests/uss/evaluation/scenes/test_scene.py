from dataclasses import replace
from pathlib import Path

import pytest

from tests.uss.evaluation.scene_examples import NOISE, make_event, make_scene
from uss.evaluation.scenes.scene import Background, Scene
from uss.evaluation.scenes.scene_list import COLUMNS, is_scene_list, read_scenes, write_scenes

HEADER = ",".join(COLUMNS)
EVENT = "a,event,dog.wav,/m/0bt9lr,0.5,0,2,-3,,,10,32000"
NOISE_ROW = "a,background,,,,,,-50,1,4,10,32000"


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_scenes_survive_a_file_exactly(tmp_path: Path) -> None:
    scenes = [
        make_scene(
            make_event("Bark", "Dog", onset_seconds=0.1234567),
            make_event("Speech", path="a, b.wav", gain_db=-7.125, start_seconds=1.0),
            background=NOISE,
            name="first",
        ),
        make_scene(make_event("Dog"), name="without background"),
        make_scene(background=NOISE, name="without events"),
    ]
    write_scenes(tmp_path / "scenes.csv", scenes)
    assert read_scenes(tmp_path / "scenes.csv") == scenes


def test_a_row_holds_all_that_is_needed(tmp_path: Path) -> None:
    (scene,) = read_scenes(write(tmp_path / "scenes.csv", EVENT, NOISE_ROW))
    (event,) = scene.events
    assert (scene.name, scene.seconds, scene.sample_rate) == ("a", 10.0, 32_000)
    assert (event.path, event.mids) == ("dog.wav", ("/m/0bt9lr",))
    assert (event.onset_seconds, event.start_seconds, event.seconds) == (0.5, 0.0, 2.0)
    assert event.gain_db == -3.0
    assert scene.background == Background(level_dbfs=-50.0, exponent=1.0, seed=4)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (EVENT.replace("event", "sound"), "kind is 'sound'; choose event or background"),
        (NOISE_ROW, "the scene a has a second background"),
        (EVENT.replace("-3", "loud"), "gain_db is 'loud', which is not a number"),
        (EVENT.replace("-3", "nan"), "gain_db is 'nan'; give a finite number"),
        (EVENT.replace("-3", "10000"), "the gain of dog.wav is beyond 200 dB"),
        (EVENT.replace("32000", "32000.5"), "sample_rate is 32000.5, in the scene's first row"),
        (EVENT.replace("/m/0bt9lr", "/m/dog"), "'/m/dog' is not an AudioSet mid"),
        (EVENT.replace("/m/0bt9lr", " ; "), "dog.wav has no labels"),
        (EVENT.replace("dog.wav", ""), "names no file"),
        (EVENT.replace("0.5,", "-0.5,"), "starts before 0 s"),
        (EVENT.replace("0.5,0,2", "0.5,0,0"), "lasts 0 s"),
        (EVENT.replace("0.5,", "8.5,"), "ends at 10.500 s, the scene at 10 s"),
    ],
)
def test_errors_name_file_and_row(tmp_path: Path, row: str, message: str) -> None:
    path = write(tmp_path / "scenes.csv", NOISE_ROW, row)
    with pytest.raises(ValueError, match=r"scenes.csv, row 3: .*" + message):
        read_scenes(path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (NOISE_ROW.replace(",4,", ",-4,"), "the seed of the background is -4"),
        (NOISE_ROW.replace(",4,", ",4.5,"), "seed is '4.5', which is not a whole number"),
        (NOISE_ROW.replace("32000", "0"), "sample_rate is 0"),
        (NOISE_ROW.replace("32000", "2000000000"), "sample_rate is 2000000000"),
        (NOISE_ROW.replace("10,", "0,"), "lasts 0 s"),
        (NOISE_ROW.replace("10,", "1e12,"), r"lasts 1e\+12 s; give more than 0, up to a day"),
        (NOISE_ROW.replace("a,", ",", 1), "a scene has no name"),
    ],
)
def test_errors_of_a_first_row(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ValueError, match="row 2: .*" + message):
        read_scenes(write(tmp_path / "scenes.csv", row))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"level_dbfs": 201.0}, "the level of the background is 201 dBFS"),
        ({"exponent": -500.0}, r"is -500; give 0 \(white\) to 2 \(brown\)"),
    ],
)
def test_backgrounds_beyond_all_bounds_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Background(**{"level_dbfs": -40.0, "exponent": 1.0, "seed": 0, **changes})  # type: ignore[arg-type]


def test_a_list_without_rows_or_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no rows"):
        read_scenes(write(tmp_path / "scenes.csv"))
    (tmp_path / "short.csv").write_text("scene,kind\na,event\n")
    with pytest.raises(ValueError, match="lacks the column path"):
        read_scenes(tmp_path / "short.csv")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_scenes(tmp_path / "missing.csv")


def test_a_scene_needs_something_that_sounds() -> None:
    with pytest.raises(ValueError, match="the scene a is empty"):
        Scene("a", ())


def test_two_scenes_of_one_name_are_not_written(tmp_path: Path) -> None:
    scene = make_scene(make_event("Dog"))
    with pytest.raises(ValueError, match="two scenes are called 'scene'"):
        write_scenes(tmp_path / "scenes.csv", [scene, replace(scene, background=NOISE)])
    assert not (tmp_path / "scenes.csv").exists()


def test_scene_lists_are_told_by_their_header(tmp_path: Path) -> None:
    assert is_scene_list(write(tmp_path / "scenes.csv"))
    (tmp_path / "mixtures.csv").write_text("target,interferer\na.wav,b.wav\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00scene,kind")
    for name in ("mixtures.csv", "empty.csv", "binary.csv", "missing.csv"):
        assert not is_scene_list(tmp_path / name), name


def test_the_seed_of_the_drawing_is_optional(tmp_path: Path) -> None:
    (without,) = read_scenes(write(tmp_path / "scenes.csv", NOISE_ROW))
    assert without.drawing_seed is None
    write_scenes(tmp_path / "drawn.csv", [replace(without, drawing_seed=7)])
    assert read_scenes(tmp_path / "drawn.csv")[0].drawing_seed == 7
