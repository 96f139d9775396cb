from pathlib import Path

import pytest

from uss.core.errors import InputError
from uss.evaluation.csv_tables import parse_number, read_table, write_table

BAD_NAME = "caf\udce9.wav"
"""How Python shows a name in Latin-1 where UTF-8 is expected."""


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_table(path, ["name", "gain"], [['a "bell", far', 0.1], [";\n", None]])
    assert read_table(path, "name") == [
        (2, {"name": 'a "bell", far', "gain": "0.1"}),
        (3, {"name": ";\n", "gain": ""}),
    ]


def test_a_name_that_is_no_text_is_refused_in_lists_and_escaped_in_results(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with pytest.raises(InputError, match=r"caf.udce9.wav.* holds bytes that are no UTF-8; rename"):
        write_table(path, ["name"], [[BAD_NAME]])
    assert not list(tmp_path.iterdir())
    write_table(path, ["name"], [[BAD_NAME]], escaped=True)
    assert path.read_text() == "name\ncaf\\udce9.wav\n"


@pytest.mark.parametrize(
    ("text", "whole", "message"),
    [
        ("two", False, "gain is 'two', which is not a number"),
        ("1.5", True, "gain is '1.5', which is not a whole number"),
        ("-inf", False, "gain is '-inf'; give a finite number"),
        ("9" * 400, True, "which is not a whole number"),
    ],
)
def test_what_is_no_finite_number(text: str, whole: bool, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_number("gain", text, whole=whole)
    assert message in str(refusal.value)
