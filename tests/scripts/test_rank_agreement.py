import csv
import math
from pathlib import Path

import numpy as np
import pytest

from scripts.rank_agreement import correlation, main, within_mixtures


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def row(*pairs: tuple[object, object]) -> dict[str, object]:
    found: dict[str, object] = {"row": 2}
    for output, (judged, true) in zip(("oracle", "swapped", "mixture"), pairs, strict=True):
        found |= {f"{output}: tagger F1": judged, f"{output}: SI-SDR": true}
    return found | {"half mixture: tagger F1": 9.0, "half mixture: SI-SDR": -99.0}


def test_correlations_by_hand() -> None:
    assert correlation(np.array([[0.1, -5.0], [0.2, 0.0], [0.9, 1.0]])) == pytest.approx(1.0)
    assert correlation(np.array([[0.9, -5.0], [0.2, 0.0], [0.1, 1.0]])) == pytest.approx(-1.0)
    assert math.isnan(correlation(np.array([[0.1, 1.0], [0.2, math.nan], [0.3, 2.0]])))
    assert math.isnan(correlation(np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]])))


def test_choices_within_mixtures() -> None:
    """Right in the first mixture (6 dB over its mean of 4), wrong in the second (-3 under 0)."""
    values = np.array(
        [
            [[0.9, 10.0], [0.1, -1.0], [0.5, 3.0]],
            [[0.9, -3.0], [0.1, 3.0], [0.5, 0.0]],
        ]
    )
    found = within_mixtures(values)
    assert found["mixtures"] == 2.0
    assert found["mean correlation"] == pytest.approx(0.0)
    assert found["best is best"] == 0.5
    assert found["gain of the choice over the mean"] == pytest.approx((6.0 - 3.0) / 2.0)


def test_a_table_is_read_and_its_half_mixture_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        row((0.9, 10.0), (0.1, -1.0), (0.5, 3.0)),
        row((0.8, 8.0), (0.2, -2.0), ("", "")),
        row((0.7, 5.0), (0.3, -3.0), (0.5, 0.0)),
    ]
    assert main([str(write(tmp_path / "results.csv", rows))]) == 0
    shown = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["mixtures"] == "2.00" and shown["mean correlation"] == "1.00"
    assert shown["over mixtures, oracle"] == "1.00"
    assert shown["over mixtures, swapped"] == "-1.00"
    assert not any("half" in name for name in shown)


def test_outputs_may_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row((0.9, 10.0), (0.1, -1.0), (0.5, 3.0)), row((0.1, 10.0), (0.9, -1.0), (0.5, 3.0))]
    path = str(write(tmp_path / "results.csv", rows))
    assert main([path, "--outputs", "oracle", "mixture"]) == 0
    shown = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["best is best"] == "0.50" and "over mixtures, swapped" not in shown
    assert main([path, "--outputs", "text"]) == 2
    assert "has no output 'text' with 'tagger F1'; it has ['oracle'" in capsys.readouterr().err


def test_other_tables_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "results.csv", [{"row": 2, "oracle: SI-SDR": 1.0}])
    assert main([str(path)]) == 2
    assert "has no outputs with both 'tagger F1' and 'SI-SDR'" in capsys.readouterr().err
    assert main([str(tmp_path / "missing.csv")]) == 2
