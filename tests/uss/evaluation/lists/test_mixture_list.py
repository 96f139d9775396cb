from pathlib import Path

import pytest

from uss.evaluation.lists.mixture_list import COLUMNS, ListRow, read_list, write_list


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_simplest_list(tmp_path: Path) -> None:
    path = write(tmp_path / "list.csv", "mixture,target\na.wav,b.wav\n")
    assert read_list(path) == [ListRow(mixture="a.wav", target=("b.wav",))]


def test_optional_columns_may_be_empty_and_unknown_ones_are_ignored(tmp_path: Path) -> None:
    text = (
        "idx,mixture,target,query,class,group\n7,a.wav,b.wav,c.wav;d.wav,Dog,\n8,a.wav,b.wav,,,x\n"
    )
    first, second = read_list(write(tmp_path / "list.csv", text))
    assert first.query == ("c.wav", "d.wav") and first.class_name == "Dog" and first.group == ""
    assert second.query == () and second.class_name == "" and second.group == "x"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    rows = [
        ListRow(mixture="ä, b.wav", target=("c.wav", "d.wav"), class_name="Dog", group="g"),
        ListRow(
            target=("film.mp4#2",),
            interferer=("e.wav", "f.wav"),
            query=("q.wav",),
            class_name='A "bell"',
            mids=("/m/0bt9lr", "/m/07yv9"),
            interferer_class="Cat",
            interferer_mids=("/m/01yrx",),
            target_start_seconds=0.1,
            interferer_start_seconds=1.25,
            seconds=2.0,
            fill="repeat",
            target_gain_db=-0.1,
            interferer_gain_db=1.0 / 3.0,
            sample_rate=32_000,
            seed=0,
        ),
    ]
    write_list(tmp_path / "list.csv", rows)
    assert read_list(tmp_path / "list.csv") == rows
    assert not (tmp_path / "list.csv.part").exists()


def test_a_written_list_has_only_the_columns_it_needs(tmp_path: Path) -> None:
    write_list(tmp_path / "list.csv", [ListRow(mixture="a.wav", target=("b.wav",), seed=0)])
    assert (tmp_path / "list.csv").read_text().splitlines()[0] == "target,mixture,seed"
    assert set(COLUMNS) >= {"mixture", "target", "query", "class", "group"}


def test_a_mark_of_utf_8_and_windows_line_ends_are_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"\xef\xbb\xbfmixture,target\r\na.wav,b.wav\r\n\r\n")
    assert [row.mixture for row in read_list(path)] == ["a.wav"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the column target; it has none"),
        ("mixture,source\na,b\n", "lacks the column target; it has mixture, source"),
        ("mixture,target\n", "has no rows"),
        ("mixture,target,target\na,b,c\n", "has the column target twice; leave one out"),
        ("mixture,target\na,b\n,\n", "row 3: it names no target"),
        ("mixture,target\n,b\n", "row 2: it names neither mixture nor interferer"),
        ("mixture,target\na\n", "row 2: it has more or fewer fields than the header"),
        ("mixture,target\na,b,c\n", "row 2: it has more or fewer fields than the header"),
        ("mixture,target,seconds\na,b,two\n", "row 2: seconds is 'two', which is not a number"),
        ("mixture,target,seconds\na,b,nan\n", "row 2: seconds is 'nan'; give a finite number"),
        ("mixture,target,seconds\na,b,0\n", "row 2: seconds is 0; give more than 0"),
        ("mixture,target,seconds\na,b,1e12\n", "row 2: seconds is 1e+12; give more than 0, up to"),
        ("target,interferer,target_gain_db\na,b,201\n", "row 2: a gain is beyond 200 dB"),
        ("target,interferer,interferer_gain_db\na,b,-1e4\n", "row 2: a gain is beyond 200 dB"),
        ("mixture,target,sample_rate\na,b,2000000000\n", "row 2: sample_rate is 2000000000"),
        ("mixture,target,sample_rate\na,b,44.1\n", "row 2: sample_rate is '44.1'"),
        (f"mixture,target,seed\na,b,1{'0' * 400}\n", "which is not a whole number"),
        ("mixture,target,fill\na,b,noise\n", "row 2: fill is 'noise'; choose zeros or repeat"),
        ("mixture,target,target_gain_db\na,b,3\n", "row 2: gains apply to sources"),
        ("target,interferer,target_start_seconds\na,b,-1\n", "row 2: an excerpt starts before"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "list.csv", text)
    with pytest.raises(ValueError) as refusal:
        read_list(path)
    assert str(refusal.value).startswith(str(path)) and message in str(refusal.value)


def test_names_that_a_list_cannot_hold() -> None:
    with pytest.raises(ValueError, match=r"'a;b.wav' holds ';', which separates files; rename it"):
        ListRow(target=("c.wav",), interferer=("a;b.wav",))


def test_no_csv_file(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"RIFF\xff\xfe\x00\x80")
    with pytest.raises(ValueError, match="is not a CSV file"):
        read_list(tmp_path / "list.csv")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_list(tmp_path / "missing.csv")
