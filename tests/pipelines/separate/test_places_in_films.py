"""Which track of a film is taken, and where in the film it lies."""

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from uss.audio import AudioFile
from uss.audio.tracks import TrackInfo, check_track, default_track
from uss.results.separate_file import separate_file
from uss.separation.separator import Separator

RATE = 32_000
Separate = Callable[..., int]
Samples = NDArray[np.int16]


def write_film(
    path: Path,
    tracks: Sequence[Samples],
    late_seconds: Sequence[float],
    *,
    languages: Sequence[str] = ("deu", "eng", "fra"),
    default: int | None = None,
    codec: str = "pcm_s16le",
) -> Path:
    """Pictures of 3 s, and (T,) int16 tracks that start late."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        streams = [container.add_stream(codec, rate=RATE, layout="mono") for _ in tracks]
        for number, (stream, language) in enumerate(zip(streams, languages, strict=False), start=1):
            stream.metadata["language"] = language
            stream.metadata["title"] = f"Mix {number}"
            # Without this FFmpeg flags the first.
            flags = av.stream.Disposition.default if number == default else 0
            stream.disposition = getattr(flags, "value", flags)
        for number in range(75):
            picture = av.VideoFrame.from_ndarray(np.full((48, 32), 128, np.uint8), "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        for stream, samples, late in zip(streams, tracks, late_seconds, strict=True):
            for start in range(0, len(samples), 800):
                piece = np.ascontiguousarray(samples[None, start : start + 800])
                frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
                frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                frame.pts = start + round(late * RATE)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def noise(num_tracks: int = 1, num_samples: int = 48_000) -> list[Samples]:
    rng = np.random.default_rng(0)
    return [rng.integers(-9_000, 9_000, num_samples).astype(np.int16) for _ in range(num_tracks)]


def total(folder: Path) -> NDArray[np.float64]:
    parts = [soundfile.read(path)[0] for path in (folder / "level1").iterdir()]
    return np.sum(parts, axis=0)


def described(folder: Path) -> Any:
    return json.loads((folder / "detections.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["film.mkv", "film.mov"])
def test_a_late_track_is_noted_and_starts_with_itself(
    tmp_path: Path, separate: Separate, name: str
) -> None:
    (samples,) = noise()
    film = write_film(tmp_path / name, [samples], [1.5])
    assert separate(film, "--level", "1") == 0
    folder = tmp_path / "out" / "film"
    assert described(folder)["film_offset_seconds"] == 1.5
    assert described(folder)["settings"]["align"] == "track"
    np.testing.assert_allclose(total(folder), samples / 32_768.0, atol=1e-6)
    assert "the track starts at 1.500 s of the film" in (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize("name", ["film.mkv", "film.mov"])
@pytest.mark.parametrize("form", ["wav", "flac"])
def test_aligned_stems_start_with_the_film(
    tmp_path: Path, separate: Separate, name: str, form: str
) -> None:
    (samples,) = noise()
    film = write_film(tmp_path / name, [samples], [1.5])
    assert separate(film, "--level", "1", "--align", "film", "--format", form, "--mux") == 0
    folder = tmp_path / "out" / "film"
    padded = np.concatenate([np.zeros(48_000), samples / 32_768.0])
    np.testing.assert_allclose(total(folder), padded, atol=1e-6)
    result = described(folder)
    assert (result["film_offset_seconds"], result["settings"]["align"]) == (1.5, "film")
    assert result["duration_seconds"] == 3.0
    with av.open(str(folder / "film.mkv")) as copy:
        assert next(copy.decode(audio=0)).time == 0.0


def test_muxed_stems_stay_in_step_without_being_aligned(tmp_path: Path, separate: Separate) -> None:
    film = write_film(tmp_path / "film.mkv", noise(), [1.5])
    assert separate(film, "--level", "1", "--mux") == 0
    with av.open(str(tmp_path / "out" / "film" / "film.mkv")) as copy:
        assert next(copy.decode(audio=0)).time == 1.5


def test_a_broadcast_counts_from_its_own_start(tmp_path: Path) -> None:
    film = tmp_path / "film.ts"
    with av.open(str(film), "w", container_options={"output_ts_offset": "100"}) as container:
        pictures = container.add_stream("mpeg2video", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream("mp2", rate=RATE, layout="mono")
        for number in range(50):
            picture = av.VideoFrame.from_ndarray(np.full((48, 32), 128, np.uint8), "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        for number in range(30):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1_152), np.int16), "s16", "mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = RATE + 1_152 * number
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with av.open(str(film)) as container:
        start = container.streams.video[0].start_time * container.streams.video[0].time_base
        heard = next(container.decode(audio=0)).time
    assert AudioFile(film).film_offset_seconds == pytest.approx(heard - float(start), abs=0.05)
    assert heard > 100.0


def test_the_track_flagged_default_is_taken(
    tmp_path: Path, separate: Separate, caplog: pytest.LogCaptureFixture
) -> None:
    tracks = noise(3)
    film = write_film(tmp_path / "film.mkv", tracks, [0.0] * 3, default=2)
    with caplog.at_level("INFO"):
        assert separate(film, "--level", "1") == 0
    folder = tmp_path / "out" / "film"
    np.testing.assert_allclose(total(folder), tracks[1] / 32_768.0, atol=1e-6)
    result = described(folder)
    assert result["settings"]["track"] == 2
    assert [track["language"] for track in result["tracks"]] == ["deu", "eng", "fra"]
    assert [track["is_default"] for track in result["tracks"]] == [False, True, False]
    said = [record.getMessage() for record in caplog.records if "is taken" in record.getMessage()]
    assert said == [
        f'{film}: audio track 2 (eng, "Mix 2", default) is taken, not 1 (deu, "Mix 1"), '
        '3 (fra, "Mix 3")'
    ]
    caplog.clear()
    assert separate(film, "--level", "1", "--track", "1", "--force") == 0
    np.testing.assert_allclose(total(folder), tracks[0] / 32_768.0, atol=1e-6)
    assert not any("is taken" in record.getMessage() for record in caplog.records)


def test_every_track_gets_a_folder(tmp_path: Path, separate: Separate) -> None:
    tracks = noise(2)
    film = write_film(tmp_path / "film.mkv", tracks, [0.0, 0.5], default=2)
    assert separate(film, "--level", "1", "--track", "all") == 0
    out = tmp_path / "out"
    for number in (1, 2):
        folder = out / f"film.track{number}"
        np.testing.assert_allclose(total(folder), tracks[number - 1] / 32_768.0, atol=1e-6)
        assert described(folder)["settings"]["track"] == number
        assert described(folder)["film_offset_seconds"] == (number - 1) / 2
    assert len((out / "summary.csv").read_text("utf-8").splitlines()) == 3


def test_all_tracks_of_a_recording_with_one(
    tmp_path: Path, separate: Separate, write_noise: Callable[..., Path]
) -> None:
    assert separate(write_noise(tmp_path / "take.wav", 0.6), "--track", "all") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["take"]


@pytest.mark.parametrize("track", ["0", "-1", "two", "All"])
def test_tracks_that_make_no_sense(
    tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str], track: str
) -> None:
    assert separate(tmp_path / "film.mkv", "--track", track) == 2
    assert "--track" in capsys.readouterr().err


def test_a_track_it_lacks_is_refused_with_the_languages(
    tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mkv", noise(2), [0.0, 0.0], default=1)
    assert separate(film, "--track", "3") == 2
    assert 'choose 1 to 2: 1 (deu, "Mix 1", default), 2 (eng, "Mix 2")' in capsys.readouterr().err


def test_the_first_is_taken_where_none_is_flagged() -> None:
    assert default_track(()) == 1
    assert default_track([TrackInfo(1), TrackInfo(2)]) == 1
    assert default_track([TrackInfo(1), TrackInfo(2, is_default=True), TrackInfo(3)]) == 2
    with pytest.raises(ValueError, match="has 1 audio track, so there is no track 2"):
        check_track(Path("a"), 2, 1, [TrackInfo(1, "deu")])


def test_for_programs(
    tmp_path: Path, bundle_file: Path, quick_pictures: None, separate: Separate
) -> None:
    separator = Separator.from_pretrained(str(bundle_file), device="cpu")
    film = write_film(tmp_path / "film.mkv", noise(2), [0.0, 1.0], default=2)
    result = separate_file(film, tmp_path / "out", separator=separator, levels=[1], align="film")
    assert (result.settings.track, result.film_offset_seconds) == (2, 1.0)
    assert result.duration_seconds == 2.5
    with pytest.raises(ValueError, match="stems are not aligned to 'video'; choose track or film"):
        separate_file(film, tmp_path / "out", separator=separator, align="video")
