import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
import torch

from uss.checkpoints.loading import save_tagger
from uss.mining.job import MiningJob, mine_manifest
from uss.mining.miner import AnchorMiner, LabelledWaveform
from uss.mining.networks import NetworkNames
from uss.shards import SkippedClip, list_shards, read_settings, read_skipped
from uss.taggers import Cnn6, EfficientAT

ROOT = Path(__file__).parents[3]
SAMPLE_RATE = 32_000
DOG, SPEECH = "/m/0bt9lr", "/m/09x0r"
NAMES = ("a", "b", "c", "d", "e")

Snapshot = dict[str, tuple[int, bytes]]


@pytest.fixture(scope="module")
def tagger_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tagger") / "tiny.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_tagger(path, EfficientAT(0.05, "tiny").eval(), licence="CC0-1.0", provenance={})
    return path


@pytest.fixture
def job(tmp_path: Path, tagger_file: Path) -> MiningJob:
    """Five clips of one or two labels, two in a shard; none of them is there yet."""
    (tmp_path / "audio").mkdir()
    write_manifest(tmp_path / "manifest.csv", NAMES)
    return MiningJob(
        tmp_path / "manifest.csv",
        tmp_path / "audio",
        tmp_path / "shards",
        networks=NetworkNames(str(tagger_file)),
        device="cpu",
        shard_size=2,
    )


def write_manifest(path: Path, names: Sequence[str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "mids", "caption"])
        for name in names:
            mids = DOG if name in "ace" else f"{DOG};{SPEECH}"
            writer.writerow([name, f"{name}.wav", mids, f"Clip {name}, süß"])


def arrive(job: MiningJob, names: str, gain: float = 0.1) -> None:
    for name in names:
        noise = gain * np.random.default_rng(ord(name)).standard_normal(3 * SAMPLE_RATE)
        soundfile.write(job.audio_root / f"{name}.wav", noise, SAMPLE_RATE)


def snapshot(folder: Path) -> Snapshot:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in list_shards(folder)}


def contents(folder: Path) -> list[dict[str, list[object]]]:
    """Every column of every shard, byte for byte."""
    shards = []
    for path in list_shards(folder):
        columns: dict[str, list[object]] = {}

        def keep(name: str, item: object, columns: dict[str, list[object]] = columns) -> None:
            if isinstance(item, h5py.Dataset):
                columns[name] = [np.asarray(row).tobytes() for row in item]
                if item.dtype == object:
                    columns[name] = list(item.asstr()[:])

        with h5py.File(path) as file:
            file.visititems(keep)
        shards.append(columns)
    return shards


def assert_equal_up_to_rounding(first: Path, second: Path) -> None:
    """Clips that came later shared no batch with the others, which changes the last bit at most."""
    paths, others = list_shards(first), list_shards(second)
    assert [path.name for path in paths] == [path.name for path in others]
    for ours, theirs in zip(contents(first), contents(second), strict=True):
        heard = [name for name in ours if name.startswith(("score", "tag_", "conditions/"))]
        assert len(heard) == 3
        assert {name: rows for name, rows in ours.items() if name not in heard} == {
            name: rows for name, rows in theirs.items() if name not in heard
        }
    for path, other in zip(paths, others, strict=True):
        with h5py.File(path) as ours, h5py.File(other) as theirs:
            for name in heard:
                np.testing.assert_allclose(ours[name][:], theirs[name][:], rtol=2e-3, atol=1e-4)


def skipped_of(folder: Path) -> list[SkippedClip]:
    return [entry for path in list_shards(folder) for entry in read_skipped(path)]


def test_the_summary_counts_what_the_folder_holds(job: MiningJob) -> None:
    arrive(job, "abc")
    progress: list[tuple[int, int]] = []
    summary = mine_manifest(job, lambda done, total: progress.append((done, total)))
    assert progress == [(done, 5) for done in range(6)]
    assert (summary.num_clips, summary.num_anchors) == (5, 4)
    assert list(summary.anchors_of_class.values()) == [3, 1]
    assert [entry.clip_id for entry in summary.skipped] == ["d", "e"]
    assert summary.seconds_of_audio == pytest.approx(9.0)
    assert summary.elapsed_seconds > 0.0
    assert set(summary.cpu_seconds) == {"decode", "resample", "tag", "encode", "write"}


def test_the_library_prints_nothing(job: MiningJob, capfd: pytest.CaptureFixture[str]) -> None:
    arrive(job, "a")
    mine_manifest(job)
    assert capfd.readouterr() == ("", "")


def test_missing_files_are_told_from_broken_ones(job: MiningJob) -> None:
    arrive(job, "a")
    (job.audio_root / "b.wav").write_text("no audio")
    (job.audio_root / "c.wav").mkdir()
    (job.audio_root / "d.wav").symlink_to(job.audio_root / "nowhere.wav")
    mine_manifest(job)
    entries = skipped_of(job.output)
    assert {entry.clip_id: entry.missing for entry in entries} == {
        "b": False,
        "c": False,
        "d": True,
        "e": True,
    }
    assert all("no such file" in entry.reason for entry in entries if entry.missing)


def test_a_clip_of_no_known_class_is_not_missing(job: MiningJob) -> None:
    arrive(job, "a")
    job.manifest.write_text(f"clip_id,path,mids\na,a.wav,{DOG}\nodd,odd.wav,/m/nonsense\n")
    mine_manifest(job)
    assert [entry.missing for entry in skipped_of(job.output)] == [False]


def test_clips_that_arrive_later_are_mined(job: MiningJob) -> None:
    arrive(job, "abd")
    mine_manifest(job)
    before, kept = snapshot(job.output), contents(job.output)
    arrive(job, "c")
    summary = mine_manifest(job)
    # The first shard was complete, and nothing has come for the last one.
    after = snapshot(job.output)
    names = list(before)
    assert {name: after[name] for name in (names[0], names[2])} == {
        name: before[name] for name in (names[0], names[2])
    }
    assert [entry.clip_id for entry in summary.skipped] == ["e"]
    assert summary.seconds_of_audio == pytest.approx(3.0)
    # Anchors lie in the order of the manifest, those of old as they were.
    middle = contents(job.output)[1]
    assert middle["clip_id"] == ["c", "d", "d"]
    assert kept[1]["clip_id"] == ["d", "d"]
    for column, rows in kept[1].items():
        if not column.startswith("skipped/"):
            assert middle[column][1:] == rows, column
    # And all is as if every file had been there from the start.
    whole = replace(job, output=job.output.with_name("whole"))
    mine_manifest(whole)
    assert_equal_up_to_rounding(job.output, whole.output)
    assert (job.output / "skipped.csv").read_bytes() == (whole.output / "skipped.csv").read_bytes()


def test_what_was_mined_is_neither_read_nor_heard_again(
    job: MiningJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(job, "ad")
    mine_manifest(job)
    arrive(job, "c")
    # Other contents would give other anchors, if anything looked at them.
    arrive(job, "ad", gain=0.5)
    heard: list[str] = []
    mine = AnchorMiner.mine_together

    def record(miner: AnchorMiner, clips: Sequence[LabelledWaveform], *rest: object) -> object:
        heard.extend(each.clip.clip_id for each in clips)
        return mine(miner, clips, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(AnchorMiner, "mine_together", record)
    mine_manifest(job)
    assert heard == ["c"]


def test_broken_files_are_not_tried_again_and_keep_their_reason(job: MiningJob) -> None:
    arrive(job, "a")
    (job.audio_root / "b.wav").write_text("no audio")
    (job.audio_root / "c.wav").write_text("no audio")
    mine_manifest(job)
    before = snapshot(job.output)
    arrive(job, "b")
    mine_manifest(job)
    assert snapshot(job.output) == before
    # Also in a shard that is written anew for another clip.
    arrive(job, "d")
    reasons = [entry for entry in skipped_of(job.output) if entry.clip_id == "c"]
    mine_manifest(job)
    assert [entry for entry in skipped_of(job.output) if entry.clip_id == "c"] == reasons
    assert contents(job.output)[1]["clip_id"] == ["d", "d"]


def test_what_arrives_broken_is_tried_once(job: MiningJob) -> None:
    arrive(job, "a")
    mine_manifest(job)
    (job.audio_root / "b.wav").write_text("no audio")
    mine_manifest(job)
    entry = skipped_of(job.output)[0]
    assert (entry.clip_id, entry.missing) == ("b", False)
    before = snapshot(job.output)
    mine_manifest(job)
    assert snapshot(job.output) == before


def test_a_wrong_audio_root_is_made_good_by_the_right_one(job: MiningJob) -> None:
    """Also if it was wrong only for a part of the run, so that shards without anchors lie there."""
    arrive(job, "abcde")
    wrong = job.audio_root.with_name("wrong")
    wrong.mkdir()
    (wrong / "a.wav").write_bytes((job.audio_root / "a.wav").read_bytes())
    mine_manifest(replace(job, audio_root=wrong))
    assert len(list_shards(job.output)) == 3
    assert mine_manifest(job).skipped == []
    whole = replace(job, output=job.output.with_name("whole"))
    mine_manifest(whole)
    assert_equal_up_to_rounding(job.output, whole.output)


def test_shards_of_earlier_releases_tell_missing_files_by_their_reasons(job: MiningJob) -> None:
    arrive(job, "ad")
    mine_manifest(job)
    for path in list_shards(job.output):
        with h5py.File(path, "r+") as file:
            del file["skipped/missing"]
    assert [entry.missing for entry in skipped_of(job.output)] == [True, True, True]
    before = snapshot(job.output)
    mine_manifest(job)
    assert snapshot(job.output) == before
    arrive(job, "bc")
    assert [entry.clip_id for entry in mine_manifest(job).skipped] == ["e"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_shard_survives_an_error_while_it_is_written_anew(
    job: MiningJob, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    arrive(job, "ad")
    mine_manifest(job)
    before = snapshot(job.output)
    arrive(job, "c")

    def fail(*_: object) -> object:
        raise error

    with monkeypatch.context() as patch, pytest.raises(error):
        patch.setattr(AnchorMiner, "mine_together", fail)
        mine_manifest(job)
    assert snapshot(job.output) == before
    assert not list(job.output.glob("*.part"))
    assert contents(job.output)[1]["clip_id"] == ["d", "d"]
    mine_manifest(job)
    assert contents(job.output)[1]["clip_id"] == ["c", "d", "d"]


KILLED = """
import os, signal, sys
from pathlib import Path
from uss.mining.job import MiningJob, mine_manifest
from uss.mining.miner import AnchorMiner, LabelledWaveform
from uss.mining.networks import NetworkNames

mine = AnchorMiner.mine_together

def die(miner, clips, *rest):
    if any(each.clip.clip_id == "d" for each in clips):
        os.kill(os.getpid(), signal.SIGKILL)
    return mine(miner, clips, *rest)

AnchorMiner.mine_together = die
manifest, root, output, tagger = sys.argv[1:]
networks = NetworkNames(tagger)
job = MiningJob(Path(manifest), Path(root), Path(output), networks=networks, shard_size=4)
mine_manifest(job)
"""


def test_a_shard_survives_being_killed_while_it_is_written_anew(job: MiningJob) -> None:
    job = replace(job, shard_size=4)
    arrive(job, "ab")
    mine_manifest(job)
    before = snapshot(job.output)
    arrive(job, "cd")
    words = [job.manifest, job.audio_root, job.output, job.networks.tagger]
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, words)],
        env={**os.environ, "PYTHONPATH": paths},
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(list(job.output.glob("*.part"))) == 1
    assert snapshot(job.output) == before
    mine_manifest(job)
    assert not list(job.output.glob("*.part"))
    assert contents(job.output)[0]["clip_id"] == ["a", "b", "b", "c", "d", "d"]


def test_foreign_shards_are_refused_before_anything_is_written_anew(job: MiningJob) -> None:
    arrive(job, "a")
    mine_manifest(job)
    before = snapshot(job.output)
    arrive(job, "bcde")
    write_manifest(job.manifest, NAMES[:4])
    with pytest.raises(ValueError, match="choose an empty output folder"):
        mine_manifest(job)
    write_manifest(job.manifest, NAMES)
    other = replace(job, settings=replace(job.settings, segment_seconds=1.0))
    with pytest.raises(ValueError, match="choose an empty output folder"):
        mine_manifest(other)
    assert snapshot(job.output) == before


def test_no_file_at_all_is_refused_before_networks_are_loaded(job: MiningJob) -> None:
    nowhere = replace(job, networks=NetworkNames("nowhere.safetensors"))
    with pytest.raises(ValueError, match=r"of the 5 clips .*a\.wav; name another --audio-root"):
        mine_manifest(nowhere)
    assert not job.output.exists()


def test_a_manifest_without_paths_is_refused(job: MiningJob) -> None:
    job.manifest.write_text(f"clip_id,path,mids\na,,{DOG}\n")
    with pytest.raises(ValueError, match="names no file of any clip; fill in the column path"):
        mine_manifest(job)


@pytest.mark.parametrize("first", ["silent", "broken"])
def test_a_run_that_gives_no_anchor_leaves_nothing_in_the_way(job: MiningJob, first: str) -> None:
    if first == "silent":
        arrive(job, "a", gain=0.0)
    else:
        (job.audio_root / "a.wav").write_text("no audio")
    reason = "silent" if first == "silent" else r"a\.wav"
    with pytest.raises(
        ValueError, match=rf"none of the 5 clips .*'a', did not because: .*{reason}"
    ):
        mine_manifest(job)
    assert list_shards(job.output) == []
    with (job.output / "skipped.csv").open() as file:
        assert [entry["clip_id"] for entry in csv.DictReader(file)] == list(NAMES)
    # Another manifest, and other settings, find an empty folder.
    arrive(job, "bc")
    write_manifest(job.manifest, ("b", "c"))
    corrected = replace(job, shard_size=1, settings=replace(job.settings, segment_seconds=1.0))
    assert mine_manifest(corrected).num_anchors == 3


def test_the_precision_of_shards_that_are_there_is_kept(
    job: MiningJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever another machine would choose, and for shards that do not say it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_tagger(tmp_path / "cnn6.safetensors", Cnn6().eval(), licence="x", provenance={})
    job = replace(job, networks=NetworkNames(str(tmp_path / "cnn6.safetensors")))
    arrive(job, "a")
    is_faster = {"cpu": True}
    monkeypatch.setattr("uss.core.runtime._bf16_is_faster", is_faster.get)

    def precisions(folder: Path) -> set[object]:
        return {read_settings(path).mining.get("precision") for path in list_shards(folder)}

    mine_manifest(job)
    assert precisions(job.output) == {"bf16"}
    is_faster["cpu"] = False
    list_shards(job.output)[1].unlink()
    mine_manifest(job)
    assert precisions(job.output) == {"bf16"}
    with pytest.raises(ValueError, match="choose an empty output folder"):
        mine_manifest(replace(job, precision="fp32"))
    full = replace(job, output=tmp_path / "full")
    mine_manifest(full)
    assert precisions(full.output) == {None}
    is_faster["cpu"] = True
    list_shards(full.output)[0].unlink()
    mine_manifest(full)
    assert precisions(full.output) == {None}


def test_an_unknown_precision_is_refused(job: MiningJob) -> None:
    with pytest.raises(ValueError, match="precision 'fp16'; choose auto, fp32, bf16"):
        replace(job, precision="fp16")


@pytest.mark.parametrize("count", ["workers", "shard_size"])
def test_counts_are_checked(job: MiningJob, count: str) -> None:
    change: Callable[..., MiningJob] = replace
    with pytest.raises(ValueError, match=f"{count} 0; choose 1 or more"):
        change(job, **{count: 0})
