from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from uss.benchmarks import BENCHMARKS
from uss.evaluation.lists.mixture_list import ListRow, read_list, write_list
from uss.evaluation.lists.mixtures import load_mixture

WriteTone = Callable[..., Path]

MUSDB18 = BENCHMARKS["musdb18"]
STEMS = ("drums", "bass", "other", "vocals")
SONG = "Al James - Schoolboy Facination"


def make(folder: Path, queries_per_class: int = 2) -> list[ListRow]:
    options = replace(MUSDB18.defaults, queries_per_class=queries_per_class)
    return MUSDB18.make_rows(folder, options, list)


@pytest.fixture
def folder(tmp_path: Path, write_tone: WriteTone) -> Path:
    """MUSDB18-HQ with two songs for the test and three for training."""
    for song in (SONG, "BKS - Too Much"):
        for number, name in enumerate(("mixture", *STEMS), start=1):
            write_tone(tmp_path / "test" / song / f"{name}.wav", 0.1 * number)
    for song in ("A", "B", "C"):
        for name in ("mixture", *STEMS):
            write_tone(tmp_path / "train" / song / f"{name}.wav")
    return tmp_path


def test_each_stem_is_separated_from_the_sum_of_all(folder: Path) -> None:
    rows = make(folder)
    assert [(row.group, row.class_name) for row in rows] == [
        (song, name) for song in (SONG, "BKS - Too Much") for name in STEMS
    ]
    vocals = rows[3]
    assert vocals.target == (f"test/{SONG}/vocals.wav",)
    assert vocals.interferer == tuple(f"test/{SONG}/{name}.wav" for name in STEMS[:3])
    assert (vocals.mixture, vocals.sample_rate, vocals.seconds) == ("", None, None)
    mixture = load_mixture(vocals, folder)
    # Of amplitudes 0.2, 0.3, 0.4 and 0.5; the file called mixture is not used.
    assert np.abs(mixture.mixture).max() == pytest.approx(1.4, abs=0.01)


def test_queries_are_the_same_training_songs_for_each_stem(folder: Path) -> None:
    queries = {row.class_name: row.query for row in make(folder)}
    songs = [Path(name).parent for name in queries["vocals"]]
    assert len(songs) == 2
    for name in STEMS:
        assert queries[name] == tuple((song / f"{name}.wav").as_posix() for song in songs)
    assert not any(row.query for row in make(folder, 0))


def test_stem_files_are_named_by_their_tracks(tmp_path: Path) -> None:
    path = tmp_path / "test" / f"{SONG}.stem.mp4"
    path.parent.mkdir()
    write_stem_file(path)
    rows = make(tmp_path)
    assert {row.class_name: row.target[0] for row in rows} == {
        name: f"test/{SONG}.stem.mp4#{number}" for number, name in enumerate(STEMS, start=2)
    }
    # A list keeps the names as they are.
    write_list(tmp_path / "list.csv", rows)
    (bass,) = (row for row in read_list(tmp_path / "list.csv") if row.class_name == "bass")
    mixture = load_mixture(bass, tmp_path)
    level = float(np.sqrt(np.square(mixture.target[:, 4_000:12_000]).mean()))
    assert level == pytest.approx(0.3 / np.sqrt(2.0), rel=0.1)


def write_stem_file(path: Path) -> None:
    """Five stereo tracks of tones of amplitudes 0.1 to 0.5, as AAC."""
    times = np.arange(16_384) / 32_000.0
    with av.open(str(path), "w", format="mp4") as container:
        streams = [container.add_stream("aac", rate=32_000, layout="stereo") for _ in range(5)]
        for number, stream in enumerate(streams, start=1):
            tone = (0.1 * number * np.sin(2.0 * np.pi * 300.0 * times)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
            frame.sample_rate = 32_000
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)


def test_a_song_without_a_stem_is_named(folder: Path) -> None:
    (folder / "test" / SONG / "bass.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"bass\.wav: no such file"):
        make(folder)


def test_a_folder_without_songs_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"neither test/SONG/vocals\.wav"):
        make(tmp_path)
