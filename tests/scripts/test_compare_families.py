"""The comparison of families: its tables, on networks that are small, and what its figures mean."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.text_models import noise
from uss.core.errors import InputError

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
compare_families = importlib.import_module("compare_families")
measured_command = importlib.import_module("measured_command")

RATE = 32_000


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.wav"
    soundfile.write(path, noise(3, (RATE,), 0.1).numpy(), RATE, subtype="FLOAT")
    return path


def tables_of(printed: str) -> list[dict[str, list[str]]]:
    """Each table's rows by their first cells, without its head."""
    tables = []
    for part in printed.strip().split("\n\n")[1:]:
        cells = [line.strip("| ").split(" | ") for line in part.splitlines()[2:]]
        tables.append({first: rest for first, *rest in cells})
    return tables


def compare(scene: Path, *only: str) -> int:
    words = [scene, "--narrow", *(("--only", *only) if only else ())]
    status: int = compare_families.main([str(word) for word in words])
    return status


def test_a_mask_is_in_phase_and_what_is_generated_is_not() -> None:
    mixture = noise(1, (1, RATE)).numpy()
    assert compare_families.in_phase(0.5 * mixture, mixture) == pytest.approx(1.0)
    assert compare_families.in_phase(-mixture, mixture) == pytest.approx(-1.0)
    other = noise(2, (1, RATE)).numpy()
    assert abs(compare_families.in_phase(other, mixture)) < 0.05
    assert np.isnan(compare_families.in_phase(np.zeros_like(mixture), mixture))


def test_the_residual_is_softer_by_what_was_taken_and_louder_by_what_was_added() -> None:
    mixture, other = noise(1, (1, RATE)).numpy(), noise(2, (1, RATE)).numpy()
    assert compare_families.residual_db(0.5 * mixture, mixture) == pytest.approx(-6.02, abs=0.01)
    # Of equal level, and nothing to do with each other: twice the energy.
    assert compare_families.residual_db(other, mixture) == pytest.approx(3.01, abs=0.1)
    assert compare_families.residual_db(mixture, mixture) < -100.0


def test_it_prints_costs_and_what_stems_leave(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(scene, "masks") == 0
    costs, rests = tables_of(capsys.readouterr().out)
    ((title, cells),) = costs.items()
    num_stems, loading, _, gigabytes, deviation = cells
    assert num_stems == "1" and float(loading) > 0.0
    assert 0.1 < float(gigabytes) < 2.0 and float(deviation) < 1e-6
    mask, made, guide = (list(map(float, row)) for row in rests.values())
    assert next(iter(rests)) == title
    # A mask takes from the recording; a generator adds to it; a guided mask takes.
    assert mask[0] > 0.95 > 0.2 > made[0] and guide[0] > 0.9
    assert made[1] > 0.0 > max(mask[1], guide[1])


ALL = [family.name for family in compare_families.families(["Dog"], "a dog")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [["joint", "guide"], pytest.param(ALL, marks=pytest.mark.long)],
    ids=["two", "all"],
)
def test_every_family_has_a_row(
    scene: Path, capsys: pytest.CaptureFixture[str], names: list[str]
) -> None:
    assert compare(scene, *names) == 0
    costs, rests = tables_of(capsys.readouterr().out)
    families = compare_families.families(["Dog"], "a dog")
    families = tuple(family for family in families if family.name in names)
    assert list(costs) == [family.title for family in families]
    assert costs.get("masks, MixIT, `--blind`", ["4"])[0] == "4"
    assert all(float(cells[4]) < 1e-6 for cells in costs.values())
    assert len(rests) == sum(family.recipe is None for family in families) + 2


def test_a_small_process_stands_between(scene: Path, tmp_path: Path) -> None:
    """What the measuring process holds is not counted, nor is what it held."""
    held = np.ones(200_000_000)
    del held
    taken = measured_command.separate([scene, "-o", tmp_path / "out", "--detect-only"])
    assert taken.megabytes < 1_500.0
    assert "scene" in taken.printed


def test_errors_are_said_and_end_it(scene: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="ended with status 2"):
        measured_command.separate([scene, "--steps", "0"])
    assert "give 1 or more" in capfd.readouterr().err
    assert compare(scene.with_name("nowhere.wav")) == 2
    assert "no such file" in capfd.readouterr().err
