import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ontology import Ontology
from uss.audio.envelopes import Envelope
from uss.audio.segments import Segmentation
from uss.audio.tracks import TrackInfo
from uss.conditions.placed_queries import PlacedQuery
from uss.conditions.queries import AudioQuery, NodeQuery, UnionQuery
from uss.conditions.text_queries import MeantClass, TextQuery
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection
from uss.detection.framewise import Framewise
from uss.interchange.hand_over import Event
from uss.results.describing import describe_detection
from uss.results.identity import Identity
from uss.results.result import (
    RunSettings,
    SeparationResult,
    StemResult,
    ThresholdOrigin,
    result_of,
)
from uss.results.understood import ExcludedSound, excluded_sounds
from uss.taggers import NUM_CLASSES

RATE = 1_000


@pytest.fixture
def analysis() -> Analysis:
    """Three seconds in segments of one second without overlap."""
    return Analysis(
        probabilities=np.zeros((3, NUM_CLASSES), np.float32),
        segmentation=Segmentation(3_000, 1_000, 1_000),
        starts_seconds=(0.0, 1.0, 2.0),
        segment_seconds=1.0,
        sounding=np.ones(3, bool),
        condition_probabilities=None,
        num_samples=3_000,
        envelope=Envelope(RATE),
    )


def detected(ontology: Ontology, active: list[bool], level: int | None = 3) -> Detection:
    probabilities = np.array([0.25, 0.123456, 0.5], np.float32)
    return Detection(
        NodeQuery.of(ontology.find("Dog"), ontology), level, probabilities, np.array(active)
    )


def test_a_class_that_was_only_detected_has_no_file(ontology: Ontology, analysis: Analysis) -> None:
    found = describe_detection(
        detected(ontology, [True, False, True]), replace(analysis, num_samples=2_500)
    )
    assert found == StemResult(
        mid="/m/0bt9lr",
        name="Dog",
        level=3,
        probability=0.5,
        probabilities=(0.25, 0.1235, 0.5),
        active_intervals=((0.0, 1.0), (2.0, 2.5)),
        loudness_dbfs=None,
        file=None,
        events=(Event(0.0, 1.0, 0.25), Event(2.0, 2.5, 0.5)),
    )


def test_events_follow_the_stem(ontology: Ontology, analysis: Analysis) -> None:
    levels = np.full(60, -120.0, np.float32)
    levels[6:13] = levels[45:50] = -30.0
    found = describe_detection(
        detected(ontology, [True, False, True]), analysis, levels_db=levels, file="level3/Dog.wav"
    )
    assert found.active_intervals == ((0.0, 1.0), (2.0, 3.0))
    assert found.events == (Event(0.3, 0.65, 0.25), Event(2.25, 2.5, 0.5))


def test_an_event_is_as_probable_as_the_active_segments_it_lies_in(
    ontology: Ontology, analysis: Analysis
) -> None:
    levels = np.full(60, -120.0, np.float32)
    levels[30:50] = -30.0
    both = describe_detection(detected(ontology, [False, True, True]), analysis, levels_db=levels)
    assert both.events == (Event(1.5, 2.5, 0.5),)


def test_events_lie_within_the_times_that_were_asked_for(
    ontology: Ontology, analysis: Analysis
) -> None:
    query = PlacedQuery.of(NodeQuery.of(ontology.find("Dog"), ontology), ((0.5, 0.9), (1.5, 2.5)))
    placed = Detection(
        query, None, np.zeros(3, np.float32), np.ones(3, bool), spans=((0.5, 0.9), (1.5, 2.5))
    )
    levels = np.full(60, -120.0, np.float32)
    levels[:12] = levels[32:] = -30.0
    found = describe_detection(placed, analysis, levels_db=levels)
    assert found.events == (Event(0.5, 0.6, 0.0), Event(1.6, 2.5, 0.0))


def test_without_a_stem_the_recording_and_the_frames_tell(
    ontology: Ontology, analysis: Analysis
) -> None:
    dog = ontology.find("Dog").class_index
    assert dog is not None
    frames = np.zeros((1, 20), np.float16)
    # Half of the threshold is 6 dB less.
    frames[0, 4:16] = 0.1
    framewise = Framewise(
        frames,
        np.array([1], np.int32),
        np.array([dog], np.int16),
        (np.arange(20) + 0.5) / 20.0,
        np.arange(3.0),
        1.0,
    )
    levels = np.full(60, -20.0, np.float32)
    levels[30:] = -47.0
    heard = replace(
        analysis,
        framewise=framewise,
        levels_db=levels,
        usual_thresholds=np.full(NUM_CLASSES, 0.2, np.float32),
    )
    detection = detected(ontology, [False, True, False])
    assert describe_detection(detection, heard).events == (Event(1.2, 1.5, 0.1235),)
    # What stands for no classes is told by levels alone.
    query = AudioQuery("my dog", "a-1", np.zeros(1, np.float32), np.zeros(3, np.float32))
    found = describe_detection(replace(detection, query=query), heard)
    assert found.events == (Event(1.0, 2.0, 0.1235),)


def test_earlier_results_had_segments_for_events(ontology: Ontology, analysis: Analysis) -> None:
    content = written(describe_detection(detected(ontology, [True, False, True]), analysis))
    del content["stems"][0]["events"]
    (stem,) = result_of(content).stems
    assert stem.events == (Event(0.0, 1.0, 0.5), Event(2.0, 3.0, 0.5))


def test_a_query_made_of_audio_has_no_mid(analysis: Analysis) -> None:
    query = AudioQuery("my dog", "a-1", np.zeros(1, np.float32), np.zeros(3, np.float32))
    detection = Detection(query, None, np.ones(3, np.float32), np.ones(3, bool))
    found = describe_detection(detection, analysis)
    assert (found.mid, found.name, found.level) == (None, "my dog", None)


def test_json_holds_everything(tmp_path: Path, ontology: Ontology, analysis: Analysis) -> None:
    found = describe_detection(detected(ontology, [True, False, True]), analysis)
    described = replace(found, loudness_dbfs=-20.0, file="level3/Dog.wav", marked=((0.5, 1.0),))
    origin = ThresholdOrigin("default", "0123456789abcdef", {"num_scenes": 3})
    settings = RunSettings(model="default", thresholds=origin, without=("Speech",))
    result = SeparationResult(
        input="Straße „1“.wav",
        sample_rate=RATE,
        num_channels=1,
        duration_seconds=3.0,
        segment_seconds=1.0,
        segment_starts=(0.0, 1.0, 2.0),
        settings=settings,
        stems=(described,),
        residuals={"level3": "level3/residual.wav"},
        residual_loudness_dbfs={"level3": None},
        channel_layout="mono",
        start_seconds=60.0,
        film_offset_seconds=1.5,
        time_reference=72_000,
        timecode="01:00:00;00",
        tags={"title": "Straße"},
        tracks=(TrackInfo(1, "deu", "Ton", is_default=True),),
        identity=Identity("tape/Straße „1“.wav", 12, "ab" * 32, 2),
        files=("detections.json", "level3/Dog.wav"),
        fingerprints={"level3/Dog.wav": {"size_bytes": 3, "ends_sha256": "cd" * 32}},
        missing=("take.wav: report.html cannot be made (no room)",),
        excluded=(ExcludedSound("the wind", (MeantClass(283, "/m/03m9d0z", "Wind", 1.0),)),),
    )
    path = tmp_path / "detections.json"
    result.write_json(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["detections.json"]
    assert "Straße „1“" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "version": 1,
        "input": "Straße „1“.wav",
        "sample_rate": 1000,
        "num_channels": 1,
        "duration_seconds": 3.0,
        "segment_seconds": 1.0,
        "segment_starts": [0.0, 1.0, 2.0],
        "settings": {**asdict(settings), "without": ["Speech"]},
        "stems": [
            {
                "mid": "/m/0bt9lr",
                "name": "Dog",
                "level": 3,
                "probability": 0.5,
                "probabilities": [0.25, 0.1235, 0.5],
                "active_intervals": [[0.0, 1.0], [2.0, 3.0]],
                "loudness_dbfs": -20.0,
                "file": "level3/Dog.wav",
                "events": [
                    {"onset_seconds": 0.0, "offset_seconds": 1.0, "probability": 0.25},
                    {"onset_seconds": 2.0, "offset_seconds": 3.0, "probability": 0.5},
                ],
                "mids": [],
                "preset": None,
                "text": None,
                "understood": [],
                "marked": [[0.5, 1.0]],
                "generated": False,
                "score": None,
                "candidates": [],
            }
        ],
        "residuals": {"level3": "level3/residual.wav"},
        "residual_loudness_dbfs": {"level3": None},
        "channel_layout": "mono",
        "start_seconds": 60.0,
        "film_offset_seconds": 1.5,
        "time_reference": 72_000,
        "timecode": "01:00:00;00",
        "tags": {"title": "Straße"},
        "tracks": [{"number": 1, "language": "deu", "title": "Ton", "is_default": True}],
        "identity": {
            "path": "tape/Straße „1“.wav",
            "size_bytes": 12,
            "sha256": "ab" * 32,
            "track": 2,
            "is_piped": False,
        },
        "files": ["detections.json", "level3/Dog.wav"],
        "fingerprints": {"level3/Dog.wav": {"size_bytes": 3, "ends_sha256": "cd" * 32}},
        "missing": ["take.wav: report.html cannot be made (no room)"],
        "excluded": [
            {
                "name": "the wind",
                "understood": [
                    {"class_index": 283, "mid": "/m/03m9d0z", "name": "Wind", "weight": 1.0}
                ],
            }
        ],
    }
    read = result_of(json.loads(path.read_text(encoding="utf-8")))
    assert read == replace(result, settings=replace(settings, without=["Speech"]))


def written(*stems: StemResult) -> dict[str, Any]:
    """The content of a small result's ``detections.json``."""
    result = SeparationResult(
        input="a.wav",
        sample_rate=RATE,
        num_channels=1,
        duration_seconds=3.0,
        segment_seconds=1.0,
        segment_starts=(0.0, 1.0, 2.0),
        settings=RunSettings(),
        stems=stems,
        residuals={},
        identity=Identity("a.wav", 12, "", 1),
    )
    return dict(json.loads(json.dumps({"version": 1, **asdict(result)})))


def test_words_that_no_class_stands_for_have_no_probability(analysis: Analysis) -> None:
    query = TextQuery("xyzzy", (), (), (), "letters-2", np.ones(2, np.float32))
    active = np.array([True, False, True])
    found = describe_detection(Detection(query, None, None, active), analysis)
    assert (found.probability, found.probabilities, found.text) == (None, None, "xyzzy")
    assert found.active_intervals == ((0.0, 1.0), (2.0, 3.0))


def test_words_at_some_times_are_noted_as_words(ontology: Ontology, analysis: Analysis) -> None:
    meant = MeantClass(74, "/m/0bt9lr", "Dog", 1.0)
    query = PlacedQuery.of(TextQuery("a dog", (meant,), (1.0,), (74,)), ((0.0, 1.0),))
    found = describe_detection(
        Detection(query, None, np.zeros(3, np.float32), np.ones(3, bool)), analysis
    )
    assert (found.text, found.understood) == ("a dog", (meant,))
    dog, union = ontology.find("Dog"), ontology.look_up("stormy weather")
    several = UnionQuery.of("stormy weather", union, ontology)
    said = excluded_sounds([NodeQuery.of(dog, ontology), several, query.query], ontology)
    assert list(map(str, said)) == [
        "Dog",
        "stormy weather (" + "; ".join(node.name for node in union) + ")",
        "a dog (Dog)",
    ]
