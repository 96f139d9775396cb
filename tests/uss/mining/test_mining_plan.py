"""Manifests cut into shards; also large ones, which must neither take long nor much."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from uss.data.manifest import read_manifest
from uss.mining.mining_plan import MiningPlan

ROOT = Path(__file__).parents[3]


def write_manifest(folder: Path, num_rows: int) -> Path:
    path = folder / "manifest.csv"
    rows = (f"clip{row},{row}.wav,/m/09x0r,Clip {row}\n" for row in range(num_rows))
    path.write_text("clip_id,path,mids,caption\n" + "".join(rows))
    (folder / "0.wav").touch()
    return path


def test_rows_are_cut_into_shards_in_order(tmp_path: Path) -> None:
    plan = MiningPlan(write_manifest(tmp_path, 7), tmp_path, tmp_path / "shards", None, 3)
    assert plan.num_clips == 7
    names = [path.name for path in plan.paths]
    assert names == [
        "anchors-000000000-000000003.h5",
        "anchors-000000003-000000006.h5",
        "anchors-000000006-000000007.h5",
    ]
    tasks = list(plan)
    assert [task.path for task in tasks] == plan.paths
    assert [[clip.clip_id for clip in task.clips] for task in tasks] == [
        ["clip0", "clip1", "clip2"],
        ["clip3", "clip4", "clip5"],
        ["clip6"],
    ]
    assert all(task.clips_to_mine() == task.clips for task in tasks)
    assert not any(task.is_done(tmp_path) for task in tasks)


@pytest.mark.parametrize("num_rows", [1, 4])
def test_the_hash_is_that_of_earlier_releases(tmp_path: Path, num_rows: int) -> None:
    manifest = write_manifest(tmp_path, num_rows)
    plan = MiningPlan(manifest, tmp_path, tmp_path / "shards", None, 3)
    written = repr(read_manifest(manifest)).encode()
    assert plan.manifest_hash == hashlib.sha256(written).hexdigest()[:16]


def test_the_files_of_audiosets_clips_are_found_shard_by_shard(tmp_path: Path) -> None:
    manifest = tmp_path / "segments.csv"
    manifest.write_text(
        "# Segments csv\n# num_ytids=3\n# YTID, start_seconds, end_seconds, positive_labels\n"
        'aaa, 0.000, 10.000, "/m/09x0r"\nbbb, 30.000, 40.000, "/m/09x0r"\n'
        'ccc, 30.000, 40.000, "/m/09x0r"\n'
    )
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "Yaaa.flac").touch()
    (tmp_path / "ccc_30.wav").touch()
    plan = MiningPlan(manifest, tmp_path, tmp_path / "shards", None, 2)
    found = [[clip.path for clip in task.clips] for task in plan]
    assert found == [[os.path.join("x", "Yaaa.flac"), ""], ["ccc_30.wav"]]


PLANNING = """
import os, re, sys, time
from pathlib import Path

folder, num_clips = Path(sys.argv[1]), int(sys.argv[2])
if sys.argv[3] == "audioset":
    # As many files as the manifest has clips, in folders of 10,000, without making them.
    names = [f"Y{number:011d}.m4a" for number in range(num_clips)]
    places = [(str(folder / str(start)), [], names[start : start + 10_000])
              for start in range(0, num_clips, 10_000)]
    os.walk = lambda root: iter(places)
    os.path.exists = lambda path: True
    # The list itself is none of the plan's.
    held = sum(map(sys.getsizeof, names)) // 1024
else:
    held = 0
from uss.mining.mining_plan import MiningPlan

start = time.process_time()
plan = MiningPlan(folder / "manifest.csv", folder, folder / "shards", None, 4096)
num_located = sum(bool(clip.path) for task in plan for clip in task.clips)
seconds = time.process_time() - start
# What getrusage says would count the process that starts this one, too.
(peak_kib,) = re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
peak = int(peak_kib) - held
print(plan.num_clips, len(plan.paths), num_located, seconds, peak / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux counts it")
@pytest.mark.parametrize("num_clips", [200_000, pytest.param(2_000_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", ["audioset", "paths"])
def test_many_rows_are_planned_in_little_time_and_memory(
    tmp_path: Path, kind: str, num_clips: int
) -> None:
    """Two million, as AudioSet has, in a minute and two gigabytes."""
    mids = ("/m/09x0r", "/m/0bt9lr", "/m/04rlf", "/m/0jbk", "/t/dd00003")
    with (tmp_path / "manifest.csv").open("w") as file:
        if kind == "audioset":
            file.write("# Segments\n# num_ytids\n# YTID, start_seconds, end_seconds, labels\n")
            for row in range(num_clips):
                labels = ",".join(mids[: row % 4 + 1])
                file.write(f'{row:011d}, {row % 300}.000, {row % 300 + 10}.000, "{labels}"\n')
        else:
            file.write("clip_id,path,mids\n")
            for row in range(num_clips):
                labels = ";".join(mids[: row % 4 + 1])
                file.write(f"{row:011d},{row // 10_000}/Y{row:011d}.wav,{labels}\n")
    folder = tmp_path / "0"
    folder.mkdir()
    (folder / f"Y{0:011d}.wav").touch()
    done = subprocess.run(
        [sys.executable, "-c", PLANNING, str(tmp_path), str(num_clips), kind],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    planned, num_shards, num_located, seconds, megabytes = map(float, done.stdout.split())
    assert (planned, num_shards, num_located) == (num_clips, -(-num_clips // 4096), num_clips)
    # Importing torch alone takes some hundred megabytes.
    assert seconds < 2.0 + 29e-6 * num_clips
    assert megabytes < 400.0 + 800e-6 * num_clips
    print(done.stdout)
