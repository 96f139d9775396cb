from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ontology import load_ontology
from uss.checkpoints.loading import save_tagger
from uss.conditions.query_nets import Adaptor, QueryNet, Shortcut, TaggerQueryNet
from uss.data.class_averages import class_queries
from uss.data.datamodule import ShardDataModule
from uss.data.dataset import Batch
from uss.data.validation_mixtures import ValidationBatch
from uss.models import ResUNet
from uss.shards import Anchor, ShardReader, ShardSettings, shard_path, write_shard
from uss.taggers import NUM_CLASSES, Cnn6, TaggerNetwork
from uss.training.module import SeparationTask
from uss.training.query_conditions import (
    learned_queries,
    with_learned_condition,
    with_learned_conditions,
)
from uss.training.validation import improvements

RATE = 32_000
SEGMENT_SAMPLES = RATE // 4
SPACE, SIZE = "cnn6-512", 512
NAMES = ("Speech", "Dog", "Rain", "Siren")
CLASSES = [load_ontology().find(name).class_index for name in NAMES]

Row = tuple[int, Sequence[float]]


def write_rows(
    folder: Path, rows: Sequence[Row], seed: int = 0, also: Mapping[int, int] | None = None
) -> Path:
    """One anchor of noise per row, a class and its condition; a row's level tells its number.

    ``also`` gives the anchors of a class the label of another one.
    """
    rng = np.random.default_rng(seed)
    anchors = []
    for number, (class_index, condition) in enumerate(rows):
        noise = rng.uniform(-0.5, 0.5, SEGMENT_SAMPLES) / (number + 1)
        anchors.append(
            Anchor(
                clip_id=f"clip-{number}",
                class_index=class_index,
                start_seconds=0.0,
                score=0.5,
                waveform=noise.astype(np.float32),
                labels=tuple({class_index, (also or {}).get(class_index, class_index)}),
                tag_probabilities=np.zeros(NUM_CLASSES, np.float32),
                conditions={SPACE: np.asarray(condition, np.float32)},
            )
        )
    size = len(rows[0][1])
    settings = ShardSettings(
        RATE, SEGMENT_SAMPLES, NUM_CLASSES, "cnn6", "0" * 16, {SPACE: size}, {"strategy": "sed"}
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_shard(shard_path(folder, 0, len(anchors)), anchors, [], settings)
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Training and validation anchors, two of each of four classes."""
    folder = tmp_path_factory.mktemp("shards")
    conditions = np.random.default_rng(1).uniform(0.0, 1.0, (2, 2 * len(CLASSES), SIZE))
    return {
        split: write_rows(
            folder / split, list(zip(CLASSES * 2, conditions[number], strict=True)), seed=number
        )
        for number, split in enumerate(("training", "validation"))
    }


@pytest.fixture
def data(shards: Mapping[str, Path]) -> Callable[..., ShardDataModule]:
    def make(**changes: Any) -> ShardDataModule:
        options = {"condition_space": SPACE, "batch_size": 3, "steps_per_epoch": 1} | changes
        return ShardDataModule(str(shards["training"]), **options)

    return make


@pytest.fixture
def validated(shards: Mapping[str, Path], data: Callable[..., ShardDataModule]) -> ShardDataModule:
    return data(validation_shards=str(shards["validation"]), num_validation_mixtures=5)


def resunet(space: str = "learned") -> ResUNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        seconds = SEGMENT_SAMPLES / RATE
        small = {"channels": (3, 4), "n_fft": 128, "hop_length": 64}
        return ResUNet(space, SIZE, segment_seconds=seconds, **small)


def make_task(net: QueryNet, model: nn.Module | None = None, **changes: Any) -> SeparationTask:
    # Weight decay would move also what has no gradient.
    options = {"weight_decay": 0.0, "warm_up_steps": 0, "decay": "none"} | changes
    return SeparationTask(model or resunet(), query_net=net, **options)


class Snapshot(pl.Callback):
    """Keeps what there was when the first step began."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.state = {k: v.detach().clone() for k, v in pl_module.state_dict().items()}
        (optimiser,) = trainer.optimizers
        given = {id(p) for group in optimiser.param_groups for p in group["params"]}
        self.given = {name for name, p in pl_module.named_parameters() if id(p) in given}


def fit(
    task: SeparationTask,
    data: ShardDataModule,
    max_steps: int = 1,
    ckpt_path: Path | None = None,
) -> tuple[pl.Trainer, Snapshot]:
    snapshot = Snapshot()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=max_steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[snapshot],
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trainer.fit(task, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    return trainer, snapshot


def adaptor() -> QueryNet:
    return Adaptor("learned", SPACE, SIZE)


def hearing(trained: bool = True, pretrained: str | None = None) -> QueryNet:
    return TaggerQueryNet("learned", "Cnn6", pretrained, trained, stored_space=SPACE)


def shortcut(pretrained: str | None = None) -> QueryNet:
    return Shortcut("learned", SPACE, "Cnn6", pretrained)


# Training


@pytest.mark.parametrize(
    ("make", "frozen"),
    [
        (adaptor, ()),
        (hearing, ("query_net.network.fc_audioset.",)),
        (shortcut, ("query_net.network.fc_audioset.",)),
        (lambda: hearing(trained=False), ("query_net.network.",)),
    ],
    ids=["adaptor", "tagger", "shortcut", "frozen tagger"],
)
def test_one_step_moves_all_that_is_trained_and_nothing_else(
    make: Callable[[], QueryNet],
    frozen: tuple[str, ...],
    data: Callable[..., ShardDataModule],
) -> None:
    task = make_task(make())
    _, before = fit(task, data())
    names = {name for name, _ in task.named_parameters()}
    trained = {name for name in names if not name.startswith(frozen or "-")}
    assert before.given == trained
    assert any(name.startswith("query_net.") for name in names)
    after = dict(task.named_parameters())
    assert {name for name in names if not torch.equal(after[name], before.state[name])} == trained


def test_a_frozen_taggers_statistics_stay_and_a_trained_ones_follow_the_sounds(
    data: Callable[..., ShardDataModule],
) -> None:
    for trained in (True, False):
        task = make_task(hearing(trained))
        _, before = fit(task, data())
        name = "query_net.network.bn0.running_mean"
        assert torch.equal(task.state_dict()[name], before.state[name]) is not trained


def test_conditions_of_a_batch_are_made_of_its_own_targets() -> None:
    class Both(QueryNet):
        """The stored condition and the target's first sample."""

        def forward(self, stored: Tensor, waveform: Tensor) -> Tensor:
            assert waveform.shape == (2, 3)
            return torch.cat([stored, waveform[:, :1]], dim=1)

    target = torch.tensor([[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]])
    interferer = target + 10.0
    mixture = target + interferer
    stored, other = torch.tensor([[7.0], [8.0]]), torch.tensor([[-7.0], [-8.0]])
    batch = with_learned_condition(Both(), Batch(mixture, target, stored))
    assert batch.condition.tolist() == [[7.0, 1.0], [8.0, 4.0]]
    assert batch.mixture is mixture and batch.target is target
    averages = torch.arange(2.0 * NUM_CLASSES).reshape(NUM_CLASSES, 2)
    unused = torch.zeros(2, 1)
    classes = torch.tensor([[500, 1, 2], [3, 4, 5]])
    validation = ValidationBatch(
        mixture, target, interferer, stored, unused, other, unused, unused, classes
    )
    made = with_learned_conditions(Both(), validation, averages)
    assert made.oracle.tolist() == [[7.0, 1.0], [8.0, 4.0]]
    assert made.average.tolist() == [[1000.0, 1001.0], [6.0, 7.0]]
    assert made.swapped.tolist() == [[-7.0, 11.0], [-8.0, 14.0]]
    assert made.other.tolist() == [[2.0, 3.0], [8.0, 9.0]]
    assert made.absent.tolist() == [[4.0, 5.0], [10.0, 11.0]]
    assert made.mixture is mixture and made.interferer is interferer


# Spaces


REFUSALS: dict[str, tuple[Callable[[], QueryNet], dict[str, Any], str]] = {
    "net and model": (
        lambda: Adaptor("other", SPACE, SIZE),
        {},
        "the model takes conditions of 'learned', the query net makes 'other'; set both",
    ),
    "data and net": (
        lambda: Adaptor("learned", "cnn14-2048", SIZE),
        {},
        "the query net takes conditions of 'cnn14-2048', the data gives 'cnn6-512'; set both",
    ),
    "data and a net that hears": (
        lambda: TaggerQueryNet("learned", "Cnn6"),
        {},
        "the query net takes conditions of 'audioset-527', the data gives 'cnn6-512'; set both",
    ),
    "class averages of a net that hears": (
        hearing,
        {"class_average_probability": 0.25},
        "set data.class_average_probability to 0",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_does_not_fit_is_refused_before_the_first_step(
    data: Callable[..., ShardDataModule], name: str
) -> None:
    make, changes, said = REFUSALS[name]
    task = make_task(make())
    with pytest.raises(ValueError) as refusal:
        fit(task, data(**changes))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert task.global_step == 0


def test_without_a_query_net_the_data_must_give_what_the_model_takes(
    data: Callable[..., ShardDataModule],
) -> None:
    with pytest.raises(ValueError, match=r"the model takes .*'learned', the data gives 'cnn6-512'"):
        fit(SeparationTask(resunet(), decay="none"), data())


def test_class_averages_are_refused_for_a_net_that_does_not_hear_as_well(
    data: Callable[..., ShardDataModule],
) -> None:
    """What it makes of an average is not the average of what it makes."""
    with pytest.raises(ValueError, match="class_average_probability"):
        fit(make_task(adaptor()), data(class_average_probability=1.0))


# Pretrained weights


@pytest.fixture
def cnn6_file(tmp_path: Path) -> Path:
    path = tmp_path / "cnn6.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(7)
        save_tagger(path, Cnn6(), licence="CC0-1.0", provenance={})
    return path


@pytest.mark.parametrize(
    ("make", "part"), [(lambda path: hearing(pretrained=path), "network"), (shortcut, "network")]
)
def test_a_fresh_run_starts_from_the_pretrained_weights_and_a_resumed_one_from_its_own(
    make: Callable[[str], QueryNet],
    part: str,
    cnn6_file: Path,
    tmp_path: Path,
    data: Callable[..., ShardDataModule],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started_from: list[TaggerNetwork] = []
    for cls in (TaggerQueryNet, Shortcut):

        def start_from(
            net: QueryNet, tagger: TaggerNetwork, original: Any = cls.start_from
        ) -> None:
            started_from.append(tagger)
            original(net, tagger)

        monkeypatch.setattr(cls, "start_from", start_from)
    task = make_task(make(str(cnn6_file)))
    trainer, at_start = fit(task, data())
    (tagger,) = started_from
    prefix = f"query_net.{part}."
    for name, value in tagger.state_dict().items():
        assert torch.equal(at_start.state[prefix + name], value), name
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    # Neither is the file needed again.
    cnn6_file.unlink()
    resumed = make_task(make(str(cnn6_file)))
    _, at_start = fit(resumed, data(), max_steps=2, ckpt_path=tmp_path / "run.ckpt")
    assert len(started_from) == 1
    assert resumed.global_step == 2
    for name, value in task.state_dict().items():
        assert torch.equal(at_start.state[name], value), name


def test_without_pretrained_weights_a_net_starts_as_it_was_made(
    data: Callable[..., ShardDataModule],
) -> None:
    task = make_task(hearing())
    made = {name: p.detach().clone() for name, p in task.named_parameters()}
    _, at_start = fit(task, data())
    assert all(torch.equal(at_start.state[name], value) for name, value in made.items())


def test_the_models_condition_scale_is_left_alone_with_a_query_net(
    data: Callable[..., ShardDataModule],
) -> None:
    """It would be that of the stored conditions, which the model never gets."""
    task = make_task(adaptor())
    fit(task, data())
    assert torch.equal(task.model.condition_mean, torch.zeros(SIZE))
    assert torch.equal(task.model.condition_scale, torch.ones(SIZE))


# Validation


class Listener(nn.Module):
    """Lets everything pass, and keeps the conditions with which it was asked in validation."""

    sample_rate = RATE
    segment_seconds = SEGMENT_SAMPLES / RATE
    condition_space = "learned"

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((SIZE,), 1.0 / SIZE))
        self.heard: list[Tensor] = []

    def forward(
        self, mixture: Tensor, condition: Tensor, rng: np.random.Generator | None = None
    ) -> Tensor:
        if not self.training:
            self.heard.append(condition)
        return mixture * (1.0 + condition @ self.gain)[:, None, None]


def test_validation_asks_with_the_learned_conditions(validated: ShardDataModule) -> None:
    net = adaptor()
    task = make_task(net, Listener())
    trainer, _ = fit(task, validated)
    (batch,) = _in_batches_of(validated, 5)
    # Four classes with two anchors each: the averages take all of them.
    queries = learned_queries(net, validated.reader, max_per_class=8)
    by_class = dict(zip(queries.class_indexes, queries.vectors, strict=True))
    averages = torch.from_numpy(np.stack([by_class[i] for i in batch.class_index[:, 0].tolist()]))
    with torch.inference_mode():
        nothing = torch.zeros(5, 1)
        conditions = (net(batch.oracle, nothing), averages, net(batch.swapped, nothing))
        learned = batch._replace(
            **dict(zip(("oracle", "average", "swapped"), conditions, strict=True))
        )
        figures = improvements(task.model, learned)
    heard = [torch.cat(task.model.heard[case:6:3]) for case in range(3)]
    for got, wanted in zip(heard, conditions, strict=True):
        torch.testing.assert_close(got, wanted)
    expected = {f"validation/{name}": values.mean().item() for name, values in figures.items()}
    assert len(expected) == 6
    logged = {name: trainer.callback_metrics[name].item() for name in expected}
    assert logged == pytest.approx(expected, abs=2e-3)
    assert len({round(value, 3) for value in logged.values()}) > 1


def _in_batches_of(data: ShardDataModule, size: int) -> list[ValidationBatch]:
    assert data.validation is not None
    items = [data.validation[index] for index in range(len(data.validation))]
    return [
        ValidationBatch(*map(torch.stack, zip(*items[start : start + size], strict=True)))
        for start in range(0, len(items), size)
    ]


def test_validation_hears_the_targets_with_a_net_that_hears(validated: ShardDataModule) -> None:
    net = hearing()
    task = make_task(net, Listener())
    fit(task, validated)
    (batch,) = _in_batches_of(validated, 5)
    with torch.inference_mode():
        oracle = net.eval()(batch.oracle, batch.target[:, 0])
        swapped = net(batch.swapped, batch.interferer[:, 0])
    torch.testing.assert_close(torch.cat(task.model.heard[0::3]), oracle)
    torch.testing.assert_close(torch.cat(task.model.heard[2::3]), swapped)


def test_validation_batches_say_the_targets_class(validated: ShardDataModule) -> None:
    validated.setup("fit")
    assert validated.validation is not None
    reader = validated.validation.reader
    (batch,) = _in_batches_of(validated, 5)
    rows = [
        next(row for row in range(len(reader)) if np.array_equal(reader.waveform(row), target))
        for target in batch.target[:, 0].numpy()
    ]
    assert batch.class_index[:, 0].tolist() == reader.class_index[rows].tolist()
    assert set(batch.class_index.flatten().tolist()) <= set(CLASSES)
    assert batch.class_index.dtype == torch.int64
    averages = dict(
        zip(validated.class_queries.class_indexes, validated.class_queries.vectors, strict=True)
    )
    expected = np.stack([averages[index] for index in batch.class_index[:, 0].tolist()])
    np.testing.assert_array_equal(batch.average.numpy(), expected)


# Class queries of a query net


class Double(QueryNet):
    """Twice what is stored; remembers its modes and what it heard."""

    space, stored_space = "double", SPACE

    def __init__(self, hears: bool = False) -> None:
        super().__init__()
        self.hears = hears
        self.modes: set[bool] = set()
        self.heard: list[Tensor] = []

    def forward(self, stored: Tensor, waveform: Tensor) -> Tensor:
        assert len(stored) == len(waveform) <= 16
        assert torch.is_inference_mode_enabled()
        self.modes.add(self.training)
        self.heard.append(waveform)
        return 2.0 * stored


@pytest.fixture
def reader(tmp_path: Path) -> ShardReader:
    """Class 3 has rows 0 to 6, class 9 rows 7 and 8; a row's condition is its number."""
    rows = [(3 if number < 7 else 9, (float(number), 1.0)) for number in range(9)]
    return ShardReader(write_rows(tmp_path, rows))


def test_learned_queries_are_the_mean_over_each_classs_anchors(reader: ShardReader) -> None:
    queries = learned_queries(Double(), reader, max_per_class=100)
    assert queries.space == "double"
    assert queries.class_indexes == (3, 9)
    assert queries.vectors.dtype == np.float32
    # 2 (0 + ... + 6) / 7 and 2 (7 + 8) / 2.
    np.testing.assert_allclose(queries.vectors, [[6.0, 2.0], [15.0, 2.0]], rtol=1e-6)


def test_a_class_that_nothing_was_mined_for_takes_the_anchors_with_its_label(
    tmp_path: Path,
) -> None:
    """As the queries of stored conditions do; mining specific labels leaves such classes."""
    rows = [(3 if number < 4 else 9, (float(number), 1.0)) for number in range(6)]
    reader = ShardReader(write_rows(tmp_path, rows, also={3: 1, 9: 3}))
    queries = learned_queries(Double(), reader, max_per_class=2)
    assert queries.class_indexes == class_queries(reader, SPACE).class_indexes == (1, 3, 9)
    # Class 1: rows 0 and 3 of class 3. Class 3: its own, though others carry its label too.
    np.testing.assert_allclose(queries.vectors[:, 0], [3.0, 3.0, 9.0], rtol=1e-6)


def test_validation_has_a_class_average_for_every_target(
    tmp_path: Path, data: Callable[..., ShardDataModule]
) -> None:
    """Animal was only a label beside Dog in training; in validation it is all there is."""
    animal, speech, dog = (load_ontology().find(n).class_index for n in ("Animal", "Speech", "Dog"))
    rng = np.random.default_rng(0)
    training, validation = (
        write_rows(
            tmp_path / name, [(index, rng.uniform(0, 1, SIZE)) for index in classes], also=also
        )
        for name, classes, also in (
            ("training", [dog, speech] * 2, {dog: animal}),
            ("validation", [animal, speech], {}),
        )
    )
    module = ShardDataModule(
        str(training),
        SPACE,
        str(validation),
        batch_size=2,
        steps_per_epoch=1,
        num_validation_mixtures=6,
    )
    task = make_task(adaptor(), Listener())
    fit(task, module)
    (batch,) = _in_batches_of(module, 6)
    assert animal in batch.class_index[:, 0].tolist()
    asked = torch.cat(task.model.heard[1::3])
    assert (asked.abs().amax(dim=1) > 0.0).all()


@pytest.mark.parametrize(
    ("count", "rows"), [(1, [0]), (2, [0, 6]), (3, [0, 3, 6]), (4, [0, 2, 4, 6]), (7, range(7))]
)
def test_learned_queries_take_rows_spread_evenly_over_the_shards(
    reader: ShardReader, count: int, rows: Sequence[int]
) -> None:
    net = Double(hears=True)
    queries = learned_queries(net, reader, max_per_class=count)
    second = [7] if count == 1 else [7, 8]
    expected = [2.0 * np.mean(rows), 2.0 * np.mean(second)]
    np.testing.assert_allclose(queries.vectors[:, 0], expected, rtol=1e-6)
    heard = torch.cat(net.heard).numpy()
    np.testing.assert_array_equal(heard, [reader.waveform(row) for row in (*rows, *second)])


def test_learned_queries_of_more_anchors_than_a_batch_holds(tmp_path: Path) -> None:
    rows = [(number % 2, (float(number), 0.0)) for number in range(41)]
    reader = ShardReader(write_rows(tmp_path, rows))
    net = Double()
    queries = learned_queries(net, reader, max_per_class=100)
    # 2 (0 + 2 + ... + 40) / 21 and 2 (1 + 3 + ... + 39) / 20.
    np.testing.assert_allclose(queries.vectors[:, 0], [40.0, 40.0], rtol=1e-6)
    assert [len(part) for part in net.heard] == [16, 16, 9]


@pytest.mark.parametrize("training", [True, False])
def test_learned_queries_are_taken_in_evaluation_mode_which_is_left_again(
    reader: ShardReader, training: bool
) -> None:
    net = Double().train(training)
    learned_queries(net, reader, max_per_class=2)
    assert net.modes == {False}
    assert net.training is training


def test_learned_queries_leave_a_frozen_network_frozen(tmp_path: Path) -> None:
    rows = [(number, np.zeros(SIZE)) for number in range(2)]
    reader = ShardReader(write_rows(tmp_path, rows))
    net = hearing(trained=False).train()
    learned_queries(net, reader, max_per_class=2)
    assert net.training
    assert not any(module.training for module in net.network.modules())


def test_a_net_that_does_not_hear_needs_no_waveform_to_be_read(
    reader: ShardReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(reader: ShardReader, rows: Any) -> Any:
        raise AssertionError("a waveform was read")

    monkeypatch.setattr(ShardReader, "waveforms", refuse)
    learned_queries(Double(), reader, max_per_class=3)
