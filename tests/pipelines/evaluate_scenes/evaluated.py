"""Scenes of a second each, and what uss-evaluate writes of them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

from pipelines.evaluate.command import main
from tests.pipelines.conftest import WriteNoise
from tests.uss.evaluation.scene_examples import make_event, make_scene
from uss.evaluation.scenes.scene import Background, Scene, SceneEvent
from uss.evaluation.scenes.scene_list import write_scenes

Evaluate = Callable[..., int]
# So faint that the tagger is not sure of it, but surer than DEFAULT_THRESHOLD.
FAINT_DB = -50.0
# Hardly anything; the tagger does not hear it.
HISS = Background(level_dbfs=-90.0, exponent=1.0, seed=4)
NAMES = ("Dog", "Speech", "Music", "Rain")


class Run(NamedTuple):
    """What a run of all scenes has left.

    Attributes:
        scenes: the list.
        folder: with the results.
        shown: on stdout.
    """

    scenes: Path
    folder: Path
    shown: str


def write_audio(folder: Path, write_noise: WriteNoise) -> Path:
    """Half a second of noise for each class."""
    for name in NAMES:
        write_noise(folder / f"{name}.wav", 0.5, seed=1)
    return folder


def of(name: str, onset_seconds: float = 0.25, gain_db: float = 0.0) -> SceneEvent:
    return make_event(name, path=f"{name}.wav", onset_seconds=onset_seconds, gain_db=gain_db)


def saved(folder: Path, *made: Scene) -> Path:
    write_scenes(folder / "scenes.csv", made)
    return folder / "scenes.csv"


def save_four(folder: Path) -> Path:
    """Scenes of a second; what the bundle hears is Dog, Speech and Music, all of them always.

    At levels 2 and 3 there is no node for music. The noise of the first is neither right nor wrong.
    """
    return saved(
        folder,
        make_scene(of("Dog"), background=HISS, name="dog"),
        make_scene(of("Speech", 0.0), of("Music", 0.4), name="talk"),
        make_scene(of("Dog", 0.0), of("Speech", 0.5), name="walk"),
        make_scene(of("Rain", gain_db=FAINT_DB), name="rain"),
    )


def run_evaluate(bundle: Path, scenes: Path, output: Path, *options: str | Path) -> int:
    words = (scenes, "--model", bundle, "--device", "cpu", "--precision", "fp32", "-o", output)
    return main([str(word) for word in (*words, *options)])


def refuse_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


def results(folder: Path) -> Any:
    text = (folder / "results.json").read_text(encoding="utf-8")
    return json.loads(text, parse_constant=refuse_constant)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def records(folder: Path) -> list[dict[str, Any]]:
    """Of the journal, without its settings."""
    _, *lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["record"] for line in lines]


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.startswith("uss-evaluate: ") and error.count("\n") == 1
    return error


def refuse_to_run(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("nothing of the kind should be done")
