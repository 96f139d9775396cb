"""Detection, tags and conditions by networks of their own."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from tests.pipelines.mine_anchors.mined import (
    GOOD_ROWS,
    assert_equal_tables,
    assert_refused,
    read_table,
)
from uss.checkpoints.loading import load_tagger, weight_hash
from uss.shards import ShardReader, list_shards, read_settings
from uss.taggers import EfficientAT


class Calls(NamedTuple):
    """How often taggers were loaded, and which heard how many waveforms at a time."""

    loaded: list[str]
    heard: list[tuple[str, int]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls([], [])
    forward = EfficientAT.forward

    def load(name: str, **options: Any) -> Any:
        calls.loaded.append(Path(name).name)
        return load_tagger(name, **options)

    def hear(tagger: EfficientAT, waveform: torch.Tensor) -> Any:
        calls.heard.append((tagger.name, len(waveform)))
        return forward(tagger, waveform)

    monkeypatch.setattr("uss.mining.networks.load_tagger", load)
    monkeypatch.setattr(EfficientAT, "forward", hear)
    return calls


def test_another_network_may_tag_the_anchors(
    tmp_path: Path, tagger_file: Path, others: dict[str, Path], mine: Callable[..., int]
) -> None:
    assert mine(GOOD_ROWS, "plain") == 0
    assert mine(GOOD_ROWS, "shards", "--anchor-tagger", others["first"]) == 0
    plain, table = read_table(tmp_path / "plain"), read_table(tmp_path / "shards")
    # The same detection chooses the same segments.
    for name in ("clip_id", "class_index", "start_seconds", "score"):
        assert getattr(table, name) == getattr(plain, name)
    # The encoder, when none is named, is the anchor tagger.
    settings = read_settings(list_shards(tmp_path / "shards")[0])
    assert settings.spaces == {"first-48": 48}
    anchor_tagger = load_tagger(others["first"])
    with torch.inference_mode():
        tagged = anchor_tagger(torch.from_numpy(table.waveform))
    assert table.tag_probabilities == pytest.approx(tagged.clipwise.numpy(), abs=2e-3)
    assert np.abs(table.tag_probabilities - plain.tag_probabilities).max() > 0.1
    assert table.conditions == pytest.approx(tagged.embedding.numpy(), rel=1e-2, abs=2e-3)
    assert settings.tagger_hash == weight_hash(load_tagger(tagger_file))
    assert settings.mining["anchor_tagger"] == "first"
    assert settings.mining["anchor_tagger_hash"] == weight_hash(anchor_tagger)


@pytest.mark.parametrize(
    ("tagger", "encoders", "heard"),
    [
        ("first", ["first"], {"tiny": 1, "first": 1}),
        ("first", ["second", "first", "second"], {"tiny": 1, "first": 1, "second": 1}),
        ("first", ["tiny", "second"], {"tiny": 2, "first": 1, "second": 1}),
        ("tiny", ["tiny", "tiny"], {"tiny": 2}),
        ("tiny", ["second", "second"], {"tiny": 2, "second": 1}),
    ],
)
def test_a_network_named_twice_is_loaded_once_and_hears_the_anchors_once(
    tagger_file: Path,
    others: dict[str, Path],
    mine: Callable[..., int],
    calls: Calls,
    tagger: str,
    encoders: list[str],
    heard: dict[str, int],
) -> None:
    """One clip, of which the tagger hears the whole; two labels share at most two segments."""
    files = {"tiny": tagger_file, **others}
    options = ("--anchor-tagger", files[tagger], "--encoder", *(files[name] for name in encoders))
    assert mine(GOOD_ROWS[1:2], "shards", *options) == 0
    assert sorted(calls.loaded) == sorted(files[name].name for name in heard)
    assert Counter(name for name, _ in calls.heard) == heard


def test_all_encoders_conditions_are_stored(
    tmp_path: Path, tagger_file: Path, others: dict[str, Path], mine: Callable[..., int]
) -> None:
    assert mine(GOOD_ROWS, "shards", "--encoder", others["second"], tagger_file) == 0
    with ShardReader(tmp_path / "shards") as reader:
        assert list(reader.settings.spaces) == ["second-48", "tiny-96"]
        waveforms = np.stack([reader.waveform(row) for row in range(len(reader))])
        for path, space in ((others["second"], "second-48"), (tagger_file, "tiny-96")):
            with torch.inference_mode():
                expected = load_tagger(path)(torch.from_numpy(waveforms)).embedding.numpy()
            assert reader.conditions(space) == pytest.approx(expected, rel=1e-2, abs=2e-3)


def test_two_encoders_of_one_space_are_refused(
    tmp_path: Path, others: dict[str, Path], mine: Callable[..., int], capsys: Any
) -> None:
    """Only one of the two could be stored under that name."""
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(others["first"].read_bytes())
    status = mine(GOOD_ROWS, "shards", "--encoder", others["first"], copy)
    assert_refused(status, capsys, "2 encoders make conditions of 'first-48'")
    assert not (tmp_path / "shards").exists()


def test_shards_without_an_anchor_tagger_are_gone_on_with_by_naming_the_tagger(
    tmp_path: Path,
    tagger_file: Path,
    others: dict[str, Path],
    mine: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert mine(GOOD_ROWS, "shards", "--shard-size", "1") == 0
    paths = list_shards(tmp_path / "shards")
    assert "anchor_tagger" not in read_settings(paths[0]).mining
    whole, before = read_table(tmp_path / "shards"), paths[0].read_bytes()
    paths[1].unlink()
    options = ("--shard-size", "1", "--anchor-tagger")
    assert mine(GOOD_ROWS, "shards", *options, tagger_file) == 0
    assert_equal_tables(read_table(tmp_path / "shards"), whole)
    assert paths[0].read_bytes() == before
    capsys.readouterr()
    status = mine(GOOD_ROWS, "shards", *options, others["first"], "--encoder", tagger_file)
    assert_refused(status, capsys, "choose an empty output folder")


def test_shards_of_one_anchor_tagger_are_not_gone_on_with_by_another(
    mine: Callable[..., int], others: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = ("--encoder", others["second"])
    assert mine(GOOD_ROWS, "shards", "--anchor-tagger", others["first"], *encoder) == 0
    assert mine(GOOD_ROWS, "shards", "--anchor-tagger", others["first"], *encoder) == 0
    capsys.readouterr()
    for options in (("--anchor-tagger", others["second"]), ()):
        assert_refused(mine(GOOD_ROWS, "shards", *options, *encoder), capsys, "empty output folder")
