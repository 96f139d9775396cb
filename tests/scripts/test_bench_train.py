"""The benchmark of training steps, on a network too small to say anything of speed."""

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from uss.data.dataset import Batch
from uss.models import ResUNet30
from uss.training.objectives import WaveformL1

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in ("bench_train", "training_steps", "matrix_peak"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(importlib.import_module("matrix_peak"), "_SIZE", 64)
    return importlib.import_module("bench_train")


@pytest.mark.slow
def test_it_prints_ratios_stages_and_ceilings(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--batch-size", "2", "--steps", "1", "--clip-seconds", "2"]
    with torch.random.fork_rng():
        assert script.main([*options, "--channels", "2", "2", "2", "2", "2", "2"]) == 0
    printed = capsys.readouterr().out
    on_the_fly, from_shards = map(
        float,
        re.search(r"Operations: (\d+) .* on the fly, (\d+) ", printed).groups(),  # type: ignore[union-attr]
    )
    rows = [line.split("|")[1:-1] for line in printed.splitlines() if line.startswith("| ")]
    cells = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    seconds, loading, ratio, ceiling = cells["from shards, float32"]
    baseline = float(cells["on the fly, float32"][0])
    assert float(ratio) == pytest.approx(baseline / float(seconds), rel=0.1)
    assert float(ceiling) > 1.0 and on_the_fly > from_shards
    assert 0.0 < float(loading.removesuffix(" %")) < 100.0
    # Every stage of a step is there, and they add up to it.
    stages = [row for name, row in cells.items() if name in script._STAGES]
    assert sum(float(row[0]) for row in stages if row[0]) == pytest.approx(baseline, rel=0.01)
    assert [bool(row[1]) for row in stages] == [True, False, False, True, True, True, True]


def test_the_published_step_separates_as_the_model_does(script: ModuleType) -> None:
    """Other transforms and another memory format, the same numbers."""
    steps = importlib.import_module("training_steps")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ResUNet30("cnn14-2048", 2048, channels=(2, 2, 2), segment_seconds=0.5)
        parts = torch.randn(3, 2, 1, 16_000)
        batch = Batch(0.1 * parts[0], 0.1 * parts[1], torch.randn(2, 2048))
    published = steps._PublishedL1(model, torch.device("cpu"))(model, batch)["loss"]
    assert float(published) == pytest.approx(float(WaveformL1()(model, batch)["loss"]), rel=1e-4)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--steps", "0"], "take 1 or more"),
        (["--batch-size", "1"], "needs as many classes"),
        (["--shards", "nowhere"], "make them with uss-mine-anchors"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    script: ModuleType, capsys: pytest.CaptureFixture[str], options: list[str], remedy: str
) -> None:
    assert script.main(options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bench_train.py: ") and remedy in line
