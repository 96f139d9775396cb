import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from ontology import load_ontology
from pipelines.separate.command import main
from uss.audio import safe_file_name
from uss.checkpoints.loading import load_tagger, weight_hash

NOT_STEMS = {"detections.json", "timeline.png", "report.html", "provenance.json"}
ONTOLOGY = load_ontology()
SAMPLE_RATE = 32_000
# With the bundle of the tests noise is Dog, Speech and Music, silence is nothing.
FOUND = {
    "level1": {"Animal", "Human sounds", "Music"},
    "level2": {"Domestic animals, pets", "Human voice"},
    "level3": {"Dog", "Speech"},
}

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]


@pytest.fixture
def scene(tmp_path: Path, write_noise: WriteNoise) -> Path:
    return write_noise(tmp_path / "scene.wav", 1.3)


def read(path: Path) -> NDArray[np.float64]:
    """(T, C)"""
    samples, _ = soundfile.read(path, dtype="float64", always_2d=True)
    return np.asarray(samples)


def report(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "detections.json").read_text(encoding="utf-8"))
    return loaded


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def missed(folder: Path, recording: Path) -> float:
    """By how much the files of a folder miss the recording, which they must match in form."""
    source, total = soundfile.info(recording), 0.0
    for path in folder.iterdir():
        info = soundfile.info(path)
        assert (info.frames, info.samplerate, info.channels) == (
            source.frames,
            source.samplerate,
            source.channels,
        )
        total = total + read(path)
    return float(np.abs(total - read(recording)).max())


def test_folders_files_and_report(scene: Path, separate: Separate, tmp_path: Path) -> None:
    assert separate(scene, "--level", "1", "2", "3") == 0
    folder = tmp_path / "out" / "scene"
    assert names(tmp_path / "out") == {"scene"}
    assert names(folder) == {*FOUND, *NOT_STEMS}
    for level, found in FOUND.items():
        assert names(folder / level) == {f"{name}.wav" for name in (*found, "residual")}
    assert soundfile.info(folder / "level3" / "Dog.wav").subtype == "FLOAT"


@pytest.mark.parametrize(
    ("seconds", "loud_seconds"), [(1.3, None), (0.6, 0.0), (0.0, None)], ids=str
)
def test_a_timeline_is_drawn_also_for_silence_and_one_sample(
    tmp_path: Path,
    write_noise: WriteNoise,
    bundle_file: Path,
    seconds: float,
    loud_seconds: float | None,
) -> None:
    recording = write_noise(tmp_path / "scene.wav", seconds, loud_seconds=loud_seconds)
    command = [str(recording), "--model", str(bundle_file), "-o", str(tmp_path / "out")]
    assert main([*command, "--level", "2", "--class", "Dog"]) == 0
    picture = tmp_path / "out" / "scene" / "timeline.png"
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_detections_describe_the_stems(
    scene: Path, separate: Separate, tmp_path: Path, bundle_file: Path
) -> None:
    assert separate(scene, "--level", "3", "--overlap", "0.5", "--threshold", "0.4") == 0
    folder = tmp_path / "out" / "scene"
    found = report(folder)
    assert (found["version"], found["input"], found["sample_rate"]) == (1, "scene.wav", SAMPLE_RATE)
    assert (found["num_channels"], found["duration_seconds"]) == (1, pytest.approx(1.3))
    assert found["segment_seconds"] == 0.5
    assert found["segment_starts"] == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    assert found["residuals"] == {"level3": "level3/residual.wav"}
    assert found["settings"]["model"] == str(bundle_file)
    assert found["settings"]["threshold"] == 0.4
    assert found["settings"]["overlap"] == 0.5
    assert found["settings"]["tagger_hash"] == weight_hash(load_tagger(bundle_file))
    assert {stem["name"] for stem in found["stems"]} == FOUND["level3"]
    for stem in found["stems"]:
        node = ONTOLOGY.find(stem["mid"])
        assert (node.name, stem["level"]) == (stem["name"], 3)
        assert len(stem["probabilities"]) == len(found["segment_starts"])
        assert stem["probability"] == max(stem["probabilities"])
        assert stem["active_intervals"] == [[0.0, pytest.approx(1.3)]]
        power = np.mean(read(folder / stem["file"]) ** 2)
        assert stem["loudness_dbfs"] == pytest.approx(10.0 * math.log10(power), abs=0.01)
    probabilities = [stem["probability"] for stem in found["stems"]]
    assert probabilities == sorted(probabilities, reverse=True)


def test_a_sound_is_separated_only_where_it_is_heard(
    tmp_path: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    recording = write_noise(tmp_path / "burst.wav", 3.0, loud_seconds=1.0)
    assert separate(recording, "--level", "3", "--overlap", "0") == 0
    folder = tmp_path / "out" / "burst"
    for stem in report(folder)["stems"]:
        assert stem["active_intervals"] == [[0.0, 1.0]]
        assert [p >= 0.2 for p in stem["probabilities"]] == [True] * 2 + [False] * 4
        waveform = read(folder / stem["file"])
        assert np.abs(waveform[:SAMPLE_RATE]).max() > 1e-3
        assert np.all(waveform[SAMPLE_RATE:] == 0.0)
    assert missed(folder / "level3", recording) <= 1e-6


@pytest.mark.parametrize(
    ("sample_rate", "num_channels", "seconds"),
    [
        pytest.param(32_000, 1, 2.2, id="mono 32 kHz"),
        pytest.param(44_100, 2, 1.7, id="stereo 44.1 kHz"),
        pytest.param(8_000, 1, 1.1, id="8 kHz"),
        pytest.param(96_000, 6, 0.7, id="six channels 96 kHz"),
        pytest.param(32_000, 1, 0.3, id="shorter than a segment"),
        pytest.param(22_050, 2, 0.3, id="stereo shorter than a segment"),
        pytest.param(32_000, 1, 0.5, id="exactly a segment"),
        pytest.param(32_000, 1, 0.5 + 1 / 32_000, id="a sample more than a segment"),
        pytest.param(32_000, 1, 0.0, id="one sample"),
        pytest.param(96_000, 2, 0.0, id="one sample 96 kHz"),
        pytest.param(8_000, 1, 0.0, id="one sample 8 kHz"),
    ],
)
@pytest.mark.parametrize("overlap", ["0.25", "0"])
def test_the_files_of_a_folder_add_up_to_the_input(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    sample_rate: int,
    num_channels: int,
    seconds: float,
    overlap: str,
) -> None:
    recording = write_noise(
        tmp_path / "scene.wav", seconds, sample_rate=sample_rate, num_channels=num_channels
    )
    # At threshold 0 every class is heard, also in a single sample that resampling leaves over.
    audible = round(max(1, seconds * sample_rate) * SAMPLE_RATE / sample_rate) > 0
    options = ("--level", "1", "--class", "Dog", "Rain", "--threshold", "0", "--overlap", overlap)
    assert separate(recording, *options) == 0
    folder = tmp_path / "out" / "scene"
    assert len(names(folder / "level1")) == (7 if audible else 0) + 1
    assert names(folder / "queries") == {"Dog.wav", "Rain.wav", "residual.wav"}
    for part in ("level1", "queries"):
        assert missed(folder / part, recording) <= 1e-6
    if seconds > 0.0:
        assert np.abs(read(folder / "queries" / "Dog.wav")).max() > 1e-3


@pytest.mark.parametrize(
    ("container", "subtype", "tolerance"),
    [
        ("flac", None, 2.0**-24),
        ("flac", "PCM_16", 2.0**-16),
        # libsndfile scales by 2**23 - 1 on writing and by 2**23 on reading: up to a step more.
        ("wav", "PCM_16", 2.0**-15),
        ("wav", "PCM_24", 2.0**-23),
    ],
)
def test_files_of_integers_add_up_but_for_the_last_rounding(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    container: str,
    subtype: str | None,
    tolerance: float,
) -> None:
    recording = write_noise(tmp_path / "scene.wav", 1.2, num_channels=2)
    chosen = ("--subtype", subtype) if subtype else ()
    assert separate(recording, "--level", "1", "--format", container, *chosen) == 0
    folder = tmp_path / "out" / "scene" / "level1"
    assert names(folder) == {f"{name}.{container}" for name in (*FOUND["level1"], "residual")}
    info = soundfile.info(folder / f"residual.{container}")
    assert (info.format, info.subtype) == (container.upper(), subtype or "PCM_24")
    # Float32 holds a residual of this size to 2**-26.
    assert missed(folder, recording) <= tolerance + 2.0**-26


def test_files_that_cannot_hold_a_loud_sum_are_not_written_silently(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    quiet = read(write_noise(tmp_path / "quiet.wav", 0.5))
    loud = tmp_path / "loud.wav"
    soundfile.write(loud, quiet * (0.99 / np.abs(quiet).max()), SAMPLE_RATE, subtype="FLOAT")
    status = separate(loud, "--level", "1", "--threshold", "0", "--format", "flac")
    folder = tmp_path / "out" / "loud" / "level1"
    if status == 0 and missed(folder, loud) > 1e-6:
        assert "residual.flac" in caplog.text and "clipped" in caplog.text


def assert_silent(folder: Path, recording: Path, name: str) -> None:
    assert names(folder) == {"queries", *NOT_STEMS}
    assert names(folder / "queries") == {f"{name}.wav", "residual.wav"}
    assert np.all(read(folder / "queries" / f"{name}.wav") == 0.0)
    assert missed(folder / "queries", recording) == 0.0
    (stem,) = report(folder)["stems"]
    assert (stem["active_intervals"], stem["loudness_dbfs"], stem["level"]) == ([], None, None)


def test_a_named_class_that_is_not_heard_is_silent(
    scene: Path, separate: Separate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(scene, "--class", "Rain") == 0
    assert_silent(tmp_path / "out" / "scene", scene, "Rain")
    assert "not detected, silent" in capsys.readouterr().out


def test_the_threshold_decides_whether_a_named_class_is_silent(
    scene: Path, separate: Separate, tmp_path: Path, make_bundle: Callable[..., Path]
) -> None:
    # Without classes to hear a random tagger gives some 0.5 for every class.
    model = make_bundle(tmp_path / "random.safetensors", heard=())
    assert separate(scene, "--model", model, "--class", "Dog", "--threshold", "1.0") == 0
    assert_silent(tmp_path / "out" / "scene", scene, "Dog")
    assert separate(scene, "--model", model, "--class", "Dog", "--threshold", "0.01") == 0
    assert np.abs(read(tmp_path / "out" / "scene" / "queries" / "Dog.wav")).max() > 1e-3


@pytest.mark.parametrize(
    "key", ["Dog", " dog ", "/m/0bt9lr", str(ONTOLOGY.nodes["/m/0bt9lr"].class_index)]
)
def test_a_class_is_named_by_name_mid_or_index(
    scene: Path, separate: Separate, tmp_path: Path, key: str
) -> None:
    assert separate(scene, "--class", key) == 0
    assert names(tmp_path / "out" / "scene" / "queries") == {"Dog.wav", "residual.wav"}


def test_repeated_classes_and_levels_are_written_once(
    scene: Path, separate: Separate, tmp_path: Path
) -> None:
    options = ("--class", "Dog", "/m/0bt9lr", "--level", "3", "3")
    assert separate(scene, *options) == 0
    folder = tmp_path / "out" / "scene"
    assert names(folder / "queries") == {"Dog.wav", "residual.wav"}
    assert len(report(folder)["stems"]) == 3
    from_level, named = (read(folder / part / "Dog.wav") for part in ("level3", "queries"))
    assert np.array_equal(from_level, named)


def test_level_2_is_separated_if_nothing_is_asked_for(
    scene: Path, separate: Separate, tmp_path: Path
) -> None:
    assert separate(scene) == 0
    folder = tmp_path / "out" / "scene"
    assert names(folder) == {"level2", *NOT_STEMS}
    assert np.abs(read(folder / "level2" / "Human voice.wav")).max() > 1e-3


def test_another_tagger_detects_and_the_bundle_separates(
    scene: Path, separate: Separate, tmp_path: Path, make_bundle: Callable[..., Path]
) -> None:
    other = make_bundle(tmp_path / "other.safetensors", heard=("Siren",))
    published = tmp_path / "mini_mAP_100.pt"
    torch.save(load_tagger(other).state_dict(), published)
    for tagger, name in ((other, "tiny"), (published, "mini_mAP_100")):
        assert separate(scene, "--level", "1", "--tagger", tagger) == 0
        folder = tmp_path / "out" / "scene"
        assert names(folder / "level1") == {"Sounds of things.wav", "residual.wav"}
        settings = report(folder)["settings"]
        assert settings["tagger_hash"] == weight_hash(load_tagger(other))
        assert settings["tagger"] == name.split("_mAP")[0]
        assert missed(folder / "level1", scene) <= 1e-6


def test_a_class_the_model_cannot_separate_stays_in_the_residual(
    scene: Path,
    tmp_path: Path,
    make_bundle: Callable[..., Path],
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dog = ONTOLOGY.find("Dog").class_index
    assert dog is not None
    model = make_bundle(tmp_path / "dogs.safetensors", class_indexes=[dog])
    assert separate(scene, "--model", model, "--level", "3") == 0
    assert names(tmp_path / "out" / "scene" / "level3") == {"Dog.wav", "residual.wav"}
    capsys.readouterr()
    assert separate(scene, "--model", model, "--class", "Speech") == 2
    assert "no query for 'Speech'" in capsys.readouterr().err


def test_a_second_run_replaces_the_first_result(
    scene: Path, separate: Separate, tmp_path: Path
) -> None:
    assert separate(scene, "--level", "1", "2") == 0
    assert separate(scene, "--class", "Dog") == 0
    assert names(tmp_path / "out") == {"scene"}
    assert names(tmp_path / "out" / "scene") == {"queries", *NOT_STEMS}


def test_two_recordings_give_two_folders(
    scene: Path, tmp_path: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    other = write_noise(tmp_path / "other.wav", 0.6, sample_rate=16_000)
    assert separate(scene, other) == 0
    assert names(tmp_path / "out") == {"scene", "other", "summary.csv"}
    assert missed(tmp_path / "out" / "other" / "level2", other) <= 1e-6


def test_a_run_is_repeatable(scene: Path, separate: Separate, tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        assert separate(scene, "--level", "1") == 0
        files = sorted((tmp_path / "out" / "scene" / "level1").iterdir())
        written.append(np.stack([read(path) for path in files]))
    assert np.array_equal(*written)


@pytest.mark.parametrize("sample_rate", [32_000, 44_100])
def test_silence_gives_a_message_and_no_stem(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    sample_rate: int,
) -> None:
    recording = write_noise(
        tmp_path / "quiet.wav", 1.2, sample_rate=sample_rate, num_channels=2, loud_seconds=0.0
    )
    assert separate(recording, "--level", "1", "2", "3") == 0
    assert "quiet.wav: nothing detected" in capsys.readouterr().out
    folder = tmp_path / "out" / "quiet"
    for level in FOUND:
        assert names(folder / level) == {"residual.wav"}
        assert missed(folder / level, recording) == 0.0
    assert report(folder)["stems"] == []
    assert (folder / "timeline.png").stat().st_size > 0


def test_classes_named_for_a_silent_recording_are_silent(
    tmp_path: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    recording = write_noise(tmp_path / "quiet.wav", 1.2, loud_seconds=0.0)
    assert separate(recording, "--class", "Dog", "Music", "--threshold", "0") == 0
    folder = tmp_path / "out" / "quiet"
    for name in ("Dog", "Music", "residual"):
        assert np.all(read(folder / "queries" / f"{name}.wav") == 0.0)
    text = (folder / "detections.json").read_text(encoding="utf-8")
    assert "NaN" not in text and "Infinity" not in text


def test_every_node_has_a_file_name_of_its_own() -> None:
    reserved = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(10))}
    used = {"residual"}
    for node in ONTOLOGY.nodes.values():
        safe = safe_file_name(node.name)
        assert safe and safe == safe.strip(" .")
        assert not set(safe) & set('<>:"/\\|?*') and safe.isprintable()
        assert len(f"{safe}.flac".encode()) <= 255
        assert safe.casefold() not in reserved | used
        used.add(safe.casefold())
    assert len(used) == 632 + 1


@pytest.mark.slow
def test_the_shell_and_the_process_write_the_same_files(
    scene: Path,
    tmp_path: Path,
    bundle_file: Path,
    separate: Separate,
    run_command: Callable[..., Any],
) -> None:
    assert separate(scene, "--level", "1") == 0
    options: Sequence[str | Path] = (scene, "--model", bundle_file, "--level", "1")
    done = run_command("pipelines.separate", *options, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "Music.wav" in done.stdout
    inside, outside = tmp_path / "out" / "scene", tmp_path / "elsewhere" / "separated" / "scene"
    for path in (inside / "level1").iterdir():
        assert np.array_equal(read(outside / "level1" / path.name), read(path))
