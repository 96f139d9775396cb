from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from ontology import load_ontology
from tests.uss.evaluation.scene_examples import (
    NOISE,
    RATE,
    make_event,
    make_scene,
    mid,
    write_clip,
    write_clips,
)
from uss.data.manifest import Clip
from uss.evaluation.scenes.drawing import clips_by_class, draw_scenes, limit_peak, loudest_start
from uss.evaluation.scenes.rendering import render
from uss.evaluation.scenes.scene import Scene

NAMES = ("Dog", "Bark", "Animal", "Rain", "Speech", "Male speech, man speaking", "Siren", "Piano")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def clips(root: Path) -> list[Clip]:
    return write_clips(root, NAMES)


def draw(clips: list[Clip], root: Path, *, seed: int = 0, num_scenes: int = 40) -> list[Scene]:
    return draw_scenes(clips, root, seed=seed, num_scenes=num_scenes, seconds=0.5)


@pytest.fixture(scope="module")
def scenes(clips: list[Clip], root: Path) -> list[Scene]:
    return draw(clips, root)


def test_a_scene_depends_on_seed_and_number_alone(
    scenes: list[Scene], clips: list[Clip], root: Path
) -> None:
    assert draw(clips, root, num_scenes=5) == scenes[:5]
    assert draw(clips, root, seed=1, num_scenes=5) != scenes[:5]


def test_scenes_have_0_to_5_events_and_the_empty_ones_a_background(scenes: list[Scene]) -> None:
    assert {len(scene.events) for scene in scenes} == set(range(6))
    assert all(scene.background for scene in scenes if not scene.events)
    with_events = [scene for scene in scenes if scene.events]
    num_noisy = sum(scene.background is not None for scene in with_events)
    assert 0.25 < num_noisy / len(with_events) < 0.75


def test_no_class_of_a_scene_lies_above_or_below_another(scenes: list[Scene]) -> None:
    ontology = load_ontology("graph")
    for scene in scenes:
        for one, other in combinations([event.mids[0] for event in scene.events], 2):
            assert one != other
            family = (*ontology.ancestors(one), *ontology.descendants(one))
            assert other not in {node.mid for node in family}


def test_events_have_their_level_and_no_scene_clips(scenes: list[Scene], root: Path) -> None:
    for scene in scenes:
        rendered = render(scene, root)
        assert np.abs(rendered.mixture).max() <= 0.95
        for event, source in zip(scene.events, rendered.sources, strict=True):
            power = np.sum(source.astype(float) ** 2) / scene.samples_of(event)
            assert -32.01 <= 10.0 * np.log10(power) <= -19.99
        if scene.background is not None:
            assert -56.01 <= scene.background.level_dbfs <= -40.99


def test_too_loud_a_scene_is_lowered_as_a_whole(tmp_path: Path) -> None:
    write_clip(tmp_path, "clip.wav", np.full(RATE, 0.5))
    scene = make_scene(make_event("Dog", gain_db=12.0), background=NOISE)
    lowered = limit_peak(scene, tmp_path)
    peak = np.abs(render(lowered, tmp_path).mixture).max()
    assert 0.9498 < peak <= 0.95
    assert lowered.background is not None
    change_db = lowered.events[0].gain_db - 12.0
    assert lowered.background.level_dbfs - NOISE.level_dbfs == pytest.approx(change_db)
    assert limit_peak(lowered, tmp_path) == lowered


def test_the_loudest_excerpt_is_chosen() -> None:
    waveform = np.zeros((1, 100), np.float32)
    waveform[0, 57:67] = 0.5
    assert loudest_start(waveform, 10, 1) == 57
    assert loudest_start(waveform, 10, 5) == 55
    assert loudest_start(waveform, 100, 1) == 0


def test_a_long_clip_gives_its_loudest_five_seconds(tmp_path: Path) -> None:
    waveform = np.full(8 * RATE, 0.001)
    waveform[2 * RATE : 7 * RATE] = 0.1
    write_clip(tmp_path, "a.wav", waveform)
    drawn = draw_scenes([Clip("a", "a.wav", (mid("Dog"),))], tmp_path, seed=0, num_scenes=6)
    events = [event for scene in drawn for event in scene.events]
    assert events
    assert {(event.start_seconds, event.seconds) for event in events} == {(2.0, 5.0)}


def test_a_clips_class_is_its_first_label_without_a_label_below() -> None:
    strummed = (mid("Guitar"), mid("Acoustic guitar"), mid("Strum"))
    # "Domestic sounds, home sounds" is no class of the taggers.
    other = (mid("Domestic sounds, home sounds"), mid("Bark"))
    clips = [
        Clip("a", "a.wav", strummed),
        Clip("b", "b.wav", other),
        Clip("c", "c.wav", ()),
        Clip("d", "", (mid("Dog"),)),
    ]
    found = clips_by_class(clips)
    assert {key: [clip.clip_id for clip in value] for key, value in found.items()} == {
        mid("Acoustic guitar"): ["a"],
        mid("Bark"): ["b"],
    }


def test_what_cannot_be_drawn_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no clip has both a path and labels"):
        draw_scenes([Clip("a", "a.wav", ())], tmp_path, seed=0, num_scenes=1)
    with pytest.raises(ValueError, match="clip a: '/m/dog' is not an AudioSet mid"):
        draw_scenes([Clip("a", "a.wav", ("/m/dog",))], tmp_path, seed=0, num_scenes=1)
    write_clip(tmp_path, "a.wav", np.zeros(RATE))
    with pytest.raises(ValueError, match=r"a\.wav is silent; leave clip a out"):
        draw_scenes([Clip("a", "a.wav", (mid("Dog"),))], tmp_path, seed=0, num_scenes=6)
