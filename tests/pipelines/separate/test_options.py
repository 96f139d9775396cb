"""What the options of uss-separate change in the stems, and what they leave alone."""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from torch import Tensor

from tests.pipelines.separate.outputs import assert_adds_up, energy, read, record, stems
from uss.models import ResUNet

SAMPLE_RATE = 32_000
NOT_STEMS = {"detections.json", "timeline.png", "report.html", "provenance.json"}

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]
PRECISION = "fp32"


@pytest.fixture
def call(tmp_path: Path, write_noise: WriteNoise) -> Path:
    """What to look for, by example."""
    return write_noise(tmp_path / "call.wav", 0.8, seed=5)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def the_error(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("uss-separate: ")
    return line


# --consistency


@pytest.fixture(scope="module")
def kennel(tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[..., Path]) -> Path:
    """A bundle that hears two classes below one parent, and one alone below another."""
    return make_bundle(
        tmp_path_factory.mktemp("kennel") / "k.safetensors", ("Dog", "Cat", "Speech")
    )


@pytest.mark.parametrize("sample_rate", [32_000, 44_100])
def test_consistent_levels_add_up_to_their_parents_and_to_the_input(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    kennel: Path,
    sample_rate: int,
) -> None:
    recording = write_noise(tmp_path / "scene.wav", 2.6, sample_rate=sample_rate, num_channels=2)
    options = ("--model", kennel, "--level", "1", "2", "3")
    folder = tmp_path / "out" / "scene"
    assert separate(recording, *options) == 0
    apart = {level: stems(folder / level) for level in ("level1", "level2", "level3")}
    assert separate(recording, *options, "--consistency") == 0
    level1, level2, level3 = (stems(folder / level) for level in apart)
    pets = level2["Domestic animals, pets"]
    np.testing.assert_allclose(level3["Dog"] + level3["Cat"], pets, rtol=0.0, atol=1e-5)
    np.testing.assert_allclose(pets, level1["Animal"], rtol=0.0, atol=1e-5)
    np.testing.assert_allclose(level2["Human voice"], level1["Human sounds"], rtol=0.0, atol=1e-5)
    without = apart["level3"]["Dog"] + apart["level3"]["Cat"]
    assert np.abs(without - apart["level2"]["Domestic animals, pets"]).max() > 1e-3
    for level, parts in apart.items():
        assert_adds_up(folder / level, recording)
        assert record(folder)["settings"]["consistency"] is True
        kept = below_14_khz(stems(folder / level)["residual"], sample_rate)
        assert kept < 1e-4 * below_14_khz(parts["residual"], sample_rate)


def below_14_khz(samples: NDArray[np.float64], sample_rate: int) -> float:
    """Energy clear of the resampling filters, beyond which no stem has anything."""
    spectrum = np.fft.rfft(samples, axis=0)
    hz = np.fft.rfftfreq(len(samples), 1.0 / sample_rate)
    return float(np.square(np.abs(spectrum[hz < 14_000])).sum())


def test_where_nothing_is_active_consistency_shares_out_nothing(
    tmp_path: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    recording = write_noise(tmp_path / "burst.wav", 4.0, loud_seconds=1.0)
    options = ("--level", "1", "2", "--overlap", "0", "--consistency")
    assert separate(recording, *options) == 0
    folder = tmp_path / "out" / "burst"
    for level in ("level1", "level2"):
        assert_adds_up(folder / level, recording)
        for samples in stems(folder / level).values():
            assert np.all(samples[SAMPLE_RATE:] == 0.0)
    assert energy(stems(folder / "level1")["residual"]) < 1e-6 * energy(read(recording))


def test_consistent_named_stems_take_all_there_is(
    scene: Path, call: Path, tmp_path: Path, separate: Separate
) -> None:
    assert separate(scene, "--class", "Dog", "Rain", "--query", call, "--consistency") == 0
    folder = tmp_path / "out" / "scene" / "queries"
    parts = stems(folder)
    assert np.all(parts["Rain"] == 0.0)
    np.testing.assert_allclose(parts["Dog"] + parts["call"], read(scene), rtol=0.0, atol=1e-5)
    assert_adds_up(folder, scene)


# --full-band


def above_16_khz(samples: NDArray[np.float64], sample_rate: int) -> float:
    """Energy above the separator's band, clear of the filters' slopes."""
    spectrum = np.fft.rfft(samples, axis=0)
    hz = np.fft.rfftfreq(len(samples), 1.0 / sample_rate)
    return float(np.square(np.abs(spectrum[hz > 16_500])).sum())


@pytest.mark.parametrize("sample_rate", [44_100, 48_000, 96_000])
def test_only_the_full_band_has_stems_above_16_khz(
    tmp_path: Path, write_noise: WriteNoise, separate: Separate, sample_rate: int
) -> None:
    recording = write_noise(tmp_path / "scene.wav", 1.7, sample_rate=sample_rate, num_channels=2)
    folder = tmp_path / "out" / "scene"
    assert separate(recording, "--class", "Dog") == 0
    narrow = stems(folder / "queries")
    assert separate(recording, "--class", "Dog", "--full-band") == 0
    wide = stems(folder / "queries")
    assert_adds_up(folder / "queries", recording)
    whole = above_16_khz(read(recording), sample_rate)
    assert above_16_khz(narrow["Dog"], sample_rate) < 1e-4 * whole
    assert 1e-3 * whole < above_16_khz(wide["Dog"], sample_rate) <= whole
    assert above_16_khz(wide["residual"], sample_rate) < above_16_khz(
        narrow["residual"], sample_rate
    )


def test_a_recording_without_such_a_band_is_the_same(
    scene: Path, tmp_path: Path, separate: Separate
) -> None:
    assert separate(scene, "--class", "Dog") == 0
    before = read(tmp_path / "out" / "scene" / "queries" / "Dog.wav")
    assert separate(scene, "--class", "Dog", "--full-band") == 0
    assert np.array_equal(read(tmp_path / "out" / "scene" / "queries" / "Dog.wav"), before)


# --query


def test_queries_by_example_are_stems_beside_named_classes(
    scene: Path, call: Path, tmp_path: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    pack = tmp_path / "the pack"
    write_noise(pack / "one.wav", 0.7, seed=6)
    write_noise(pack / "two.wav", 1.4, seed=7, sample_rate=16_000)
    (pack / "notes.txt").write_text("no audio")
    assert separate(scene, "--query", call, pack, "--class", "Rain", "--level", "3") == 0
    folder = tmp_path / "out" / "scene"
    assert names(folder / "queries") == {"call.wav", "the pack.wav", "Rain.wav", "residual.wav"}
    assert names(folder / "level3") == {"Dog.wav", "Speech.wav", "residual.wav"}
    by_name = {stem["name"]: stem for stem in record(folder)["stems"]}
    for name in ("call", "the pack"):
        stem = by_name[name]
        assert (stem["mid"], stem["level"], stem["file"]) == (None, None, f"queries/{name}.wav")
        assert stem["active_intervals"] == [[0.0, pytest.approx(1.3)]]
        assert np.abs(read(folder / stem["file"])).max() > 1e-3
    assert by_name["Rain"]["mid"] is not None
    for part in ("queries", "level3"):
        assert_adds_up(folder / part, scene)


def test_levels_are_not_separated_beside_a_query_unless_asked_for(
    scene: Path, call: Path, tmp_path: Path, separate: Separate
) -> None:
    assert separate(scene, "--query", call) == 0
    assert names(tmp_path / "out" / "scene") == {"queries", *NOT_STEMS}


def test_a_folder_of_one_example_asks_for_the_same_as_the_example(
    scene: Path, call: Path, tmp_path: Path, separate: Separate
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "anything.wav").write_bytes(call.read_bytes())
    assert separate(scene, "--query", call, folder) == 0
    parts = stems(tmp_path / "out" / "scene" / "queries")
    np.testing.assert_allclose(parts["call"], parts["folder"], rtol=0.0, atol=1e-6)


def test_examples_of_one_name_keep_apart(
    scene: Path, call: Path, tmp_path: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    other = write_noise(tmp_path / "other" / "CALL.wav", 0.8, seed=8)
    residual = write_noise(tmp_path / "residual.wav", 0.8, seed=9)
    assert separate(scene, "--query", call, other, residual) == 0
    folder = tmp_path / "out" / "scene"
    assert names(folder / "queries") == {
        "call.wav",
        "CALL (2).wav",
        "residual.wav",
        "residual (2).wav",
    }
    assert record(folder)["residuals"] == {"queries": "queries/residual.wav"}
    assert_adds_up(folder / "queries", scene)


def test_a_query_is_not_asked_where_there_is_silence(
    call: Path, tmp_path: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    recording = write_noise(tmp_path / "burst.wav", 3.0, loud_seconds=1.0)
    assert separate(recording, "--query", call, "--overlap", "0") == 0
    folder = tmp_path / "out" / "burst"
    assert record(folder)["stems"][0]["active_intervals"] == [[0.0, 1.0]]
    assert np.all(read(folder / "queries" / "call.wav")[SAMPLE_RATE:] == 0.0)


@pytest.mark.parametrize("option", ["--query", "--not"])
@pytest.mark.parametrize(
    ("example", "says"),
    [
        ("nowhere.wav", ""),
        ("quiet.wav", "the query 'quiet' is silent"),
        ("text.wav", "check that it plays"),
        ("empty folder", "name an audio or video file"),
        ("half.wav", "NaN"),
    ],
)
def test_an_example_that_cannot_be_used_is_refused(
    scene: Path,
    tmp_path: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    option: str,
    example: str,
    says: str,
) -> None:
    soundfile.write(tmp_path / "quiet.wav", np.zeros(9_000), SAMPLE_RATE)
    half_numbers = np.repeat([0.1, np.nan], 5_000)
    soundfile.write(tmp_path / "half.wav", half_numbers, SAMPLE_RATE, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("no audio\n" * 500)
    (tmp_path / "empty folder").mkdir()
    assert separate(scene, option, tmp_path / example) == 2
    line = the_error(capsys)
    assert says in line and (example.split(".")[0] in line)
    assert not (tmp_path / "out").exists()


# --not


def test_an_unwanted_class_is_neither_found_nor_separated(
    scene: Path, tmp_path: Path, separate: Separate
) -> None:
    folder = tmp_path / "out" / "scene"
    assert separate(scene, "--level", "1", "3") == 0
    before = read(folder / "level3" / "Dog.wav")
    assert separate(scene, "--level", "1", "3", "--not", "Speech") == 0
    assert names(folder / "level3") == {"Dog.wav", "residual.wav"}
    assert names(folder / "level1") == {"Animal.wav", "Music.wav", "residual.wav"}
    assert record(folder)["settings"]["without"] == ["Speech"]
    assert "Speech" not in {stem["name"] for stem in record(folder)["stems"]}
    for level in ("level1", "level3"):
        assert_adds_up(folder / level, scene)
    # Also what the dog's stem had of the speech goes to the residual.
    assert 0.0 < energy(read(folder / "level3" / "Dog.wav")) < energy(before)


def test_an_unwanted_class_takes_all_below_it_along(
    scene: Path, tmp_path: Path, separate: Separate
) -> None:
    assert separate(scene, "--level", "1", "3", "--not", "Animal", "Music") == 0
    folder = tmp_path / "out" / "scene"
    assert names(folder / "level1") == {"Human sounds.wav", "residual.wav"}
    assert names(folder / "level3") == {"Speech.wav", "residual.wav"}


@pytest.mark.parametrize("options", [(), ("--consistency",)], ids=["alone", "consistent"])
def test_an_unwanted_example_is_kept_out_of_all_stems(
    scene: Path, call: Path, tmp_path: Path, separate: Separate, options: Sequence[str]
) -> None:
    folder = tmp_path / "out" / "scene"
    assert separate(scene, "--level", "3", *options) == 0
    before = stems(folder / "level3")
    assert separate(scene, "--level", "3", "--not", call, *options) == 0
    after = stems(folder / "level3")
    assert after.keys() == before.keys() == {"Dog", "Speech", "residual"}
    assert energy(after["residual"]) > energy(before["residual"])
    assert record(folder)["settings"]["without"] == ["call"]
    assert_adds_up(folder / "level3", scene)


@pytest.mark.parametrize("unwanted", ["Dog", "/m/0bt9lr", "Animal"])
def test_a_class_that_is_wanted_and_unwanted_is_refused(
    scene: Path,
    tmp_path: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    unwanted: str,
) -> None:
    assert separate(scene, "--class", "Rain", "Dog", "--not", unwanted) == 2
    line = the_error(capsys)
    assert "Dog is asked for" in line and "leave out one" in line
    assert not (tmp_path / "out").exists()


def test_of_a_wanted_class_an_unwanted_part_is_left_out(
    scene: Path, tmp_path: Path, separate: Separate
) -> None:
    assert separate(scene, "--class", "Animal", "Human sounds", "--not", "Dog") == 0
    by_name = {stem["name"]: stem for stem in record(tmp_path / "out" / "scene")["stems"]}
    assert by_name["Animal"]["active_intervals"] == []
    assert by_name["Human sounds"]["active_intervals"] != []
    assert_adds_up(tmp_path / "out" / "scene" / "queries", scene)


def test_a_folder_that_is_called_like_a_class_is_not_meant(
    scene: Path,
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_noise(tmp_path / "Music" / "song.wav", 0.7, seed=8)
    monkeypatch.chdir(tmp_path)
    assert separate(scene, "--level", "1", "--not", "Music") == 0
    folder = tmp_path / "out" / "scene"
    assert names(folder / "level1") == {"Animal.wav", "Human sounds.wav", "residual.wav"}
    assert separate(scene, "--level", "1", "--not", "./Music") == 0
    assert "Music.wav" in names(folder / "level1")
    assert record(folder)["settings"]["without"] == ["Music"]


def test_a_misspelt_unwanted_class_is_refused(
    scene: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(scene, "--not", "speach") == 2
    assert "Speech" in the_error(capsys)


# --detect-only


def test_detection_alone_takes_queries_and_unwanted_classes(
    scene: Path, call: Path, tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--level", "3", "--class", "Rain", "--query", call, "--not", "Speech")
    assert separate(scene, *options, "--consistency", "--full-band", "--detect-only") == 0
    folder = tmp_path / "out" / "scene"
    assert names(folder) == NOT_STEMS
    listed = [(stem["name"], stem["level"], stem["file"]) for stem in record(folder)["stems"]]
    assert listed == [("Dog", 3, None), ("Rain", None, None), ("call", None, None)]
    assert record(folder)["stems"][2]["mid"] is None
    assert record(folder)["residuals"] == {}
    assert "call" in capsys.readouterr().out
    assert "<audio" not in (folder / "report.html").read_text(encoding="utf-8")


# report.html


def test_the_report_shows_every_file_and_refers_to_no_other(
    scene: Path, tmp_path: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    odd = write_noise(tmp_path / 'a "b" & 100% #1?.wav', 0.8)
    assert separate(scene, "--level", "1", "2", "--query", odd) == 0
    folder = tmp_path / "out" / "scene"
    page = (folder / "report.html").read_text(encoding="utf-8")
    links = set(re.findall(r'(?:src|href)="([^"#][^"]*)"', page))
    files = {unquote(link.replace("&amp;", "&")) for link in links if ":" not in link}
    written = {str(path.relative_to(folder)) for path in folder.rglob("*.wav")}
    assert files == {"timeline.png", *written}
    assert not [link for link in links if link.startswith(("http:", "https:", "file:"))]
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors and anchors <= set(re.findall(r'id="([^"]+)"', page))


# --mux


def write_film(path: Path, num_tracks: int = 1, seconds: float = 2.0) -> Path:
    """Moving noise with stereo noise."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        tracks = [
            container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
            for _ in range(num_tracks)
        ]
        for number in range(round(25 * seconds)):
            image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            for track in tracks:
                samples = rng.integers(-9_000, 9_000, (1, 2 * 1_920)).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(samples, "s16", "stereo")
                frame.sample_rate, frame.pts = 48_000, 1_920 * number
                frame.time_base = Fraction(1, 48_000)
                container.mux(track.encode(frame))
        for stream in (pictures, *tracks):
            container.mux(stream.encode(None))
    return path


def video_packets(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        return [
            (float(packet.pts * packet.time_base), bytes(packet))
            for packet in container.demux(container.streams.video[0])
            if packet.size
        ]


def sound_of(path: Path, track: int) -> NDArray[np.float64]:
    """(T, C) of a film's track, from 0; of integers, as all films here hold."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=track)]
    samples = np.concatenate([frame.reshape(-1, 2) for frame in frames])
    return samples / -float(np.iinfo(samples.dtype).min)


def titles(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.metadata["title"] for stream in container.streams.audio]


def test_the_stems_are_the_tracks_of_the_films_copy(tmp_path: Path, separate: Separate) -> None:
    film = write_film(tmp_path / "film.mkv")
    assert separate(film, "--mux") == 0
    folder = tmp_path / "out" / "film"
    assert names(folder) == {"level2", "film.mkv", *NOT_STEMS}
    copy = folder / "film.mkv"
    files = [stem["file"] for stem in record(folder)["stems"]] + ["level2/residual.wav"]
    assert titles(copy) == [*(Path(file).stem for file in files[:-1]), "Residual"]
    for track, file in enumerate(files):
        np.testing.assert_allclose(
            sound_of(copy, track), read(folder / file), rtol=0.0, atol=2.0**-24
        )
    assert video_packets(copy) == video_packets(film)


def test_the_tracks_of_several_folders_say_which(
    call: Path, tmp_path: Path, separate: Separate
) -> None:
    film = write_film(tmp_path / "film.mkv", num_tracks=2, seconds=1.0)
    options = ("--level", "3", "--query", call, "--track", "2", "--format", "flac")
    assert separate(film, *options, "--mux") == 0
    folder = tmp_path / "out" / "film"
    copy = folder / "film.mkv"
    level3 = [stem["name"] for stem in record(folder)["stems"] if stem["level"] == 3]
    assert set(level3) == {"Dog", "Speech"}
    assert titles(copy) == [
        *(f"{name} (level3)" for name in level3),
        "Residual (level3)",
        "call (queries)",
        "Residual (queries)",
    ]
    total = sum(sound_of(copy, track) for track in range(3))
    assert np.array_equal(total, sound_of(film, 1))


def test_a_film_in_which_nothing_is_found_has_the_residual_alone(
    tmp_path: Path, separate: Separate
) -> None:
    film = write_film(tmp_path / "film.mkv", seconds=1.0)
    assert separate(film, "--threshold", "1", "--mux") == 0
    assert titles(tmp_path / "out" / "film" / "film.mkv") == ["Residual"]


def test_a_recording_without_pictures_is_no_film(
    scene: Path, tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(scene, "--mux") == 2
    assert "scene.wav has no moving pictures" in the_error(capsys)
    assert not (tmp_path / "out").exists()


def test_a_copy_of_the_film_needs_stems(
    tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(write_film(tmp_path / "film.mkv", seconds=0.5), "--mux", "--detect-only") == 2
    assert "leave out one" in the_error(capsys)
    assert not (tmp_path / "out").exists()


# Several recordings


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that the separator is given."""
    sizes: list[int] = []
    mask = ResUNet.mask

    def counted(self: ResUNet, encoded: Tensor, modulation: Any) -> Tensor:
        sizes.append(len(encoded))
        return mask(self, encoded, modulation)

    monkeypatch.setattr(ResUNet, "mask", counted)
    return sizes


@pytest.fixture
def tape(tmp_path: Path, write_noise: WriteNoise) -> list[Path]:
    """Short recordings of several rates, channels and lengths."""
    return [
        write_noise(tmp_path / "a.wav", 0.9, seed=1),
        write_noise(tmp_path / "b.wav", 0.5, seed=2, sample_rate=44_100, num_channels=2),
        write_noise(tmp_path / "c.wav", 0.6, loud_seconds=0.0),
        write_noise(tmp_path / "d.wav", 1.2, seed=3, sample_rate=48_000, num_channels=6),
        write_noise(tmp_path / "e.wav", 0.4, seed=4, sample_rate=8_000),
    ]


def results(folder: Path) -> dict[str, NDArray[np.float64]]:
    return {str(path.relative_to(folder)): read(path) for path in folder.rglob("*.wav")}


def assert_equal_results(one: Path, other: Path) -> None:
    first, second = results(one), results(other)
    assert first.keys() == second.keys() and first
    for file, samples in first.items():
        np.testing.assert_allclose(samples, second[file], rtol=0.0, atol=1e-5)


def test_recordings_share_their_batches_and_their_results_do_not_change(
    tape: list[Path], tmp_path: Path, separate: Separate, batches: list[int]
) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    assert separate(*tape, "--level", "1", "-o", together) == 0
    shared = list(batches)
    batches.clear()
    for recording in tape:
        assert separate(recording, "--level", "1", "-o", alone) == 0
    assert sum(shared) == sum(batches)
    assert len(shared) < len(batches)
    # All but the last are full.
    assert set(shared[:-1]) == {max(shared)}
    assert_equal_results(together, alone)
    for recording in tape:
        folder = together / recording.stem / "level1"
        assert_adds_up(folder, recording)
        assert (recording.stem == "c") == (names(folder) == {"residual.wav"})


def test_neither_a_broken_recording_nor_a_refused_folder_harms_the_others(
    tape: list[Path], tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    for recording in (tape[0], tape[4]):
        assert separate(recording, "--level", "1", "-o", alone) == 0
    tape[1].write_text("no audio\n" * 500)
    samples = read(tape[3])
    samples[-1] = np.inf
    soundfile.write(tape[3], samples, 48_000, subtype="FLOAT")
    diary = together / "c" / "diary.txt"
    diary.parent.mkdir(parents=True)
    diary.write_text("not to be lost")
    capsys.readouterr()
    assert separate(*tape, "--level", "1", "-o", together) == 2
    printed = capsys.readouterr().err.splitlines()
    assert [name in line for name, line in zip("bcd", printed, strict=True)] == [True] * 3
    assert names(together) == {"a", "c", "e", "summary.csv"}
    assert diary.read_text() == "not to be lost"
    diary.unlink()
    assert_equal_results(together, alone)
