"""Mining on a cluster of two processes, one of which dies at its work."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np
import pytest
import soundfile
import torch

from uss.checkpoints.loading import save_tagger
from uss.core.cluster import ClusterSettings
from uss.mining import cluster_mining
from uss.mining.cluster_mining import ClusterMiner, ClusterTask, MinedShard
from uss.mining.job import MiningJob, mine_manifest
from uss.mining.networks import NetworkNames
from uss.shards import list_shards
from uss.taggers import NUM_CLASSES, EfficientAT

SAMPLE_RATE = 32_000
NUM_CLIPS = 10


@pytest.fixture
def job(tmp_path: Path) -> MiningJob:
    """Ten clips, three in a shard; one of them is broken, one of a class of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tagger = EfficientAT(0.05, "tiny").eval()
    save_tagger(tmp_path / "tiny.safetensors", tagger, licence="CC0-1.0", provenance={})
    audio = tmp_path / "audio"
    audio.mkdir()
    rows = ["clip_id,path,mids"]
    for number in range(NUM_CLIPS):
        noise = 0.1 * np.random.default_rng(number).standard_normal(3 * SAMPLE_RATE)
        soundfile.write(audio / f"{number}.wav", noise, SAMPLE_RATE)
        rows.append(f"{number},{number}.wav,/m/0bt9lr;/m/09x0r")
    (audio / "7.wav").write_text("no audio")
    rows[5] += ";/own/machine"
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    (tmp_path / "manifest.classes.csv").write_text("id,name\n/own/machine,Machine X\n")
    return MiningJob(
        tmp_path / "manifest.csv",
        audio,
        tmp_path / "alone",
        networks=NetworkNames(str(tmp_path / "tiny.safetensors")),
        device="cpu",
        workers=1,
        shard_size=3,
    )


class DyingMiner(ClusterMiner):
    """Is killed once, in the middle of a shard; the file that is there since then says so."""

    died: ClassVar[str]

    def __call__(self, task: ClusterTask, report: Callable[[int], None]) -> MinedShard:
        write = self._miner._append

        def die(*mined: object) -> None:
            write(*mined)  # type: ignore[arg-type]
            if not os.path.exists(self.died):
                Path(self.died).write_text(f"{task.shard.path.name} {os.getpid()}")
                os.kill(os.getpid(), signal.SIGKILL)

        self._miner._append = die  # type: ignore[method-assign]
        return super().__call__(task, report)


def contents(folder: Path) -> dict[str, dict[str, bytes]]:
    """Every column of every shard, byte for byte."""
    shards: dict[str, dict[str, bytes]] = {}
    for path in list_shards(folder):
        columns: dict[str, bytes] = {}

        def keep(name: str, item: object, columns: dict[str, bytes] = columns) -> None:
            if isinstance(item, h5py.Dataset):
                rows = item.asstr()[:] if item.dtype == object else item[:]
                columns[name] = repr(rows.tolist()).encode()

        with h5py.File(path) as file:
            file.visititems(keep)
            columns["settings"] = file.attrs["settings"].encode()
        shards[path.name] = columns
    return shards


@pytest.mark.slow
def test_a_process_that_dies_loses_and_repeats_nothing(
    job: MiningJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    alone = mine_manifest(job)
    monkeypatch.setattr(DyingMiner, "died", str(tmp_path / "died"), raising=False)
    monkeypatch.setattr(cluster_mining, "ClusterMiner", DyingMiner)
    # The processes cannot import the tests.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    progress: list[int] = []
    on_cluster = replace(
        job, output=tmp_path / "cluster", cluster=ClusterSettings("local", workers=2)
    )
    summary = mine_manifest(on_cluster, lambda done, total: progress.append(done))
    shard, pid = (tmp_path / "died").read_text().split()
    assert shard in {path.name for path in list_shards(on_cluster.output)}
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    assert contents(on_cluster.output) == contents(job.output)
    assert not list(on_cluster.output.glob("*.part"))
    assert progress[0] == 0 and progress[-1] == NUM_CLIPS
    assert (summary.num_anchors, summary.skipped) == (alone.num_anchors, alone.skipped)
    assert summary.anchors_of_class == alone.anchors_of_class
    assert summary.anchors_of_class[NUM_CLASSES] == 1
    assert summary.own_classes == alone.own_classes
    for name in ("skipped.csv", "queries-tiny-48.safetensors"):
        assert (on_cluster.output / name).read_bytes() == (job.output / name).read_bytes()
