"""Mining that is killed at random, again and again, ends as mining that is left alone."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
import torch

from uss.checkpoints.loading import save_tagger
from uss.shards import list_shards
from uss.taggers import EfficientAT

ROOT = Path(__file__).parents[3]
SAMPLE_RATE = 32_000
NUM_CLIPS = 24

# Forks before anything has started a thread, so that only the first process waits for imports.
KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from uss.mining.job import MiningJob, mine_manifest
from uss.mining.networks import NetworkNames
from uss.shards import list_shards

folder, num_kills = Path(sys.argv[1]), int(sys.argv[2])

def start(output):
    pid = os.fork()
    if pid == 0:
        tagger = NetworkNames(str(folder / "tiny.safetensors"))
        job = MiningJob(
            folder / "manifest.csv", folder, folder / output, networks=tagger, device="cpu",
            workers=2, shard_size=3,
        )
        mine_manifest(job)
        os._exit(0)
    return pid

began = time.monotonic()
assert os.waitpid(start("whole"), 0)[1] == 0
seconds = time.monotonic() - began
rng = random.Random(0)
kills = 0
while kills < num_kills:
    pid = start("killed")
    time.sleep(rng.uniform(0.0, seconds))
    os.kill(pid, signal.SIGKILL)
    if os.waitpid(pid, 0)[1] == signal.SIGKILL:
        kills += 1
    # What was finished in the meantime would leave nothing to kill.
    shards = list_shards(folder / "killed")
    if len(shards) > 6:
        rng.choice(shards).unlink()
print(kills, len(list_shards(folder / "killed")))
assert os.waitpid(start("killed"), 0)[1] == 0
"""


def contents(folder: Path) -> dict[str, dict[str, object]]:
    """Every column of every shard."""
    shards: dict[str, dict[str, object]] = {}
    for path in list_shards(folder):
        columns: dict[str, object] = {}

        def keep(name: str, item: object, columns: dict[str, object] = columns) -> None:
            if isinstance(item, h5py.Dataset):
                is_text = item.dtype == object
                columns[name] = item.asstr()[:].tolist() if is_text else item[:].tobytes()

        with h5py.File(path) as file:
            file.visititems(keep)
        shards[path.name] = columns
    return shards


@pytest.mark.slow
@pytest.mark.parametrize("num_kills", [6, pytest.param(20, marks=pytest.mark.long)])
def test_random_kills_change_nothing(tmp_path: Path, num_kills: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tagger = EfficientAT(0.05, "tiny").eval()
    save_tagger(tmp_path / "tiny.safetensors", tagger, licence="CC0-1.0", provenance={})
    rows = ["clip_id,path,mids"]
    for number in range(NUM_CLIPS):
        noise = 0.1 * np.random.default_rng(number).standard_normal(3 * SAMPLE_RATE)
        soundfile.write(tmp_path / f"{number}.wav", noise, SAMPLE_RATE)
        rows.append(f"{number},{number}.wav,/m/0bt9lr;/m/09x0r")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path), str(num_kills)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == str(num_kills)
    whole = contents(tmp_path / "whole")
    assert len(whole) == NUM_CLIPS // 3
    assert contents(tmp_path / "killed") == whole
    assert not list((tmp_path / "killed").glob("*.part"))
    for name in ("skipped.csv", "queries-tiny-48.safetensors"):
        first, second = (tmp_path / folder / name for folder in ("whole", "killed"))
        assert first.read_bytes() == second.read_bytes()
