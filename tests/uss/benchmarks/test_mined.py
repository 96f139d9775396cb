from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ontology import load_ontology
from uss.benchmarks import BENCHMARKS, PrepareOptions, manifest_of
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import load_mixture
from uss.shards import Anchor, ShardSettings, shard_path, write_shard

WriteTone = Callable[..., Path]
WriteTable = Callable[[Path, Sequence[Mapping[str, object]]], Path]
MakeAnchor = Callable[..., Anchor]

CLIPS, AUDIOSET = BENCHMARKS["clips"], BENCHMARKS["audioset"]
NAMES = ("Dog", "Rain", "Bell", "Animal")
INDEX = {name: load_ontology().find(name).class_index for name in NAMES}
MID = {name: load_ontology().find(name).mid for name in NAMES}


@pytest.fixture
def options(tmp_path: Path) -> PrepareOptions:
    return replace(CLIPS.defaults, shards=tmp_path / "shards", sample_rate=2_000)


@pytest.fixture
def folder(
    tmp_path: Path,
    options: PrepareOptions,
    write_tone: WriteTone,
    write_table: WriteTable,
    make_anchor: MakeAnchor,
    shard_settings: ShardSettings,
) -> Path:
    """A clip of 3 s for each name, with an anchor of 2 s that starts after half a second."""
    assert options.shards is not None
    audio = tmp_path / "audio"
    anchors = []
    for number, name in enumerate(NAMES):
        write_tone(audio / f"{name}.wav", 0.1 * (number + 1), seconds=3.0)
        index = INDEX[name]
        anchors.append(make_anchor(index, clip_id=name, start_seconds=0.5, labels=(index,)))
    write_table(
        audio / "clips.csv",
        [{"clip_id": name, "path": f"{name}.wav", "mids": MID[name]} for name in NAMES],
    )
    options.shards.mkdir()
    settings = replace(shard_settings, mining={"shard_size": 4096})
    write_shard(shard_path(options.shards, 0, len(NAMES)), anchors, [], settings)
    return audio


def make(folder: Path, options: PrepareOptions) -> list[ListRow]:
    return CLIPS.make_rows(folder, options, list)


def test_two_anchors_are_mixed_where_they_were_found(folder: Path, options: PrepareOptions) -> None:
    rows = make(folder, replace(options, per_class=5))
    assert Counter(row.class_name for row in rows) == dict.fromkeys(NAMES, 5)
    for row in rows:
        assert row.target == (f"{row.class_name}.wav",)
        assert row.interferer == (f"{row.interferer_class}.wav",)
        assert row.mids == (MID[row.class_name],)
        assert row.interferer_mids == (MID[row.interferer_class],)
        assert row.target_start_seconds == row.interferer_start_seconds == 0.5
        assert (row.seconds, row.fill) == (2.0, "zeros")
    mixture = load_mixture(rows[0], folder)
    energies = [np.square(w).sum() for w in (mixture.target, mixture.interferer)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-4)


def test_a_dog_is_not_mixed_with_an_animal(folder: Path, options: PrepareOptions) -> None:
    rows = make(folder, replace(options, per_class=20))
    assert not [row for row in rows if {row.class_name, row.interferer_class} == {"Dog", "Animal"}]


def test_what_the_tagger_hears_beside_the_label_counts(
    folder: Path,
    options: PrepareOptions,
    make_anchor: MakeAnchor,
    shard_settings: ShardSettings,
) -> None:
    assert options.shards is not None
    heard = np.zeros(527, np.float32)
    heard[INDEX["Rain"]] = 0.9
    anchors = [
        make_anchor(INDEX["Dog"], clip_id="Dog", labels=(INDEX["Dog"],), tag_probabilities=heard),
        make_anchor(INDEX["Rain"], clip_id="Rain", labels=(INDEX["Rain"],)),
        make_anchor(INDEX["Bell"], clip_id="Bell", labels=(INDEX["Bell"],)),
    ]
    write_shard(shard_path(options.shards, 0, 4), anchors, [], shard_settings)
    rows = make(folder, replace(options, per_class=20))
    assert not [row for row in rows if {row.class_name, row.interferer_class} == {"Dog", "Rain"}]


def test_an_anchor_is_not_mixed_with_what_is_of_its_class(
    folder: Path,
    options: PrepareOptions,
    make_anchor: MakeAnchor,
    shard_settings: ShardSettings,
) -> None:
    """A dog in the clip makes "Animal" no specific label, but it is still what is asked for."""
    assert options.shards is not None
    animal, dog = INDEX["Animal"], INDEX["Dog"]
    cat = load_ontology().find("Cat").class_index
    anchors = [
        make_anchor(animal, clip_id="Animal", labels=(animal, dog)),
        make_anchor(cat, clip_id="Dog", labels=(cat,)),
        make_anchor(INDEX["Bell"], clip_id="Bell", labels=(INDEX["Bell"],)),
    ]
    write_shard(shard_path(options.shards, 0, 4), anchors, [], shard_settings)
    rows = make(folder, replace(options, per_class=20))
    assert not [row for row in rows if {row.class_name, row.interferer_class} == {"Animal", "Cat"}]


def test_a_number_in_all_goes_before_one_per_class(folder: Path, options: PrepareOptions) -> None:
    rows = make(folder, replace(options, count=6))
    assert len(rows) == 6
    assert set(Counter(row.class_name for row in rows).values()) == {1, 2}


def test_anchors_of_clips_without_a_file_are_refused(
    folder: Path, options: PrepareOptions, write_table: WriteTable
) -> None:
    write_table(folder / "clips.csv", [{"clip_id": "Dog", "path": "Dog.wav", "mids": MID["Dog"]}])
    with pytest.raises(ValueError, match="an anchor of the clip 'Rain', which the manifest lacks"):
        make(folder, options)


def test_without_shards_there_is_nothing_to_mix(folder: Path, options: PrepareOptions) -> None:
    with pytest.raises(ValueError, match="name their folder with --shards"):
        make(folder, replace(options, shards=None))
    with pytest.raises(FileNotFoundError, match="gone has no shards"):
        make(folder, replace(options, shards=folder / "gone"))


def test_the_manifest_is_the_folders_unless_it_is_named(folder: Path, tmp_path: Path) -> None:
    assert CLIPS.mining is not None
    assert AUDIOSET.mining is not None
    assert manifest_of(folder, CLIPS.defaults, CLIPS.mining) == folder / "clips.csv"
    with pytest.raises(FileNotFoundError, match=r"eval_segments\.csv: no such manifest; put"):
        manifest_of(folder, AUDIOSET.defaults, AUDIOSET.mining)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        manifest_of(tmp_path / "gone", CLIPS.defaults, CLIPS.mining)


@pytest.mark.parametrize("below", ["", "evaluation/data/audioset/"])
def test_audioseps_list_names_targets_and_mixtures(
    tmp_path: Path, write_tone: WriteTone, write_table: WriteTable, below: str
) -> None:
    path = "class_id=0/class_id=0,index=000,"
    write_tone(tmp_path / f"{below}{path}source.wav", 0.2)
    write_tone(tmp_path / f"{below}{path}mixture.wav", 0.3)
    row = {
        "idx": 0,
        "caption": "Speech",
        "src_wav": f"evaluation/data/audioset/{path}source.wav",
        "noise_wav": f"evaluation/data/audioset/{path}mixture.wav",
    }
    pairs = write_table(tmp_path / "pairs.csv", [row])
    options = replace(AUDIOSET.defaults, pairs=pairs)
    (made,) = AUDIOSET.make_rows(tmp_path, options, list)
    assert (made.target, made.mixture) == (
        (f"{below}{path}source.wav",),
        f"{below}{path}mixture.wav",
    )
    assert (made.class_name, made.mids, made.seconds) == ("Speech", ("/m/09x0r",), 2.0)
    for change, problem in (
        ({"caption": "Talking"}, "AudioSet has no class 'Talking'"),
        ({"src_wav": "gone.wav"}, r"gone\.wav: no such file"),
    ):
        write_table(pairs, [row, row | change])
        with pytest.raises((ValueError, OSError), match=rf"pairs\.csv, row 3: .*{problem}"):
            AUDIOSET.make_rows(tmp_path, options, list)
