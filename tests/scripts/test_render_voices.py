import csv
import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ontology import load_ontology

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
render_voices = importlib.import_module("render_voices")

from sounds import speakers, voices  # noqa: E402
from sounds.sentences import WORDS, draw_sentence  # noqa: E402
from sounds.signals import SAMPLE_RATE, harmonic_tone  # noqa: E402

ALL_SPEAKERS = (*speakers.RECORDED, *speakers.FORMANTS)
needs_flite = pytest.mark.skipif(
    shutil.which("flite") is None, reason="the program flite is not installed"
)


def test_all_names_are_classes() -> None:
    ontology = load_ontology()
    for source in voices.voice_sources(ALL_SPEAKERS):
        for name in source.names:
            assert ontology.find(name, aliases=False).class_index is not None, name


def test_labels_are_true_of_the_speakers() -> None:
    by_key = {source.key: source for source in voices.voice_sources(ALL_SPEAKERS)}
    assert by_key["festival_krb"].names == ("Child speech, kid speaking", "Speech synthesizer")
    assert by_key["espeak_robosoft"].names == ("Speech synthesizer",)
    assert by_key["whisper_flite_slt"].names == ("Whispering",)
    pair = by_key["flite_rms_flite_slt"]
    assert pair.names == (
        "Conversation",
        "Male speech, man speaking",
        "Female speech, woman speaking",
        "Speech synthesizer",
    )
    assert pair.group == "voices:flite_rms+flite_slt"


def test_people_who_converse_share_a_language() -> None:
    languages = {speaker.key: speaker.language for speaker in ALL_SPEAKERS}
    pairs = [source.group for source in voices.conversations(ALL_SPEAKERS)]
    assert len(pairs) > 20
    for pair in pairs:
        first, second = pair.removeprefix("voices:").split("+")
        assert first != second and languages[first] == languages[second]


@pytest.mark.parametrize("language", WORDS)
def test_sentences_can_be_written_for_their_synthesizer(language: str) -> None:
    sentence = draw_sentence(language, np.random.default_rng(0))
    assert sentence[-1] in ".?!"
    assert sentence.encode("iso-8859-2" if language == "cs" else "iso-8859-1")


def test_a_whisper_has_the_formants_but_no_pitch() -> None:
    rng = np.random.default_rng(0)
    orders = np.arange(1, 60)
    formant = np.exp(-(((orders * 150.0 - 1500.0) / 400.0) ** 2))
    voiced = harmonic_tone(150.0, formant, 2 * SAMPLE_RATE)
    breath = voices.whispered(voiced, rng)
    power = np.abs(np.fft.rfft(breath)) ** 2
    frequency = np.fft.rfftfreq(len(breath), 1 / SAMPLE_RATE)
    assert 1300 < np.sum(power * frequency) / np.sum(power) < 2500
    near = np.abs(frequency - np.round(frequency / 150.0) * 150.0) < 20
    band = (frequency > 1000) & (frequency < 2000)
    share = power[near & band].sum() / power[band].sum()
    assert share == pytest.approx(41 / 150, abs=0.08)


@needs_flite
def test_clips_and_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = tuple(each for each in speakers.RECORDED if each.key in {"flite_rms", "flite_slt"})
    monkeypatch.setattr(render_voices, "installed_speakers", lambda: two)
    for folder in ("first", "again"):
        arguments = ["-o", str(tmp_path / folder), "--clips-per-class", "1"]
        assert render_voices.main(arguments) == 0
    with open(tmp_path / "first" / "clips.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["names"].split(";")[0] for row in rows] == [
        "Male speech, man speaking",
        "Female speech, woman speaking",
        "Narration, monologue",
        "Whispering",
        "Conversation",
    ]
    for row in rows:
        waveform, sample_rate = soundfile.read(tmp_path / "first" / row["path"])
        again, _ = soundfile.read(tmp_path / "again" / row["path"])
        np.testing.assert_array_equal(waveform, again)
        assert sample_rate == SAMPLE_RATE and 4.0 <= len(waveform) / SAMPLE_RATE <= 8.0
        assert 0.09 < np.max(np.abs(waveform)) <= 0.9
        assert row["licence"] == "LicenseRef-CMU-Flite"


def test_no_synthesizer_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    speakers.installed_speakers.cache_clear()
    assert render_voices.main(["-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "flite" in error
    assert not (tmp_path / "out").exists()
    speakers.installed_speakers.cache_clear()
