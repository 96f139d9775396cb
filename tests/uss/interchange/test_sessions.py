"""Sessions are read back by parsers that know nothing of what wrote them."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.uss.interchange.made_results import AWKWARD, film, hand_over, sound
from uss.core.errors import InputError
from uss.interchange import otio_timelines
from uss.interchange.cells import plain
from uss.interchange.hand_over import HandOver, Picture
from uss.interchange.sessions import SESSION_FORMATS, check_session_formats, session_file

rpp = pytest.importorskip("rpp")
otio = pytest.importorskip("opentimelineio")
aaf2 = pytest.importorskip("aaf2")

SPANS = [(0.0, 1.5), (9.25, 10.0)]
SCENE = hand_over(
    sound("Dog", *SPANS), sound("Car", (2.0, 3.0), branch="Sounds of things", mid="/m/0k4j")
)
FILM = hand_over(sound("Dog", (0.0, 1.5), (97.0, 98.5)), **film())
START_SECONDS = 107_892 / (30_000 / 1001)


@dataclass(frozen=True)
class Placed:
    """A file on a track, in seconds."""

    name: str
    file: str
    start: float
    skipped: float
    seconds: float
    is_muted: bool


def written(folder: Path, result: HandOver, name: str) -> Path:
    path = folder / session_file("scene", name)
    SESSION_FORMATS[name].write(result, path)
    assert list(folder.iterdir()) == [path]
    return path


def project_of(path: Path) -> Any:
    return rpp.loads(path.read_text(encoding="utf-8"))


def reaper_tracks(path: Path) -> list[Placed]:
    tracks = []
    for track in project_of(path).findall("TRACK"):
        (item,) = track.findall("ITEM")
        (media,) = item.findall("SOURCE")
        value = {row[0]: row[1] for row in [*track, *item, *media] if isinstance(row, list)}
        # Unity gain and no pan, on track and item.
        assert track.find("VOLPAN")[1:3] == ["1", "0"]
        assert item.find("VOLPAN")[1:4] == ["1", "0", "1"]
        assert track.find("NAME")[1] == item.find("NAME")[1]
        place = (float(value[key]) for key in ("POSITION", "SOFFS", "LENGTH"))
        name = track.find("NAME")[1]
        tracks.append(Placed(name, value["FILE"], *place, value["MUTESOLO"] == "1"))
    return tracks


def reaper_regions(path: Path) -> list[tuple[float, float, str]]:
    rows = project_of(path).findall("MARKER")
    return [
        (float(first[2]), float(last[2]), first[3])
        for first, last in zip(rows[::2], rows[1::2], strict=True)
        if first[1] == last[1] and first[4] == last[4] == "1" and last[3] == ""
    ]


def otio_tracks(path: Path) -> list[Placed]:
    timeline = otio.adapters.read_from_file(str(path))
    tracks = []
    for track in timeline.tracks:
        if track.kind != otio.schema.TrackKind.Audio:
            continue
        (clip,) = track.find_clips()
        inside = clip.trimmed_range()
        start = track.range_of_child(clip).start_time
        times = (start, inside.start_time, inside.duration)
        seconds = [time.value / time.rate for time in times]
        url = unquote(clip.media_reference.target_url, errors="surrogateescape")
        tracks.append(Placed(track.name, url, *seconds, not track.enabled))
    return tracks


READERS = {"reaper": reaper_tracks, "otio": otio_tracks}


@pytest.mark.parametrize("name", READERS)
def test_tracks_of_a_recording(tmp_path: Path, name: str) -> None:
    tracks = READERS[name](written(tmp_path, SCENE, name))
    assert tracks == [
        Placed("Original", "../../scene.wav", 0.0, 0.0, 10.0, True),
        Placed("Dog", "level2/Dog.wav", 0.0, 0.0, 10.0, False),
        Placed("Car", "level2/Car.wav", 0.0, 0.0, 10.0, False),
        Placed("Residual", "level2/residual.wav", 0.0, 0.0, 10.0, False),
    ]


@pytest.mark.parametrize("name", READERS)
def test_tracks_of_an_excerpt_lie_where_it_was(tmp_path: Path, name: str) -> None:
    part = hand_over(sound("Dog", (1.0, 2.0)), start_seconds=3_700.0, film_seconds=3_700.0)
    original, *others = READERS[name](written(tmp_path, part, name))
    assert original == Placed("Original", "../../scene.wav", 3_700.0, 3_700.0, 10.0, True)
    assert {(each.start, each.skipped) for each in others} == {(3_700.0, 0.0)}


@pytest.mark.parametrize("name", READERS)
def test_tracks_of_a_film_begin_where_its_audio_does(tmp_path: Path, name: str) -> None:
    tracks = [
        each for each in READERS[name](written(tmp_path, FILM, name)) if each.name != "Picture"
    ]
    assert tracks[0].file == "../../film.mov"
    for track in tracks:
        assert (track.start, track.seconds) == pytest.approx((1.5, 98.5), abs=1e-6)
    assert tracks[0].skipped == pytest.approx(1.5)


@pytest.mark.parametrize("name", READERS)
def test_what_lies_before_a_film_is_left_out_of_all_tracks(tmp_path: Path, name: str) -> None:
    early = hand_over(sound("Dog", (0.0, 2.0)), **film(film_seconds=-0.25))
    tracks = [
        each for each in READERS[name](written(tmp_path, early, name)) if each.name != "Picture"
    ]
    for track in tracks:
        assert (track.start, track.seconds) == pytest.approx((0.0, 98.25))
    assert [track.skipped for track in tracks] == pytest.approx([0.0, 0.25, 0.25])


@pytest.mark.parametrize("name", READERS)
def test_only_one_group_plays_as_each_adds_up_to_the_original(tmp_path: Path, name: str) -> None:
    both = hand_over(sound("Animal", (0.0, 1.0), group="level1"), sound("Dog", (0.0, 1.0)))
    tracks = READERS[name](written(tmp_path, both, name))
    assert [(track.name, track.is_muted) for track in tracks] == [
        ("Original", True),
        ("Animal (level1)", False),
        ("Residual (level1)", False),
        ("Dog (level2)", True),
        ("Residual (level2)", True),
    ]


@pytest.mark.parametrize("name", READERS)
def test_nothing_found_leaves_original_and_residual(tmp_path: Path, name: str) -> None:
    tracks = READERS[name](written(tmp_path, hand_over(), name))
    assert [track.name for track in tracks] == ["Original", "Residual"]


@pytest.mark.parametrize("name", READERS)
def test_what_came_through_a_pipe_has_no_original(tmp_path: Path, name: str) -> None:
    piped = hand_over(sound("Dog", *SPANS), path=None, relative=None)
    tracks = READERS[name](written(tmp_path, piped, name))
    assert [track.name for track in tracks] == ["Dog", "Residual"]


@pytest.mark.parametrize("name", READERS)
def test_names_that_readers_trip_over(tmp_path: Path, name: str) -> None:
    sounds = [sound(each, *SPANS, file=f"level2/{i}.wav") for i, each in enumerate(AWKWARD)]
    recording = {"name": 'my "own" 🐕 scene.wav', "relative": '../../my "own" 🐕 #1% scene.wav'}
    tracks = READERS[name](written(tmp_path, hand_over(*sounds, **recording), name))
    assert tracks[0].file == recording["relative"]
    found = [track.name for track in tracks[1:-1]]
    # Reaper has three kinds of quotes, and no escape.
    swapped = [
        plain(each).replace("`", "'") if name == "reaper" else plain(each) for each in AWKWARD
    ]
    assert found == swapped


def test_reapers_regions_are_the_events_of_what_plays(tmp_path: Path) -> None:
    assert reaper_regions(written(tmp_path, SCENE, "reaper")) == [
        (0.0, 1.5, "Dog"),
        (2.0, 3.0, "Car"),
        (9.25, 10.0, "Dog"),
    ]
    path = tmp_path / "film.rpp"
    SESSION_FORMATS["reaper"].write(FILM, path)
    assert reaper_regions(path) == [(1.5, 3.0, "Dog"), (98.5, 100.0, "Dog")]


def test_reapers_colours_are_those_of_branches(tmp_path: Path) -> None:
    project = project_of(written(tmp_path, SCENE, "reaper"))
    colours = [int(track.find("PEAKCOL")[1]) for track in project.findall("TRACK")]
    assert len({*colours}) == 3
    assert colours[0] == colours[-1]
    # Blue, green, red from the top; the bit above says that there is a colour.
    assert colours[2] == 0x1000000 | 185 << 16 | 128 << 8 | 41


def test_reapers_tracks_have_room_for_all_channels(tmp_path: Path) -> None:
    for channels, expected in ((1, "2"), (2, "2"), (5, "6"), (6, "6")):
        path = tmp_path / f"{channels}.rpp"
        SESSION_FORMATS["reaper"].write(hand_over(num_channels=channels), path)
        project = project_of(path)
        assert project.find("MASTER_NCH")[1] == expected
        assert {track.find("NCHAN")[1] for track in project.findall("TRACK")} == {expected}
        assert project.find("SAMPLERATE")[1] == "48000"


@pytest.mark.parametrize(
    ("rate", "start", "is_drop", "expected"),
    [
        (Fraction(30_000, 1001), 107_892, True, ("30", "1", 3_599.9964)),
        (Fraction(30_000, 1001), 108_000, False, ("30", "2", 3_603.6)),
        (Fraction(24_000, 1001), 86_400, False, ("24", "2", 3_603.6)),
        (Fraction(25), 90_000, False, ("25", "0", 3_600.0)),
    ],
)
def test_reapers_ruler_shows_the_films_timecode(
    tmp_path: Path, rate: Fraction, start: int, is_drop: bool, expected: tuple[str, str, float]
) -> None:
    picture = Picture(rate, start, is_drop, 100.0)
    project = project_of(written(tmp_path, hand_over(**film(picture=picture)), "reaper"))
    mode = project.find("TIMEMODE")
    assert (mode[1], mode[4], mode[5]) == ("5", *expected[:2])
    assert float(project.find("PROJOFFS")[1]) == pytest.approx(expected[2], abs=1e-6)


def test_reaper_shows_the_film_and_hears_it_on_the_muted_track_alone(tmp_path: Path) -> None:
    project = project_of(written(tmp_path, FILM, "reaper"))
    original, picture, *_ = project.findall("TRACK")
    assert (original.find("NAME")[1], picture.find("NAME")[1]) == ("Original", "Picture")
    for track in (original, picture):
        (media,) = track.find("ITEM").findall("SOURCE")
        assert media.attrib == ["VIDEO"]
    assert (original.find("MUTESOLO")[1], original.find("MAINSEND")[1]) == ("1", "1")
    assert (picture.find("MUTESOLO")[1], picture.find("MAINSEND")[1]) == ("0", "0")
    assert float(picture.find("ITEM").find("POSITION")[1]) == 0.0


def test_a_timeline_counts_the_films_frames_from_its_timecode(tmp_path: Path) -> None:
    timeline = otio.adapters.read_from_file(str(written(tmp_path, FILM, "otio")))
    start = timeline.global_start_time
    assert (start.value, start.rate) == (107_892.0, pytest.approx(30_000 / 1001))
    (video,) = timeline.video_tracks()
    (picture,) = video
    assert picture.media_reference.target_url == "../../film.mov"
    assert picture.trimmed_range().start_time == start
    assert picture.trimmed_range().duration.value == 3_000.0
    rates = {clip.trimmed_range().duration.rate for clip in timeline.find_clips()}
    assert rates == {start.rate}


def test_a_timelines_markers_are_the_events(tmp_path: Path) -> None:
    timeline = otio.adapters.read_from_file(str(written(tmp_path, FILM, "otio")))
    (dog,) = [clip for clip in timeline.find_clips() if clip.name == "Dog"]
    found = []
    for marker in dog.markers:
        span = marker.marked_range
        placed = dog.transformed_time(span.start_time, timeline.tracks)
        found.append((placed.value / placed.rate, span.duration.value / span.duration.rate))
        assert (marker.name, marker.color) == ("Dog", "YELLOW")
        assert marker.metadata["uss"]["probability"] == 0.75
    assert found == [pytest.approx((1.5, 1.5)), pytest.approx((98.5, 1.5))]
    assert (round(dog.color.r * 255), round(dog.color.g * 255)) == (241, 196)


def edl_locators(text: str) -> list[tuple[str, str, str]]:
    pattern = r"^\* LOC: (\S+) +(\w+) +(.*)$"
    return re.findall(pattern, text, re.MULTILINE)


@pytest.mark.parametrize(
    ("is_drop", "start", "mode", "edit", "locators"),
    [
        (
            True,
            107_892,
            "DROP FRAME",
            ("01:00:00;00", "01:01:40;02"),
            [("01:00:01;15", "DOG TO 01:00:03;00"), ("01:01:38;14", "DOG TO 01:01:39;29")],
        ),
        (
            False,
            108_000,
            "NON-DROP FRAME",
            ("01:00:00:00", "01:01:40:00"),
            [("01:00:01:15", "DOG TO 01:00:03:00"), ("01:01:38:12", "DOG TO 01:01:39:27")],
        ),
    ],
)
def test_an_edl_has_the_film_and_a_locator_for_each_event(
    tmp_path: Path,
    is_drop: bool,
    start: int,
    mode: str,
    edit: tuple[str, str],
    locators: list[tuple[str, str]],
) -> None:
    picture = Picture(Fraction(30_000, 1001), start, is_drop, 100.1)
    fields = film(picture=picture)
    result = hand_over(sound("Dog", (0.0, 1.5), (97.0, 98.5)), **fields)
    text = written(tmp_path, result, "edl").read_text(encoding="utf-8")
    assert text.splitlines()[:2] == ["TITLE: film.mov", f"FCM: {mode}"]
    (event,) = re.findall(r"^001 +AX +V +C +(\S+) (\S+) (\S+) (\S+)$", text, re.MULTILINE)
    assert event == (*edit, *edit)
    assert [(time, name) for time, colour, name in edl_locators(text)] == locators
    assert {colour for _, colour, _ in edl_locators(text)} == {"YELLOW"}


def test_an_edl_is_read_by_its_adapter(tmp_path: Path) -> None:
    fields = film(picture=Picture(Fraction(25), 90_000, False, 100.0))
    result = hand_over(*(sound(each, (1.0, 2.0)) for each in AWKWARD), **fields)
    path = written(tmp_path, result, "edl")
    timeline = otio.adapters.read_from_file(str(path), rate=25)
    (clip,) = timeline.find_clips()
    assert clip.trimmed_range().start_time.value == 90_000
    assert [marker.marked_range.start_time.value for marker in clip.markers] == [90_063] * 11
    names = {marker.name.casefold() for marker in clip.markers}
    assert names == {f"{plain(each)} to 01:00:03:13".casefold() for each in AWKWARD}


def test_an_edl_of_sound_alone_counts_25_frames_a_second(tmp_path: Path) -> None:
    text = written(tmp_path, SCENE, "edl").read_text(encoding="utf-8")
    (event,) = re.findall(r"^001 +AX +A +C +(\S+) (\S+) (\S+) (\S+)$", text, re.MULTILINE)
    assert event == ("00:00:00:00", "00:00:10:00") * 2
    assert [(time, colour) for time, colour, _ in edl_locators(text)] == [
        ("00:00:00:00", "YELLOW"),
        ("00:00:02:00", "BLUE"),
        ("00:00:09:06", "YELLOW"),
    ]


def aaf_tracks(
    path: Path,
) -> tuple[list[tuple[str, str, int, int, int]], tuple[int, int, bool] | None]:
    """Name, file, start, length and rate of each track, in samples; and the timecode."""
    tracks, timecode = [], None
    with aaf2.open(str(path)) as file:
        (composition,) = file.content.toplevel()
        for slot in composition.slots:
            if isinstance(slot.segment, aaf2.components.Timecode):
                timecode = (slot.segment.start, slot.segment.fps, slot.segment.drop)
                continue
            (sequence,) = slot.segment.segments
            *gaps, clip = sequence.components
            assert {type(gap).__name__ for gap in gaps} <= {"Filler"}
            mob = clip.mob
            while not isinstance(getattr(mob, "descriptor", None), aaf2.essence.PCMDescriptor):
                (mob,) = [each.segment.mob for each in mob.slots]
            (locator,) = mob.descriptor["Locator"].value
            assert mob.descriptor["Channels"].value == 6
            start = sum(gap.length for gap in gaps)
            url = locator["URLString"].value
            tracks.append((slot.name, url, start, clip.length, int(slot.edit_rate)))
    return tracks, timecode


def test_an_aaf_has_the_stems_at_their_place_and_the_films_timecode(tmp_path: Path) -> None:
    tracks, timecode = aaf_tracks(written(tmp_path, FILM, "aaf"))
    assert tracks == [
        ("Dog", "level2/Dog.wav", 72_000, 4_728_000, 48_000),
        ("Residual", "level2/residual.wav", 72_000, 4_728_000, 48_000),
    ]
    assert timecode == (107_892, 30, True)


@pytest.mark.parametrize("film_seconds", [0.1, 1 / 3, -0.25, 3_700.7])
def test_an_aaf_counts_whole_samples(tmp_path: Path, film_seconds: float) -> None:
    fields = film(film_seconds=film_seconds, duration_seconds=479_999 / 48_000)
    tracks, _ = aaf_tracks(written(tmp_path, hand_over(**fields), "aaf"))
    ((_, _, start, length, _),) = tracks
    assert start == round(48_000 * max(0.0, film_seconds))
    assert length == 479_999 + round(48_000 * min(0.0, film_seconds))


@pytest.mark.parametrize("rate", [Fraction(24_000, 1001), Fraction(25), Fraction(48), Fraction(50)])
def test_an_aafs_timecode_counts_the_films_frames(tmp_path: Path, rate: Fraction) -> None:
    fields = film(picture=Picture(rate, 3_600, False, 100.0))
    _, timecode = aaf_tracks(written(tmp_path, hand_over(**fields), "aaf"))
    assert timecode == (3_600, round(rate), False)


def test_an_aaf_of_awkward_names(tmp_path: Path) -> None:
    names = [plain(each) for each in AWKWARD]
    sounds = [sound(each, *SPANS, file=f"level2/{i}.wav") for i, each in enumerate(AWKWARD)]
    tracks, timecode = aaf_tracks(written(tmp_path, hand_over(*sounds, num_channels=6), "aaf"))
    assert [track[0] for track in tracks] == [*names, "Residual"]
    assert timecode == (0, 25, False)


@pytest.mark.parametrize("name", SESSION_FORMATS)
def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / session_file("scene", name)
    path.mkdir()
    with pytest.raises(OSError):
        SESSION_FORMATS[name].write(SCENE, path)
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_formats_are_refused() -> None:
    check_session_formats(SESSION_FORMATS)
    with pytest.raises(InputError, match="'ableton'; choose reaper, otio, aaf, edl"):
        check_session_formats(["ableton"])


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(otio_timelines.PACKAGES, "aaf", ("os", "otio_zzz_adapter"))
    with pytest.raises(
        InputError, match=r"aaf needs the package otio-zzz-adapter; pip install 'uss"
    ):
        check_session_formats(["reaper", "aaf"])


def test_the_same_result_gives_the_same_project(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name in READERS:
            SESSION_FORMATS[name].write(FILM, tmp_path / folder / session_file("film", name))
    for name in READERS:
        file = session_file("film", name)
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize(
    ("timecode", "rate", "expected"),
    [
        ("01:00:00;00", Fraction(30_000, 1001), (107_892, True)),
        ("01:00:00:00", Fraction(30_000, 1001), (108_000, False)),
        ("01:00:00;00", Fraction(25), (90_000, False)),
        ("00:00:00:25", Fraction(25), (0, False)),
        ("soon", Fraction(25), (0, False)),
        (None, Fraction(25), (0, False)),
    ],
)
def test_pictures_start_at_their_films_timecode(
    timecode: str | None, rate: Fraction, expected: tuple[int, bool]
) -> None:
    picture = Picture.of_film(rate, timecode, 3.0)
    assert (picture.start_frame, picture.is_drop) == expected
    assert picture.duration_seconds == 3.0


LONG = hand_over(sound("Dog", (0.0, 1.5), (39_990.0, 40_000.0)), duration_seconds=40_000.0)
"""Eleven hours with an event at the start and one that ends with the recording."""


def test_events_of_eleven_hours_are_where_they_were_in_reaper(tmp_path: Path) -> None:
    regions = reaper_regions(written(tmp_path, LONG, "reaper"))
    assert regions == [(0.0, 1.5, "Dog"), (39_990.0, 40_000.0, "Dog")]


def test_events_of_eleven_hours_are_where_they_were_in_a_timeline(tmp_path: Path) -> None:
    timeline = otio.adapters.read_from_file(str(written(tmp_path, LONG, "otio")))
    (dog,) = [clip for clip in timeline.find_clips() if clip.name == "Dog"]
    spans = [marker.marked_range for marker in dog.markers]
    found = [(each.start_time.to_seconds(), each.duration.to_seconds()) for each in spans]
    assert found == [pytest.approx((0.0, 1.5)), pytest.approx((39_990.0, 10.0))]
    assert dog.trimmed_range().duration.to_seconds() == pytest.approx(40_000.0)


def test_events_of_eleven_hours_are_where_they_were_in_an_edl(tmp_path: Path) -> None:
    path = written(tmp_path, LONG, "edl")
    locators = edl_locators(path.read_text(encoding="utf-8"))
    assert [(time, name) for time, _, name in locators] == [
        ("00:00:00:00", "DOG TO 00:00:01:13"),
        ("11:06:30:00", "DOG TO 11:06:40:00"),
    ]
    (clip,) = otio.adapters.read_from_file(str(path), rate=25).find_clips()
    starts = [marker.marked_range.start_time.value for marker in clip.markers]
    assert starts == [0, 25 * 39_990]


def test_an_aaf_of_eleven_hours(tmp_path: Path) -> None:
    long = replace(LONG, source=replace(LONG.source, num_channels=6))
    tracks, _ = aaf_tracks(written(tmp_path, long, "aaf"))
    assert [track[2:4] for track in tracks] == [(0, 40_000 * 48_000)] * 2


def test_an_edl_and_an_aaf_of_nothing_found(tmp_path: Path) -> None:
    nothing = hand_over(num_channels=6)
    path = written(tmp_path, nothing, "edl")
    assert edl_locators(path.read_text(encoding="utf-8")) == []
    (clip,) = otio.adapters.read_from_file(str(path), rate=25).find_clips()
    assert not clip.markers
    path.unlink()
    tracks, _ = aaf_tracks(written(tmp_path, nothing, "aaf"))
    assert [track[0] for track in tracks] == ["Residual"]
