"""Names of results by a template."""

from pathlib import Path, PurePath

import pytest

from uss.results.naming import check_distinct, check_template, result_names


def named(path: str, template: str | None, below: str = ".", track: int = 1) -> str:
    recording = Path(path)
    return result_names([(recording, PurePath(below))], template, track)[recording]


@pytest.mark.parametrize(
    ("path", "template", "expected"),
    [
        ("a/b/take 1.v2.wav", None, "take 1.v2"),
        ("a/b/take 1.v2.wav", "{stem}", "take 1.v2"),
        ("a/b/take 1.v2.wav", "{name}", "take 1.v2.wav"),
        ("a/b/take 1.v2.wav", "{parent}/{stem}", "b/take 1.v2"),
        ("a/b/take 1.v2.wav", "{suffix}/{track}-{number:03}", "wav/2-001"),
        ("a/b/take 1.v2.wav", "mine", "mine"),
        ("a/b/take 1.v2.wav", "{{{stem}}}", "{take 1.v2}"),
        ("a/none", "{stem}.{suffix}", "none"),
        ("a/none", "{suffix}", "_"),
        # Names that other systems do not take.
        ("a/con.wav", "{stem}", "con_"),
        ("x:y/what?.wav", "{parent}/{stem}", "x_y/what_"),
        ("a/b.wav", "nul/{stem}", "nul_/b"),
        # Stems that lead out of the output, or are the output.
        ("a/...wav", "{stem}", "_"),
        ("a/...wav", None, "wav"),
        ("a/..wav", None, "wav"),
        ("a/caf\udce9.wav", "{stem}", "caf_"),
        ("a/" + "é" * 100 + ".wav", "{stem}", "é" * 60),
        ("/root.wav", "{parent}/{stem}", "_/root"),
    ],
)
def test_a_template_is_filled(path: str, template: str | None, expected: str) -> None:
    assert named(path, template, track=2) == expected


def test_the_parent_of_a_file_that_is_here_is_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tape").mkdir()
    monkeypatch.chdir(tmp_path / "tape")
    assert named("a.wav", "{parent}/{stem}") == named("./a.wav", "{parent}/{stem}") == "tape/a"
    assert named("../a.wav", "{parent}") == tmp_path.name


def test_the_folder_a_file_was_found_in_comes_first() -> None:
    assert named("tape/day 1/a.wav", "{name}", below="day 1") == "day 1/a.wav"


def test_inputs_are_counted_from_1() -> None:
    files = [(Path(f"{name}.wav"), PurePath()) for name in "abc"]
    assert [*result_names(files, "{number}{stem}").values()] == ["1a", "2b", "3c"]


@pytest.mark.parametrize(
    "template",
    [
        *("", " ", "/", "/abs", "{stem}/", "a//b", "..", "../{stem}", "{stem}/../..", "./a"),
        *("C:/a", "a\\b", "what?", "a\nb", "{stem", "stem}", "{}", "{0}", "{date}", "{Stem}"),
        *("{stem.__class__}", "{stem[0]}", "{stem!r}", "{stem:>9}", "{number:,}", "{number:999}"),
        *("{number:{track}}", "{a/b}"),
    ],
)
def test_what_is_no_template_is_refused_with_the_fields_there_are(template: str) -> None:
    with pytest.raises(ValueError, match=r"\{stem\}, \{name\}, .* and /") as error:
        check_template(template)
    assert repr(template) in str(error.value)


@pytest.mark.parametrize(
    ("first", "second", "remedy"),
    [
        ("x/mixture.wav", "y/mixture.wav", "{parent}/{stem}"),
        ("x/song.wav", "x/song.flac", "{name}"),
        ("x/Song.wav", "x/song.flac", "{name}"),
        ("tape/x/a.wav", "disk/x/a.wav", "{number} {stem}"),
    ],
)
def test_the_remedy_tells_the_two_apart(first: str, second: str, remedy: str) -> None:
    files = [Path(first), Path(second)]
    recordings = [(path, PurePath()) for path in files]
    with pytest.raises(ValueError, match="both be written") as error:
        check_distinct(list(result_names(recordings).items()))
    assert first in str(error.value) and second in str(error.value)
    assert f'--name "{remedy}"' in str(error.value)
    check_distinct(list(result_names(recordings, remedy).items()))


def test_no_result_lies_in_another() -> None:
    """``song.wav`` beside a folder ``song`` of takes."""
    recordings = [(Path("tape/song.wav"), PurePath()), (Path("tape/Song/1.wav"), PurePath("Song"))]
    with pytest.raises(ValueError, match=r"tape/Song/1\.wav would .* result of tape/song\.wav"):
        check_distinct(list(result_names(recordings).items()))
    check_distinct(list(result_names(recordings, "{name}").items()))
