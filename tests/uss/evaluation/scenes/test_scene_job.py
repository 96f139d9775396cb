import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.uss.evaluation.conftest import BandTagger, tone
from tests.uss.evaluation.scene_examples import make_event, make_scene, write_clip
from uss.core.errors import InputError
from uss.evaluation.scenes.scene_job import SceneJob, SceneJobSettings, with_other_taggers
from uss.evaluation.scenes.scene_list import write_scenes
from uss.separation.separator import Separator


@pytest.fixture
def settings(tmp_path: Path) -> SceneJobSettings:
    """Two scenes with a tone each."""
    write_clip(tmp_path, "low.wav", tone(500.0))
    write_clip(tmp_path, "high.wav", tone(8_000.0))
    scenes = [
        make_scene(make_event("Dog", path="low.wav"), name="dog"),
        make_scene(make_event("Cat", path="high.wav"), name="cat"),
    ]
    write_scenes(tmp_path / "scenes.csv", scenes)
    return SceneJobSettings(
        path=tmp_path / "scenes.csv",
        audio_root=tmp_path,
        output=tmp_path / "out",
        threshold=0.4,
        overlap=0.0,
    )


def test_every_detector_evaluates_every_scene(
    settings: SceneJobSettings, separator: Separator
) -> None:
    calls: list[tuple[int, int]] = []
    detectors = with_other_taggers(separator, [("other.safetensors", BandTagger())])
    content = SceneJob(settings).run(detectors, lambda *counts: calls.append(counts))
    assert calls == [(done, 4) for done in range(5)]
    own, other = content["detectors"]["bands"], content["detectors"]["other.safetensors"]
    assert own == other and own["levels"]["3"]["f1"] == 1.0
    written = json.loads((settings.output / "results.json").read_text())
    assert written["mean"] == content["mean"] and content["num_scenes"] == 2
    # The model alone is another evaluation.
    with pytest.raises(InputError, match=r"other settings .compared_hashes.; choose another"):
        SceneJob(settings).run({"bands": separator})


def test_taggers_of_one_name_and_file_are_told_apart(separator: Separator) -> None:
    taggers = [("bands", BandTagger()), ("bands", BandTagger())]
    assert list(with_other_taggers(separator, taggers)) == ["bands", "bands (2)", "bands (3)"]


def test_a_record_that_names_no_detector_is_made_again(
    settings: SceneJobSettings, separator: Separator
) -> None:
    content = SceneJob(settings).run({"bands": separator})
    journal = settings.output / "results.jsonl"
    first, *records = journal.read_text().splitlines()
    damaged = [json.dumps({"record": json.loads(records[0])["record"]}), records[1]]
    journal.write_text("\n".join([first, *damaged]) + "\n")
    calls: list[tuple[int, int]] = []
    again = SceneJob(settings).run({"bands": separator}, lambda *counts: calls.append(counts))
    assert calls == [(1, 2), (2, 2)] and again["detectors"] == content["detectors"]


def test_scenes_and_audio_are_looked_for_before_there_is_a_model(
    settings: SceneJobSettings,
) -> None:
    (settings.audio_root / "high.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"scenes.csv, scene cat: .*high.wav: no such file"):
        SceneJob(settings)
    SceneJob(replace(settings, limit=1))
