"""Recordings are heard and separated, one after another, and one's fault is not another's."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.web.jobs import GivenUpError, Told
from pipelines.web.records import Wish
from pipelines.web.service import Service
from pipelines.web.shelf import Shelf
from tests.pipelines.web.conftest import Ready
from tests.uss.evaluation.conftest import RATE, tone
from uss.core.errors import INPUT_ERRORS, InputError


def test_hears_at_three_levels(service: Service, upload: Path) -> None:
    heard = service.hear(upload, "bands", Told())
    assert {each.name for each in heard.at(1)} == {"Animal"}
    assert {each.name for each in heard.at(3)} == {"Dog", "Cat"}
    assert heard.name == "two tones.wav"
    assert heard.player.duration_seconds == 1.0
    assert all(0.0 <= start < end <= 1.0 for each in heard.sounds for start, end in each.events)
    assert service.heard(heard.token) == heard


def test_separates_what_is_named(service: Service, upload: Path) -> None:
    token = service.hear(upload, "bands", Told()).token
    wish = Wish(classes=["Dog"], format="wav", labels=["audacity"], sessions=["reaper"])
    made = service.separate(token, "bands", wish, Told())
    dog, residual = made.tracks
    assert (dog.sound.name, dog.is_residual, residual.is_residual) == ("Dog", False, True)
    scene = soundfile.read(upload, dtype="float32")[0]
    stems = [soundfile.read(each.file, dtype="float32")[0] for each in made.tracks]
    np.testing.assert_allclose(sum(stems), scene, atol=1e-6)
    middle = slice(8_000, 24_000)
    np.testing.assert_allclose(stems[0][middle], tone(500.0, 1.0)[middle], atol=2e-3)
    played = soundfile.read(dog.player.path, dtype="float32")[0]
    np.testing.assert_allclose(played, stems[0], atol=1e-4)
    assert {path.name for path in made.others} >= {
        "two tones.labels.txt",
        "two tones.rpp",
        "report.html",
    }


def test_the_archive_holds_the_whole_result_and_no_path_of_the_server(
    service: Service, upload: Path
) -> None:
    token = service.hear(upload, "bands", Told()).token
    wish = Wish(classes=["Dog", "Cat"], labels=["audacity"], sessions=["reaper"])
    made = service.separate(token, "bands", wish, Told())
    with zipfile.ZipFile(made.archive) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        for name in names:
            assert str(service.shelf.root).encode() not in archive.read(name), name
    assert {f"two tones/{name}" for name in made.result.files} == names
    assert {"two tones/queries/Dog.flac", "two tones/queries/residual.flac"} < names


def test_a_level_words_and_marked_seconds(service: Service, upload: Path) -> None:
    token = service.hear(upload, "bands", Told()).token
    of_level = service.separate(token, "bands", Wish(level=3), Told())
    assert [each.sound.name for each in of_level.tracks[:-1]] == ["Dog", "Cat"]
    in_words = service.separate(token, "bands", Wish(texts=["a dog"]), Told())
    assert [each.sound.name for each in in_words.tracks[:-1]] == ["a dog"]
    marked = service.separate(token, "bands", Wish(spans=["beep@0.1-0.9"]), Told())
    assert [each.sound.name for each in marked.tracks[:-1]] == ["beep"]
    # Each result stays where it is.
    assert of_level.archive.is_file() and in_words.archive.is_file()


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(classes=["Dogg"]), "unknown class"),
        (Wish(classes=["Dog"], format="mp3"), "format 'mp3'"),
        (Wish(classes=["Dog"], labels=["xyz"]), "no label format 'xyz'"),
        (Wish(classes=["Dog", "Cat", "Speech"], texts=["a dog"]), "4 stems are asked for"),
        (Wish(spans=["5-6"]), "the recording lasts"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(
    service: Service, upload: Path, wish: Wish, message: str
) -> None:
    token = service.hear(upload, "bands", Told()).token
    with pytest.raises(INPUT_ERRORS, match=message):
        service.separate(token, "bands", wish, Told())
    # The next wish is met all the same.
    assert service.separate(token, "bands", Wish(classes=["Dog"]), Told()).tracks


def test_what_is_no_recording_leaves_nothing(service: Service, shelf: Shelf) -> None:
    path = shelf.root / "45" / "notes.txt"
    path.parent.mkdir()
    path.write_text("no sound")
    with pytest.raises(InputError, match=r"notes\.txt is not an audio or video file"):
        service.hear(path, "bands", Told())
    assert {each.name for each in shelf.root.iterdir()} == {"45"}


def test_a_recording_that_is_too_long_leaves_nothing(service: Service, shelf: Shelf) -> None:
    path = shelf.root / "67" / "long.wav"
    path.parent.mkdir()
    soundfile.write(path, np.zeros(7 * RATE), RATE)
    with pytest.raises(InputError, match=r"long\.wav is longer than 0\.1 minutes"):
        service.hear(path, "bands", Told())
    assert {each.name for each in shelf.root.iterdir()} == {"67"}


def test_a_recording_that_was_deleted_is_asked_for_again(service: Service, upload: Path) -> None:
    token = service.hear(upload, "bands", Told()).token
    service.shelf.remove(token)
    with pytest.raises(InputError, match="upload it again"):
        service.separate(token, "bands", Wish(classes=["Dog"]), Told())


def test_models_are_loaded_once_and_by_name(service: Service, upload: Path, ready: Ready) -> None:
    assert ready.num_loads == 0
    token = service.hear(upload, "bands", Told()).token
    service.separate(token, "bands", Wish(classes=["Dog"]), Told())
    assert ready.num_loads == 1
    service.separate(token, "others", Wish(classes=["Dog"]), Told())
    assert ready.num_loads == 2
    with pytest.raises(InputError, match="no model 'xyz' here; choose bands, others"):
        service.separate(token, "xyz", Wish(classes=["Dog"]), Told())


def test_giving_up_while_it_separates_leaves_no_result(service: Service, upload: Path) -> None:
    token = service.hear(upload, "bands", Told()).token

    class Impatient(Told):
        def begin(self, stage: str, total: float | None = None) -> None:
            super().begin(stage, total)
            if stage == "separating":
                self.stop()

    with pytest.raises(GivenUpError):
        service.separate(token, "bands", Wish(classes=["Dog"]), Impatient())
    results = service.shelf.folder(token) / "results"
    assert [path for path in results.rglob("*") if path.is_file()] == []
