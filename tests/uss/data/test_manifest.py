from pathlib import Path

import pandas as pd
import pytest

from uss.core.errors import InputError
from uss.data.manifest import AudioSetClip, Clip, read_manifest


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "clips.csv"


def test_rows_become_clips_in_their_order(manifest: Path) -> None:
    manifest.write_text("clip_id,path,mids\nb,x/b.ogg,/m/09x0r;/m/04rlf\na,a.wav,\n")
    assert read_manifest(manifest) == [
        Clip("b", "x/b.ogg", ("/m/09x0r", "/m/04rlf")),
        Clip("a", "a.wav", ()),
    ]


def test_optional_columns_and_any_order_of_columns(manifest: Path) -> None:
    manifest.write_text(
        "split,mids,licence,caption,path,clip_id\n"
        'train,/m/09x0r,CC0-1.0,"a man, speaking",a.wav,a\n'
        "validation,/m/04rlf,CC0-1.0,music,b.wav,b\n"
    )
    assert [clip.caption for clip in read_manifest(manifest)] == ["a man, speaking", "music"]
    assert read_manifest(manifest, "validation") == [Clip("b", "b.wav", ("/m/04rlf",), "music")]


def test_words_that_mean_missing_elsewhere_are_text(manifest: Path) -> None:
    manifest.write_text("clip_id,path,mids\nNA,nan,null\n001,1e5,None\n")
    assert read_manifest(manifest) == [
        Clip("NA", "nan", ("null",)),
        Clip("001", "1e5", ("None",)),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_column(manifest: Path) -> None:
    manifest.write_text("clip_id,path,mids\na,ä.wav,\n", encoding="utf-8-sig")
    assert read_manifest(manifest) == [Clip("a", "ä.wav", ())]


def test_a_header_without_rows_gives_no_clips(manifest: Path) -> None:
    manifest.write_text("clip_id,path,mids\n")
    assert read_manifest(manifest) == []


def test_a_row_with_fields_left_out_has_empty_ones(manifest: Path) -> None:
    manifest.write_text("clip_id,path,mids\na,a.wav\n")
    assert read_manifest(manifest) == [Clip("a", "a.wav", ())]


def test_unlabelled_manifests_need_no_mids(manifest: Path) -> None:
    manifest.write_text("clip_id,path\na,a.wav\n")
    assert read_manifest(manifest, labelled=False) == [Clip("a", "a.wav", ())]
    with pytest.raises(ValueError, match="lacks the column mids"):
        read_manifest(manifest)


def test_missing_columns_are_named(manifest: Path) -> None:
    manifest.write_text("name,mids\na,/m/09x0r\n")
    with pytest.raises(ValueError, match="clip_id, path"):
        read_manifest(manifest)


def test_an_empty_clip_id_is_named_by_its_line(manifest: Path) -> None:
    manifest.write_text("clip_id,path,mids\na,a.wav,\n,b.wav,\n")
    with pytest.raises(ValueError, match="row 3: the clip_id is empty"):
        read_manifest(manifest)


def test_the_line_of_an_empty_clip_id_counts_the_rows_of_other_splits(manifest: Path) -> None:
    manifest.write_text("clip_id,path,mids,split\na,a.wav,,train\nb,b.wav,,train\n,c.wav,,test\n")
    with pytest.raises(ValueError, match="row 4: the clip_id is empty"):
        read_manifest(manifest, "test")


def test_a_clip_id_that_occurs_twice_is_named(manifest: Path) -> None:
    manifest.write_text("clip_id,path,mids\na,a.wav,\nb,b.wav,\na,c.wav,\n")
    with pytest.raises(ValueError, match="'a' occurs twice"):
        read_manifest(manifest)


def test_splits_that_do_not_exist(manifest: Path) -> None:
    manifest.write_text("clip_id,path,mids,split\na,a.wav,,train\nb,b.wav,,test\n")
    with pytest.raises(ValueError, match="no rows of split 'valid'; it has test, train"):
        read_manifest(manifest, "valid")
    manifest.write_text("clip_id,path,mids\na,a.wav,\n")
    with pytest.raises(ValueError, match="no column split"):
        read_manifest(manifest, "train")


def test_a_missing_file_is_named(manifest: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"clips\.csv"):
        read_manifest(manifest)


@pytest.mark.parametrize(
    "content",
    [b"", b'clip_id,path,mids\na,"b', b"clip_id,path,mids\na,b\nc,d,e,f\n", b"\x00\xff\xfe" * 9],
    ids=["empty", "open quote", "too many fields", "binary"],
)
def test_a_broken_file_is_named(manifest: Path, content: bytes) -> None:
    manifest.write_bytes(content)
    with pytest.raises(ValueError, match=r"clips\.csv"):
        read_manifest(manifest)


def test_a_comma_too_many_in_every_row_does_not_shift_the_columns(manifest: Path) -> None:
    manifest.write_text("clip_id,path,mids\na,a.wav,/m/09x0r,\nb,b.wav,/m/04rlf,\n")
    try:
        clips = read_manifest(manifest)
    except ValueError:
        return
    assert clips == [Clip("a", "a.wav", ("/m/09x0r",)), Clip("b", "b.wav", ("/m/04rlf",))]


def test_the_clips_beside_the_checkout_are_a_manifest(shared: Path) -> None:
    clips = read_manifest(shared / "audio" / "clips.csv", "validation")
    table = pd.read_csv(shared / "audio" / "clips.csv", dtype=str)
    assert len(clips) == (table["split"] == "validation").sum() > 200
    assert all(clip.mids for clip in clips)


# The first lines of balanced_train_segments.csv.
HEADER = """\
# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=22160, num_segs=22160, num_unique_labels=527, num_positive_labels=52882
# YTID, start_seconds, end_seconds, positive_labels
"""
ROWS = """\
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
--ZhevVpy1s, 50.000, 60.000, "/m/012xff"
-0SdAVK79lg, 0.000, 10.000, "/m/0155w,/m/01lyv,/m/0342h,/m/042v_gx,/m/04rlf,/m/04szw,/m/0fx80y"
"""


def audioset(clip_id: str, mids: str, ytid: str, start_seconds: float) -> AudioSetClip:
    return AudioSetClip(clip_id, "", tuple(mids.split(",")), ytid=ytid, start_seconds=start_seconds)


def test_audiosets_own_files_are_manifests(manifest: Path) -> None:
    manifest.write_text(HEADER + ROWS)
    assert read_manifest(manifest) == [
        audioset("--PJHxphWEs", "/m/09x0r,/t/dd00088", "--PJHxphWEs", 30.0),
        audioset("--ZhevVpy1s", "/m/012xff", "--ZhevVpy1s", 50.0),
        audioset(
            "-0SdAVK79lg",
            "/m/0155w,/m/01lyv,/m/0342h,/m/042v_gx,/m/04rlf,/m/04szw,/m/0fx80y",
            "-0SdAVK79lg",
            0.0,
        ),
    ]
    assert read_manifest(manifest, labelled=False) == read_manifest(manifest)


def test_clips_of_one_video_are_told_apart_by_their_start(manifest: Path) -> None:
    rows = [f'{ytid}, {start}, 99.000, "/m/09x0r"' for ytid, start in PAIRS]
    manifest.write_text(HEADER + "\n".join(rows))
    ids = [clip.clip_id for clip in read_manifest(manifest)]
    assert ids == ["-aaaaaaaaa1_0", "NA", "-aaaaaaaaa1_30500", "b_bbbbbbb_1"]


PAIRS = (
    ("-aaaaaaaaa1", "0.000"),
    ("NA", "5.000"),
    ("-aaaaaaaaa1", "30.500"),
    ("b_bbbbbbb_1", "1.000"),
)


def test_the_same_clip_twice_is_named(manifest: Path) -> None:
    manifest.write_text(HEADER + ROWS + '--ZhevVpy1s, 50.000, 60.000, "/m/012xff"\n')
    with pytest.raises(ValueError, match="'--ZhevVpy1s_50000' occurs twice"):
        read_manifest(manifest)


@pytest.mark.parametrize("start", ["soon", "", "-3.0", "nan", "inf"])
def test_a_start_that_is_no_number_of_seconds_is_named(manifest: Path, start: str) -> None:
    manifest.write_text(HEADER + ROWS + f'-xxxxxxxxxx, {start}, 60.000, "/m/012xff"\n')
    with pytest.raises(ValueError, match="the start of '-xxxxxxxxxx' is no number"):
        read_manifest(manifest)


def test_audiosets_header_alone_gives_no_clips(manifest: Path) -> None:
    manifest.write_text(HEADER)
    assert read_manifest(manifest) == []


def test_audiosets_files_have_no_splits(manifest: Path) -> None:
    manifest.write_text(HEADER + ROWS)
    with pytest.raises(ValueError, match="leave out the choice of a split"):
        read_manifest(manifest, "train")


def test_a_manifest_is_none_of_audiosets_for_a_comment_alone(manifest: Path) -> None:
    manifest.write_text("#1,path,mids\na,a.wav,/m/09x0r\n")
    with pytest.raises(ValueError, match="lacks the column clip_id"):
        read_manifest(manifest)


def test_labels_without_quotes_are_refused_not_cut(manifest: Path) -> None:
    manifest.write_text(HEADER + "--PJHxphWEs, 30.000, 40.000, /m/09x0r,/t/dd00088\n")
    with pytest.raises(ValueError, match="is not a CSV file"):
        read_manifest(manifest)


def test_groups_are_read_where_there_are_any(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("clip_id,path,mids,group\na,a.wav,/m/09x0r,mine\n")
    assert [clip.group for clip in read_manifest(path)] == ["mine"]


def test_the_rows_of_older_manifests_are_described_as_ever() -> None:
    """Shards record a hash of this text; it must not change."""
    clip = Clip("a", "a.wav", ("/m/09x0r",))
    assert repr(clip) == "Clip(clip_id='a', path='a.wav', mids=('/m/09x0r',), caption='')"


def test_a_null_byte_in_a_path_is_refused_with_its_row(manifest: Path) -> None:
    """No file can be called so; Python would raise an error that names neither file nor row."""
    manifest.write_text("clip_id,path,mids\na,a.wav,/m/09x0r\nb,b\0.wav,/m/04rlf\n")
    with pytest.raises(InputError, match=r"clips\.csv, row 3: the path holds a null byte"):
        read_manifest(manifest)
