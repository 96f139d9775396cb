"""Sets of shards: checked, appended to, selected from, and given further encoders."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.mine_anchors import main
from tests.pipelines.conftest import TrainingFiles, tiny_tagger
from uss.checkpoints.loading import load_class_queries, load_tagger, save_tagger
from uss.core.errors import InputError
from uss.mining import adding
from uss.shards import ShardReader, list_shards, read_settings
from uss.taggers import EfficientAT

DOG, SPEECH, MUSIC = "/m/0bt9lr", "/m/09x0r", "/m/04rlf"
WriteNoise = Callable[..., Path]
Mine = Callable[..., int]
Capsys = pytest.CaptureFixture[str]
FIRST = {"dog": DOG, "speech": SPEECH, "music": MUSIC}
MORE = {"dog2": DOG, "speech2": SPEECH}


@pytest.fixture
def audio(tmp_path: Path, write_noise: WriteNoise) -> Path:
    folder = tmp_path / "audio"
    for number, clip_id in enumerate([*FIRST, *MORE, "late"]):
        write_noise(folder / f"{clip_id}.wav", 2.5, seed=number)
    return folder


@pytest.fixture
def mine(tmp_path: Path, audio: Path, tagger_file: Path) -> Mine:
    """Mines clips into ``set``, two rows a shard."""

    def run(clips: dict[str, str], *options: str | Path, name: str = "manifest") -> int:
        manifest = tmp_path / f"{name}.csv"
        with manifest.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["clip_id", "path", "mids", "caption"])
            writer.writerows([clip, f"{clip}.wav", mid, ""] for clip, mid in clips.items())
        words = [manifest, "--audio-root", audio, "-o", tmp_path / "set", "--tagger", tagger_file]
        return main([str(word) for word in (*words, "--shard-size", "2", *options)])

    return run


def names(folder: Path) -> list[str]:
    return [path.name for path in list_shards(folder)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in list_shards(folder)}


def refused(status: int, capsys: Capsys, *parts: str) -> None:
    error = capsys.readouterr().err
    assert status == 2
    assert "Traceback" not in error
    for part in parts:
        assert part in error


def test_mining_writes_an_index(mine: Mine, tmp_path: Path, capsys: Capsys) -> None:
    assert mine(FIRST) == 0
    assert (tmp_path / "set" / "index.h5").is_file()
    capsys.readouterr()
    assert main(["--verify", str(tmp_path / "set")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("2 files, 0.00 GB read")
    assert printed[1] == "3 anchors, 3 of them used; index.h5 written"


def test_verifying_names_what_is_wrong(mine: Mine, tmp_path: Path, capsys: Capsys) -> None:
    assert mine(FIRST) == 0
    path = list_shards(tmp_path / "set")[0]
    content = bytearray(path.read_bytes())
    content[50_000] ^= 1
    path.write_bytes(bytes(content))
    index = (tmp_path / "set" / "index.h5").read_bytes()
    refused(main(["--verify", str(tmp_path / "set")]), capsys, f"{path} is damaged", "1 problem")
    assert (tmp_path / "set" / "index.h5").read_bytes() == index
    path.unlink()
    assert mine(FIRST) == 0
    assert main(["--verify", str(tmp_path / "set")]) == 0


def test_a_second_manifest_is_appended(mine: Mine, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    assert mine(FIRST) == 0
    before = contents(folder)
    assert mine(MORE, "--append", name="more") == 0
    assert names(folder) == [
        "anchors-000000000-000000002.h5",
        "anchors-000000002-000000003.h5",
        "anchors-000000003-000000005.h5",
    ]
    assert {name: contents(folder)[name] for name in before} == before
    with ShardReader(folder) as reader:
        assert reader.clip_id.tolist() == [*FIRST, *MORE]
        queries = load_class_queries(folder / "queries-audioset-527.safetensors")
        dogs = reader.conditions("audioset-527")[reader.labels[:, 74]].mean(axis=0)
    assert reader.class_index[3] == 74
    np.testing.assert_allclose(queries.vectors[queries.class_indexes.index(74)], dogs, rtol=1e-5)


def test_an_appended_manifest_gives_what_it_gives_alone(
    mine: Mine, tmp_path: Path, audio: Path, tagger_file: Path
) -> None:
    assert mine(FIRST) == 0
    assert mine(MORE, "--append", name="more") == 0
    words = [tmp_path / "more.csv", "--audio-root", audio, "-o", tmp_path / "alone"]
    assert main([str(word) for word in (*words, "--tagger", tagger_file, "--shard-size", "2")]) == 0
    with ShardReader(tmp_path / "set") as both, ShardReader(tmp_path / "alone") as alone:
        rows = np.array([3, 4])
        np.testing.assert_array_equal(both.waveforms(rows), alone.waveforms(np.arange(2)))
        np.testing.assert_array_equal(both.tag_probabilities[3:], alone.tag_probabilities)


def test_each_manifest_of_a_set_is_gone_on_with_by_its_own_command(
    mine: Mine, tmp_path: Path, audio: Path, write_noise: WriteNoise
) -> None:
    folder = tmp_path / "set"
    late = {**MORE, "coming": MUSIC}
    assert mine(FIRST) == 0
    assert mine(late, "--append", name="more") == 0
    before = contents(folder)
    # A shard that was lost, and a file that comes late.
    (folder / "anchors-000000003-000000005.h5").unlink()
    write_noise(audio / "coming.wav", 2.5, seed=9)
    assert mine(late, "--append", name="more") == 0
    after = contents(folder)
    assert after.keys() == before.keys()
    last = "anchors-000000005-000000006.h5"
    with ShardReader(folder) as reader:
        assert reader.clip_id.tolist() == [*FIRST, *MORE, "coming"]
    assert {name for name in before if before[name] != after[name]} == {last}
    # The first one, which does not say --append.
    (folder / "anchors-000000002-000000003.h5").unlink()
    assert mine(FIRST) == 0
    assert contents(folder) == after


@pytest.mark.parametrize(
    ("clips", "options", "parts"),
    [
        (MORE, (), ("comes from another manifest", "or --append this manifest to them")),
        ({"dog": DOG, "late": MUSIC}, ("--append",), ("1 clips are in", "first is 'dog'")),
        (MORE, ("--append", "--segment-seconds", "1"), ("comes from another manifest, tagger or",)),
    ],
)
def test_what_cannot_be_appended(
    mine: Mine,
    tmp_path: Path,
    capsys: Capsys,
    clips: dict[str, str],
    options: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    assert mine(FIRST) == 0
    before = contents(tmp_path / "set")
    capsys.readouterr()
    refused(mine(clips, *options, name="more"), capsys, *parts)
    assert contents(tmp_path / "set") == before


def test_nothing_is_appended_to_a_set_that_is_not_complete(
    mine: Mine, tmp_path: Path, capsys: Capsys
) -> None:
    assert mine(FIRST) == 0
    (tmp_path / "set" / "anchors-000000002-000000003.h5").unlink()
    refused(mine(MORE, "--append", name="more"), capsys, "holds other shards than its index.h5")
    (tmp_path / "set" / "index.h5").unlink()
    refused(mine(MORE, "--append", name="more"), capsys, "has no index.h5", "--verify")


def test_the_purest_are_kept_and_all_come_back(mine: Mine, tmp_path: Path, capsys: Capsys) -> None:
    folder = tmp_path / "set"
    assert mine({**FIRST, **MORE}) == 0
    with ShardReader(folder) as reader:
        dogs = reader.purity[reader.class_index == 74]
        assert len(dogs) == 2 and 0.0 < dogs.min() < dogs.max() < 1.0
    assert main(["--verify", str(folder), "--keep-top", "1"]) == 0
    assert "5 anchors, 3 of them used" in capsys.readouterr().out
    with ShardReader(folder) as reader:
        assert reader.purity[reader.class_index == 74].tolist() == [dogs.max()]
    assert mine({**FIRST, **MORE}, "--keep-top", "0", "--min-purity", str(dogs.max())) == 0
    with ShardReader(folder) as reader:
        assert reader.purity.min() >= dogs.max() and len(reader) < 5
    assert mine({**FIRST, **MORE}, "--min-purity", "0") == 0
    assert len(ShardReader(folder)) == 5
    before = contents(folder)
    refused(mine({**FIRST, **MORE}, "--min-purity", "1"), capsys, "choose a --min-purity below")
    assert contents(folder) == before and len(ShardReader(folder)) == 5


def test_a_further_encoder_needs_no_mining(
    mine: Mine, tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = tmp_path / "set", tmp_path / "other.safetensors"
    further = EfficientAT(width=0.1, name="further")
    further.load_state_dict(tiny_tagger(seed=7).state_dict())
    save_tagger(other, further, licence="CC0-1.0", provenance={"made": "by a test"})
    assert mine(FIRST) == 0
    before = contents(folder)
    words = ["-o", str(folder), "--add-encoder", str(other), "--device", "cpu"]

    # Stopped in the middle, it goes on with what is missing.
    written: list[str] = []
    original = adding.write_sidecar

    def stopped(*arguments: object) -> None:
        if written:
            raise InputError("stopped")
        original(*arguments)  # type: ignore[arg-type]
        written.append(str(arguments[1]))

    monkeypatch.setattr(adding, "write_sidecar", stopped)
    refused(main(words), capsys, "stopped")
    monkeypatch.setattr(adding, "write_sidecar", original)
    (first,) = folder.glob("*.conditions.h5")
    made = first.stat().st_mtime_ns
    assert main(words) == 0
    assert first.stat().st_mtime_ns == made and len(list(folder.glob("*.conditions.h5"))) == 2

    assert contents(folder) == before
    space = f"{load_tagger(other).name}-{further.embedding_size}"
    assert f"holds conditions in {space}" in capsys.readouterr().out
    with ShardReader(folder) as reader, torch.inference_mode():
        made_now = load_tagger(other)(torch.from_numpy(reader.waveforms(np.arange(3)))).embedding
        np.testing.assert_allclose(
            reader.rows_of(space)[np.arange(3)], made_now.numpy(), rtol=2e-3, atol=2e-3
        )
    queries = load_class_queries(folder / f"queries-{space}.safetensors")
    assert queries.space == space and len(queries.class_indexes) == 3
    # It is there, and so are its conditions, when more clips come.
    assert mine(MORE, "--append", name="more") == 0
    assert "2 of 3 shards" not in capsys.readouterr().err
    assert main(words) == 0
    assert ShardReader(folder).conditions(space).shape == (5, further.embedding_size)


def test_an_encoder_that_the_shards_have_already(
    mine: Mine, tmp_path: Path, tagger_file: Path, capsys: Capsys
) -> None:
    assert mine(FIRST) == 0
    status = main(["-o", str(tmp_path / "set"), "--add-encoder", str(tagger_file)])
    refused(status, capsys, "hold conditions in 'tiny-", "already")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["x.csv"], "name the folder for the shards with -o"),
        (["-o", "x"], "name a manifest and its --audio-root; or a set to --verify"),
        (["x.csv", "-o", "x"], "name a manifest and its --audio-root"),
        (["x.csv", "--audio-root", ".", "-o", "s3://b/x"], "cannot be written to s3://b/x; mine"),
        (["x.csv", "--verify", "x"], "leave out the manifest"),
        (["x.csv", "-o", "x", "--add-encoder", "y"], "hears the shards alone"),
        (["--verify", "nowhere"], "nowhere has no shards"),
        (["--verify", "x", "--ray", "local"], "--ray shares out mining alone"),
        (["-o", "x", "--add-encoder", "cnn14", "--ray", "local"], "--ray shares out mining alone"),
        (["-o", "nowhere", "--add-encoder", "default"], "nowhere has no shards"),
        (["--verify", "x", "--keep-top", "-1"], "-1 is too small"),
        (["--verify", "x", "--min-purity", "2"], "2 is out of range"),
    ],
)
def test_words_that_make_no_sense(
    words: list[str], part: str, capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(main(words), capsys, part)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def indexed(training_files: TrainingFiles, tmp_path: Path) -> Path:
    """A copy of the training shards, checked."""
    folder = tmp_path / "indexed"
    folder.mkdir()
    for path in list_shards(training_files.shards):
        (folder / path.name).write_bytes(path.read_bytes())
    assert main(["--verify", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("damage", ["flipped", "missing", "version"])
def test_training_refuses_a_set_that_does_not_fit_its_index(
    indexed: Path, train: Callable[..., int], tmp_path: Path, capsys: Capsys, damage: str
) -> None:
    (path,) = list_shards(indexed)
    if damage == "flipped":
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 1
        path.write_bytes(bytes(content))
        parts = (str(path), "is damaged", "--verify")
    elif damage == "missing":
        path.unlink()
        parts = (str(path), "is missing", "run the same uss-mine-anchors again")
    else:
        index = indexed / "index.h5"
        index.write_bytes(index.read_bytes().replace(b"uss crc32", b"uss crc31"))
        parts = (str(index), "is damaged", f"uss-mine-anchors --verify {indexed}")
    capsys.readouterr()
    refused(train("--data.shards", indexed), capsys, *parts)
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_training_from_an_index_is_training_without_one(
    indexed: Path, train: Callable[..., int], tmp_path: Path
) -> None:
    assert train(root="without") == 0
    assert train("--data.shards", indexed, root="with") == 0
    weights = [
        torch.load(tmp_path / root / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for root in ("without", "with")
    ]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_old_settings_are_those_of_one_manifest(mine: Mine, tmp_path: Path) -> None:
    """A manifest mined alone is recorded as releases before --append did, which can go on."""
    assert mine(FIRST) == 0
    assert "first_row" not in read_settings(list_shards(tmp_path / "set")[0]).mining
