import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from uss.core.errors import InputError
from uss.data.audioset_manifest import make_audioset_manifest
from uss.data.manifest import read_manifest
from uss.data.new_manifest import ManifestRow, Probing, Problem, write_manifest

SPEECH, MUSIC, DOG = "/m/09x0r", "/m/04rlf", "/m/0bt9lr"
UNPROBED = Probing(is_wanted=False)

TRAIN = f"""# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=3, num_segs=3, num_unique_labels=3, num_positive_labels=4
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "{SPEECH},{MUSIC}"
_ZhevVpy1s-, 50.000, 58.500, "{DOG}"
-0SdAVK79lg,0,10,"{SPEECH}, {DOG}"
"""
EVAL = f"""# Segments csv
--4gqARaEJE, 0.000, 10.000, "{DOG}"
"""
STRONG = """segment_id\tstart_time_seconds\tend_time_seconds\tlabel
b0RFKhbpFJA_30000\t0.000\t1.2\t/m/09x0r
b0RFKhbpFJA_30000\t2.000\t3.2\t/m/04rlf
_7-_________1_5000\t0.000\t1.2\t/m/0bt9lr
b0RFKhbpFJA_30000\t4.000\t5.2\t/m/09x0r
b0RFKhbpFJA_30000\t4.000\t5.2\t/x/nobody
"""


@pytest.fixture
def train(tmp_path: Path) -> Path:
    path = tmp_path / "unbalanced_train_segments.csv"
    path.write_text(TRAIN)
    return path


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    path = tmp_path / "eval_segments.csv"
    path.write_text(EVAL)
    return path


def audio(root: Path, *names: str, level: float = 0.1, seconds: float = 1.0) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        samples = np.full(round(seconds * 8_000), level, np.float32)
        soundfile.write(root / name, samples, 8_000)
    return root


def test_lists_and_files_become_rows(tmp_path: Path, train: Path, evaluation: Path) -> None:
    root = audio(
        tmp_path / "audio",
        "Y--PJHxphWEs.wav",
        "00/_ZhevVpy1s-_50000_58500.flac",
        "-0SdAVK79lg_0.wav",
        "eval/--4gqARaEJE_0.000_10.000.wav",
    )
    manifest = make_audioset_manifest([train, evaluation], root, Probing(workers=2))
    path = str(Path("00/_ZhevVpy1s-_50000_58500.flac"))
    assert manifest.rows == [
        ManifestRow("--PJHxphWEs", "Y--PJHxphWEs.wav", f"{SPEECH};{MUSIC}", "train", ("30", "40")),
        ManifestRow("_ZhevVpy1s-", path, DOG, "train", ("50", "58.5")),
        ManifestRow("-0SdAVK79lg", "-0SdAVK79lg_0.wav", f"{SPEECH};{DOG}", "train", ("0", "10")),
        ManifestRow(
            "--4gqARaEJE",
            str(Path("eval/--4gqARaEJE_0.000_10.000.wav")),
            DOG,
            "evaluation",
            ("0", "10"),
        ),
    ]
    assert manifest.problems == []
    assert manifest.notes == []


def test_what_mining_would_skip_is_left_out_and_reported(tmp_path: Path, train: Path) -> None:
    root = audio(tmp_path / "audio", "--PJHxphWEs.wav", level=0.0)
    audio(root, "_ZhevVpy1s-.flac", seconds=0.2)
    audio(root, "somebody_else.wav", "another.wav")
    with pytest.raises(InputError, match="no clip can be mined; the first"):
        made = make_audioset_manifest([train], root, Probing())
        write_manifest(tmp_path / "m.csv", tmp_path / "r.csv", made)
    assert not (tmp_path / "m.csv").exists()
    assert not (tmp_path / "r.csv").exists()
    assert made.problems == [
        Problem("-0SdAVK79lg", "", "missing"),
        Problem("--PJHxphWEs", "--PJHxphWEs.wav", "silent", "1.000 s"),
        Problem("_ZhevVpy1s-", "_ZhevVpy1s-.flac", "short", "0.200 s"),
    ]
    assert made.notes == [f"2 other audio files in {root} belong to no clip of the lists"]
    unprobed = make_audioset_manifest([train], root, UNPROBED)
    assert [row.clip_id for row in unprobed.rows] == ["--PJHxphWEs", "_ZhevVpy1s-"]
    assert unprobed.counts() == {"missing": 1}


def test_what_is_written_is_read_again(tmp_path: Path, train: Path) -> None:
    root = audio(tmp_path / "audio", "--PJHxphWEs.wav", "-0SdAVK79lg.wav")
    made = make_audioset_manifest([train], root, UNPROBED)
    write_manifest(tmp_path / "m.csv", tmp_path / "r.csv", made)
    clips = read_manifest(tmp_path / "m.csv", "train")
    assert [(clip.clip_id, clip.path, clip.mids) for clip in clips] == [
        ("--PJHxphWEs", "--PJHxphWEs.wav", (SPEECH, MUSIC)),
        ("-0SdAVK79lg", "-0SdAVK79lg.wav", (SPEECH, DOG)),
    ]
    with (tmp_path / "m.csv").open(newline="") as file:
        assert [row["end_seconds"] for row in csv.DictReader(file)] == ["40", "10"]
    with (tmp_path / "r.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"clip_id": "_ZhevVpy1s-", "path": "", "problem": "missing", "detail": ""}
        ]


def test_strong_labels_count_once_for_their_clip(tmp_path: Path) -> None:
    path = tmp_path / "audioset_train_strong.tsv"
    path.write_text(STRONG)
    root = audio(tmp_path / "audio", "b0RFKhbpFJA_30.wav", "Y_7-_________1.wav")
    made = make_audioset_manifest([path], root, UNPROBED)
    assert [(row.clip_id, row.mids) for row in made.rows] == [
        ("b0RFKhbpFJA", f"{SPEECH};{MUSIC}"),
        ("_7-_________1", DOG),
    ]
    assert made.notes == ["1 labels are not in the ontology and left out: /x/nobody"]


def test_a_clip_of_two_lists_has_the_labels_of_both(tmp_path: Path, train: Path) -> None:
    other = tmp_path / "balanced_train_segments.csv"
    other.write_text(f'# x\n--PJHxphWEs, 30.000, 40.000, "{DOG},{MUSIC}"\n')
    root = audio(tmp_path / "audio", "--PJHxphWEs.wav", "-0SdAVK79lg.wav")
    made = make_audioset_manifest([train, other], root, UNPROBED)
    assert [row.mids for row in made.rows] == [f"{SPEECH};{MUSIC};{DOG}", f"{SPEECH};{DOG}"]
    assert made.notes == ["1 rows are of clips that another row names too"]


def test_two_clips_of_a_video_need_their_starts(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text(f'# x\n-v, 0.000, 10.000, "{DOG}"\n-v, 10.000, 20.000, "{DOG}"\n')
    root = audio(tmp_path / "audio", "-v.wav", "Y-v_10_20.wav")
    made = make_audioset_manifest([path], root, UNPROBED)
    assert [(row.clip_id, row.path) for row in made.rows] == [("-v_10000", "Y-v_10_20.wav")]
    assert made.problems == [Problem("-v_0", "", "missing")]


def test_what_is_no_list_or_no_folder_is_refused(tmp_path: Path, train: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder; name the one"):
        make_audioset_manifest([train], tmp_path / "nowhere", UNPROBED)
    with pytest.raises(FileNotFoundError, match=r"gone\.csv: no such list; fetch"):
        make_audioset_manifest([tmp_path / "gone.csv"], tmp_path, UNPROBED)
    (tmp_path / "clips.csv").write_text("clip_id,path,mids\n")
    with pytest.raises(InputError, match=r"clips\.csv is no list of AudioSet's; name unbal"):
        make_audioset_manifest([tmp_path / "clips.csv"], tmp_path, UNPROBED)
    with pytest.raises(InputError, match=r"holds no audio file of any clip; .*--PJHxphWEs_30000"):
        make_audioset_manifest([train], tmp_path, UNPROBED)
