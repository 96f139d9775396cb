import csv
import subprocess
import sys
from pathlib import Path

import pytest

from ontology import Ontology
from uss.taggers.panns_library import provide_class_list

ROOT = Path(__file__).resolve().parents[3]
HEADER = "index,mid,display_name"


def run_python(code: str, home: Path, programs: Path | None = None) -> str:
    """Run code in a fresh interpreter whose home is ``home`` and whose programs are these."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={
            "HOME": str(home),
            "PATH": str(programs or home),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_taggers_imports_no_library_of_panns(tmp_path: Path) -> None:
    code = (
        "import sys, uss.taggers\n"
        "heavy = ('panns_inference', 'torchlibrosa', 'librosa', 'matplotlib')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert run_python(code, tmp_path).strip() == "[]"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("before", [None, "", f"{HEADER}\n0,/m/1,Own\n"])
def test_the_library_is_imported_offline(tmp_path: Path, before: str | None) -> None:
    """Without a class list, with the empty one that a failed download leaves, with any other."""
    home, programs = tmp_path / "home", tmp_path / "programs"
    home.mkdir()
    programs.mkdir()
    wget = programs / "wget"
    wget.write_text(f"#!/bin/sh\n: > '{tmp_path}/called'\n")
    wget.chmod(0o755)
    path = home / "panns_data" / "class_labels_indices.csv"
    if before is not None:
        path.parent.mkdir()
        path.write_text(before)
    code = (
        "from uss.taggers.panns_library import panns_models\n"
        "panns_models().Cnn14\n"
        "from panns_inference.config import labels\n"
        "print(len(labels), labels[0])"
    )
    expected = ["1", "Own"] if before else ["527", "Speech"]
    assert run_python(code, home, programs).split() == expected
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("before", [None, ""])
def test_the_class_list_is_written_as_audioset_publishes_it(
    tmp_path: Path, ontology: Ontology, before: str | None
) -> None:
    path = tmp_path / "panns_data" / "class_labels_indices.csv"
    if before is not None:
        path.parent.mkdir()
        path.write_text(before)
    provide_class_list(path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert ",".join(rows[0]) == HEADER
    assert rows[1:] == [[str(n.class_index), n.mid, n.name] for n in ontology.classes]
    assert rows[2] == ["1", "/m/05zppz", "Male speech, man speaking"]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_class_list_with_content_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "class_labels_indices.csv"
    path.write_text("x")
    provide_class_list(path)
    assert path.read_text() == "x"


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "panns_data").write_text("a file where the folder should be")
    path = tmp_path / "panns_data" / "class_labels_indices.csv"
    with pytest.raises(OSError, match=r"class_labels_indices\.csv.*HOME") as caught:
        provide_class_list(path)
    assert "\n" not in str(caught.value)


def test_a_list_that_another_process_has_just_written_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "class_labels_indices.csv"

    def be_beaten(part: Path, target: Path) -> None:
        target.write_text("theirs")
        raise FileNotFoundError(part)

    monkeypatch.setattr("os.replace", be_beaten)
    provide_class_list(path)
    assert path.read_text() == "theirs"
