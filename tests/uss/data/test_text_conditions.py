"""Batches that are asked with what is said of clips, with what is in them, or with either."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ontology import Ontology
from uss.data.datamodule import ShardDataModule
from uss.data.joint import JointMixing
from uss.shards import Anchor, ShardSettings, shard_path, write_shard

MakeAnchor = Callable[..., Anchor]
CLASSES = ("Dog", "Speech", "Rain", "Siren")


@pytest.fixture
def folder(
    tmp_path: Path, ontology: Ontology, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> Path:
    """Audio lies at (class, 0), text at (class, 1)."""
    settings = replace(shard_settings, spaces={"fake-2": 2, "fake-2-text": 2})
    rng = np.random.default_rng(1)
    anchors = [
        make_anchor(
            ontology.find(name).class_index,
            waveform=(0.1 * rng.uniform(-1, 1, 100)).astype(np.float32),
            conditions={
                "fake-2": np.array([number, 0.0], np.float32),
                "fake-2-text": np.array([number, 1.0], np.float32),
            },
        )
        for number, name in enumerate(CLASSES)
    ]
    write_shard(shard_path(tmp_path, 0, 4), anchors, [], settings)
    return tmp_path


def data_of(folder: Path, **options: Any) -> ShardDataModule:
    data = ShardDataModule(
        str(folder), "fake-2", str(folder), batch_size=4, num_validation_mixtures=2, **options
    )
    data.setup("fit")
    return data


def is_text(data: ShardDataModule, n: int) -> bool:
    """Whether batch n is asked with text; never some of it."""
    kinds = set(data.training[n].condition[:, 1].tolist())  # type: ignore[index]
    assert len(kinds) == 1
    return kinds == {1.0}


@pytest.mark.parametrize(("ratio", "expected"), [(None, False), (0.0, False), (1.0, True)])
def test_all_batches_are_asked_alike(folder: Path, ratio: float | None, expected: bool) -> None:
    data = data_of(folder, text_ratio=ratio)
    assert {is_text(data, n) for n in range(20)} == {expected}


def test_whole_batches_are_asked_with_text_as_often_as_wanted(folder: Path) -> None:
    data, same = (data_of(folder, text_ratio=0.25) for _ in range(2))
    asked = [is_text(data, n) for n in range(400)]
    # Three standard deviations of a quarter of 400.
    assert abs(sum(asked) - 100) < 27
    assert asked[:50] == [is_text(same, n) for n in range(50)]


@pytest.mark.parametrize(("ratio", "kind"), [(None, 0.0), (0.0, 0.0), (0.5, 1.0), (1.0, 1.0)])
def test_people_will_ask_with_text_where_any_is_trained_with(
    folder: Path, ratio: float | None, kind: float
) -> None:
    data = data_of(folder, text_ratio=ratio)
    assert data.class_queries.space == "fake-2"
    assert set(data.class_queries.vectors[:, 1].tolist()) == {kind}
    assert data.validation is not None
    assert data.validation[0].oracle[1] == data.validation[0].average[1] == kind


def test_joint_mixtures_are_asked_with_text(folder: Path) -> None:
    mixing = JointMixing(num_sources=(0.0, 1.0), oracle=1.0, above=0.0, max_absent=0)
    data = data_of(folder, text_ratio=1.0, joint=mixing)
    batch = data.training[0]
    conditions = batch.conditions[batch.is_asked]  # type: ignore[union-attr]
    assert len(conditions) and set(conditions[:, 1].tolist()) == {1.0}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"text_ratio": 1.5}, r"text_ratio 1.5 is not in \[0, 1\]"),
        ({"text_ratio": 0.5, "joint": JointMixing()}, "set text_ratio to 1"),
    ],
)
def test_what_does_not_go_together_is_refused(
    folder: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        data_of(folder, **options)


def test_shards_without_text_are_refused(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    write_shard(shard_path(tmp_path, 0, 1), [make_anchor(0)], [], shard_settings)
    with pytest.raises(ValueError, match="no conditions in the space 'fake-2-text'"):
        data_of(tmp_path, text_ratio=1.0)
