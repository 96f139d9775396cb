import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from ontology import load_ontology
from uss.core.errors import InputError
from uss.shards import (
    Anchor,
    ShardReader,
    ShardSettings,
    ShardWriter,
    SkippedClip,
    list_shards,
    read_settings,
    read_skipped,
    shard_path,
    write_shard,
)
from uss.shards.stored_shard import StoredShard
from uss.taggers import NUM_CLASSES

MakeAnchor = Callable[..., Anchor]


def test_round_trip(
    tmp_path: Path,
    make_anchor: MakeAnchor,
    shard_settings: ShardSettings,
    rng: np.random.Generator,
) -> None:
    tags = rng.random(NUM_CLASSES).astype(np.float32)
    anchor = make_anchor(
        7,
        clip_id="Größe/ß",
        start_seconds=1.2345678901,
        score=0.75,
        waveform=rng.uniform(-1.0, 1.0, 100).astype(np.float32),
        labels=(7, 3, 526),
        tag_probabilities=tags,
        conditions={"fake-2": np.array([0.1, -200.0], np.float32)},
        caption="a “caption”, with commas",
    )
    path = shard_path(tmp_path, 0, 10)
    skipped = [SkippedClip("quiet", "silent"), SkippedClip("ü", "shorter than 0.3 s (0.100 s)")]
    write_shard(path, [make_anchor(0), anchor], skipped, shard_settings)
    with ShardReader(tmp_path) as reader:
        assert len(reader) == 2
        assert reader.settings == shard_settings
        assert reader.class_index.tolist() == [0, 7]
        assert reader.class_index.dtype == np.int64
        assert reader.clip_id.tolist() == ["clip-0", "Größe/ß"]
        assert reader.start_seconds[1] == 1.2345678901
        assert reader.score[1] == 0.75
        assert np.flatnonzero(reader.labels[1]).tolist() == [3, 7, 526]
        np.testing.assert_allclose(reader.tag_probabilities[1], tags, atol=5e-4)
        np.testing.assert_allclose(reader.conditions("fake-2")[1], [0.1, -200.0], rtol=1e-3)
        assert reader.conditions("fake-2").dtype == np.float32
        np.testing.assert_allclose(reader.waveform(1), anchor.waveform, atol=0.51 / 32767)
        assert reader.waveform(1).dtype == np.float32
    assert read_skipped(path) == skipped
    with h5py.File(path, "r") as file:
        assert file["caption"].asstr()[1] == "a “caption”, with commas"
        assert file["waveform"].chunks == (1, 100)


def test_samples_beyond_full_scale_are_clipped(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    waveform = np.array([1.5, -1.5, 1.0, -1.0, 0.0], np.float32)
    write_shard(shard_path(tmp_path, 0, 1), [make_anchor(0, waveform=waveform)], [], shard_settings)
    assert ShardReader(tmp_path).waveform(0)[:5].tolist() == [1.0, -1.0, 1.0, -1.0, 0.0]


@pytest.mark.parametrize("num_samples", [1, 40, 100])
def test_a_short_anchor_is_padded_and_its_length_kept(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings, num_samples: int
) -> None:
    anchor = make_anchor(0, waveform=np.full(num_samples, 0.5, np.float32))
    write_shard(shard_path(tmp_path, 0, 1), [anchor], [], shard_settings)
    reader = ShardReader(tmp_path)
    assert reader.valid_samples.tolist() == [num_samples]
    waveform = reader.waveform(0)
    assert waveform.shape == (100,)
    np.testing.assert_allclose(waveform[:num_samples], 0.5, atol=1e-4)
    assert not waveform[num_samples:].any()


def test_several_shards_are_one_table_in_manifest_order(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    def anchor(k: int) -> Anchor:
        return make_anchor(k, waveform=np.full(100, k / 10, np.float32))

    write_shard(shard_path(tmp_path, 9, 12), [anchor(3)], [], shard_settings)
    write_shard(shard_path(tmp_path, 3, 6), [], [], shard_settings)
    write_shard(shard_path(tmp_path, 0, 3), [anchor(5), anchor(1)], [], shard_settings)
    write_shard(shard_path(tmp_path, 6, 9), [anchor(2), anchor(4)], [], shard_settings)
    reader = ShardReader(tmp_path)
    assert reader.class_index.tolist() == [5, 1, 2, 4, 3]
    assert reader.conditions("fake-2")[:, 0].tolist() == [5.0, 1.0, 2.0, 4.0, 3.0]
    for row, k in enumerate(reader.class_index):
        np.testing.assert_allclose(reader.waveform(row), k / 10, atol=1e-4)


def test_an_empty_shard_whose_clips_were_all_skipped(
    tmp_path: Path, shard_settings: ShardSettings
) -> None:
    path = shard_path(tmp_path, 0, 1)
    write_shard(path, [], [SkippedClip("a", "silent")], shard_settings)
    reader = ShardReader(tmp_path)
    assert len(reader) == 0
    assert reader.labels.shape == (0, NUM_CLASSES)
    assert reader.conditions("fake-2").shape == (0, 2)
    assert reader.conditions("audioset-527").shape == (0, NUM_CLASSES)
    assert read_skipped(path) == [SkippedClip("a", "silent")]


def test_the_tags_are_the_space_audioset_527(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    tags = np.linspace(0.0, 1.0, NUM_CLASSES, dtype=np.float32)
    anchor = make_anchor(0, tag_probabilities=tags)
    write_shard(shard_path(tmp_path, 0, 1), [anchor], [], shard_settings)
    np.testing.assert_allclose(
        ShardReader(tmp_path).conditions("audioset-527"), tags[None], atol=5e-4
    )


def test_a_space_the_shards_do_not_hold_is_named_beside_those_they_do(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    write_shard(shard_path(tmp_path, 0, 1), [make_anchor(0)], [], shard_settings)
    with pytest.raises(ValueError, match=r"'cnn14-2048' \(they hold fake-2\)"):
        ShardReader(tmp_path).conditions("cnn14-2048")


def test_a_reader_survives_a_change_of_process(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    write_shard(shard_path(tmp_path, 0, 1), [make_anchor(0)], [], shard_settings)
    reader = ShardReader(tmp_path)
    before = reader.waveform(0)
    copy = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(copy.waveform(0), before)


def test_a_closed_reader_opens_again_when_asked(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    write_shard(shard_path(tmp_path, 0, 1), [make_anchor(0)], [], shard_settings)
    with ShardReader(tmp_path) as reader:
        before = reader.waveform(0)
    np.testing.assert_array_equal(reader.waveform(0), before)


@pytest.mark.parametrize(
    "changes",
    [{"tagger_hash": "other"}, {"segment_samples": 50}, {"mining": {"labels": "specific"}}],
)
def test_shards_of_different_runs_are_refused(
    tmp_path: Path, shard_settings: ShardSettings, changes: dict[str, object]
) -> None:
    write_shard(shard_path(tmp_path, 0, 1), [], [], shard_settings)
    other = replace(shard_settings, **changes)  # type: ignore[arg-type]
    write_shard(shard_path(tmp_path, 1, 2), [], [], other)
    with pytest.raises(ValueError, match=r"anchors-000000001-000000002\.h5 was mined with"):
        ShardReader(tmp_path)


def test_a_folder_without_shards(tmp_path: Path) -> None:
    (tmp_path / "anchors-000000000-000000001.h5.part").write_bytes(b"half")
    assert list_shards(tmp_path) == []
    with pytest.raises(FileNotFoundError, match="has no shards"):
        ShardReader(tmp_path)
    with pytest.raises(FileNotFoundError, match="has no shards"):
        ShardReader(tmp_path / "nowhere")


def test_a_broken_file_is_named(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    path = shard_path(tmp_path, 0, 1)
    write_shard(path, [make_anchor(0)], [], shard_settings)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"not HDF5", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"anchors-000000000-000000001\.h5 is not a readable"):
            ShardReader(tmp_path)


def test_another_schema_version_is_refused(tmp_path: Path, shard_settings: ShardSettings) -> None:
    path = shard_path(tmp_path, 0, 1)
    write_shard(path, [], [], shard_settings)
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 99
    with pytest.raises(ValueError, match="schema version 99"):
        read_settings(path)


def test_an_hdf5_file_that_is_no_shard_is_refused(tmp_path: Path) -> None:
    path = shard_path(tmp_path, 0, 1)
    with h5py.File(path, "w") as file:
        file["x"] = [1]
    with pytest.raises(ValueError, match="schema version None"):
        read_settings(path)


def test_a_shard_is_complete_or_absent(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    path = shard_path(tmp_path, 0, 1)
    with pytest.raises(KeyError):
        write_shard(path, [make_anchor(0, conditions={})], [], shard_settings)
    assert not path.exists()
    write_shard(path, [make_anchor(0)], [], shard_settings)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_failing_write_leaves_the_old_shard(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    path = shard_path(tmp_path, 0, 1)
    write_shard(path, [make_anchor(5)], [], shard_settings)
    with pytest.raises(KeyError):
        write_shard(path, [make_anchor(6, conditions={})], [], shard_settings)
    assert ShardReader(tmp_path).class_index.tolist() == [5]


def test_names_say_which_manifest_rows_a_shard_holds(tmp_path: Path) -> None:
    assert shard_path(tmp_path, 4096, 8192) == tmp_path / "anchors-000004096-000008192.h5"


def test_the_labels_are_the_space_of_one_hot_conditions(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    anchors = [make_anchor(3, labels=(3, 500)), make_anchor(0)]
    write_shard(shard_path(tmp_path, 0, 1), anchors, [], shard_settings)
    conditions = ShardReader(tmp_path).conditions("audioset-527-one-hot")
    expected = np.zeros((2, NUM_CLASSES), np.float32)
    expected[0, [3, 500]] = expected[1, 0] = 1.0
    np.testing.assert_array_equal(conditions, expected)
    assert conditions.dtype == np.float32


@pytest.mark.parametrize("num_anchors", [0, 1, 64, 65, 130])
def test_rows_written_one_by_one_are_all_there(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings, num_anchors: int
) -> None:
    path = shard_path(tmp_path, 0, 200)
    with ShardWriter(path, shard_settings) as writer:
        for k in range(num_anchors):
            writer.append(make_anchor(k, waveform=np.full(1 + k % 100, k / 200, np.float32)))
            writer.skip(SkippedClip(f"skipped-{k}", "silent"))
            assert not path.exists()
    reader = ShardReader(tmp_path)
    assert reader.class_index.tolist() == list(range(num_anchors))
    assert reader.clip_id.tolist() == [f"clip-{k}" for k in range(num_anchors)]
    assert np.argwhere(reader.labels).tolist() == [[k, k] for k in range(num_anchors)]
    assert reader.conditions("fake-2")[:, 0].tolist() == list(range(num_anchors))
    for k in range(num_anchors):
        waveform = reader.waveform(k)
        np.testing.assert_allclose(waveform[: 1 + k % 100], k / 200, atol=1e-4)
        assert not waveform[1 + k % 100 :].any()
    expected = [SkippedClip(f"skipped-{k}", "silent") for k in range(num_anchors)]
    assert read_skipped(path) == expected


def test_waveforms_do_not_wait_in_memory(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    with ShardWriter(shard_path(tmp_path, 0, 1), shard_settings) as writer:
        for k in range(100):
            writer.append(make_anchor(k))
        (part,) = tmp_path.iterdir()
        assert part.stat().st_size > 64 * 200


def test_a_failure_between_rows_leaves_nothing(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        ShardWriter(shard_path(tmp_path, 0, 1), shard_settings) as writer,
    ):
        writer.append(make_anchor(0))
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_failing_last_block_leaves_nothing(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    anchor = make_anchor(0, conditions={"fake-2": np.zeros(3, np.float32)})
    writer = ShardWriter(shard_path(tmp_path, 0, 1), shard_settings)
    with pytest.raises((TypeError, ValueError)), writer:
        writer.append(anchor)
    assert not list(tmp_path.iterdir())


def test_shards_of_contiguous_columns_are_read(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    """Until anchors were written in blocks, only waveforms and vectors were chunked."""
    path = shard_path(tmp_path, 0, 1)
    write_shard(
        path, [make_anchor(5), make_anchor(2)], [SkippedClip("a", "silent")], shard_settings
    )
    with h5py.File(path, "r+") as file:
        for name in ("class_index", "valid_samples", "clip_id", "conditions/fake-2"):
            values, dtype = file[name][:], file[name].dtype
            del file[name]
            file.create_dataset(name, data=values, dtype=dtype)
            assert file[name].chunks is None
    reader = ShardReader(tmp_path)
    assert reader.class_index.tolist() == [5, 2]
    assert reader.clip_id.tolist() == ["clip-5", "clip-2"]
    assert reader.conditions("fake-2")[:, 0].tolist() == [5.0, 2.0]


@pytest.mark.parametrize("settings", [None, "no JSON {", "[]", '{"unknown": 1}'])
def test_a_shard_whose_settings_are_damaged_is_refused(
    tmp_path: Path, shard_settings: ShardSettings, settings: str | None
) -> None:
    path = shard_path(tmp_path, 0, 1)
    write_shard(path, [], [], shard_settings)
    with h5py.File(path, "a") as file:
        del file.attrs["settings"]
        if settings is not None:
            file.attrs["settings"] = settings
    with pytest.raises(InputError, match=r"not a readable shard .*; delete it and mine again"):
        read_settings(path)


def test_anchors_know_their_group_and_older_ones_are_each_their_own(
    tmp_path: Path, shard_settings: ShardSettings, make_anchor: MakeAnchor
) -> None:
    anchors = [make_anchor(1, group="one voice"), make_anchor(2)]
    path = shard_path(tmp_path, 0, 2)
    write_shard(path, anchors, [], shard_settings)
    assert ShardReader(tmp_path).group.tolist() == ["one voice", "clip-2"]
    with h5py.File(path, "a") as file:
        del file["group"]
    assert ShardReader(tmp_path).group.tolist() == ["clip-1", "clip-2"]
    with StoredShard(path) as stored:
        assert [row["group"] for row in stored.anchors_of("clip-1")] == ["clip-1"]


def test_own_classes_have_labels_but_no_tags_and_no_dimension_of_label_spaces(
    tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> None:
    own = [["/own/a", "A thing", ""], ["/own/b", "B thing", "/m/02mk9"]]
    settings = replace(shard_settings, num_classes=529, mining={"own_classes": own})
    tags = np.zeros(529, np.float32)
    tags[:527] = 0.25
    anchor = make_anchor(528, labels=(528, 7), tag_probabilities=tags)
    write_shard(shard_path(tmp_path, 0, 1), [anchor], [], settings)
    with ShardReader(tmp_path) as reader:
        assert reader.settings == settings
        assert [each.name for each in reader.settings.own_classes] == ["A thing", "B thing"]
        ontology = reader.settings.ontology
        assert [node.name for node in ontology.classes[527:]] == ["A thing", "B thing"]
        assert ontology.class_indexes("/m/02mk9")[-1] == 528
        assert reader.class_index.tolist() == [528]
        assert np.flatnonzero(reader.labels[0]).tolist() == [7, 528]
        np.testing.assert_array_equal(reader.conditions("audioset-527"), np.full((1, 527), 0.25))
        with pytest.raises(InputError, match="no dimensions for classes of your own; train in"):
            reader.conditions("audioset-527-one-hot")


def test_shards_without_own_classes_have_audiosets_ontology(shard_settings: ShardSettings) -> None:
    assert shard_settings.own_classes == ()
    assert shard_settings.ontology is load_ontology()
