from pathlib import Path

import pytest

from uss.evaluation.journal import Journal, open_journal, output_folder

SETTINGS = {"model": "a", "conditions": ("oracle", "query")}


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    Journal(path, SETTINGS).append({"row": 0})
    again = Journal(path, SETTINGS)
    assert again.records == [{"row": 0}]
    again.append({"row": 1, "class": "Ä"})
    assert not path.exists(), "it is not complete"
    again.finish()
    assert Journal(path, SETTINGS).records == [{"row": 0}, {"row": 1, "class": "Ä"}]
    assert not path.with_name("results.jsonl.part").exists()


@pytest.mark.parametrize("length", [1, 5])
def test_a_finished_journal_that_is_torn_may_grow(tmp_path: Path, length: int) -> None:
    path = tmp_path / "results.jsonl"
    journal = Journal(path, SETTINGS)
    journal.append({"row": 0})
    journal.append({"row": 1})
    journal.finish()
    path.write_bytes(path.read_bytes()[:-length])
    again = Journal(path, SETTINGS)
    assert again.records == [{"row": 0}]
    again.append({"row": 1})
    again.append({"row": 2})
    assert Journal(path, SETTINGS).records == [{"row": 0}, {"row": 1}, {"row": 2}]


@pytest.mark.parametrize("length", [1, 5, 9])
def test_a_line_cut_off_by_a_kill_is_written_again(tmp_path: Path, length: int) -> None:
    path = tmp_path / "results.jsonl"
    journal = Journal(path, SETTINGS)
    journal.append({"row": 0})
    journal.append({"row": 1})
    part = tmp_path / "results.jsonl.part"
    part.write_bytes(part.read_bytes()[:-length])
    again = Journal(path, SETTINGS)
    assert again.records == [{"row": 0}]
    again.append({"row": 1})
    assert Journal(path, SETTINGS).records == [{"row": 0}, {"row": 1}]


def test_a_header_cut_off_by_a_kill_is_written_again(tmp_path: Path) -> None:
    part = tmp_path / "results.jsonl.part"
    part.write_bytes(b'{"mod')
    journal = Journal(tmp_path / "results.jsonl", SETTINGS)
    journal.append({"row": 0})
    assert Journal(tmp_path / "results.jsonl", SETTINGS).records == [{"row": 0}]


def test_a_finished_journal_may_grow(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    journal = Journal(path, SETTINGS)
    journal.append({"row": 0})
    journal.finish()
    more = Journal(path, SETTINGS)
    more.append({"row": 1})
    more.finish()
    assert Journal(path, SETTINGS).records == [{"row": 0}, {"row": 1}]


def test_records_of_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    Journal(path, SETTINGS).append({"row": 0})
    with pytest.raises(ValueError, match=r"with other settings \(model\); choose another"):
        Journal(path, {**SETTINGS, "model": "b"})
    with pytest.raises(ValueError, match=r"other settings \(conditions, overlap\)"):
        Journal(path, {"model": "a", "overlap": 0.0})
    assert Journal(path, SETTINGS).records == [{"row": 0}]


@pytest.mark.parametrize(
    "content", [b"row,score\n1,2\n", b"[1, 2]\n", b"\xff\xfe\n", b'{"precious": 1}']
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no journal of an evaluation"):
        Journal(path, SETTINGS)
    assert path.read_bytes() == content


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path: Path) -> None:
    output = tmp_path / "new" / "folder"
    with pytest.raises(ValueError, match="row"), output_folder(output):
        open_journal(output, SETTINGS)
        raise ValueError("a bad row")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="row"), output_folder(output):
        open_journal(output, SETTINGS).append({"row": 0})
        raise ValueError("a bad row")
    assert Journal(output / "results.jsonl", SETTINGS).records == [{"row": 0}]
