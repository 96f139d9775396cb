"""What marked seconds buy, on a scene of two tones that bands take apart."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.measure_spans import Row, main, table
from tests.uss.evaluation.conftest import CAT, DOG, RATE, make_separator, tone
from tests.uss.evaluation.scene_examples import make_event, write_clip
from uss.evaluation.scenes.scene import Scene
from uss.evaluation.scenes.scene_list import write_scenes


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    folder = tmp_path / "audio"
    write_clip(folder, "low.wav", tone(500.0, 2.0))
    write_clip(folder, "high.wav", tone(6_000.0, 2.0))
    return folder


@pytest.fixture
def scenes(audio: Path) -> Path:
    """A low tone, which a high one joins; then the low one alone, and a class without a query."""
    low = make_event("Dog", path="low.wav", onset_seconds=0.0, seconds=2.0)
    high = make_event("Cat", path="high.wav", onset_seconds=1.0, seconds=2.0)
    unknown = make_event("Siren", path="high.wav", onset_seconds=1.0, seconds=1.0)
    path = audio.parent / "scenes.csv"
    listed = [(low, high), (low,), (low, unknown)]
    write_scenes(path, [Scene(f"{n}", events, None, 4.0, RATE) for n, events in enumerate(listed)])
    return path


def test_events_are_marked_and_asked_for_in_all_ways(
    audio: Path, scenes: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(
        "scripts.measure_spans.Separator.from_pretrained", lambda _: make_separator(DOG, CAT)
    )
    output = audio.parent / "rows.json"
    assert main([str(audio), "--scenes", str(scenes), "-o", str(output)]) == 0
    rows = [Row(**each) for each in json.loads(output.read_text())]
    # What is alone has nothing to improve on, and what has no query no class to compare with.
    assert {(row.scene, row.event) for row in rows} == {("0", 0), ("0", 1), ("2", 0)}
    found = {(row.marked, row.asked): row for row in rows if (row.scene, row.event) == ("0", 0)}
    assert len(found) == 8
    plain, mixture = found["all", "span"], found["all", "mixture"]
    assert mixture.everywhere_db == 0.0
    # The high tone is as loud as the low one; half of it lies outside of the span.
    assert mixture.there_db == pytest.approx(10.0 * np.log10(2.0), abs=0.1)
    assert found["all", "class"].everywhere_db > 20.0
    assert 0.0 < plain.everywhere_db < found["all", "span and rest"].everywhere_db
    assert plain.everywhere_db < plain.there_db
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "| marked | asked with | events | whole file | span only |"
    assert any(line.startswith("| 1 s | span and rest | 3 | ") for line in printed)


def test_what_is_off_target_is_counted_and_not_averaged() -> None:
    rows = [Row("a", n, "all", "span", value, -90.0) for n, value in enumerate((2.0, 4.0, -61.0))]
    assert table(rows)[2:] == ["| all | span | 3 | 3.0 dB (1 off target) | - |"]


def test_scenes_without_events_and_missing_audio_are_said(
    audio: Path, scenes: Path, capsys: Any
) -> None:
    assert main([str(audio.parent / "gone"), "--scenes", str(scenes)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("measure_spans: ") and "low.wav" in line
