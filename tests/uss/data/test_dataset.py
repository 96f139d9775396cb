from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from ontology import Ontology
from uss.conditions.class_queries import ClassQueries, average_by_class
from uss.core.errors import InputError
from uss.data.active_classes import ActiveClasses
from uss.data.asked_with import combine_conditions
from uss.data.datamodule import ShardDataModule
from uss.data.dataset import TrainingBatches
from uss.data.mixing import Augmentation
from uss.data.sampler import BalancedSampler, SameClipSampler
from uss.data.sharing import ALONE, Place
from uss.data.validation_mixtures import ValidationMixtures
from uss.shards import Anchor, ShardReader, ShardSettings, shard_path, write_shard

MakeAnchor = Callable[..., Anchor]

CLASSES = ("Dog", "Speech", "Rain", "Siren")
OTHERS = ("Piano", "Hiss", "Clapping", "Snoring")


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
    num_sources: int = 2,
    augmentation: Augmentation = "match-energy",
    place: Place = ALONE,
) -> TrainingBatches:
    sampler = BalancedSampler(
        reader.class_index, classes_of(reader, ontology), batch_size, num_sources=num_sources
    )
    return TrainingBatches(
        reader,
        reader.conditions("fake-2"),
        queries_of(reader),
        sampler,
        class_average_probability=class_average_probability,
        mixture_rms=mixture_rms,
        augmentation=augmentation,
        place=place,
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
    assert {part.dtype for part in batch[:3]} == {torch.float32}
    rows = batches.sampler.rows(batches.sampler.generator(5))[:, 0]
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


def test_every_mixture_has_a_seed_of_its_own(reader: ShardReader, ontology: Ontology) -> None:
    batches = training(reader, ontology)
    seeds = torch.cat([seeds for n in range(50) if (seeds := batches[n].seeds) is not None])
    assert seeds.dtype == torch.int64 and len(seeds.unique()) == 200
    assert int(seeds.min()) >= 0 and int(seeds.max()) > 2**60


def test_without_averages_nothing_may_ask_for_them(reader: ShardReader, ontology: Ontology) -> None:
    for num_sources, probability in ((2, 0.5), (3, 0.0)):
        sampler = BalancedSampler(
            reader.class_index, classes_of(reader, ontology), 4, num_sources=num_sources
        )
        with pytest.raises(ValueError, match="tokens have no averages; set"):
            TrainingBatches(
                reader,
                reader.conditions("fake-2"),
                None,
                sampler,
                class_average_probability=probability,
                mixture_rms=None,
            )


@pytest.mark.parametrize("augmentation", get_args(Augmentation))
@pytest.mark.parametrize("num_sources", [2, 3])
def test_processes_share_what_one_would_mix(
    reader: ShardReader, ontology: Ontology, augmentation: Augmentation, num_sources: int
) -> None:
    """Also where a mixture's next anchor is the first of another process's mixtures."""
    options = {"num_sources": num_sources, "augmentation": augmentation, "mixture_rms": 0.1}
    options |= {"class_average_probability": 0.5}
    whole, *shares = (
        training(reader, ontology, place=place, **options)  # type: ignore[arg-type]
        for place in (ALONE, Place(0, 2), Place(1, 2))
    )
    for n in range(5):
        for of_one, *parts in zip(whole[n], *(share[n] for share in shares), strict=True):
            assert [len(part) for part in parts] == [2, 2]
            assert torch.equal(torch.cat(parts), of_one)


def test_every_anchor_of_a_share_is_read_once(reader: ShardReader, ontology: Ontology) -> None:
    whole = training(reader, ontology, num_sources=3).read(2)
    assert whole.anchors.shape == (4, 100) and whole.sources.shape == (4, 3)
    share = training(reader, ontology, place=Place(0, 4)).read(2)
    assert share.anchors.shape == (2, 100)
    assert sorted(share.sources.ravel().tolist()) == [0, 1]


def test_batches_that_cannot_be_shared_are_refused(reader: ShardReader, ontology: Ontology) -> None:
    with pytest.raises(InputError, match="4 mixtures cannot be shared evenly by 3 processes"):
        training(reader, ontology, place=Place(0, 3))


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


@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("num_sources", [2, 3])
def test_conditions_are_exactly_those_of_a_direct_computation(
    reader: ShardReader, ontology: Ontology, num_sources: int, probability: float
) -> None:
    """Draw for draw: rows, places in the segment, targets, then own or average."""
    batches = training(
        reader, ontology, class_average_probability=probability, num_sources=num_sources
    )
    own, queries = reader.conditions("fake-2"), queries_of(reader)
    for n in range(20):
        rng = batches.sampler.generator(n)
        rows = batches.sampler.rows(rng)
        for _ in np.unique(rows):
            rng.integers(1)
        num_targets = rng.integers(1, num_sources, 4) if num_sources > 2 else np.ones(4, np.int64)
        use_average = rng.random(4) < probability
        chosen = np.stack(
            [
                [
                    queries.vectors[queries.class_indexes.index(reader.class_index[row])]
                    if averaged
                    else own[row]
                    for row in mixed
                ]
                for averaged, mixed in zip(use_average, rows, strict=True)
            ]
        )
        expected = combine_conditions(chosen, num_targets, "fake-2")
        np.testing.assert_array_equal(batches[n].condition.numpy(), expected)


def test_class_averages_are_kept_per_class_and_only_if_they_are_used(
    reader: ShardReader, ontology: Ontology
) -> None:
    """They were once kept per anchor, which doubled the memory of a training run."""
    kept = training(reader, ontology, class_average_probability=0.3).averages
    assert kept is not None and kept.shape == (527, 2)
    assert training(reader, ontology).averages is None
    assert validation(reader, ontology).averages.shape == (527, 2)


def test_a_class_without_an_average_is_asked_for_with_zeros(
    reader: ShardReader, ontology: Ontology
) -> None:
    """As where its anchors were mined but none of them carries the label."""
    queries = queries_of(reader)
    known = ClassQueries("fake-2", queries.class_indexes[1:], queries.vectors[1:])
    sampler = BalancedSampler(reader.class_index, classes_of(reader, ontology), 4)
    batches = TrainingBatches(
        reader,
        reader.conditions("fake-2"),
        known,
        sampler,
        class_average_probability=1.0,
        mixture_rms=None,
    )
    rows = sampler.rows(sampler.generator(0))[:, 0]
    for row, condition in zip(rows, batches[0].condition.numpy(), strict=True):
        index = reader.class_index[row]
        if index == queries.class_indexes[0]:
            assert condition.tolist() == [0.0, 0.0]
        else:
            expected = queries.vectors[queries.class_indexes.index(index)]
            np.testing.assert_array_equal(condition, expected)


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


def test_batches_of_two_sources_are_the_ones_models_were_trained_with(
    tmp_path: Path, ontology: Ontology, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    """Figures of the first release, which knew no other number of sources."""
    rng = np.random.default_rng(7)
    anchors = []
    for number, name in enumerate((*CLASSES, "Piano")):
        for take in range(3):
            noise = 0.05 * 2**number * rng.uniform(-1, 1, 100 - 20 * take)
            condition = np.array([number, take], np.float32)
            anchors.append(
                make_anchor(
                    ontology.find(name).class_index,
                    waveform=noise.astype(np.float32),
                    conditions={"fake-2": condition},
                )
            )
    write_shard(shard_path(tmp_path, 0, 15), anchors, [], shard_settings)
    reader = ShardReader(tmp_path)
    sampler = BalancedSampler(
        reader.class_index, classes_of(reader, ontology), 4, seed=3, rank=1, world_size=2
    )
    batches = TrainingBatches(
        reader,
        reader.conditions("fake-2"),
        queries_of(reader),
        sampler,
        class_average_probability=0.5,
        mixture_rms=0.1,
    )
    batch, weights = batches[11], torch.linspace(-1.0, 1.0, 100)
    assert sampler.rows(sampler.generator(11))[:, 0].tolist() == [8, 0, 12, 5]
    mixtures = torch.tensor([-0.0695388, -0.4276281, -0.3287235, 0.0832144])
    targets = torch.tensor([0.2409538, -0.2747227, -0.1752494, -0.1405372])
    torch.testing.assert_close(batch.mixture[:, 0] @ weights, mixtures, rtol=0.0, atol=1e-5)
    torch.testing.assert_close(batch.target[:, 0] @ weights, targets, rtol=0.0, atol=1e-5)
    assert batch.condition.tolist() == [[2.0, 1.0], [0.0, 1.0], [4.0, 0.0], [1.0, 2.0]]


@pytest.mark.parametrize("num_sources", [3, 4])
def test_targets_are_the_first_sources_and_each_number_of_them_comes_as_often(
    reader: ShardReader, ontology: Ontology, num_sources: int
) -> None:
    batches = training(reader, ontology, num_sources=num_sources, augmentation="none")
    conditions = reader.conditions("fake-2")
    counts = []
    for n in range(100):
        batch = batches[n]
        rows = batches.sampler.rows(batches.sampler.generator(n))
        for i, mixed in enumerate(rows):
            sums = np.cumsum([reader.waveform(row) for row in mixed], axis=0)
            np.testing.assert_allclose(batch.mixture[i, 0], sums[-1], atol=1e-6)
            matches = np.abs(sums - batch.target[i, 0].numpy()).max(axis=1) < 1e-6
            (count,) = np.flatnonzero(matches) + 1
            mean = conditions[mixed[:count]].mean(axis=0)
            np.testing.assert_allclose(batch.condition[i], mean, atol=1e-6)
            counts.append(int(count))
    # Five standard deviations of a binomial with 400 draws.
    for possible in range(1, num_sources):
        assert counts.count(possible) / 400 == pytest.approx(1 / (num_sources - 1), abs=0.125)
    assert set(counts) == set(range(1, num_sources))


def test_class_averages_of_several_targets_are_combined_as_well(
    reader: ShardReader, ontology: Ontology
) -> None:
    batches = training(reader, ontology, num_sources=3, class_average_probability=1.0)
    for n in range(10):
        rows = batches.sampler.rows(batches.sampler.generator(n))
        own, following = (rows[:, source] // 2 for source in (0, 1))  # the classes' numbers
        for i, (number, take) in enumerate(batches[n].condition.tolist()):
            assert take == 0.5
            assert number in (own[i], (own[i] + following[i]) / 2)


def test_batches_of_many_sources_and_random_gains_are_reproducible(
    reader: ShardReader, ontology: Ontology
) -> None:
    once, again = (
        training(reader, ontology, num_sources=3, augmentation="random-gain") for _ in range(2)
    )
    once[0]
    for left, right in zip(once[3], again[3], strict=True):
        assert torch.equal(left, right)


def test_random_gains_reach_the_target(reader: ShardReader, ontology: Ontology) -> None:
    batches = training(reader, ontology, augmentation="random-gain")
    gains_db = []
    for n in range(50):
        rows = batches.sampler.rows(batches.sampler.generator(n))[:, 0]
        for target, row in zip(batches[n].target[:, 0], rows, strict=True):
            level = np.abs(reader.waveform(row)).max()
            gains_db.append(20.0 * np.log10(float(target.abs().max()) / level))
    assert -20.001 <= min(gains_db) < -18.0
    assert 18.0 < max(gains_db) <= 20.001


A, B, C = [0.9, 0.1, 0.0], [0.2, 0.7, 0.0], [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("space", "num_targets", "expected"),
    [
        ("audioset-527", 1, [0.9, 0.1, 0.0]),
        ("audioset-527", 2, [0.9, 0.7, 0.0]),
        ("audioset-527", 3, [0.9, 0.7, 1.0]),
        ("audioset-527-one-hot", 2, [0.9, 0.7, 0.0]),
        ("fake-3", 1, [0.9, 0.1, 0.0]),
        ("fake-3", 2, [0.55, 0.4, 0.0]),
        ("fake-3", 3, [1.1 / 3, 0.8 / 3, 1.0 / 3]),
    ],
)
def test_conditions_of_several_sources(space: str, num_targets: int, expected: list[float]) -> None:
    conditions = np.array([[A, B, C], [C, B, A]], np.float32)
    combined = combine_conditions(conditions, np.array([num_targets, 1]), space)
    np.testing.assert_allclose(combined, [expected, C], rtol=1e-6)
    assert combined.dtype == np.float32


def test_negative_embeddings_are_averaged_and_negative_probabilities_not_made_up() -> None:
    conditions = np.array([[[-1.0], [-3.0], [5.0]]], np.float32)
    assert combine_conditions(conditions, np.array([2]), "fake-1").tolist() == [[-2.0]]
    assert combine_conditions(conditions, np.array([2]), "audioset-527").tolist() == [[-1.0]]


@pytest.fixture
def in_clip_folder(
    tmp_path: Path, ontology: Ontology, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> Path:
    """Two clips for each of four classes, three anchors each; the level names the clip."""
    anchors = [
        make_anchor(
            ontology.find(name).class_index,
            clip_id=f"{name}-{take}",
            waveform=np.full(100, 0.1 * (1 + number) + 0.01 * take, np.float32),
            labels=(ontology.find(name).class_index, ontology.find(OTHERS[number]).class_index),
        )
        for number, name in enumerate(CLASSES)
        for take in range(2)
        for _ in range(3)
    ]
    write_shard(shard_path(tmp_path, 0, 8), anchors, [], shard_settings)
    return tmp_path


def test_same_clip_mixtures_hold_anchors_of_one_clip(
    in_clip_folder: Path, ontology: Ontology
) -> None:
    reader = ShardReader(in_clip_folder)
    sampler = SameClipSampler(reader.class_index, reader.clip_id, 4)
    batches = TrainingBatches(
        reader,
        reader.conditions("fake-2"),
        queries_of(reader),
        sampler,
        class_average_probability=0.0,
        mixture_rms=None,
    )
    for n in range(10):
        batch = batches[n]
        torch.testing.assert_close(batch.mixture, 2.0 * batch.target)
        assert len(set(batch.condition[:, 0].tolist())) == 4


def module_of(folder: Path, **options: object) -> ShardDataModule:
    module = ShardDataModule(str(folder), batch_size=4, **options)  # type: ignore[arg-type]
    module.setup("fit")
    return module


def test_the_data_module_passes_its_options_on(in_clip_folder: Path) -> None:
    options = {"num_sources": 3, "augmentation": "none", "validation_shards": str(in_clip_folder)}
    module = module_of(in_clip_folder, condition_space="fake-2", **options)
    assert isinstance(module.training.sampler, BalancedSampler)
    assert module.training.augmentation == "none"
    assert module.training[0].mixture.shape == (4, 1, 100)
    assert module.training.sampler.num_sources == 3
    assert module.validation is not None
    assert module.validation[0].mixture.shape == (1, 100)
    same_clip = module_of(
        in_clip_folder, condition_space="fake-2", num_sources=3, partners="same-clip"
    )
    assert isinstance(same_clip.training.sampler, SameClipSampler)
    batch = same_clip.training[0]
    torch.testing.assert_close(
        batch.mixture.square().mean(dim=2), torch.full((4, 1), 0.01), rtol=1e-3, atol=0.0
    )


def test_two_sources_at_equal_energy_are_the_default(in_clip_folder: Path) -> None:
    module = module_of(in_clip_folder, condition_space="fake-2")
    assert isinstance(module.training.sampler, BalancedSampler)
    assert (module.training.sampler.num_sources, module.training.augmentation) == (
        2,
        "match-energy",
    )


@pytest.mark.usefixtures("reader")
def test_shards_without_enough_anchors_per_clip_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in-clip-random --anchors-per-clip 3"):
        module_of(tmp_path, condition_space="fake-2", num_sources=3, partners="same-clip")


def test_one_hot_conditions_are_the_clips_labels(in_clip_folder: Path) -> None:
    options = {"mixture_rms": None, "augmentation": "none"}
    module = module_of(in_clip_folder, condition_space="audioset-527-one-hot", **options)
    rows = module.training.sampler.rows(module.training.sampler.generator(0))
    expected = module.reader.labels[rows[:, 0]].astype(np.float32)
    np.testing.assert_array_equal(module.training[0].condition.numpy(), expected)
    assert expected.sum(axis=1).tolist() == [2.0] * 4
    module = module_of(
        in_clip_folder, condition_space="audioset-527-one-hot", num_sources=4, **options
    )
    sums = [int(total) for n in range(20) for total in module.training[n].condition.sum(dim=1)]
    # Two labels for every target.
    assert set(sums) == {2, 4, 6}


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
