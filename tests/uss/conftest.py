import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ontology import Ontology, load_ontology
from uss.checkpoints.loading import load_tagger
from uss.shards import Anchor, ShardSettings
from uss.taggers import NUM_CLASSES, EfficientAT

MakeAnchor = Callable[..., Anchor]


@pytest.fixture(scope="session")
def ontology() -> Ontology:
    return load_ontology()


@pytest.fixture(scope="session")
def mn04_path(shared: Path) -> Path:
    return shared / "weights" / "mn04_as_mAP_432.pt"


@pytest.fixture(scope="session")
def mn04(mn04_path: Path) -> EfficientAT:
    return load_tagger(mn04_path)


@pytest.fixture
def shard_settings() -> ShardSettings:
    """Anchors of 100 samples with conditions of two numbers."""
    return ShardSettings(
        sample_rate=50,
        segment_samples=100,
        num_classes=NUM_CLASSES,
        tagger="fake",
        tagger_hash="0123456789abcdef",
        spaces={"fake-2": 2},
        mining={"segment_seconds": 2.0, "labels": "all"},
    )


@pytest.fixture
def make_anchor() -> MakeAnchor:
    """Make an anchor of a class; its waveform is a constant unless given."""

    def make(class_index: int, **changes: object) -> Anchor:
        anchor = Anchor(
            clip_id=f"clip-{class_index}",
            class_index=class_index,
            start_seconds=0.0,
            score=0.5,
            waveform=np.full(100, 0.25, np.float32),
            labels=(class_index,),
            tag_probabilities=np.zeros(NUM_CLASSES, np.float32),
            conditions={"fake-2": np.array([class_index, 1.0], np.float32)},
        )
        return replace(anchor, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="module")
def museval() -> ModuleType:
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        pytest.skip("museval needs the programs ffmpeg and ffprobe")
    module: ModuleType = pytest.importorskip("museval")
    return module
