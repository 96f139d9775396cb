"""What a recipe says of purity: which anchors are used, and how often each is drawn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uss.core.errors import InputError
from uss.data.datamodule import ShardDataModule
from uss.data.joint import JointMixing
from uss.shards import Anchor, ShardFiles, ShardSettings, shard_path, update_index, write_shard
from uss.taggers import NUM_CLASSES

MakeAnchor = Callable[..., Anchor]
CLASSES = (0, 132, 278, 288, 390, 495)
FOREIGN = 500


@pytest.fixture
def folder(tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings) -> Path:
    """Two anchors of each of six classes, of purity 1/5 and 1, with waveforms of 0.1 and 0.2."""
    anchors = []
    for index in CLASSES:
        for level, foreign in ((0.1, 0.4), (0.2, 0.0)):
            tags = np.zeros(NUM_CLASSES, np.float32)
            tags[index], tags[FOREIGN] = 0.1, foreign
            waveform = np.full(100, level, np.float32)
            anchors.append(make_anchor(index, tag_probabilities=tags, waveform=waveform))
    write_shard(shard_path(tmp_path, 0, 12), anchors, [], shard_settings)
    update_index(ShardFiles(tmp_path))
    return tmp_path


def drawn(folder: Path, **options: Any) -> np.ndarray:
    """The rows of many batches."""
    data = ShardDataModule(str(folder), "fake-2", batch_size=4, **options)
    data.setup("fit")
    if data.joint is not None:
        rng = np.random.default_rng(0)
        return np.concatenate([data.training._rows(rng) for _ in range(500)])
    sampler = data.training.sampler
    return np.concatenate([sampler.rows(sampler.generator(n))[:, 0] for n in range(200)])


@pytest.mark.parametrize("joint", [None, JointMixing()])
def test_the_purer_anchor_of_a_class_is_drawn_more_often(
    folder: Path, joint: JointMixing | None
) -> None:
    alike, weighted = drawn(folder, joint=joint), drawn(folder, joint=joint, purity_weight=1.0)
    assert 0.4 < (alike % 2).mean() < 0.6
    # Weights of 1/5 and 1: five times in six.
    assert (weighted % 2).mean() == pytest.approx(5 / 6, abs=0.05)
    # Classes come as often as before.
    counts = np.bincount(weighted // 2, minlength=6) / len(weighted)
    np.testing.assert_allclose(counts, 1 / 6, atol=0.05)


@pytest.mark.parametrize("options", [{"min_purity": 0.5}, {"keep_top": 1}])
def test_a_recipe_selects_for_itself(folder: Path, options: dict[str, Any]) -> None:
    data = ShardDataModule(str(folder), "fake-2", batch_size=4, **options)
    data.setup("fit")
    assert data.reader.purity.tolist() == [1.0] * 6
    assert data.training[0].mixture.shape == (4, 1, 100)
    np.testing.assert_allclose(data.reader.waveforms(np.arange(6)), 0.2, atol=1e-4)


def test_a_recipe_may_take_what_the_index_leaves_out(folder: Path) -> None:
    update_index(ShardFiles(folder), 0.5)
    as_indexed = ShardDataModule(str(folder), "fake-2", batch_size=4)
    all_of_them = ShardDataModule(str(folder), "fake-2", batch_size=4, min_purity=0.0)
    for data, count in ((as_indexed, 6), (all_of_them, 12)):
        data.setup("fit")
        assert len(data.reader) == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_purity": 2.0}, "at least 2.0; choose 0 to 1"),
        ({"keep_top": 0}, "the 0 purest"),
        ({"purity_weight": -1.0}, "purity_weight -1.0"),
        ({"purity_weight": 1.0, "partners": "same-clip"}, "leave out data.purity_weight"),
    ],
)
def test_what_makes_no_sense(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ShardDataModule(str(folder), "fake-2", batch_size=4, **options).setup("fit")
