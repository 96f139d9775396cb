from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ontology import Ontology
from uss.data.dataset import TrainingBatches, ValidationMixtures
from uss.data.sampler import ActiveClasses, BalancedSampler
from uss.queries import ClassQueries, average_by_class
from uss.shards import Anchor, ShardReader, ShardSettings, shard_path, write_shard

MakeAnchor = Callable[..., Anchor]

CLASSES = ("Dog", "Speech", "Rain", "Siren")


@pytest.fixture
def reader(
    tmp_path: Path, ontology: Ontology, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> ShardReader:
    """Two anchors of noise for each of four classes, at widely different levels."""
    rng = np.random.default_rng(1)
    anchors = []
    for number, name in enumerate(CLASSES):
        index = ontology.find(name).class_index
        for take in range(2):
            anchors.append(
                make_anchor(
                    index,
                    waveform=(0.02 * 2**number * rng.uniform(-1, 1, 100)).astype(np.float32),
                    conditions={"fake-2": np.array([number, take], np.float32)},
                )
            )
    write_shard(shard_path(tmp_path, 0, 8), anchors, [], shard_settings)
    return ShardReader(tmp_path)


def queries_of(reader: ShardReader) -> ClassQueries:
    labels = [np.flatnonzero(row).tolist() for row in reader.labels]
    return average_by_class("fake-2", reader.conditions("fake-2"), labels)


def classes_of(reader: ShardReader, ontology: Ontology) -> ActiveClasses:
    return ActiveClasses.of(reader.labels, reader.tag_probabilities, 0.5, ontology, "specific")


def training(
    reader: ShardReader,
    ontology: Ontology,
    *,
    class_average_probability: float = 0.0,
    mixture_rms: float | None = None,
    batch_size: int = 4,
) -> TrainingBatches:
    sampler = BalancedSampler(reader.class_index, classes_of(reader, ontology), batch_size)
    return TrainingBatches(
        reader,
        reader.conditions("fake-2"),
        queries_of(reader),
        sampler,
        class_average_probability=class_average_probability,
        mixture_rms=mixture_rms,
    )


def validation(
    reader: ShardReader, ontology: Ontology, size: int = 20, seed: int = 0
) -> ValidationMixtures:
    return ValidationMixtures(
        reader,
        reader.conditions("fake-2"),
        queries_of(reader),
        classes_of(reader, ontology),
        size=size,
        seed=seed,
    )


def test_targets_are_the_anchors_and_mixtures_hold_the_next_one_at_equal_energy(
    reader: ShardReader, ontology: Ontology
) -> None:
    batches = training(reader, ontology)
    batch = batches[5]
    assert batch.mixture.shape == batch.target.shape == (4, 1, 100)
    assert batch.condition.shape == (4, 2)
    assert {part.dtype for part in batch} == {torch.float32}
    rows = batches.sampler.rows(batches.sampler.generator(5))
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(batch.target[i, 0].numpy(), reader.waveform(row))
        np.testing.assert_array_equal(batch.condition[i], reader.conditions("fake-2")[row])
    others = batch.mixture - batch.target
    torch.testing.assert_close(
        others.square().sum(dim=2), batch.target.square().sum(dim=2), rtol=1e-3, atol=0.0
    )
    cosine = torch.nn.functional.cosine_similarity(others, batch.target.roll(-1, dims=0), dim=2)
    torch.testing.assert_close(cosine, torch.ones(4, 1), rtol=0.0, atol=1e-5)


def test_a_batch_is_the_same_whenever_it_is_asked_for(
    reader: ShardReader, ontology: Ontology
) -> None:
    once, again = training(reader, ontology), training(reader, ontology)
    once[0]
    for left, right in zip(once[3], again[3], strict=True):
        assert torch.equal(left, right)
    assert not torch.equal(once[3].mixture, once[4].mixture)


def test_mixtures_are_brought_to_one_level_and_targets_with_them(
    reader: ShardReader, ontology: Ontology
) -> None:
    plain, levelled = training(reader, ontology), training(reader, ontology, mixture_rms=0.1)
    for n in range(5):
        rms = levelled[n].mixture.square().mean(dim=2).sqrt()
        torch.testing.assert_close(rms, torch.full_like(rms, 0.1))
        scale = 0.1 / plain[n].mixture.square().mean(dim=2, keepdim=True).sqrt()
        torch.testing.assert_close(levelled[n].target, scale * plain[n].target)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_conditions_are_the_anchors_own_or_the_class_average(
    reader: ShardReader, ontology: Ontology, probability: float
) -> None:
    batch = training(reader, ontology, class_average_probability=probability)[0]
    takes = set(batch.condition[:, 1].tolist())
    assert takes == {0.5} if probability else takes <= {0.0, 1.0}
    assert sorted(batch.condition[:, 0].tolist()) == [0.0, 1.0, 2.0, 3.0]


def test_class_averages_come_as_often_as_asked_for(reader: ShardReader, ontology: Ontology) -> None:
    batches = training(reader, ontology, class_average_probability=0.25)
    averaged = [bool(take == 0.5) for n in range(250) for take in batches[n].condition[:, 1]]
    # Five standard deviations of a binomial with 1,000 draws.
    assert np.mean(averaged) == pytest.approx(0.25, abs=0.07)


def test_an_anchor_shorter_than_a_segment_lies_anywhere_in_it(
    tmp_path: Path, ontology: Ontology, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    short = np.full(40, 0.5, np.float32)
    anchors = [make_anchor(ontology.find(name).class_index, waveform=short) for name in CLASSES]
    write_shard(shard_path(tmp_path, 0, 4), anchors, [], shard_settings)
    batches = training(ShardReader(tmp_path), ontology)
    starts = set()
    for n in range(40):
        for target in batches[n].target[:, 0].numpy():
            where = np.flatnonzero(target)
            assert len(where) == 40
            assert where[-1] - where[0] == 39
            starts.add(int(where[0]))
    assert min(starts) < 10
    assert max(starts) > 50


def test_silent_anchors_give_finite_batches(
    tmp_path: Path, ontology: Ontology, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    silent = np.zeros(100, np.float32)
    anchors = [make_anchor(ontology.find(name).class_index, waveform=silent) for name in CLASSES]
    write_shard(shard_path(tmp_path, 0, 4), anchors, [], shard_settings)
    batch = training(ShardReader(tmp_path), ontology, mixture_rms=0.1)[0]
    assert not batch.mixture.any()
    assert not batch.target.any()


def test_validation_mixtures_are_two_sources_at_0_db(
    reader: ShardReader, ontology: Ontology
) -> None:
    mixtures = validation(reader, ontology)
    assert len(mixtures) == 20
    for item in mixtures:  # ends by IndexError
        assert item.mixture.shape == (1, 100)
        torch.testing.assert_close(item.mixture, item.target + item.interferer)
        torch.testing.assert_close(
            item.target.square().sum(), item.interferer.square().sum(), rtol=1e-4, atol=0.0
        )
        assert item.average.tolist() == [item.oracle[0], 0.5]
        assert item.swapped[0] != item.oracle[0]


def test_validation_mixtures_are_fixed_by_their_seed(
    reader: ShardReader, ontology: Ontology
) -> None:
    first = validation(reader, ontology)
    assert first.pairs == validation(reader, ontology).pairs
    assert first.pairs != validation(reader, ontology, seed=1).pairs
    assert torch.equal(first[3].mixture, first[3].mixture)


def test_validation_leaves_out_silence_and_classes_that_training_does_not_know(
    tmp_path: Path,
    reader: ShardReader,
    ontology: Ontology,
    make_anchor: MakeAnchor,
    shard_settings: ShardSettings,
) -> None:
    folder = tmp_path / "validation"
    folder.mkdir()
    dog, speech, rain, piano = (
        ontology.find(name).class_index for name in ("Dog", "Speech", "Rain", "Piano")
    )
    silent = make_anchor(rain, waveform=np.zeros(100, np.float32))
    anchors = [make_anchor(dog), silent, make_anchor(piano), make_anchor(speech)]
    write_shard(shard_path(folder, 0, 4), anchors, [], shard_settings)
    other = ShardReader(folder)
    mixtures = ValidationMixtures(
        other,
        other.conditions("fake-2"),
        queries_of(reader),
        classes_of(other, ontology),
        size=10,
        seed=0,
    )
    assert set(mixtures.pairs) <= {(0, 3), (3, 0)}


def test_validation_without_two_disjoint_classes(
    tmp_path: Path, ontology: Ontology, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    dog, bark = (ontology.find(name).class_index for name in ("Dog", "Bark"))
    for anchors in ([make_anchor(dog)], [make_anchor(dog), make_anchor(bark)]):
        write_shard(shard_path(tmp_path, 0, 1), anchors, [], shard_settings)
        with pytest.raises(ValueError, match="no two anchors of disjoint classes"):
            validation(ShardReader(tmp_path), ontology)
