"""Candidates of stems, from a program: two models, one of which is wrong about each class."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import uss
from tests.uss.evaluation.conftest import CAT, DOG, RATE, make_separator, tone
from uss.core.errors import InputError
from uss.results.result import result_of
from uss.separation.pretrained import ModelNames
from uss.separation.separator import Separator

LOW_HZ, HIGH_HZ = 500.0, 6_000.0


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "uss.results.views.draw_timeline", lambda path, *_: path.write_bytes(b"a picture")
    )


def named(name: str, dog: tuple[float, float], cat: tuple[float, float]) -> Separator:
    """Lets so much of the low and the high band through for each class."""
    separator = make_separator(DOG, CAT, vectors=[dog, cat])
    separator.names = ModelNames(name)
    return separator


@pytest.fixture
def knows_dogs() -> Separator:
    return named("dogs", (1.0, 0.0), (0.6, 0.6))


@pytest.fixture
def knows_cats() -> Separator:
    return named("cats", (0.5, 1.0), (0.0, 1.0))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.wav"
    left = tone(LOW_HZ, 2.6) + tone(HIGH_HZ, 2.6)
    soundfile.write(path, np.stack([left, 0.5 * left], axis=1), RATE, subtype="FLOAT")
    return path


def samples(path: Path) -> Any:
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def test_each_stem_is_of_the_model_that_the_tagger_likes_best(
    scene: Path, tmp_path: Path, knows_dogs: Separator, knows_cats: Separator
) -> None:
    result = uss.separate_file(
        scene, tmp_path / "out", separator=knows_dogs, others=[knows_cats], levels=[3]
    )
    kept = {
        stem.name: [each.model for each in stem.candidates if each.kept] for stem in result.stems
    }
    assert kept == {"Dog": ["dogs"], "Cat": ["cats"]}
    for stem in result.stems:
        assert [each.model for each in stem.candidates] == ["dogs", "cats"]
        best = max(each.score.f1 for each in stem.candidates if each.score)
        assert stem.score is not None and stem.score.f1 == best > 0.95
        assert not stem.generated
    folder = tmp_path / "out" / "scene"
    alone = tmp_path / "alone"
    for separator, name in ((knows_dogs, "Dog"), (knows_cats, "Cat")):
        uss.separate_file(scene, alone, separator=separator, levels=[3])
        expected = samples(alone / "scene" / "level3" / f"{name}.wav")
        np.testing.assert_array_equal(samples(folder / "level3" / f"{name}.wav"), expected)
    total = sum(samples(path) for path in (folder / "level3").iterdir())
    np.testing.assert_allclose(total, samples(scene), atol=1e-6)
    written = json.loads((folder / "detections.json").read_text())
    assert result_of(written).stems == result.stems
    assert set(written["settings"]["candidate_models"]) == {"cats"}
    assert not any("candidates" in name for name in written["files"])
    # Which of the two it was, the file did not know yet when it was begun.
    assert b"dogs or cats" in (folder / "level3" / "Dog.wav").read_bytes()
    provenance = json.loads((folder / "provenance.json").read_text())
    roles = {each["role"] for each in provenance["models"]}
    assert "separator of candidates" in roles


def test_files_written_meanwhile_are_gone(
    scene: Path, tmp_path: Path, knows_dogs: Separator, knows_cats: Separator
) -> None:
    uss.separate_file(
        scene, tmp_path / "out", separator=knows_dogs, others=[knows_cats], classes="Dog"
    )
    left = [path.name for path in (tmp_path / "out").rglob("*") if path.name.startswith(".")]
    assert left == []


def test_what_fails_leaves_nothing(
    scene: Path,
    tmp_path: Path,
    knows_dogs: Separator,
    knows_cats: Separator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> Any:
        raise OSError("the disk is full")

    monkeypatch.setattr("uss.results.chosen_stems.StemScorer.score", fail)
    with pytest.raises(OSError, match="the disk is full"):
        uss.separate_file(
            scene, tmp_path / "out", separator=knows_dogs, others=[knows_cats], classes="Dog"
        )
    assert not (tmp_path / "out").exists()


def test_a_disk_too_small_for_candidates_is_told_before(
    scene: Path,
    tmp_path: Path,
    knows_dogs: Separator,
    knows_cats: Separator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Usage:
        free = 1_000_000

    monkeypatch.setattr("uss.results.chosen_stems.shutil.disk_usage", lambda _: Usage)
    monkeypatch.setattr("uss.results.stem_writer.StemWriter._check_space", lambda _: None)
    with pytest.raises(InputError, match=r"candidates of 1 stems need 1\.3 MB meanwhile"):
        uss.separate_file(
            scene, tmp_path / "out", separator=knows_dogs, others=[knows_cats], classes="Dog"
        )


def test_what_stands_for_no_class_is_the_first_ones(
    scene: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.uss.separation.test_candidates import drawing_separator

    separator = drawing_separator()
    query = separator.audio_query("mine", [_Tone()])
    result = uss.separate_file(
        scene, tmp_path / "out", separator=separator, queries=[query], candidates=2
    )
    (stem,) = result.stems
    assert stem.score is None and [each.kept for each in stem.candidates] == [True, False]
    assert "cannot be scored; of those the first candidate is kept" in caplog.text


def test_stems_can_be_scored_without_a_choice(
    scene: Path, tmp_path: Path, knows_dogs: Separator
) -> None:
    result = uss.separate_file(
        scene, tmp_path / "out", separator=knows_dogs, levels=[3], score_stems=True
    )
    scores = {stem.name: stem.score for stem in result.stems}
    dog, cat = scores["Dog"], scores["Cat"]
    assert dog is not None and dog.f1 > 0.95
    assert cat is not None and cat.precision == pytest.approx(0.5, abs=0.05)
    assert all(stem.candidates == () for stem in result.stems)
    page = (tmp_path / "out" / "scene" / "report.html").read_text()
    assert "Tagger F1" in page and f">{dog.f1:.2f}</dd>" in page
    plain = uss.separate_file(scene, tmp_path / "plain", separator=knows_dogs, levels=[3])
    assert [stem.score for stem in plain.stems] == [None, None]
    assert "Tagger F1" not in (tmp_path / "plain" / "scene" / "report.html").read_text()


def test_scores_that_fail_are_a_warning(
    scene: Path,
    tmp_path: Path,
    knows_dogs: Separator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("no memory")

    monkeypatch.setattr("uss.results.chosen_stems.StemScorer.score", fail)
    result = uss.separate_file(
        scene, tmp_path / "out", separator=knows_dogs, classes="Dog", score_stems=True
    )
    assert [stem.score for stem in result.stems] == [None]
    assert "the scores of stems" in caplog.text or result.missing
    assert (tmp_path / "out" / "scene" / "queries" / "Dog.wav").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"score_stems": True, "detect_only": True}, "scores are of stems that were asked for"),
        ({"candidates": 0}, "0 candidates of each stem: give 1 or more"),
        ({"candidates": 2, "detect_only": True}, "2 candidates of each stem: give 1 or more"),
        ({"candidates": 2}, "a Bands draws nothing, so 2 candidates would be the same"),
    ],
)
def test_what_makes_no_sense_is_refused(
    scene: Path, tmp_path: Path, knows_dogs: Separator, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        uss.separate_file(scene, tmp_path / "out", separator=knows_dogs, **options)
    assert not (tmp_path / "out").exists()


class _Tone:
    """A tone, again and again from the start."""

    sample_rate, num_channels = RATE, 1

    def blocks(self) -> Any:
        yield tone(LOW_HZ, 0.5)[None]
