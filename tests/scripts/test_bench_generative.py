"""The measurement of FlowSep's time and memory runs."""

import pytest

from scripts.bench_generative import main


@pytest.mark.slow
def test_it_times_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--narrow", "--steps", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    firsts = [line.split()[0] for line in lines]
    assert firsts == ["parameters", "listening", "1", "decoding", "memory"]
    assert float(lines[0].split()[1]) == pytest.approx(23.1, abs=0.1)
