"""Label files are read back by the libraries of the field, and by our own readers."""

import csv
import io
from itertools import pairwise
from pathlib import Path

import pytest

from tests.uss.interchange.made_results import AWKWARD, hand_over, sound
from uss.core.errors import InputError
from uss.interchange.cells import plain
from uss.interchange.hand_over import HandOver
from uss.interchange.labels import (
    LABEL_FORMATS,
    check_label_formats,
    label_files,
    read_labels,
    recognised,
    write_labels,
)
from uss.interchange.sheets import Label, LabelTable

SPANS = [(0.0, 1.2345678), (2.5, 4.0), (9.25, 10.0)]
"""At the start, in the middle, and to the very end."""
DOGS = hand_over(sound("Dog", *SPANS), sound("Cat", (0.5, 3.0), mid=None))
FORMATS = list(LABEL_FORMATS)
TOLERANCE = 0.000_501
"""Half of the millisecond that some formats count in."""


def written(folder: Path, result: HandOver, name: str) -> Path:
    write_labels(folder, "scene", result, name)
    paths = [folder / file for file in label_files("scene", name)]
    assert sorted(folder.iterdir()) == sorted(paths)
    return paths[0]


def spans_of(labels: tuple[Label, ...], name: str) -> list[tuple[float, float]]:
    return sorted((each.start_seconds, each.end_seconds) for each in labels if each.name == name)


def assert_alike(found: list[tuple[float, float]], expected: list[tuple[float, float]]) -> None:
    assert len(found) == len(expected)
    for pair, wanted in zip(found, expected, strict=True):
        assert pair == pytest.approx(wanted, abs=TOLERANCE)


@pytest.mark.parametrize("name", FORMATS)
def test_our_reader_gives_back_what_was_written(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, DOGS, name)
    table = read_labels(path, recording="scene.wav")
    assert_alike(spans_of(table.labels, "Dog"), SPANS)
    assert_alike(spans_of(table.labels, "Cat"), [(0.5, 3.0)])
    assert len(table.labels) == 4
    table.check_fits(str(path), 10.0)


@pytest.mark.parametrize("name", ["raven", "kaleidoscope", "rttm", "csv"])
def test_probabilities_come_back(tmp_path: Path, name: str) -> None:
    table = read_labels(written(tmp_path, DOGS, name))
    assert {each.probability for each in table.labels} == {0.75}


@pytest.mark.parametrize("name", FORMATS)
def test_times_beyond_an_hour(tmp_path: Path, name: str) -> None:
    late = hand_over(sound("Dog", (40_000.001, 40_001.5)), duration_seconds=40_001.5)
    (label,) = read_labels(written(tmp_path, late, name)).labels
    assert_alike([(label.start_seconds, label.end_seconds)], [(40_000.001, 40_001.5)])


def test_times_beyond_an_hour_by_other_readers(tmp_path: Path) -> None:
    """At the very start, and ending with a recording of eleven hours."""
    textgrid = pytest.importorskip("praatio.textgrid")
    pympi = pytest.importorskip("pympi")
    webvtt = pytest.importorskip("webvtt")
    spans = [(0.0, 1.5), (39_990.0, 40_000.0)]
    long = hand_over(sound("Dog", *spans), duration_seconds=40_000.0)
    (tier,) = textgrid.openTextgrid(str(written(tmp_path, long, "textgrid")), False).tiers
    assert_alike([(each.start, each.end) for each in tier.entries], spans)
    (tmp_path / "scene.TextGrid").unlink()
    eaf = pympi.Elan.Eaf(str(written(tmp_path, long, "eaf")))
    found = sorted(each[:2] for each in eaf.get_annotation_data_for_tier("Dog"))
    assert found == [(0, 1_500), (39_990_000, 40_000_000)]
    (tmp_path / "scene.eaf").unlink()
    captions = webvtt.read(str(written(tmp_path, long, "vtt")))
    assert [(each.start, each.end) for each in captions] == [
        ("00:00:00.000", "00:00:01.500"),
        ("11:06:30.000", "11:06:40.000"),
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_was_found(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, hand_over(), name)
    assert read_labels(path, recording="scene.wav").labels == ()


@pytest.mark.parametrize("name", FORMATS)
def test_names_that_readers_trip_over(tmp_path: Path, name: str) -> None:
    sounds = [sound(each, (i * 0.5, i * 0.5 + 0.25)) for i, each in enumerate(AWKWARD)]
    labels = read_labels(written(tmp_path, hand_over(*sounds), name)).labels
    assert len(labels) == len(AWKWARD)
    in_time = sorted(labels, key=lambda each: each.start_seconds)
    for label, given in zip(in_time, AWKWARD, strict=True):
        wanted = plain(given)
        if name in ("raven", "desed"):
            wanted = wanted.replace('"', "'")
        assert label.name == wanted
        assert not set(label.name) & set("\t\n\r\x01")


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_of_one_sample(tmp_path: Path, name: str) -> None:
    second = 1.0 / 192_000
    short = hand_over(sound("Dog", (0.0, second)), duration_seconds=second, sample_rate=192_000)
    (label,) = read_labels(written(tmp_path, short, name)).labels
    assert label.end_seconds > label.start_seconds == 0.0


@pytest.mark.parametrize("name", FORMATS)
def test_an_excerpt_counts_as_its_recording_does(tmp_path: Path, name: str) -> None:
    part = hand_over(sound("Dog", (0.0, 2.0)), start_seconds=60.0, film_seconds=60.0)
    (label,) = read_labels(written(tmp_path, part, name)).labels
    assert (label.start_seconds, label.end_seconds) == pytest.approx((60.0, 62.0))


@pytest.mark.parametrize("name", FORMATS)
def test_what_goes_with_pictures_counts_from_the_film(tmp_path: Path, name: str) -> None:
    late = hand_over(sound("Dog", (0.0, 2.0)), film_seconds=1.5)
    path = written(tmp_path, late, name)
    (label,) = read_labels(path).labels
    assert label.start_seconds == (1.5 if name in ("vtt", "eaf") else 0.0)
    (label,) = read_labels(path, film_offset_seconds=1.5).labels
    assert (label.start_seconds, label.end_seconds) == (0.0, 2.0)


def test_a_track_that_begins_before_its_film_has_no_label_before_it(tmp_path: Path) -> None:
    early = hand_over(sound("Dog", (0.0, 2.0), (0.0, 0.01)), film_seconds=-0.02)
    (label,) = read_labels(written(tmp_path, early, "vtt")).labels
    assert (label.start_seconds, label.end_seconds) == (0.0, 1.98)


def test_audacity_has_the_band_where_it_is_known(tmp_path: Path) -> None:
    known = hand_over(sound("Dog", (1.0, 2.0), band=(300.0, 4_000.5)), sound("Cat", (3.0, 4.0)))
    path = written(tmp_path, known, "audacity")
    assert path.read_text(encoding="utf-8").splitlines() == [
        "1.000000\t2.000000\tDog",
        "\\\t300.000000\t4000.500000",
        "3.000000\t4.000000\tCat",
    ]
    dog, cat = read_labels(path).labels
    assert (dog.low_hz, dog.high_hz) == (300.0, 4_000.5)
    assert (cat.low_hz, cat.high_hz) == (None, None)


def test_audacity_by_crowsetta(tmp_path: Path) -> None:
    crowsetta = pytest.importorskip("crowsetta")
    banded = hand_over(*(sound(each, (1.0, 2.0), band=(100.0, 900.0)) for each in AWKWARD))
    path = written(tmp_path, banded, "audacity")
    boxes = crowsetta.formats.bbox.AudBBox.from_file(path).to_bbox()
    assert [(box.onset, box.offset, box.low_freq, box.high_freq) for box in boxes] == [
        (1.0, 2.0, 100.0, 900.0)
    ] * len(AWKWARD)
    assert {box.label for box in boxes} == {plain(each) for each in AWKWARD}


def test_raven_by_crowsetta(tmp_path: Path) -> None:
    crowsetta = pytest.importorskip("crowsetta")
    awkward = hand_over(*(sound(each, *SPANS) for each in AWKWARD))
    boxes = crowsetta.formats.bbox.Raven.from_file(written(tmp_path, awkward, "raven")).to_bbox()
    assert len(boxes) == len(SPANS) * len(AWKWARD)
    found = sorted((box.onset, box.offset) for box in boxes)
    assert_alike(found, sorted(SPANS * len(AWKWARD)))
    assert {(box.low_freq, box.high_freq) for box in boxes} == {(0.0, 24_000.0)}
    assert {box.label for box in boxes} == {plain(each).replace('"', "'") for each in AWKWARD}


def test_ravens_columns_lead_in_its_order(tmp_path: Path) -> None:
    rows = list(csv.reader(written(tmp_path, DOGS, "raven").open(encoding="utf-8"), delimiter="\t"))
    assert rows[0][:7] == [
        "Selection",
        "View",
        "Channel",
        "Begin Time (s)",
        "End Time (s)",
        "Low Freq (Hz)",
        "High Freq (Hz)",
    ]
    assert [row[0] for row in rows[1:]] == ["1", "2", "3", "4"]
    assert {(row[1], row[2]) for row in rows[1:]} == {("Spectrogram 1", "1")}


def test_a_selection_in_two_views_of_raven_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    head = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"
    rows = [f"1\t{view} 1\t1\t0.5\t1.5\t0\t900\tSong" for view in ("Waveform", "Spectrogram")]
    path.write_text("\r\n".join([f"{head}\tSpecies", *rows, ""]), encoding="utf-8", newline="")
    assert read_labels(path).labels == (Label(0.5, 1.5, "Song", None, 0.0, 900.0),)


def test_kaleidoscope_has_the_columns_it_knows_and_no_other(tmp_path: Path) -> None:
    rows = list(csv.DictReader(written(tmp_path, DOGS, "kaleidoscope").open(encoding="utf-8")))
    assert list(rows[0]) == [
        "INDIR",
        "FOLDER",
        "IN FILE",
        "OFFSET",
        "DURATION",
        "TOP1MATCH",
        "TOP1DIST",
    ]
    assert {(Path(row["INDIR"]) / row["FOLDER"] / row["IN FILE"]) for row in rows} == {
        Path("/tapes/scene.wav")
    }
    assert rows[0]["TOP1MATCH"] == "Dog"


@pytest.mark.parametrize("names", [["Dog"], AWKWARD], ids=["plain", "awkward"])
def test_textgrid_by_praatio(tmp_path: Path, names: list[str]) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    grids = hand_over(*(sound(each, *SPANS) for each in names))
    path = str(written(tmp_path, grids, "textgrid"))
    grid = textgrid.openTextgrid(path, includeEmptyIntervals=True)
    assert list(grid.tierNames) == [tier.name for tier in grid.tiers]
    assert set(grid.tierNames) == {plain(each) for each in names}
    for tier in grid.tiers:
        entries = tier.entries
        assert (entries[0].start, entries[-1].end) == (0.0, 10.0)
        for one, other in pairwise(entries):
            assert one.end == other.start
        named = [(each.start, each.end) for each in entries if each.label]
        assert_alike(named, SPANS)
        assert {each.label for each in entries} == {tier.name, ""}


def test_textgrid_without_detections_has_an_empty_tier(tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    path = str(written(tmp_path, hand_over(), "textgrid"))
    (tier,) = textgrid.openTextgrid(path, includeEmptyIntervals=True).tiers
    assert [(each.start, each.end, each.label) for each in tier.entries] == [(0.0, 10.0, "")]


def test_sounds_of_one_name_get_tiers_of_their_own(tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    pympi = pytest.importorskip("pympi")
    twins = hand_over(
        sound("Dog", (0.0, 2.0)),
        sound("Dog", (1.0, 3.0), group="queries"),
        sound("Dog (queries)", (1.0, 3.0), group="queries"),
    )
    grid = textgrid.openTextgrid(str(written(tmp_path, twins, "textgrid")), False)
    names = ["Dog (level2)", "Dog (queries)", "Dog (queries)'"]
    assert list(grid.tierNames) == names
    (tmp_path / "scene.TextGrid").unlink()
    eaf = pympi.Elan.Eaf(str(written(tmp_path, twins, "eaf")))
    assert list(eaf.get_tier_names()) == names


def test_overlapping_events_of_a_class_do_not_overlap_in_its_tier(tmp_path: Path) -> None:
    pympi = pytest.importorskip("pympi")
    both = hand_over(sound("Dog", (0.0, 2.0), (1.5, 3.0), (1.6, 1.7), (5.0, 5.0)))
    labels = read_labels(written(tmp_path, both, "textgrid")).labels
    assert spans_of(labels, "Dog") == [(0.0, 2.0), (2.0, 3.0)]
    (tmp_path / "scene.TextGrid").unlink()
    eaf = pympi.Elan.Eaf(str(written(tmp_path, both, "eaf")))
    spans = sorted(each[:2] for each in eaf.get_annotation_data_for_tier("Dog"))
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


@pytest.mark.parametrize("names", [["Dog"], AWKWARD], ids=["plain", "awkward"])
def test_eaf_by_pympi(tmp_path: Path, names: list[str]) -> None:
    pympi = pytest.importorskip("pympi")
    results = hand_over(*(sound(each, *SPANS) for each in names))
    eaf = pympi.Elan.Eaf(str(written(tmp_path, results, "eaf")))
    assert set(eaf.get_tier_names()) == {plain(each) for each in names}
    for tier in eaf.get_tier_names():
        found = sorted(eaf.get_annotation_data_for_tier(tier))
        assert_alike([(start / 1000, end / 1000) for start, end, *_ in found], SPANS)
        assert {each[2] for each in found} == {tier}
    (media,) = eaf.get_linked_files()
    assert media["RELATIVE_MEDIA_URL"] == "./../../scene.wav"
    assert media["MEDIA_URL"] == "file:///tapes/scene.wav"
    assert media["MIME_TYPE"].startswith("audio/")


def test_eaf_without_detections_has_an_empty_tier(tmp_path: Path) -> None:
    pympi = pytest.importorskip("pympi")
    eaf = pympi.Elan.Eaf(str(written(tmp_path, hand_over(path=None, relative=None), "eaf")))
    assert eaf.get_annotation_data_for_tier("sounds") == []
    assert eaf.get_linked_files() == []


def test_a_tier_for_speech_with_empty_annotations_and_slots_without_times(tmp_path: Path) -> None:
    path = tmp_path / "x.eaf"
    path.write_text(
        '<ANNOTATION_DOCUMENT><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="500"/>'
        '<TIME_SLOT TIME_SLOT_ID="b"/><TIME_SLOT TIME_SLOT_ID="c" TIME_VALUE="900"/></TIME_ORDER>'
        '<TIER TIER_ID="Dog"><ANNOTATION><ALIGNABLE_ANNOTATION TIME_SLOT_REF1="a" '
        'TIME_SLOT_REF2="c"><ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION><ANNOTATION>'
        '<ALIGNABLE_ANNOTATION TIME_SLOT_REF1="a" TIME_SLOT_REF2="b"><ANNOTATION_VALUE>x'
        "</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>",
        encoding="utf-8",
    )
    assert read_labels(path).labels == (Label(0.5, 0.9, "Dog"),)


def test_vtt_by_webvtt(tmp_path: Path) -> None:
    webvtt = pytest.importorskip("webvtt")
    awkward = hand_over(*(sound(each, *SPANS) for each in AWKWARD))
    captions = list(webvtt.read(str(written(tmp_path, awkward, "vtt"))))
    assert len(captions) == len(SPANS) * len(AWKWARD)
    found = sorted((each.start_in_seconds, each.end_in_seconds) for each in captions)
    # The library gives whole seconds.
    assert {(start, end) for start, end in found} == {
        (int(start), int(end)) for start, end in SPANS
    }
    assert {each.start for each in captions} == {"00:00:00.000", "00:00:02.500", "00:00:09.250"}


def test_a_caption_lasts_a_millisecond_at_least(tmp_path: Path) -> None:
    short = hand_over(sound("Click", (1.0, 1.0001)))
    assert "00:00:01.000 --> 00:00:01.001\n[Click]" in written(tmp_path, short, "vtt").read_text()


def test_vtt_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "x.vtt"
    path.write_text(
        "\ufeffWEBVTT - sounds\n\nNOTE nothing\n\n00:01.500 --> 00:03.000 align:start\n"
        "<c.loud>Dog</c>\nbarks\n\n1:00:00.000 --> 1:00:01.000\n[Cat &amp; mouse]\n",
        encoding="utf-8",
    )
    assert read_labels(path).labels == (
        Label(1.5, 3.0, "Dog barks"),
        Label(3_600.0, 3_601.0, "Cat & mouse"),
    )


def test_rttm_has_ten_fields(tmp_path: Path) -> None:
    spaced = hand_over(*(sound(each, (1.0, 2.5)) for each in AWKWARD), name="my scene.wav")
    lines = written(tmp_path, spaced, "rttm").read_text(encoding="utf-8").splitlines()
    fields = [line.split() for line in lines]
    assert {len(each) for each in fields} == {10}
    assert {tuple(each[:7]) for each in fields} == {
        ("SPEAKER", "my_scene", "1", "1.000000", "1.500000", "<NA>", "<NA>")
    }
    (tmp_path / "scene.rttm").rename(tmp_path / "x.rttm")
    assert len(read_labels(tmp_path / "x.rttm", recording="my scene.wav").labels) == len(AWKWARD)


def test_desed_has_its_columns_and_durations(tmp_path: Path) -> None:
    events = written(tmp_path, DOGS, "desed").read_text(encoding="utf-8").splitlines()
    assert events[0].split("\t") == ["filename", "onset", "offset", "event_label"]
    assert events[1].split("\t") == ["scene.wav", "0.000000", "1.234568", "Dog"]
    durations = (tmp_path / "scene.durations.tsv").read_text(encoding="utf-8").splitlines()
    assert durations == ["filename\tduration", "scene.wav\t10.000000"]


def test_rows_of_desed_without_an_event_are_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("filename\tonset\toffset\tevent_label\na.wav\t\t\t\nb.wav\tnan\tnan\tnan\n")
    assert read_labels(path).labels == ()


def test_csv_of_birdnet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scene.BirdNET.results.csv"
    path.write_text(
        "Start (s),End (s),Scientific name,Common name,Confidence,File\n"
        "3.0,6.0,Turdus merula,Blackbird,0.91,/tapes/scene.wav\n"
    )
    (label,) = read_labels(path, recording="scene.wav").labels
    assert label == Label(3.0, 6.0, "Blackbird", 0.91, file="/tapes/scene.wav")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_textgrid_in_the_short_form_with_points_and_comments(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "x.TextGrid"
    path.write_text(
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\n1 ! starts late\n5\n<exists>\n2\n'
        '"IntervalTier" "dogs" 1 5 2\n1 2.5 ""\n2.5 5 "he ""barks"" 2 ! loud"\n'
        '"TextTier" "bells" 1 5 1\n3 "ding"\n',
        encoding=encoding,
    )
    table = read_labels(path)
    assert table == LabelTable((Label(1.5, 4.0, 'he "barks" 2 ! loud'),), 4.0)


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("a.txt", "0.5\t1.0\tx\n2.0;3.0;y\n", "line 2"),
        ("a.txt", "2.0\t1.0\tx\n", "holds nothing"),
        ("a.txt", "-1.0\t1.0\tx\n", "no time in seconds"),
        ("a.txt", "nan\t1.0\tx\n", "no time in seconds"),
        ("a.csv", "IN FILE,OFFSET\nx.wav,1\n", "DURATION"),
        ("a.csv", "name\nDog\n", "start_seconds"),
        ("a.tsv", "filename\tevent_label\n", "onset"),
        ("a.rttm", "SPEAKER x 1 0.5\n", "4 fields"),
        (
            "a.TextGrid",
            'File type = "ooTextFile"\nObject class = "TextGrid"\n0 5 <exists> 1\n',
            "whole",
        ),
        ("a.TextGrid", "0.5\t1.0\tx\n", "whole"),
        ("a.eaf", "<ANNOTATION_DOCUMENT>", "no XML"),
        (
            "a.eaf",
            '<D><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="soon"/><TIER TIER_ID="Dog">'
            '<ALIGNABLE_ANNOTATION TIME_SLOT_REF1="a" TIME_SLOT_REF2="a"/></TIER></D>',
            "tier 'Dog': 'soon' is no time",
        ),
        ("a.vtt", "WEBVTT\n\n00:02.000 --> 00:01.000\nDog\n", "line 3: a span"),
        ("a.mp3", "", "are no labels"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(
    tmp_path: Path, file: str, content: str, complaint: str
) -> None:
    path = tmp_path / file
    path.write_text(content)
    with pytest.raises(InputError, match=complaint) as refusal:
        read_labels(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\x00\xff\xfe\xf3")
    with pytest.raises(InputError, match="UTF-8"):
        read_labels(path)


def test_labels_of_another_recording_are_refused(tmp_path: Path) -> None:
    for name in ("rttm", "desed", "kaleidoscope", "csv"):
        (tmp_path / name).mkdir()
        path = written(tmp_path / name, DOGS, name)
        with pytest.raises(InputError, match=r"labels scene.*, not other\.wav"):
            read_labels(path, recording="other.wav")


def test_labels_of_another_length_are_refused(tmp_path: Path) -> None:
    grid = read_labels(written(tmp_path, DOGS, "textgrid"))
    grid.check_fits("grid", 10.05)
    with pytest.raises(InputError, match=r"is for 10\.00 s, and the recording lasts 12\.00 s"):
        grid.check_fits("grid", 12.0)
    table = LabelTable((Label(0.0, 9.0, "Dog"),))
    table.check_fits("labels", 12.0)
    with pytest.raises(InputError, match=r"labels seconds up to 9\.00"):
        table.check_fits("labels", 8.0)


def test_formats_are_told_by_what_they_hold(tmp_path: Path) -> None:
    for name in FORMATS:
        folder = tmp_path / name
        folder.mkdir()
        path = written(folder, DOGS, name)
        assert recognised(path, path.read_text(encoding="utf-8")) == name


def test_unknown_formats_are_refused() -> None:
    check_label_formats(FORMATS)
    with pytest.raises(InputError, match="'subrip'; choose audacity, raven"):
        check_label_formats(["raven", "subrip"])


def test_long_names_of_recordings_fit_the_file_system(tmp_path: Path) -> None:
    stem = "🐕" * 63
    write_labels(tmp_path, stem, DOGS, "raven")
    (path,) = tmp_path.iterdir()
    assert path.name.endswith("🐕.Table.1.selections.txt")


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "scene.rttm").mkdir()
    with pytest.raises(OSError):
        write_labels(tmp_path, "scene", DOGS, "rttm")
    assert [path.name for path in tmp_path.iterdir()] == ["scene.rttm"]


def test_tables_by_pythons_reader_with_its_defaults(tmp_path: Path) -> None:
    awkward = hand_over(*(sound(each, (1.0, 2.0)) for each in AWKWARD))
    for name, separator in (("raven", "\t"), ("desed", "\t"), ("csv", ","), ("kaleidoscope", ",")):
        folder = tmp_path / name
        folder.mkdir()
        text = written(folder, awkward, name).read_text(encoding="utf-8")
        rows = list(csv.reader(io.StringIO(text), delimiter=separator))
        assert len(rows) == 1 + len(AWKWARD)
        assert len({len(row) for row in rows}) == 1
