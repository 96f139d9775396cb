import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts.bench_shards import main
from uss.data.datamodule import ShardDataModule
from uss.shards import ShardFiles, ShardReader, update_index

ROOT = Path(__file__).parents[2]
# What getrusage says would count the process that starts this one, too.
PEAK = """
import re, sys, time
from pathlib import Path
from uss.data.datamodule import ShardDataModule
data = ShardDataModule(sys.argv[1], "fake-64", batch_size=16, disjoint="specific")
data.setup("fit")
batch = data.training[0]
assert batch.condition.shape == (16, 64), batch.condition.shape
(peak_kib,) = re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(len(data.reader), peak_kib, time.process_time())
"""


def make(folder: Path, num_anchors: int) -> Path:
    assert main(["make", str(folder), str(num_anchors), "fake-64"]) == 0
    return folder


def test_a_synthetic_set_is_one_that_training_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(tmp_path / "set", 2500)
    assert "an index of 3072 anchors in 3 shards" in capsys.readouterr().out
    data = ShardDataModule(str(folder), "fake-64", batch_size=4)
    data.setup("fit")
    assert data.training[0].mixture.shape == (4, 1, 64_000)
    with ShardReader(folder) as reader:
        first, second = reader.waveforms(np.array([7, 1031]))
        np.testing.assert_array_equal(first, second)
        assert reader.clip_id[[7, 1031]].tolist() == ["clip-7", "clip-1031"]
    # Its index is what the shards would give, but for the names of the clips.
    made = update_index(ShardFiles(folder))
    (folder / "index.h5").unlink()
    read = update_index(ShardFiles(folder))
    for name in ("class_index", "purity", "score"):
        assert made.columns[name].tolist() == read.columns[name].tolist()
    assert made.tags.classes.tolist() == read.tags.classes.tolist()
    assert main(["size", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "3072 anchors in 3 shards" in printed and "128000.0  waveform" in printed


def test_ways_to_store_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reading", "--anchors", "4"]) == 0
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "plain",
        "fletcher32",
        "lzf",
        "lzf, shuffled",
        "gzip 1, shuffled",
    ]


@pytest.mark.slow
def test_two_million_anchors_open_quickly_and_in_little_memory(tmp_path: Path) -> None:
    """In seconds of CPU, which do not depend on what else the machine does."""
    if sys.platform != "linux":
        pytest.skip("memory is measured as Linux counts it")
    folder = make(tmp_path / "set", 2_000_000)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    count, peak_kib, cpu_seconds = (float(word) for word in done.stdout.split())
    assert count >= 2_000_000
    assert peak_kib < 2.5e6
    assert cpu_seconds < 60.0
