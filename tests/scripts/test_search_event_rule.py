"""Rules for events, tried on a scene of two tones."""

from pathlib import Path

import pytest

from scripts.search_event_rule import GRID, main, nodes_of, row
from tests.uss.evaluation.conftest import make_separator, tone
from tests.uss.evaluation.scene_examples import RATE, make_event, write_clip
from uss.detection.onsets import DEFAULT_RULE, EventRule
from uss.evaluation.scenes.scene import Scene
from uss.evaluation.scenes.scene_list import write_scenes


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A dog, and a cat a second later; a goat that nobody hears."""
    write_clip(tmp_path, "dog.wav", tone(500.0, seconds=1.0))
    write_clip(tmp_path, "cat.wav", tone(5_000.0, seconds=1.0))
    events = (
        make_event("Dog", path="dog.wav", onset_seconds=0.0, seconds=1.0),
        make_event("Cat", path="cat.wav", onset_seconds=1.0, seconds=1.0),
        make_event("Goat", path="cat.wav", onset_seconds=1.0, seconds=1.0, gain_db=-60.0),
    )
    return Scene("tones", events, seconds=2.5, sample_rate=RATE)


def test_rules_are_scored_on_all_nodes(scene: Scene, tmp_path: Path) -> None:
    nodes = list(nodes_of(make_separator(), scene, tmp_path))
    level3 = [node for node in nodes if node.level == 3]
    assert len(level3) == 3
    found = {node.times.true: node.found_by(DEFAULT_RULE) for node in level3 if node.times.spans}
    assert found == {((0.0, 1.0),): ((0.0, 1.0),), ((1.0, 2.0),): ((1.0, 2.0),)}
    good, cells = row("in use", nodes, DEFAULT_RULE)
    # Two of three are found at level 3.
    assert cells[0] == "in use" and cells[5] == "0.800"
    # To the last echo is too long.
    bad, _ = row("other", nodes, EventRule(off_db=-100.0))
    assert bad < good
    assert row("spans", nodes, None)[0] < good


def test_the_rule_in_use_is_tried_too() -> None:
    assert DEFAULT_RULE in GRID


def test_the_table_begins_with_spans_and_the_rule_in_use(
    scene: Scene,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_scenes(tmp_path / "scenes.csv", [scene])
    monkeypatch.setattr(
        "scripts.search_event_rule.Separator.from_pretrained", lambda _: make_separator()
    )
    assert main([str(tmp_path / "scenes.csv"), str(tmp_path), "--show", "3"]) == 0
    heading, spans, in_use, *best = capsys.readouterr().out.splitlines()
    assert heading.startswith("rule") and spans.startswith("spans") and len(best) == 3
    assert in_use.startswith("in use") and best[0].startswith("on -")
