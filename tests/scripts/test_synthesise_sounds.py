import csv
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from ontology import load_ontology

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"


def load_script(name: str) -> ModuleType:
    """Imports a script the way Python runs it: with its own folder on the path."""
    if str(SCRIPTS) not in sys.path:
        sys.path.insert(0, str(SCRIPTS))
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


synthesise_sounds = load_script("synthesise_sounds")
make_demo_scene = load_script("make_demo_scene")

from sounds import catalogue, manifests, signals, speech, tones  # noqa: E402

SAMPLE_RATE = signals.SAMPLE_RATE
SECOND = SAMPLE_RATE
needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="the program espeak-ng is not installed"
)
ALL_SOUNDS = [pytest.param(sound, id=sound.key) for sound in catalogue.OTHER] + [
    pytest.param(sound, id=sound.key, marks=needs_espeak)
    for sound in dict.fromkeys(catalogue.SPEECH)
]


def peaks_hz(waveform: np.ndarray, count: int) -> list[int]:
    """The strongest local maxima of the spectrum, in Hz, ascending; T is one second."""
    assert len(waveform) == SECOND
    power = np.abs(np.fft.rfft(waveform * np.hanning(SECOND)))
    is_peak = (power[1:-1] > power[:-2]) & (power[1:-1] >= power[2:])
    candidates = np.flatnonzero(is_peak) + 1
    return sorted(candidates[np.argsort(-power[candidates])[:count]].tolist())


@pytest.mark.parametrize("sound", ALL_SOUNDS)
def test_every_generator_gives_a_usable_clip(sound: catalogue.Sound) -> None:
    num_samples = 2 * SECOND + 17
    clip = catalogue.render(sound, num_samples, np.random.default_rng(5))
    assert clip.shape == (num_samples,)
    assert clip.dtype == np.float32
    assert np.isfinite(clip).all()
    assert 0.09 < np.max(np.abs(clip)) <= 0.9


@pytest.mark.parametrize("sound", ALL_SOUNDS)
def test_the_seed_decides_everything(sound: catalogue.Sound) -> None:
    first, again, other = (
        catalogue.render(sound, SECOND, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_all_names_are_classes() -> None:
    ontology = load_ontology()
    for sound in (*catalogue.SPEECH, *catalogue.OTHER):
        for name in sound.names:
            assert ontology.find(name).class_index is not None, name


def test_labels_are_the_own_class_and_those_above() -> None:
    sound = next(sound for sound in catalogue.OTHER if sound.key == "telephone_bell")
    mids, names = manifests.labels_of(sound.names, load_ontology())
    assert names[:2] == ["Telephone bell ringing", "Telephone"]
    assert mids[:2] == ["/m/07pp8cl", "/m/07cx4"]


def test_a_third_of_the_clips_is_speech_and_every_sound_comes() -> None:
    sounds = [catalogue.sound_of_clip(index) for index in range(90)]
    assert sum(sound in catalogue.SPEECH for sound in sounds) == 30
    assert set(sounds) == set(catalogue.SPEECH) | set(catalogue.OTHER)


@pytest.mark.parametrize("seed", range(4))
def test_dial_tone_has_its_two_frequencies(seed: int) -> None:
    low, high = peaks_hz(tones.dial_tone(SECOND, np.random.default_rng(seed)), 2)
    assert (low, high) in tones.DIAL_TONES_HZ


def test_us_dial_tone_is_350_and_440_hz() -> None:
    assert (350, 440) in tones.DIAL_TONES_HZ


@pytest.mark.parametrize(
    ("key", "expected_hz"), [("1", [697, 1209]), ("5", [770, 1336]), ("#", [941, 1477])]
)
def test_dtmf_frequencies(key: str, expected_hz: list[int]) -> None:
    assert peaks_hz(tones.dtmf_tone(key, SECOND), 2) == expected_hz


def test_cadence_is_on_and_off_for_the_seconds_given() -> None:
    gate = signals.cadence(3 * SECOND, (0.5, 1.0))
    assert gate[SECOND // 4] == pytest.approx(1.0)
    assert gate[SECOND] == pytest.approx(0.0, abs=1e-9)
    assert gate.mean() == pytest.approx(1 / 3, abs=0.01)


def test_decay_falls_by_60_db() -> None:
    envelope = signals.decay(SECOND + 1, 1.0)
    assert 20 * np.log10(envelope[-1] / envelope[0]) == pytest.approx(-60, abs=0.01)


def test_band_pass_is_3_db_down_at_its_edges() -> None:
    noise = np.random.default_rng(0).standard_normal(SECOND)
    filtered = signals.band_pass(noise, 500.0, 4000.0)
    gain = np.abs(np.fft.rfft(filtered)) / np.abs(np.fft.rfft(noise))
    assert 20 * np.log10(gain[[500, 4000]]) == pytest.approx([-3.0, -3.0], abs=0.1)
    assert gain[1414] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("exponent", "octave_db"), [(0.0, 0.0), (1.0, -3.0), (2.0, -6.0)])
def test_noise_colour(exponent: float, octave_db: float) -> None:
    noise = signals.coloured_noise(8 * SECOND, exponent, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    lower, upper = power[8 * 1000 : 8 * 2000].mean(), power[8 * 2000 : 8 * 4000].mean()
    assert 10 * np.log10(upper / lower) == pytest.approx(octave_db, abs=0.2)


@needs_espeak
def test_cli_writes_clips_and_manifest(tmp_path: Path) -> None:
    assert synthesise_sounds.main(["-o", str(tmp_path), "--clips", "4", "--seed", "1"]) == 0
    with open(tmp_path / "clips.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["clip_id", "path", "mids", "names", "seconds", "licence"]
    assert len(rows) == 4
    for row in rows:
        info = soundfile.info(tmp_path / row["path"])
        assert (info.samplerate, info.channels, info.subtype) == (32_000, 1, "PCM_16")
        assert 2.0 <= info.duration <= 8.0
        assert info.duration == pytest.approx(float(row["seconds"]), abs=1e-3)
        assert len(row["mids"].split(";")) == len(row["names"].split(";"))


@needs_espeak
def test_a_longer_run_repeats_a_shorter_one(tmp_path: Path) -> None:
    for folder, clips in (("short", "1"), ("long", "2")):
        assert synthesise_sounds.main(["-o", str(tmp_path / folder), "--clips", clips]) == 0
    (name,) = (path.name for path in (tmp_path / "short" / "clips").iterdir())
    short, long = (tmp_path / folder / "clips" / name for folder in ("short", "long"))
    np.testing.assert_array_equal(soundfile.read(short)[0], soundfile.read(long)[0])


def test_missing_espeak_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    speech.espeak_program.cache_clear()
    assert synthesise_sounds.main(["-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "espeak-ng" in error and "install" in error
    assert not (tmp_path / "out").exists()
    speech.espeak_program.cache_clear()


@pytest.mark.parametrize("option", [["--clips", "0"], ["--seed", "-1"]])
def test_bad_numbers_are_refused(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert synthesise_sounds.main(["-o", str(tmp_path), *option]) == 2
    assert option[1] in capsys.readouterr().err


@needs_espeak
def test_demo_scene_is_the_sum_of_its_stems(tmp_path: Path) -> None:
    scene_path, stems_path = tmp_path / "scene.flac", tmp_path / "stems"
    assert make_demo_scene.main(["-o", str(scene_path), "--stems", str(stems_path)]) == 0
    scene, sample_rate = soundfile.read(scene_path)
    stems = [soundfile.read(path)[0] for path in sorted(stems_path.iterdir())]
    assert sample_rate == 32_000
    assert len(stems) == 4
    np.testing.assert_allclose(sum(stems), scene, atol=4 / 32768)


def test_shipped_demo_scene_is_small_and_not_clipped() -> None:
    path = ROOT / "demo" / "scene.flac"
    waveform, sample_rate = soundfile.read(path)
    assert (sample_rate, waveform.shape) == (32_000, (320_000,))
    assert path.stat().st_size < 700_000
    assert 0.5 < np.max(np.abs(waveform)) < 0.9
