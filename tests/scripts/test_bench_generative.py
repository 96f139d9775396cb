"""The measurement of FlowSep's time and memory runs."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
bench_generative = importlib.import_module("bench_generative")


@pytest.mark.slow
def test_it_times_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_generative.main(["--narrow", "--steps", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    firsts = [line.split()[0] for line in lines]
    assert firsts == ["parameters", "listening", "1", "decoding", "memory"]
    assert float(lines[0].split()[1]) == pytest.approx(23.1, abs=0.1)
