"""What label files mark, whatever format they are in."""

from pathlib import Path

import pytest

from tests.uss.interchange.made_results import AWKWARD, film, hand_over, sound
from uss.core.spans import Span
from uss.interchange.cells import plain
from uss.interchange.labels import LABEL_FORMATS, label_files, write_labels
from uss.interchange.marks import marked_names, read_marks, spans_of

SOUNDS = (sound("Dog", (0.0, 1.5), (9.25, 10.0)), sound("Cat", (3.0, 4.0)))
SPANS = {("Dog", 0.0, 1.5), ("Dog", 9.25, 10.0), ("Cat", 3.0, 4.0)}


def written(folder: Path, form: str, *sounds: object, **options: object) -> Path:
    given = hand_over(*(sounds or SOUNDS), **options)  # type: ignore[arg-type]
    write_labels(folder, "scene", given, form)
    return folder / label_files("scene", form)[0]


def found(spans: list[Span]) -> set[tuple[str, float, float]]:
    return {(each.name, round(each.start_seconds, 3), round(each.end_seconds, 3)) for each in spans}


@pytest.mark.parametrize("name", LABEL_FORMATS)
def test_every_format_marks(tmp_path: Path, name: str) -> None:
    marks = read_marks(written(tmp_path, name)).of_recording("scene.wav")
    assert found(spans_of([marks], 0.0, 10.0)) == SPANS
    assert set(marks.names) == {"Dog", "Cat"} == {*marked_names([marks, Span(0.0, 1.0, "Dog")])}


@pytest.mark.parametrize("name", LABEL_FORMATS)
def test_awkward_names_are_marked(tmp_path: Path, name: str) -> None:
    sounds = [sound(each, (float(row), row + 0.5)) for row, each in enumerate(AWKWARD[:9])]
    marks = read_marks(written(tmp_path, name, *sounds))
    assert len(marks.spans()) == 9
    assert plain(AWKWARD[4]) in marks.names


@pytest.mark.parametrize("name", LABEL_FORMATS)
def test_times_of_a_film(tmp_path: Path, name: str) -> None:
    marks = read_marks(written(tmp_path, name, sound("Dog", (2.0, 3.5)), **film()))
    (span,) = spans_of([marks], 1.5, 98.5)
    assert (span.start_seconds, span.end_seconds) == pytest.approx((2.0, 3.5))
    (of_film,) = spans_of([marks], 0.0, 98.5)
    late = 1.5 if LABEL_FORMATS[name].counts_from_film else 0.0
    assert of_film.start_seconds == pytest.approx(2.0 + late)


def test_what_has_no_name(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("0.5\t1.5\t\n2.0\t3.0\n")
    assert found(read_marks(path).spans()) == {("span", 0.5, 1.5), ("span", 2.0, 3.0)}


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("labels.txt", "", "holds no labels; mark what is wanted, and save them again"),
        ("labels.txt", "3.0\t1.0\tdog\n", "line 1: a span from 3 to 1 s holds nothing"),
        ("labels.txt", "3.0\t3.0\tdog\n", "'dog' is marked for 0.000 s at 0:00:03, too short"),
        ("labels.csv", "start,end,label\n0,0.01,a\n", "'a' is marked for 0.010 s"),
        ("labels.srt", "1\n", "files that end in '.srt' are no labels; give .txt"),
        ("labels", "1\n", "files that end in 'nothing' are no labels"),
    ],
)
def test_what_marks_nothing_is_refused(tmp_path: Path, file: str, text: str, says: str) -> None:
    path = tmp_path / file
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        read_marks(path)
    assert says in str(caught.value) and str(path) in str(caught.value)


def test_labels_of_another_recording(tmp_path: Path) -> None:
    grid = read_marks(written(tmp_path, "textgrid"))
    with pytest.raises(ValueError, match=r"TextGrid is for 10.00 s, and the recording lasts 12.00"):
        spans_of([grid], 0.0, 12.0)
    # Of a part nobody knows how long the whole is, to the sample.
    assert found(spans_of([grid], 0.0, 12.0, is_whole=False)) == SPANS
    table = read_marks(written(tmp_path, "audacity"))
    with pytest.raises(ValueError, match=r"labels seconds up to 10.00, and the recording lasts 8"):
        spans_of([table], 0.0, 8.0)
    with pytest.raises(ValueError, match=r"labels scene\.wav, not other"):
        read_marks(written(tmp_path, "csv")).of_recording("other.wav")


def test_by_hand_and_in_files_together(tmp_path: Path) -> None:
    marks = read_marks(written(tmp_path, "audacity"))
    spans = spans_of([Span(5.0, float("inf"), "rest"), marks], 0.0, 10.0)
    assert found(spans) == {("rest", 5.0, 10.0), *SPANS}
