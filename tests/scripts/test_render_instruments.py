import csv
import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ontology import load_ontology
from uss.checkpoints.loading import save_tagger
from uss.taggers import EfficientAT

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
render_instruments = importlib.import_module("render_instruments")

from sounds import fluidsynth, judging, midi, phrases, takes  # noqa: E402
from sounds.instruments import INSTRUMENTS, Instrument  # noqa: E402
from sounds.midi import Patch, Sends  # noqa: E402
from sounds.phrases import Note, Phrase  # noqa: E402

SAMPLE_RATE = 32_000
HAS_FONT = any(
    (Path(folder) / name).is_file()
    for folder in fluidsynth.FONT_FOLDERS
    for name in fluidsynth.FONT_NAMES
)
needs_fluidsynth = pytest.mark.skipif(
    shutil.which("fluidsynth") is None or not HAS_FONT,
    reason="the program fluidsynth or the sound font FluidR3_GM.sf2 is not installed",
)
EVERY_INSTRUMENT = [pytest.param(instrument, id=instrument.key) for instrument in INSTRUMENTS]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "00"), (0x7F, "7f"), (0x80, "8100"), (0x3FFF, "ff7f"), (0x4000, "818000")],
)
def test_delta_times_as_in_the_midi_specification(value: int, expected: str) -> None:
    assert midi.variable_length(value).hex() == expected


def test_one_note_is_these_bytes() -> None:
    data = midi.midi_file(Phrase((Note(0.0, 0.5, 60, 100),)), Patch(56), 1.0, Sends())
    header = "4d546864 00000006 0000 0001 01e0 4d54726b 0000002c 00ff5103 07a120"
    setting = "00b00000 00c038 00b05b00 00b05d00 00e00040"
    note = "00903c64 8360 803c40 8360 b07800 00ff2f00"  # half a second is 480 ticks
    assert data == bytes.fromhex(f"{header} {setting} {note}".replace(" ", ""))


def test_a_key_is_let_go_before_it_is_struck_again() -> None:
    phrase = Phrase((Note(0.0, 2.0, 60, 100), Note(1.0, 0.5, 60, 90), Note(1.0, 0.5, 64, 90)))
    stops = {(note.pitch, note.start_seconds): stop for note, stop in midi.released(phrase)}
    assert stops == {(60, 0.0): 960, (60, 1.0): 1440, (64, 1.0): 1440}


@pytest.mark.parametrize(
    ("pitch", "expected"), [(60, 60), (30, 54), (90, 66), (49, 61), (67, 55), (73, 61)]
)
def test_notes_come_into_the_range_by_octaves(pitch: int, expected: int) -> None:
    assert phrases.into(pitch, range(54, 67)) == expected


def test_all_names_are_classes_and_keys_differ() -> None:
    ontology = load_ontology()
    for instrument in INSTRUMENTS:
        for name in instrument.names:
            assert ontology.find(name, aliases=False).class_index is not None, name
    assert len({instrument.key for instrument in INSTRUMENTS}) == len(INSTRUMENTS)


@pytest.mark.parametrize("instrument", EVERY_INSTRUMENT)
def test_phrases_keep_to_the_range_and_the_bytes_of_midi(instrument: Instrument) -> None:
    for maker in dict.fromkeys(instrument.makers):
        phrase = maker(instrument.pitches, 5.0, np.random.default_rng(1))
        assert phrase.notes
        assert phrase == maker(instrument.pitches, 5.0, np.random.default_rng(1))
        for note in phrase.notes:
            assert note.pitch in instrument.pitches or note.pitch + 12 in instrument.pitches
            assert 1 <= note.velocity <= 127
            assert 0 <= note.start_seconds < 6.0 and note.duration_seconds > 0
        assert all(0 <= control.value <= 127 for control in phrase.controls)
        assert midi.midi_file(phrase, instrument.patches[0], 5.0, Sends()).startswith(b"MThd")


def probabilities(**by_name: float) -> np.ndarray:
    values = np.full(527, 0.001, dtype=np.float32)
    for name, value in by_name.items():
        values[load_ontology().find(name.replace("_", " ")).class_index] = value
    return values


def test_a_class_in_first_place_agrees_from_two_percent_on() -> None:
    ontology = load_ontology("graph")
    verdict = judging.verdict_on(probabilities(Sitar=0.03, Banjo=0.02), "Sitar", ontology)
    assert (verdict.agrees, verdict.leaf_rank, verdict.heard) == (True, 1, "Sitar")
    assert not judging.verdict_on(probabilities(Sitar=0.01), "Sitar", ontology).agrees


def test_the_class_above_helps_if_it_is_not_too_general() -> None:
    ontology = load_ontology("graph")
    others = {"Drum_machine": 0.3, "Banjo": 0.3, "Ringtone": 0.3, "Theremin": 0.3}
    guitar = judging.verdict_on(
        probabilities(Guitar=0.5, Electric_guitar=0.02, **others), "Electric guitar", ontology
    )
    assert (guitar.agrees, guitar.leaf_rank) == (True, 5)
    assert guitar.probability == pytest.approx(0.5)
    general = probabilities(Musical_instrument=0.9, Harp=0.02, **others)
    assert not judging.verdict_on(general, "Harp", ontology).agrees


def test_a_class_is_heard_as_one_below_it() -> None:
    verdict = judging.verdict_on(
        probabilities(Cello=0.4, Music=0.9), "Bowed string instrument", load_ontology("graph")
    )
    assert (verdict.agrees, verdict.leaf_rank) == (True, 1)


def test_clips_go_round_the_classes_and_their_instruments() -> None:
    def source(key: str, name: str) -> takes.Source:
        return takes.Source(key, (name,), lambda n, rng: rng.random(n), key, "", "")

    numbered = takes.Takes([source("a", "Piano"), source("b", "Harp"), source("c", "Piano")], 0)
    assert [numbered.source(index).key for index in range(6)] == ["a", "b", "c", "b", "a", "b"]
    np.testing.assert_array_equal(numbered.render(4), numbered.render(4))
    assert not np.array_equal(numbered.render(4)[:1000], numbered.render(2)[:1000])


@needs_fluidsynth
def test_three_clips_sound_and_depend_on_their_number_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = {"trumpet", "jazz_guitar", "hi_hat"}
    three = tuple(each for each in INSTRUMENTS if each.key in keep)
    monkeypatch.setattr(render_instruments, "INSTRUMENTS", three)
    for folder in ("first", "again"):
        arguments = ["-o", str(tmp_path / folder), "--clips-per-class", "1", "--seed", "7"]
        assert render_instruments.main(arguments) == 0
    with open(tmp_path / "first" / "clips.csv", newline="", encoding="utf-8") as file:
        rows = {row["group"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"fluidr3:trumpet", "fluidr3:jazz_guitar", "fluidr3:hi_hat"}
    assert rows["fluidr3:trumpet"]["names"] == "Trumpet;Brass instrument;Musical instrument;Music"
    assert rows["fluidr3:hi_hat"]["names"].startswith("Hi-hat;Cymbal;Percussion")
    for row in rows.values():
        assert (row["licence"], "Frank Wen" in row["attribution"]) == ("MIT", True)
        assert len(row["mids"].split(";")) == len(row["names"].split(";"))
        waveform, sample_rate = soundfile.read(tmp_path / "first" / row["path"])
        again, _ = soundfile.read(tmp_path / "again" / row["path"])
        np.testing.assert_array_equal(waveform, again)
        assert (sample_rate, waveform.ndim) == (SAMPLE_RATE, 1)
        assert 4.0 <= len(waveform) / SAMPLE_RATE <= 8.0
        assert len(waveform) / SAMPLE_RATE == pytest.approx(float(row["seconds"]), abs=1e-3)
        assert 0.09 < np.max(np.abs(waveform)) <= 0.9
        assert np.sqrt(np.mean(waveform**2)) > 0.003


@needs_fluidsynth
def test_a_trumpet_plays_the_pitch_it_is_given() -> None:
    phrase = Phrase((Note(0.0, 2.0, 69, 100),))
    waveform = fluidsynth.play(phrase, Patch(56), SAMPLE_RATE, None, Sends())
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(SAMPLE_RATE)))
    harmonics = [spectrum[k * 440 - 5 : k * 440 + 6].max() for k in range(1, 6)]
    assert spectrum.argmax() % 440 in {*range(6), *range(435, 440)}
    assert min(harmonics) > 3 * np.median(spectrum[:2200])


@needs_fluidsynth
def test_a_tagger_that_never_agrees_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    harp = tuple(each for each in INSTRUMENTS if each.key == "harp")
    monkeypatch.setattr(render_instruments, "INSTRUMENTS", harp)
    monkeypatch.setattr(judging, "AGREEING", ())
    torch.manual_seed(0)
    tagger = tmp_path / "tagger.safetensors"
    save_tagger(tagger, EfficientAT(0.1, name="any").eval(), licence="CC0-1.0", provenance={})
    arguments = ["-o", str(tmp_path), "--clips-per-class", "1", "--tagger", str(tagger)]
    assert render_instruments.main(arguments) == 0
    assert "Harp: 0 clips, 0.0 minutes; 3 rejected, heard as" in capsys.readouterr().out
    assert (tmp_path / "clips.csv").read_text().count("\n") == 1


def test_missing_fluidsynth_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    fluidsynth.fluidsynth_program.cache_clear()
    assert render_instruments.main(["-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "fluidsynth" in error and "install" in error
    assert not (tmp_path / "out").exists()
    fluidsynth.fluidsynth_program.cache_clear()


@pytest.mark.parametrize("option", [["--clips-per-class", "0"], ["--seed", "-1"]])
def test_bad_numbers_are_refused(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render_instruments.main(["-o", str(tmp_path), *option]) == 2
    assert option[1] in capsys.readouterr().err
