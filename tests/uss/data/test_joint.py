"""Joint mixtures: what is asked for is what is in the targets, and what is absent is silent."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ontology import Ontology
from uss.core.errors import InputError
from uss.data.active_classes import ActiveClasses
from uss.data.augmentation import Variation
from uss.data.joint import JointBatches, JointMixing, make_asker
from uss.data.sharing import Place
from uss.shards import Anchor, ShardReader, ShardSettings, shard_path, write_shard

MakeAnchor = Callable[..., Anchor]
NAMES = ("Dog", "Cat", "Speech", "Rain", "Siren", "Piano")
ALL_ASKED = JointMixing(unasked=((1.0, 0.0),), oracle=1.0, above=0.0, max_absent=0)


@pytest.fixture
def reader(
    tmp_path: Path, ontology: Ontology, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> ShardReader:
    """Three groups for each of six classes; an anchor's condition is its class and group."""
    rng = np.random.default_rng(1)
    anchors = []
    for number, name in enumerate(NAMES):
        node = ontology.find(name)
        above = [n.class_index for n in ontology.ancestors(node) if n.class_index is not None]
        for take in range(3):
            anchors.append(
                make_anchor(
                    node.class_index,
                    labels=(node.class_index, *above),
                    waveform=rng.uniform(-0.3, 0.3, 100).astype(np.float32),
                    conditions={"fake-2": np.array([number, take], np.float32)},
                    group=f"{name} {take}",
                )
            )
    write_shard(shard_path(tmp_path, 0, len(anchors)), anchors, [], shard_settings)
    return ShardReader(tmp_path)


def batches(
    reader: ShardReader,
    ontology: Ontology,
    mixing: JointMixing = ALL_ASKED,
    variation: Variation | None = None,
    **changes: Any,
) -> JointBatches:
    conditions = reader.rows_of("fake-2")
    classes = ActiveClasses.of(reader.labels, reader.tag_probabilities, 0.5, ontology, "specific")
    asker = make_asker(reader, conditions, classes, mixing, ontology)
    options: dict[str, Any] = {"batch_size": 20, "mixture_rms": 0.1, "seed": 0} | changes
    return JointBatches(reader, classes, asker, mixing, variation=variation, **options)


def test_targets_of_all_that_is_asked_add_up_to_the_mixture(
    reader: ShardReader, ontology: Ontology
) -> None:
    batch = batches(reader, ontology)[0]
    assert batch.mixture.shape == (20, 1, 100) and batch.targets.shape == (20, 6, 100)
    torch.testing.assert_close(batch.targets.sum(dim=1), batch.mixture[:, 0], atol=1e-6, rtol=0.0)
    level = batch.mixture.square().mean(dim=2).sqrt()
    torch.testing.assert_close(level, torch.full_like(level, 0.1))
    counts = batch.is_asked.sum(dim=1)
    assert counts.min() == 1 and counts.max() == 4


def test_an_oracle_asks_with_the_condition_of_what_is_in_the_target(
    reader: ShardReader, ontology: Ontology
) -> None:
    """Every target is an anchor, scaled and rolled; its spectrum tells which."""
    batch = batches(reader, ontology)[3]
    spectra = {
        tuple(condition): np.abs(np.fft.rfft(reader.waveform(row)))
        for row, condition in enumerate(reader.conditions("fake-2").tolist())
    }
    for targets, conditions, asked in zip(batch.targets, batch.conditions, batch.is_asked):  # noqa: B905
        for target, condition in zip(targets[asked], conditions[asked], strict=True):
            found, wanted = np.abs(np.fft.rfft(target.numpy())), spectra[tuple(condition.tolist())]
            cosine = found @ wanted / np.linalg.norm(found) / np.linalg.norm(wanted)
            assert cosine > 0.999


def test_levels_lie_around_equal_energy(reader: ShardReader, ontology: Ontology) -> None:
    mixing = JointMixing(
        num_sources=(0.0, 1.0), unasked=((1.0, 0.0),), oracle=1.0, above=0.0, max_absent=0
    )
    parts = [batches(reader, ontology, mixing)[n].targets[:, :2] for n in range(5)]
    energy = torch.cat(parts).square().sum(dim=2)
    ratio_db = 10.0 * torch.log10(energy[:, 0] / energy[:, 1]).abs()
    assert ratio_db.max() <= 20.0 and ratio_db.mean() > 3.0


def test_what_is_absent_is_silent_and_of_no_class_that_is_there(
    reader: ShardReader, ontology: Ontology
) -> None:
    mixing = JointMixing(unasked=((1.0, 0.0),), oracle=1.0, above=0.0, max_absent=3)
    seen = 0
    for n in range(5):
        batch = batches(reader, ontology, mixing)[n]
        energy = batch.targets.square().sum(dim=2)
        absent = batch.is_asked & (energy == 0.0)
        for row in range(len(energy)):
            there = {tuple(c) for c in batch.conditions[row][energy[row] > 0.0].tolist()}
            gone = [tuple(c) for c in batch.conditions[row][absent[row]].tolist()]
            assert not {c[0] for c in there} & {c[0] for c in gone}
            seen += len(gone)
    assert seen > 50


def test_a_class_above_asks_for_all_its_sources(reader: ShardReader, ontology: Ontology) -> None:
    """Dogs and cats are animals: one query then has two sources, and both are in its target."""
    mixing = JointMixing(
        num_sources=(0.0, 0.0, 0.0, 1.0), unasked=((1.0, 0.0),), oracle=0.0, above=1.0, max_absent=0
    )
    batch = batches(reader, ontology, mixing, batch_size=60)[0]
    torch.testing.assert_close(batch.targets.sum(dim=1), batch.mixture[:, 0], atol=1e-6, rtol=0.0)
    assert batch.is_asked.sum(dim=1).min() < 4


def test_what_nobody_asks_for_stays_in_the_mixture(reader: ShardReader, ontology: Ontology) -> None:
    mixing = JointMixing(
        num_sources=(0.0, 0.0, 1.0), unasked=((1.0, 1.0),), oracle=1.0, above=0.0, max_absent=0
    )
    batch = batches(reader, ontology, mixing)[0]
    assert (batch.is_asked.sum(dim=1) == 1).all()
    rest = batch.mixture[:, 0] - batch.targets.sum(dim=1)
    assert (rest.square().sum(dim=1) > 0.0).all()


def test_a_batch_is_a_function_of_seed_and_number(reader: ShardReader, ontology: Ontology) -> None:
    def mixtures(n: int = 4, **changes: Any) -> torch.Tensor:
        data = batches(reader, ontology, JointMixing(), Variation(), **changes)
        return data[n].mixture

    first = mixtures()
    assert torch.equal(first, mixtures())
    for other in (mixtures(5), mixtures(seed=1)):
        assert not torch.equal(first, other)


def test_processes_share_what_one_would_mix(reader: ShardReader, ontology: Ontology) -> None:
    """Of all that is random nothing depends on what another process reads."""
    whole = batches(reader, ontology, JointMixing(), Variation(), batch_size=6)
    for n in range(3):
        shares = [
            batches(
                reader,
                ontology,
                JointMixing(),
                Variation(),
                batch_size=6,
                place=Place(rank, 3),
            )[n]
            for rank in range(3)
        ]
        assert [len(share.mixture) for share in shares] == [2, 2, 2]
        for parts, of_one in zip(zip(*shares, strict=True), whole[n], strict=True):
            assert torch.equal(torch.cat(parts), of_one)


def test_a_process_reads_only_its_share(
    reader: ShardReader, ontology: Ontology, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    waveforms = reader.waveforms
    monkeypatch.setattr(
        reader, "waveforms", lambda rows: (read.extend(rows.tolist()), waveforms(rows))[1]
    )
    mixing = replace(ALL_ASKED, num_sources=(0.0, 1.0))
    batches(reader, ontology, mixing, batch_size=6, place=Place(1, 3)).read(0)
    assert len(read) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_sources": (0.5, 0.4)}, "shares of num_sources"),
        ({"unasked": ((0.5, 0.0),)}, "shares of unasked"),
        ({"num_queries": 0}, "num_queries 0 must be at least 1"),
        ({"max_absent": -1}, "max_absent -1"),
    ],
)
def test_mixing_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        JointMixing(**changes)
