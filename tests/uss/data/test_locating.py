from pathlib import Path

import pytest

from uss.data.locating import file_stems, locate
from uss.data.manifest import AudioSetClip, Clip


def clip(ytid: str, start_seconds: float = 30.0, clip_id: str | None = None) -> AudioSetClip:
    return AudioSetClip(clip_id or ytid, "", ("/m/09x0r",), ytid=ytid, start_seconds=start_seconds)


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


@pytest.mark.parametrize(
    "path",
    [
        "-0SdAVK79lg.wav",
        "Y-0SdAVK79lg.flac",
        "-0SdAVK79lg_30.m4a",
        "-0SdAVK79lg_30000.OGG",
        "Y-0SdAVK79lg_30.000.wav",
        "-0SdAVK79lg_000030.mp4",
        "-0SdAVK79lg_30_40.flac",
        "Y-0SdAVK79lg_30000_40000.flac",
        "-0SdAVK79lg_30-40.wav",
        "a/b/c/Y-0SdAVK79lg_30.0_40.0.opus",
        "balanced/00/-0SdAVK79lg.mp4",
    ],
)
def test_names_the_common_download_tools_give(tmp_path: Path, path: str) -> None:
    write(tmp_path, path, "-other_____.wav")
    (found,) = locate([clip("-0SdAVK79lg")], tmp_path)
    assert found.path == str(Path(path))
    assert found.clip_id == "-0SdAVK79lg"
    assert found.mids == ("/m/09x0r",)


@pytest.mark.parametrize(
    "path",
    [
        "-0SdAVK79lg.json",
        "-0SdAVK79lg.wav.part",
        "-0SdAVK79lg",
        "-0sdavk79lg.wav",
        "-0SdAVK79lg_40.wav",
        "-0SdAVK79lg_40_30.wav",
        "-0SdAVK79lg_30_x.wav",
        "-0SdAVK79lg_30_40_50.wav",
        "-0SdAVK79lg__30.wav",
        "-0SdAVK79lg_.wav",
        "YY-0SdAVK79lg.wav",
        "x-0SdAVK79lg.wav",
        "-0SdAVK79lg.wav/other.wav",
    ],
)
def test_other_names_are_not_taken(tmp_path: Path, path: str) -> None:
    write(tmp_path, path, "there.wav")
    found = locate([clip("there"), clip("-0SdAVK79lg")], tmp_path)
    assert [entry.path for entry in found] == ["there.wav", ""]


def test_clips_without_audio_keep_their_place(tmp_path: Path) -> None:
    write(tmp_path, "b.wav", "d.wav")
    found = locate([clip(ytid) for ytid in "abcd"], tmp_path)
    assert [entry.path for entry in found] == ["", "b.wav", "", "d.wav"]
    assert [entry.clip_id for entry in found] == list("abcd")


def test_clips_of_one_video_are_found_by_their_start_alone(tmp_path: Path) -> None:
    write(tmp_path, "v.wav", "Yv.wav", "v_30.wav")
    found = locate([clip("v", 30.0, "v_30000"), clip("v", 0.0, "v_0")], tmp_path)
    assert [entry.path for entry in found] == ["v_30.wav", ""]


def test_the_most_exact_name_wins() -> None:
    assert file_stems(clip("v", 30.5)) == ["v_30500", "v_30", "v_30.500", "v"]
    assert file_stems(clip("v", 0.0)) == ["v_0", "v"]


def test_of_equal_names_the_first_is_taken(tmp_path: Path) -> None:
    write(tmp_path, "b/v.wav", "a/v.wav", "a/v.flac", "c/v.wav")
    (found,) = locate([clip("v")], tmp_path)
    assert found.path == str(Path("a/v.flac"))


def test_no_audio_at_all_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path, "other.wav")
    with pytest.raises(ValueError, match=r"-v_30000\.\*, -v_30\.\*, -v\.\*, perhaps .*; name"):
        locate([clip("-v"), clip("w")], tmp_path)


def test_clips_that_name_their_files_stay_as_they_are(tmp_path: Path) -> None:
    clips = [Clip("a", "nowhere.wav", ())]
    assert locate(clips, tmp_path) == clips
    assert locate([], tmp_path) == []


@pytest.mark.parametrize("ytid", ["_23456789_1", "-23456789-1", "Y2345678901", "12345678_30"])
@pytest.mark.parametrize("name", ["{}", "Y{}", "{}_30", "Y{}_30", "{}_30_40", "Y{}_30000-40000"])
def test_ids_that_look_like_times_or_begin_like_options(
    tmp_path: Path, ytid: str, name: str
) -> None:
    write(tmp_path, f"{name.format(ytid)}.wav")
    (found,) = locate([clip(ytid)], tmp_path)
    assert found.path == f"{name.format(ytid)}.wav"


def test_a_name_of_two_readings_is_that_of_a_video_that_is_asked_for(tmp_path: Path) -> None:
    """A video called like another one with a Y before it, or with a time behind it."""
    write(tmp_path, "Yv.wav", "w_30.wav")
    found = locate([clip("Yv"), clip("v"), clip("w_30"), clip("w")], tmp_path)
    assert [entry.path for entry in found] == ["Yv.wav", "", "w_30.wav", ""]
