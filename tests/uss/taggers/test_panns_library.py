import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ontology import Ontology
from uss.taggers.panns_library import provide_class_list

ROOT = Path(__file__).resolve().parents[3]
HEADER = "index,mid,display_name"


def run_python(code: str, home: Path, programs: Path | None = None, *arguments: Path) -> str:
    """Run code in a fresh interpreter whose home is ``home`` and whose programs are these."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
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


IMPORT_AT_HOME = """
import os, sys
import torchlibrosa, torch
from uss.taggers.panns_library import panns_models

for home in sys.argv[1:]:
    # What the library reads when it is imported, it reads once in each process.
    if os.fork() == 0:
        os.environ["HOME"] = home
        assert "panns_inference" not in sys.modules
        panns_models().Cnn14
        from panns_inference.config import labels
        print(home, len(labels), labels[0], sep=";", flush=True)
        os._exit(0)
    _, status = os.wait()
    assert status == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_the_library_is_imported_offline(tmp_path: Path) -> None:
    """Without a class list, with the empty one that a failed download leaves, with any other."""
    programs = tmp_path / "programs"
    programs.mkdir()
    wget = programs / "wget"
    wget.write_text(f"#!/bin/sh\n: > '{tmp_path}/called'\n")
    wget.chmod(0o755)
    contents = {"none": None, "empty": "", "own": f"{HEADER}\n0,/m/1,Own\n"}
    homes = {name: tmp_path / name for name in contents}
    for name, before in contents.items():
        homes[name].mkdir()
        if before is not None:
            path = homes[name] / "panns_data" / "class_labels_indices.csv"
            path.parent.mkdir()
            path.write_text(before)
    lines = run_python(IMPORT_AT_HOME, tmp_path / "nobody", programs, *homes.values()).splitlines()
    assert lines == [
        f"{homes['none']};527;Speech",
        f"{homes['empty']};527;Speech",
        f"{homes['own']};1;Own",
    ]
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
