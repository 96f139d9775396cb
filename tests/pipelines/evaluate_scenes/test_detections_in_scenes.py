"""What is found and separated in scenes, by hand and by the command."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.pipelines.evaluate_scenes.evaluated import (
    HISS,
    Evaluate,
    Run,
    error_line,
    of,
    records,
    results,
    saved,
    table,
)
from tests.uss.evaluation.scene_examples import make_event, make_scene
from uss.detection.defaults import DEFAULT_THRESHOLD
from uss.evaluation.scenes.rendering import render
from uss.evaluation.scenes.scene_list import read_scenes
from uss.separation.separator import Separator


def test_detections_are_counted_at_all_levels(measured: Run) -> None:
    """Counted by hand: what is heard is right 5 times at level 1, and 4 times further down."""
    found = results(measured.folder)
    assert found["num_scenes"] == 4 and found["scenes"] == str(measured.scenes)
    assert found["command"].startswith(f"uss-evaluate {measured.scenes} --model ")
    assert len(found["model"]["separator_hash"]) == 16
    assert list(found["detectors"]) == ["tiny"]
    levels = found["detectors"]["tiny"]["levels"]
    assert list(levels) == ["1", "2", "3"]
    expected = {
        "1": {"f1": 10 / 18, "precision": 5 / 12, "recall": 5 / 6, "mean_count_error": 6 / 4},
        "2": {"f1": 8 / 13, "precision": 4 / 8, "recall": 4 / 5, "mean_count_error": 3 / 4},
    }
    for level, values in {**expected, "3": expected["2"]}.items():
        shown = {name: levels[level][name] for name in values}
        assert shown == pytest.approx(values)
        assert levels[level]["num_scenes"] == 4 and levels[level]["num_empty"] == 0
    assert [levels[level]["num_matched"] for level in "123"] == [5, 4, 4]
    assert [levels[level]["num_true_nodes"] for level in "123"] == [4, 3, 3]
    for level in levels.values():
        precisions = level["average_precision"]
        assert len(precisions) == level["num_true_nodes"]
        mean = np.mean(list(precisions.values()))
        assert level["mean_average_precision"] == pytest.approx(mean)
    assert "Human sounds" in levels["1"]["average_precision"]
    of_classes = found["detectors"]["tiny"]["class_average_precision"]
    assert set(of_classes) == {"Dog", "Speech", "Music", "Rain"}
    mean = np.mean(list(of_classes.values()))
    assert found["detectors"]["tiny"]["mean_class_average_precision"] == pytest.approx(mean)


def test_the_best_threshold_leaves_the_faint_rain_out(
    evaluate: Evaluate, measured: Run, tmp_path: Path
) -> None:
    """It lies half way between the scores it parts; without what is heard there, less is wrong."""
    highest = {each["scene"]: max(each["class_scores"]) for each in records(measured.folder)}
    rain = highest.pop("rain")
    assert DEFAULT_THRESHOLD < rain < 0.99 < min(highest.values())
    found = results(measured.folder)["detectors"]["tiny"]
    threshold = found["best_global_threshold"]
    assert threshold == pytest.approx((rain + min(highest.values())) / 2)
    at_best = [each["f1_at_best_threshold"] for each in found["levels"].values()]
    assert at_best == pytest.approx([10 / 15, 8 / 11, 8 / 11])
    # It does so as well where it is asked for.
    assert evaluate(measured.scenes, "--threshold", str(threshold)) == 0
    found = results(tmp_path / "out")
    levels = found["detectors"]["tiny"]["levels"]
    assert [each["f1"] for each in levels.values()] == pytest.approx(at_best)
    assert found["settings"]["threshold"] == threshold


def test_the_best_threshold_keeps_its_promise_where_all_is_right(
    evaluate: Evaluate, audio: Path, tmp_path: Path
) -> None:
    """What is next to nothing counts as 0 in the scores; a threshold of 0 would let it in."""
    scenes = saved(audio, make_scene(of("Dog"), of("Speech", 0.5), of("Music"), name="all"))
    assert evaluate(scenes) == 0
    found = results(tmp_path / "out")["detectors"]["tiny"]
    assert [level["f1"] for level in found["levels"].values()] == [1.0, 1.0, 1.0]
    (record,) = records(tmp_path / "out")
    lowest, *_, highest = sorted({*record["class_scores"]})
    threshold = found["best_global_threshold"]
    assert lowest == 0.0 < threshold < highest
    assert evaluate(scenes, "--threshold", str(threshold), "-o", tmp_path / "at") == 0
    levels = results(tmp_path / "at")["detectors"]["tiny"]["levels"]
    assert [level["f1"] for level in levels.values()] == [1.0, 1.0, 1.0]


def test_stems_are_those_the_separator_gives(measured: Run, bundle_file: Path) -> None:
    separator = Separator.from_pretrained(bundle_file, device="cpu", precision="fp32")
    dog, talk, walk, _ = read_scenes(measured.scenes)
    animals, voice = "Domestic animals, pets", "Human voice"
    wanted = [(dog, animals, [0]), (talk, voice, [0]), (walk, animals, [0]), (walk, voice, [1])]
    improvements = []
    for scene, name, events in wanted:
        rendered = render(scene, measured.scenes.parent)
        source = rendered.sources[events].sum(axis=0)
        stems = separator.separate(rendered.mixture, rendered.sample_rate, level=2)
        errors = [np.sum(np.square(source - each)) for each in (rendered.mixture, stems[name])]
        improvements.append(10.0 * np.log10(errors[0] / errors[1]))
    # The first is all that is heard in its mixture: there is nothing to improve on.
    assert improvements[0] < -60.0
    found = results(measured.folder)
    assert found["mean"]["SDRi"] == pytest.approx(np.mean(improvements[1:]), abs=1e-3)
    assert found["median"]["SDRi"] == pytest.approx(np.median(improvements[1:]), abs=1e-3)
    level = found["detectors"]["tiny"]["levels"]["2"]
    for name in ("SDRi", "SI-SDRi"):
        column = name.lower().replace("-", "_")
        assert level[f"mean_{column}_db"] == pytest.approx(found["mean"][name])
        assert level[f"median_{column}_db"] == pytest.approx(found["median"][name])
    # What is heard in vain counts 0: a dog in the talk, speech beside the dog, both in the rain.
    class_aware = [0.0, improvements[1] / 2, (improvements[2] + improvements[3]) / 2, 0.0]
    assert found["mean"]["CA-SDRi"] == pytest.approx(np.mean(class_aware), abs=1e-3)


def test_each_scene_and_level_is_a_row(measured: Run) -> None:
    rows = table(measured.folder)
    assert [(row["scene"], row["level"]) for row in rows] == [
        (name, level) for name in ("dog", "talk", "walk", "rain") for level in "123"
    ]
    assert {row["detector"] for row in rows} == {"tiny"}
    by_key = {(row["scene"], row["level"]): row for row in rows}
    talk = by_key["talk", "1"]
    assert set(talk["true"].split(";")) == {"Human sounds", "Music"}
    assert set(talk["detected"].split(";")) == {"Animal", "Human sounds", "Music"}
    assert talk["disregarded"] == ""
    rain = by_key["rain", "3"]
    assert (rain["true"], set(rain["detected"].split(";"))) == ("Rain", {"Dog", "Speech"})
    assert (rain["SDRi"], rain["SI-SDRi"]) == ("", "")
    # Only the scene with a background disregards anything, which is not among what is there.
    assert "Noise" in by_key["dog", "2"]["disregarded"].split(";")
    assert by_key["dog", "2"]["true"] == "Domestic animals, pets"
    for record in records(measured.folder):
        for level, expected in record["levels"].items():
            row = by_key[record["scene"], level]
            share = expected["false_energy"] / record["mixture_energy"]
            assert float(row["false_energy_fraction"]) == pytest.approx(share, abs=1e-5)
            improvements = [stem["sdri_db"] for stem in expected["stems"].values()]
            if None not in improvements and improvements:
                assert float(row["SDRi"]) == pytest.approx(np.mean(improvements), abs=1e-4)


def test_the_table_shows_what_the_results_hold(measured: Run) -> None:
    first, blank, header, *rows = measured.shown.splitlines()
    assert first == f"4 scenes -> {measured.folder}" and blank == ""
    assert header.split()[:5] == ["detector", "level", "F1", "precision", "recall"]
    levels = results(measured.folder)["detectors"]["tiny"]["levels"]
    expected = {"1": ("0.56", "0.42", "0.83")} | dict.fromkeys("23", ("0.62", "0.50", "0.80"))
    for row, (level, (f1, precision, recall)) in zip(rows, expected.items(), strict=True):
        low, high = levels[level]["intervals"]["f1"]
        assert low < levels[level]["f1"] < high
        shown = ["tiny", level, f1, f"[{low:.2f},", f"{high:.2f}]", precision, recall]
        assert row.split()[:7] == shown
    assert rows[1].endswith(f"  {levels['2']['false_energy_db']:.2f} dB")


def test_where_nothing_is_detected_scores_are_undefined(
    evaluate: Evaluate, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(scenes, "--threshold", "1") == 0
    found = results(tmp_path / "out")
    level = found["detectors"]["tiny"]["levels"]["2"]
    assert (level["f1"], level["precision"], level["recall"]) == (0.0, None, 0.0)
    assert found["mean"]["SDRi"] is None and found["median"]["SI-SDRi"] is None
    # Of the rain nothing could be better: it is alone. So is the dog.
    assert (found["mean"]["CA-SDRi"], level["num_without_ca"]) == (0.0, 2)
    assert level["false_energy_db"] is None
    assert {row["detected"] for row in table(tmp_path / "out")} == {""}
    shown = capsys.readouterr().out.splitlines()[4].split()
    assert shown[:7] == ["tiny", "2", "0.00", "[0.00,", "0.00]", "-", "0.00"]


def test_only_the_first_scenes_may_be_evaluated(
    evaluate: Evaluate, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (scenes.parent / "Rain.wav").unlink()
    assert evaluate(scenes, "--limit", "2") == 0
    assert results(tmp_path / "out")["num_scenes"] == 2
    assert [row["scene"] for row in table(tmp_path / "out")[::3]] == ["dog", "talk"]
    assert capsys.readouterr().out.startswith("2 scenes -> ")


def test_scenes_without_events_can_be_evaluated(
    evaluate: Evaluate, audio: Path, tmp_path: Path
) -> None:
    """As with --limit, where the first of the scenes that uss-prepare draws is one."""
    noise = make_scene(background=replace(HISS, level_dbfs=-20.0), name="noise")
    assert evaluate(saved(audio, noise)) == 0
    found = results(tmp_path / "out")["detectors"]["tiny"]
    assert found["best_global_threshold"] is None
    level = found["levels"]["2"]
    assert (level["num_empty"], level["num_empty_detected"]) == (1, 1)
    assert (level["f1"], level["recall"], level["f1_at_best_threshold"]) == (0.0, None, None)


def test_times_are_scored(measured: Run) -> None:
    for level in results(measured.folder)["detectors"]["tiny"]["levels"].values():
        for name in ("event_f1", "segment_f1", "span_event_f1", "span_segment_f1"):
            assert 0.0 <= level[name] <= 1.0
        assert level["segment_f1"] > 0.0
        assert level["psds"] is None


def test_psds_is_scored_if_it_is_asked_for(
    evaluate: Evaluate, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("psds_eval", reason="needs psds_eval")
    assert evaluate(scenes, "--psds") == 0
    assert "PSDS" in capsys.readouterr().out
    for level in results(tmp_path / "out")["detectors"]["tiny"]["levels"].values():
        assert 0.0 <= level["psds"] <= 1.0 and 0.0 <= level["span_psds"] <= 1.0


def test_psds_without_its_library_is_refused_before_anything_else(
    evaluate: Evaluate,
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "psds_eval", None)
    assert evaluate(scenes, "--psds") == 2
    assert "pip install 'uss-pipeline[psds]'" in error_line(capsys)
    assert not (tmp_path / "out").exists()


def test_the_audio_may_lie_elsewhere(
    evaluate: Evaluate, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = scenes.rename(tmp_path / "moved.csv")
    assert evaluate(moved, "--limit", "1") == 2
    assert f"{tmp_path / 'Dog.wav'}: no such file" in error_line(capsys)
    assert evaluate(moved, "--limit", "1", "--audio-root", scenes.parent) == 0


def test_a_clip_may_be_a_track_of_a_film(evaluate: Evaluate, audio: Path, tmp_path: Path) -> None:
    """As in lists of mixtures, where ``film.mp4#2`` is its second track."""
    scene = make_scene(make_event("Dog", path="Dog.wav#1"), background=HISS, name="dog")
    assert render(scene, audio).sources.any()
    assert evaluate(saved(audio, scene)) == 0
    assert results(tmp_path / "out")["detectors"]["tiny"]["levels"]["2"]["recall"] == 1.0
