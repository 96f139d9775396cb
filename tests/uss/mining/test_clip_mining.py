"""Chunks of clips through the networks: what threads and batches may change, and what not."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from ontology import Ontology
from uss.conditions.embedding import EmbeddingEncoder
from uss.core.runtime import Runtime
from uss.core.stage_clock import StageClock
from uss.data.manifest import Clip
from uss.mining.clip_mining import ClipMiner, MinedClip
from uss.mining.clip_reading import ClipReader
from uss.mining.miner import AnchorMiner, LabelledWaveform, MiningSettings, SkippedClipError
from uss.mining.network_batches import NetworkBatches
from uss.mining.networks import MiningNetworks
from uss.taggers import Cnn10, EfficientAT, TaggerOutput

SAMPLE_RATE = 32_000
SPEECH, DOG = "/m/09x0r", "/m/0bt9lr"


@pytest.fixture(scope="module")
def tagger() -> EfficientAT:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return EfficientAT(0.05, "tiny").eval()


def make_miner(ontology: Ontology, tagger: EfficientAT, **settings: object) -> AnchorMiner:
    chosen = MiningSettings(**settings)  # type: ignore[arg-type]
    return AnchorMiner(tagger, [EmbeddingEncoder(tagger)], ontology, chosen)


def noise(seconds: float, seed: int) -> NDArray[np.float32]:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))
    return samples.astype(np.float32)


LENGTHS = (4.0, 3.0, 0.1, 4.0, 1.0, 4.0, 3.0)


@pytest.mark.parametrize("strategy", ["sed", "in-clip-random"])
def test_clips_mined_together_give_what_each_gives_alone(
    ontology: Ontology, tagger: EfficientAT, strategy: str
) -> None:
    miner = make_miner(ontology, tagger, strategy=strategy, segment_seconds=1.0)
    clips = [
        LabelledWaveform(Clip(str(row), "", ()), noise(seconds, row), (0, 74))
        for row, seconds in enumerate(LENGTHS)
    ]
    together = miner.mine_together(clips)
    assert isinstance(together[2], SkippedClipError) and "shorter than" in str(together[2])
    for clip, found in zip(clips, together, strict=True):
        if isinstance(found, SkippedClipError):
            continue
        alone = miner.mine(*clip)
        assert [anchor.clip_id for anchor in found] == [clip.clip.clip_id] * len(alone)
        for one, other in zip(found, alone, strict=True):
            assert one.class_index == other.class_index
            assert one.start_seconds == other.start_seconds
            np.testing.assert_array_equal(one.waveform, other.waveform)
            assert one.score == pytest.approx(other.score, abs=1e-5)
            np.testing.assert_allclose(one.tag_probabilities, other.tag_probabilities, atol=1e-5)
            np.testing.assert_allclose(
                one.conditions["tiny-48"], other.conditions["tiny-48"], atol=1e-5
            )


class Counting:
    """Notes the shapes of its batches; all probabilities are a half."""

    name = "counting"
    sample_rate = 10
    frames_per_second = 1.0
    embedding_size = 2

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, waveform: Tensor) -> TaggerOutput:
        self.shapes.append(tuple(waveform.shape))
        first = waveform[:, :1]
        return TaggerOutput(first.expand(-1, 527), first[:, None].expand(-1, 3, 527), first)


def test_batches_hold_equal_lengths_and_forty_seconds() -> None:
    tagger = Counting()
    networks = NetworkBatches(tagger, tagger, [], {})
    lengths = [100, 50, 100, 100, 500, 100, 100, 50]
    waveforms = [np.full(length, row, np.float32) for row, length in enumerate(lengths)]
    found = networks.framewise(waveforms)
    # Ten seconds four at a time, five seconds together, and fifty, which are too many, alone.
    assert tagger.shapes == [(4, 100), (1, 100), (2, 50), (1, 500)]
    assert [float(each[0, 0]) for each in found] == list(range(len(lengths)))
    probabilities, conditions = networks.encode(np.zeros((45, 20), np.float32))
    assert tagger.shapes[4:] == [(20, 20), (20, 20), (5, 20)]
    assert probabilities.shape == (45, 527) and conditions == {}


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Twenty clips; one is broken, one is not there, one has no label."""
    for row in range(20):
        soundfile.write(tmp_path / f"{row}.wav", noise(1.5, row), SAMPLE_RATE)
    (tmp_path / "5.wav").write_text("no audio")
    (tmp_path / "6.wav").unlink()
    mids = {7: ()}
    return [Clip(str(row), f"{row}.wav", mids.get(row, (SPEECH, DOG))) for row in range(20)]


def mined(miner: AnchorMiner, folder: Path, clips: Sequence[Clip], workers: int) -> list[MinedClip]:
    reader = ClipReader(folder, SAMPLE_RATE, StageClock())
    with ClipMiner(miner, reader, workers) as clip_miner:
        return list(clip_miner(clip_miner.chunks(clips)))


def test_the_number_of_threads_changes_no_bit(
    ontology: Ontology, tagger: EfficientAT, tmp_path: Path, clips: list[Clip]
) -> None:
    miner = make_miner(ontology, tagger)
    one, three = (mined(miner, tmp_path, clips, workers) for workers in (1, 3))
    assert len(one) == len(three) == 20
    for row, (first, second) in enumerate(zip(one, three, strict=True)):
        assert first.skipped == second.skipped
        for left, right in zip(first.anchors, second.anchors, strict=True):
            assert left.clip_id == right.clip_id == str(row)
            assert left.score == right.score
            np.testing.assert_array_equal(left.tag_probabilities, right.tag_probabilities)
            np.testing.assert_array_equal(left.conditions["tiny-48"], right.conditions["tiny-48"])
    reasons = {row: each.skipped for row, each in enumerate(one) if each.skipped is not None}
    assert {row: reason.missing for row, reason in reasons.items()} == {5: False, 6: True, 7: False}
    assert "no label" in reasons[7].reason
    assert sum(each.seconds for each in one) == pytest.approx(17 * 1.5)


def test_a_fault_in_a_thread_is_raised_and_the_threads_end(
    ontology: Ontology,
    tagger: EfficientAT,
    tmp_path: Path,
    clips: list[Clip],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> object:
        raise RuntimeError("a fault")

    monkeypatch.setattr(AnchorMiner, "mine_together", fail)
    before, num_threads = threading.active_count(), torch.get_num_threads()
    with pytest.raises(RuntimeError, match="a fault"):
        mined(make_miner(ontology, tagger), tmp_path, clips, 2)
    assert threading.active_count() == before
    assert torch.get_num_threads() == num_threads


def test_the_stages_are_timed(
    ontology: Ontology, tagger: EfficientAT, tmp_path: Path, clips: list[Clip]
) -> None:
    reader = ClipReader(tmp_path, SAMPLE_RATE, StageClock())
    with ClipMiner(make_miner(ontology, tagger), reader, 2) as clip_miner:
        list(clip_miner(clip_miner.chunks(clips)))
    seconds = reader.clock.seconds
    assert set(seconds) == {"decode", "resample", "tag", "encode"}
    assert all(each > 0.0 for each in seconds.values())


def test_efficientat_never_runs_in_bfloat16(tagger: EfficientAT) -> None:
    networks = MiningNetworks(tagger, tagger, [EmbeddingEncoder(tagger)])
    cpu = torch.device("cpu")
    assert networks.choose_runtime(cpu, "auto").precision == "fp32"
    with pytest.raises(ValueError, match="precision bf16 would blur what tiny hears"):
        networks.choose_runtime(cpu, "bf16")
    mixed = MiningNetworks(tagger, tagger, [EmbeddingEncoder(Cnn10().eval())])
    runtime = mixed.choose_runtime(cpu, "bf16")
    assert runtime.precision == "bf16"
    batches = NetworkBatches(tagger, tagger, mixed.encoders, {}, runtime)
    full = NetworkBatches(tagger, tagger, mixed.encoders, {}, Runtime(cpu, torch.float32))
    segments = np.stack([noise(1.0, row) for row in range(2)])
    (tags, lowered), (full_tags, conditions) = batches.encode(segments), full.encode(segments)
    np.testing.assert_array_equal(tags, full_tags)
    difference = np.abs(lowered["cnn10-512"] - conditions["cnn10-512"]).max()
    assert 0.0 < difference < 0.1 * np.abs(conditions["cnn10-512"]).max()
