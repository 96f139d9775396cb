from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from uss.benchmarks import BENCHMARKS, PrepareOptions
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import load_mixture

WriteTone = Callable[..., Path]

SLAKH = BENCHMARKS["slakh2100"]
SECONDS = 25.0
STEMS = {
    "S00": ("Guitar", "elektrik_guitar.nkm", 0.3),
    "S01": ("Guitar", "elektrik_guitar.nkm", 0.2),
    "S02": ("Drums", "ar_modern_white_kit_full.nkm", 0.25),
    "S03": ("Piano", "the_giant_hard_and_tough.nkm", 0.05),
    "S04": ("Synth Pad", "silent.nkm", 0.0),
}


@pytest.fixture
def folder(tmp_path: Path, write_tone: WriteTone) -> Path:
    """One song: a plugin with two stems, a soft one, a silent one, one that was not rendered."""
    track = tmp_path / "test" / "Track01876"
    for number, (name, (_, _, amplitude)) in enumerate(STEMS.items()):
        write_tone(
            track / "stems" / f"{name}.wav",
            amplitude,
            seconds=SECONDS,
            frequency_hz=50.0 + 10.0 * number,
        )
    stems = {
        name: {
            "audio_rendered": True,
            "inst_class": instrument,
            "integrated_loudness": -12.8,
            "is_drum": instrument == "Drums",
            "midi_program_name": "any",
            "midi_saved": True,
            "plugin_name": plugin,
            "program_num": 30,
        }
        for name, (instrument, plugin, _) in STEMS.items()
    }
    stems["S05"] = {**stems["S00"], "audio_rendered": False}
    (track / "metadata.yaml").write_text(
        yaml.safe_dump({"UUID": "1a81", "audio_dir": "stems", "stems": stems})
    )
    total = sum(soundfile.read(track / "stems" / f"{name}.wav")[0] for name in STEMS)
    soundfile.write(track / "mix.wav", total, 2_000, subtype="FLOAT")
    return tmp_path


def make(folder: Path, options: PrepareOptions = SLAKH.defaults) -> list[ListRow]:
    return SLAKH.make_rows(folder, options, list)


def test_segments_in_which_a_plugin_sounds_are_drawn(folder: Path) -> None:
    rows = make(folder, replace(SLAKH.defaults, per_class=3))
    plugins = [row.class_name for row in rows]
    assert plugins == ["ar_modern_white_kit_full.nkm"] * 3 + ["elektrik_guitar.nkm"] * 3
    guitar = rows[-1]
    assert guitar.target == tuple(f"test/Track01876/stems/S0{n}.wav" for n in (0, 1))
    assert guitar.mixture == "test/Track01876/mix.wav"
    assert (guitar.group, guitar.mids, guitar.seconds) == ("Guitar", ("/m/0342h",), 2.0)
    assert (guitar.sample_rate, guitar.seed) == (None, 0)
    starts = [row.target_start_seconds for row in rows[:3]]
    assert len(set(starts)) == 3
    assert all(start % 2.0 == 0.0 and start + 2.0 <= SECONDS for start in starts)


def test_the_rest_is_what_the_other_stems_play(folder: Path) -> None:
    mixture = load_mixture(make(folder)[-1], folder)
    assert mixture.target.shape == (1, 4_000)
    # Drums of 0.25 and piano of 0.05.
    power = (0.25**2 + 0.05**2) / 2.0
    assert np.square(mixture.interferer).mean() == pytest.approx(power, rel=0.02)


def test_whole_songs_have_every_plugin_that_sounds(folder: Path) -> None:
    rows = make(folder, replace(SLAKH.defaults, whole_songs=True))
    assert sorted(row.class_name for row in rows) == sorted(
        {plugin for _, plugin, amplitude in STEMS.values() if amplitude}
    )
    assert {row.seconds for row in rows} == {None}


def test_a_seed_decides_the_segments(folder: Path) -> None:
    one = replace(SLAKH.defaults, per_class=3, seed=1)
    assert make(folder, one) == make(folder, one)
    starts = [row.target_start_seconds for row in make(folder, one)]
    assert starts != [row.target_start_seconds for row in make(folder, replace(one, seed=2))]


@pytest.mark.parametrize("name", ["mix.wav", "stems/S01.wav"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / "test/Track01876" / name).unlink()
    with pytest.raises(FileNotFoundError, match=Path(name).stem + r"\.flac: no such file"):
        make(folder)


@pytest.mark.parametrize("text", ["stems: [", "stems:\n- S00\n", "UUID: 1\n"])
def test_broken_metadata_are_refused(folder: Path, text: str) -> None:
    (folder / "test/Track01876/metadata.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"metadata\.yaml (is no YAML file|names no stems)"):
        make(folder)


def test_too_little_music_is_said(folder: Path) -> None:
    path = folder / "test/Track01876/metadata.yaml"
    metadata = yaml.safe_load(path.read_text())
    metadata["stems"] = {"S03": metadata["stems"]["S03"]}
    path.write_text(yaml.safe_dump(metadata))
    with pytest.raises(ValueError, match="sounds in more than 10 segments of 2 s"):
        make(folder)


def test_a_folder_without_songs_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no songs; name the folder that holds test"):
        make(tmp_path)
