"""The notebooks run from top to bottom, and print what they promise."""

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
DEMO = ROOT / "demo" / "scene.flac"


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **parameters: Any) -> str:
    """Run a notebook in a folder, with other parameters, and return all that it printed."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    (place,) = (
        number
        for number, cell in enumerate(notebook.cells)
        if "parameters" in cell.metadata.get("tags", ())
    )
    own = "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(own))
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def test_separate_and_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = run("separate", tmp_path, monkeypatch, RECORDING=str(DEMO))
    assert "Alarm" in printed
    difference = float(printed.split("largest difference: ")[1].split()[0])
    assert difference < 1e-6
    assert (tmp_path / "separated/scene/timeline.png").is_file()


@pytest.mark.slow
def test_train_on_sounds_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = run("train_your_own", tmp_path, monkeypatch, CLIPS=4, STEPS=2, BATCH=2, MEASURED=4)
    assert "a class of your own" in printed
    assert (tmp_path / "runs/default/bundle.safetensors").is_file()
    for name in ("My machine", "Tick-tock", "White noise"):
        (line,) = (line for line in printed.splitlines() if "SI-SDR" in line and name in line)
        assert float(line.removeprefix(name).split()[0]) > -100.0


@pytest.mark.slow
def test_evaluate_and_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = run("compare", tmp_path, monkeypatch, CLIPS=3, COUNT=6)
    assert (
        "classes share the bins: oracle, together against each class by itself: oracle" in printed
    )
    names = ("each-class-by-itself", "classes-share-the-bins")
    assert all((tmp_path / "evaluated" / name / "results.csv").is_file() for name in names)
