"""A service with a separator that takes tones apart, and the real page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile

from pipelines.model_options import ModelOptions
from pipelines.web.limits import Limits
from pipelines.web.service import Service
from pipelines.web.shelf import Shelf
from tests.uss.evaluation.conftest import CAT, DOG, RATE, make_separator, tone
from uss.separation.separator import Separator

ROOT = Path(__file__).parents[3]
SCENE = ROOT / "demo" / "scene.flac"


class Ready:
    """Stands for the options of a model that is loaded already."""

    def __init__(self, separator: Separator) -> None:
        self.separator = separator
        self.num_loads = 0

    def load(self) -> Separator:
        self.num_loads += 1
        return self.separator


@pytest.fixture
def ready() -> Ready:
    return Ready(make_separator(DOG, CAT))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    root = tmp_path / "shelf"
    root.mkdir()
    return Shelf(root, keep_seconds=600.0)


@pytest.fixture
def service(ready: Ready, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Service:
    def draw(path: Path, *_: object) -> None:
        path.write_bytes(b"a picture")

    monkeypatch.setattr("uss.results.views.draw_timeline", draw)
    models = {"bands": cast(ModelOptions, ready), "others": cast(ModelOptions, ready)}
    return Service(models, Limits(minutes=0.1, stems=3), shelf)


@pytest.fixture
def upload(shelf: Shelf) -> Path:
    """Two tones, a dog's and a cat's, where the server puts uploads."""
    path = shelf.root / "0123" / "two tones.wav"
    path.parent.mkdir()
    both = tone(500.0, 1.0) + tone(6_000.0, 1.0)
    soundfile.write(path, both, RATE, subtype="FLOAT")
    return path


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text("This is no recording.\n" * 50)
    return path


@pytest.fixture(scope="session")
def short_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first seconds of the demo scene: a man speaks, and the telephone rings."""
    path = tmp_path_factory.mktemp("scene") / "scene.flac"
    samples, rate = soundfile.read(SCENE, dtype="int16")
    soundfile.write(path, samples[: 5 * rate], rate)
    return path


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of the page, served with the model inside the package."""
    pytest.importorskip("gradio", reason="needs the extra 'web'")
    from pipelines.web.serving import WebOptions, served

    options = WebOptions(
        models={"default": ModelOptions()}, port=0, limits=Limits(minutes=0.5, megabytes=5, stems=4)
    )
    with served(options) as address:
        yield address


def loudness(path: Path) -> float:
    samples, _ = soundfile.read(path)
    return float(np.sqrt(np.mean(np.square(samples))))
