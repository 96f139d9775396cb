"""What does not fit its index is named with the remedy; what only was copied is not."""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from uss.core.errors import InputError
from uss.shards import (
    Anchor,
    Selection,
    ShardFiles,
    ShardReader,
    ShardSettings,
    SkippedClip,
    list_shards,
    load_index,
    shard_path,
    update_index,
    verify,
    write_shard,
)
from uss.shards.checksums import LINE_BYTES, add_checksum
from uss.taggers import NUM_CLASSES

MakeAnchor = Callable[..., Anchor]
REMEDY = "uss-mine-anchors --verify"


@pytest.fixture
def folder(tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings) -> Path:
    """Three shards of two anchors each, whose purities are 1, 1/2, 1/3, 1/4 ..., and an index."""
    for start in (0, 2, 4):
        anchors = []
        for row in (start, start + 1):
            tags = np.zeros(NUM_CLASSES, np.float32)
            # Speech in its own family, a siren outside it.
            tags[0], tags[396] = 0.15, 0.15 * row
            anchors.append(
                make_anchor(0, clip_id=f"clip-{row}", tag_probabilities=tags, labels=(0, 5))
            )
        path = shard_path(tmp_path, start, start + 2)
        write_shard(path, anchors, [SkippedClip(f"quiet-{start}", "silent")], shard_settings)
    update_index(ShardFiles(tmp_path))
    return tmp_path


def second(folder: Path) -> Path:
    return list_shards(folder)[1]


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


def test_an_index_says_what_the_shards_do(folder: Path) -> None:
    with ShardReader(folder) as indexed:
        (folder / "index.h5").unlink()
        read = ShardReader(folder)
        for name in ("class_index", "valid_samples", "start_seconds", "score", "purity", "clip_id"):
            assert getattr(indexed, name).tolist() == getattr(read, name).tolist(), name
        np.testing.assert_array_equal(indexed.labels, read.labels)
        np.testing.assert_array_equal(indexed.tag_probabilities, read.tag_probabilities)
        assert indexed.settings == read.settings
        np.testing.assert_allclose(indexed.purity, [1 / (1 + row) for row in range(6)], rtol=1e-3)


def test_training_opens_no_shard_to_know_what_there_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    original = ShardFiles.opened

    def watched(files: ShardFiles, name: str) -> object:
        opened.append(name)
        return original(files, name)

    monkeypatch.setattr(ShardFiles, "opened", watched)
    with ShardReader(folder) as reader:
        assert len(reader.active_lists(0.3)) == 6
        assert reader.averages("fake-2").class_indexes.tolist() == [0, 5]
    assert opened == ["index.h5"]


@pytest.mark.parametrize("where", ["waveform", "start", "middle", "checksum"])
def test_a_flipped_byte(folder: Path, where: str) -> None:
    path = second(folder)
    size = path.stat().st_size
    with h5py.File(path, "r") as file:
        chunk = file["waveform"].id.get_chunk_info(0).byte_offset
    place = {"waveform": chunk, "start": 1, "middle": size // 2, "checksum": size - 5}[where]
    flip(path, place)
    with pytest.raises(InputError, match=rf"{path.name} (is damaged|states checksum).*{REMEDY}"):
        ShardReader(folder)
    (problem,) = verify(ShardFiles(folder)).problems
    assert path.name in problem and "delete it and run the same uss-mine-anchors again" in problem


def test_a_byte_that_was_flipped_behind_the_systems_back(folder: Path) -> None:
    """As a disk does: nothing shows it but the reading of all bytes."""
    path = second(folder)
    before = path.stat()
    flip(path, path.stat().st_size // 2)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    ShardReader(folder)
    assert len(verify(ShardFiles(folder)).problems) == 1


def test_a_missing_shard(folder: Path) -> None:
    path = second(folder)
    path.unlink()
    with pytest.raises(InputError, match=rf"{path.name} is missing.*uss-mine-anchors again"):
        ShardReader(folder)
    problems = verify(ShardFiles(folder)).problems
    assert len(problems) == 2
    assert "no shard holds the manifest rows 2 to 3" in problems[0]
    assert f"{path.name} is missing" in problems[1]


def test_a_missing_last_shard(folder: Path) -> None:
    path = list_shards(folder)[-1]
    path.unlink()
    with pytest.raises(InputError, match=f"{path.name} is missing"):
        ShardReader(folder)
    (problem,) = verify(ShardFiles(folder)).problems
    assert f"{path.name} is missing" in problem


def test_a_shard_that_was_cut_off(folder: Path) -> None:
    path = second(folder)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=rf"{path.name} has \d+ bytes, \d+ when it was indexed"):
        ShardReader(folder)
    assert len(verify(ShardFiles(folder)).problems) == 1


def test_an_index_of_another_version(folder: Path) -> None:
    path = folder / "index.h5"
    path.write_bytes(path.read_bytes()[:-LINE_BYTES])
    with h5py.File(path, "r+") as file:
        file.attrs["index_version"] = 99
    add_checksum(path)
    with pytest.raises(InputError, match=rf"version 99, this program reads version 1; {REMEDY}"):
        ShardReader(folder)
    found = verify(ShardFiles(folder))
    assert found.problems == () and "version 99" in found.notes[0]
    assert len(ShardReader(folder)) == 6


def test_a_damaged_index(folder: Path) -> None:
    flip(folder / "index.h5", (folder / "index.h5").stat().st_size // 2)
    with pytest.raises(InputError, match=rf"index.h5 is damaged.*{REMEDY}"):
        ShardReader(folder)
    assert verify(ShardFiles(folder)).problems == ()
    assert len(ShardReader(folder)) == 6


def test_an_index_that_was_cut_off(folder: Path) -> None:
    path = folder / "index.h5"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=r"index\.h5 is damaged"):
        ShardReader(folder)


def test_a_shard_the_index_does_not_know(
    folder: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    write_shard(shard_path(folder, 6, 8), [make_anchor(3)], [], shard_settings)
    with pytest.raises(InputError, match=rf"does not know anchors-000000006.*{REMEDY}"):
        ShardReader(folder)
    assert verify(ShardFiles(folder)).problems == ()
    assert ShardReader(folder).class_index.tolist() == [0] * 6 + [3]


def test_a_shard_that_was_mined_anew(
    folder: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    write_shard(second(folder), [make_anchor(3), make_anchor(4)], [], shard_settings)
    with pytest.raises(InputError, match=f"{second(folder).name} (has|states).*"):
        ShardReader(folder)
    update_index(ShardFiles(folder))
    assert ShardReader(folder).class_index.tolist() == [0, 0, 3, 4, 0, 0]


def test_a_copied_set_is_read_whole_once_and_noted(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in list_shards(folder):
        os.utime(path, (1, 1))
    with caplog.at_level(logging.INFO):
        ShardReader(folder)
    assert "reading 3 files" in caplog.text
    caplog.clear()
    verify(ShardFiles(folder))
    with caplog.at_level(logging.INFO):
        ShardReader(folder)
    assert "reading" not in caplog.text


def test_an_unchanged_shard_is_not_read_again(
    folder: Path,
    make_anchor: MakeAnchor,
    shard_settings: ShardSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from uss.shards import indexing

    write_shard(shard_path(folder, 6, 8), [make_anchor(3, clip_id="clip-1")], [], shard_settings)
    read = []
    original = indexing._index_shard

    def watched(files: ShardFiles, name: str, stored: object) -> object:
        read.append(name)
        return original(files, name, stored)  # type: ignore[arg-type]

    monkeypatch.setattr(indexing, "_index_shard", watched)
    joined = update_index(ShardFiles(folder))
    assert read == ["anchors-000000006-000000008.h5"]
    (folder / "index.h5").unlink()
    anew = update_index(ShardFiles(folder))
    assert len(read) == 5
    # A clip that comes again has its old number, whichever way the index was made.
    for name in anew.columns:
        assert joined.columns[name].tolist() == anew.columns[name].tolist(), name
    assert list(joined.clips) == list(anew.clips)
    assert joined.entries == anew.entries
    for name in anew.offsets:
        assert joined.offsets[name].tolist() == anew.offsets[name].tolist()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("class_index", NUM_CLASSES, r"class_index of 527, which must be in \[0, 526\]"),
        ("valid_samples", 0, r"valid_samples of 0, which must be in \[1, 100\]"),
        ("score", np.nan, "score of nan"),
        ("start_seconds", -1.0, "start_seconds of -1.0, which must be finite and at least 0"),
        ("tag_probabilities", 1.5, "tag_probabilities of 1.5"),
        ("conditions/fake-2", np.inf, "fake-2 of inf, which must be finite"),
        ("labels", False, "whose class is not among the labels"),
    ],
)
def test_values_out_of_range(folder: Path, column: str, value: float, message: str) -> None:
    path = second(folder)
    with h5py.File(path, "r+") as file:
        file[column][0] = value
    (folder / "index.h5").unlink()
    (problem,) = verify(ShardFiles(folder)).problems
    assert path.name in problem and message.split(r"\[")[0] in problem
    assert not (folder / "index.h5").exists()


def test_a_missing_column_and_one_of_another_shape(folder: Path) -> None:
    (folder / "index.h5").unlink()
    with h5py.File(second(folder), "r+") as file:
        del file["score"]
    (problem,) = verify(ShardFiles(folder)).problems
    assert "lacks the column score" in problem
    with h5py.File(second(folder), "r+") as file:
        file["score"] = np.zeros(3, np.float32)
    (problem,) = verify(ShardFiles(folder)).problems
    assert "a column score of shape (3,), not (2,)" in problem


def test_shards_of_two_runs(folder: Path, shard_settings: ShardSettings) -> None:
    other = replace(shard_settings, tagger_hash="other")
    write_shard(shard_path(folder, 6, 8), [], [], other)
    (problem,) = verify(ShardFiles(folder)).problems
    assert "anchors-000000006-000000008.h5 was mined with other settings" in problem


def test_a_set_of_an_older_release_is_watched_from_its_first_check_on(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its shards state no checksum, and nothing tells of it before."""
    for path in list_shards(folder):
        path.write_bytes(path.read_bytes()[:-LINE_BYTES])
    (folder / "index.h5").unlink()
    with caplog.at_level(logging.INFO):
        assert len(ShardReader(folder)) == 6
    assert f"has no index yet: read 3 shards for one; {REMEDY}" in caplog.text
    assert verify(ShardFiles(folder)).problems == ()
    flip(second(folder), 3000)
    with pytest.raises(InputError, match=f"{second(folder).name} is damaged"):
        ShardReader(folder)
    assert len(verify(ShardFiles(folder)).problems) == 1


def test_rows_that_are_not_there_are_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "index.h5").unlink()
    second(folder).unlink()
    ShardReader(folder)
    assert "no shard holds the manifest rows 2 to 3" in caplog.text


def test_a_selection_leaves_out_and_brings_back(folder: Path) -> None:
    files = ShardFiles(folder)
    update_index(files, 0.3)
    with ShardReader(folder) as reader:
        assert reader.clip_id.tolist() == ["clip-0", "clip-1", "clip-2"]
        assert [len(reader), len(reader.label_lists), reader.tags.shape[0]] == [3, 3, 3]
        assert reader.conditions("fake-2").shape == (3, 2)
    update_index(files, None, 2)
    assert len(ShardReader(folder)) == 2
    # Checking a set changes nothing of it.
    verify(files)
    assert load_index(files).selection == Selection(0.3, 2)
    assert len(ShardReader(folder, Selection())) == 6
    update_index(files, 0.0, 0)
    assert len(ShardReader(folder)) == 6


def test_rows_of_a_selection_are_their_own(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    for start in (0, 3):
        anchors = []
        for k in range(start, start + 3):
            tags = np.zeros(NUM_CLASSES, np.float32)
            tags[k], tags[100] = 0.5, 0.5 * (k % 2)
            waveform = np.full(100, k / 10, np.float32)
            condition = {"fake-2": np.array([k, 1.0], np.float32)}
            anchors.append(
                make_anchor(k, waveform=waveform, tag_probabilities=tags, conditions=condition)
            )
        write_shard(shard_path(tmp_path, start, start + 3), anchors, [], shard_settings)
    with ShardReader(tmp_path, Selection(0.9)) as reader:
        assert reader.class_index.tolist() == [0, 2, 4]
        np.testing.assert_allclose(reader.waveforms(np.arange(3))[:, 0], [0, 0.2, 0.4], atol=1e-4)
        assert reader.rows_of("fake-2")[[2, 0]][:, 0].tolist() == [4.0, 0.0]
        assert reader.conditions("fake-2")[:, 0].tolist() == [0.0, 2.0, 4.0]
        assert reader.averages("fake-2").vectors[:, 0].tolist() == [0.0, 2.0, 4.0]
        assert [lists.tolist() for lists in map(reader.label_lists.__getitem__, range(3))] == [
            [0],
            [2],
            [4],
        ]


def test_a_purity_that_nothing_has(folder: Path) -> None:
    tags = load_index(ShardFiles(folder)).columns["purity"]
    assert tags.max() == 1.0
    with h5py.File(list_shards(folder)[0], "r+") as file:
        file["tag_probabilities"][0] = 0.0
    with pytest.raises(InputError, match=r"none of the 6 anchors.*the purest has 0.500"):
        update_index(ShardFiles(folder), 0.9)


@pytest.mark.parametrize("threshold", [0.01, 0.05, 0.3, 0.5, 0.9])
def test_active_classes_are_those_of_labels_and_tags(folder: Path, threshold: float) -> None:
    """Below 0.05 the index does not know, and the shards are read."""
    with ShardReader(folder) as reader:
        expected = reader.labels | (reader.tag_probabilities > threshold)
        np.testing.assert_array_equal(reader.active_lists(threshold).dense(), expected)


def test_the_index_names_every_shard_in_plain_words(folder: Path) -> None:
    """Other programs may read it; the format is HDF5 with JSON beside."""
    with h5py.File(folder / "index.h5", "r") as file:
        entries = json.loads(file["shards"].asstr()[()])
        assert [entry["num_anchors"] for entry in entries] == [2, 2, 2]
        assert file["columns/class_index"].shape == (6,)
