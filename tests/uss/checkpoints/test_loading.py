import hashlib
import io
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.http_server import FakeSite
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.loading import (
    load_class_queries,
    load_model,
    load_tagger,
    save_tagger,
    weight_hash,
)
from uss.checkpoints.published import PUBLISHED, PublishedFile
from uss.conditions.class_queries import ClassQueries
from uss.models import ResUNet30
from uss.taggers import EfficientAT


@pytest.fixture(scope="module")
def tagger() -> EfficientAT:
    torch.manual_seed(0)
    return EfficientAT(width=0.1, name="tiny").eval()


class Harmful:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_a_published_file_is_named_after_its_model(mn04_path: Path, mn04: EfficientAT) -> None:
    assert mn04_path.name == "mn04_as_mAP_432.pt"
    assert mn04.name == "mn04_as"
    assert mn04.width == 0.4
    assert not mn04.training


def test_a_state_dict_and_a_bundle_give_the_same_tagger(
    tmp_path: Path, tagger: EfficientAT
) -> None:
    torch.save(tagger.state_dict(), tmp_path / "mine.pt")
    save_tagger(tmp_path / "mine.safetensors", tagger, licence="MIT", provenance={"from": "here"})
    from_state, from_bundle = (load_tagger(tmp_path / f"mine.{s}") for s in ("pt", "safetensors"))
    assert (from_state.name, from_bundle.name) == ("mine", "tiny")
    assert weight_hash(from_state) == weight_hash(from_bundle) == weight_hash(tagger)
    bundle = load_model(tmp_path / "mine.safetensors")
    assert (bundle.licence, bundle.provenance) == ("MIT", {"from": "here"})
    assert bundle.separator is None


def test_names_may_be_strings_or_paths(tmp_path: Path, tagger: EfficientAT) -> None:
    save_bundle(tmp_path / "a.safetensors", Bundle(tagger))
    assert load_tagger(str(tmp_path / "a.safetensors")).name == "tiny"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("nowhere.pt", "nowhere.safetensors", "mn99_as"):
        with pytest.raises(FileNotFoundError, match=name):
            load_tagger(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        load_model(tmp_path / "model.safetensors")


def test_a_folder_is_no_tagger(tmp_path: Path) -> None:
    with pytest.raises((FileNotFoundError, ValueError), match=tmp_path.name):
        load_tagger(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text\n",
        b"(not a model)\n",
        b"Given a text file\n",
        b"hello\n",
        b"a line\n",
        b"PK\x03\x04 half a zip",
        b"\x80\x02",
        b"\x00" * 64,
        b"RIFF\x00\x00\x00\x00WAVE",
    ],
    ids=["empty", "t", "bracket", "G", "h", "a", "zip", "pickle", "zeros", "wav"],
)
def test_a_file_that_holds_no_weights_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.pt is not a PyTorch weights file"):
        load_tagger(path)


def test_a_truncated_file(tmp_path: Path, tagger: EfficientAT) -> None:
    path = tmp_path / "model.pt"
    torch.save(tagger.state_dict(), path)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=r"model\.pt is not a PyTorch weights file"):
            load_tagger(path)


def test_pickled_objects_are_refused_and_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "model.pt", tmp_path / "trace"
    torch.save(Harmful(trace), path)
    with pytest.raises(ValueError, match=r"more than weights.* pathlib\..*--trust-checkpoint"):
        load_tagger(path)
    path.write_bytes(pickle.dumps(Harmful(trace), protocol=2))
    with pytest.raises(ValueError, match=r"more than weights.* pathlib\..*--trust-checkpoint"):
        load_tagger(path)
    assert not trace.exists()


def test_other_things_that_torch_saves(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save([torch.zeros(2)], path)
    with pytest.raises(ValueError, match="holds a list, not a state dict"):
        load_tagger(path)
    torch.save({"model": {"weight": torch.zeros(2)}}, path)
    with pytest.raises(ValueError, match=r"model\.pt is of no model this program knows"):
        load_tagger(path)


def test_numbered_tensors_are_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "optimiser.pt"
    for content in ({0: torch.zeros(2)}, {"state_dict": {(1, 2): torch.zeros(2)}}):
        torch.save(content, path)
        with pytest.raises(ValueError, match=r"optimiser\.pt holds no weights"):
            load_model(path)


@pytest.mark.parametrize("value", [3, torch.zeros(())], ids=["number", "scalar"])
def test_a_state_dict_with_an_entry_of_another_kind(
    tmp_path: Path, tagger: EfficientAT, value: object
) -> None:
    path = tmp_path / "model.pt"
    torch.save({**tagger.state_dict(), "classifier.2.weight": value}, path)
    with pytest.raises(ValueError, match=r"classifier\.2\.weight"):
        load_tagger(path)


def test_weight_hash_depends_on_values_and_names_alone(tagger: EfficientAT) -> None:
    copy = EfficientAT(width=0.1, name="other")
    copy.load_state_dict(tagger.state_dict())
    assert weight_hash(copy) == weight_hash(tagger)
    assert len(weight_hash(tagger)) == 16
    with torch.no_grad():
        copy.classifier[0].bias[0] += 1e-3
    assert weight_hash(copy) != weight_hash(tagger)
    one, other = (torch.nn.ParameterDict({name: torch.ones(2)}) for name in "ab")
    assert weight_hash(one) != weight_hash(other)


def one_line(caught: pytest.ExceptionInfo[BaseException]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def published_tagger(
    site: FakeSite, tagger: EfficientAT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> PublishedFile:
    """Publish a tiny tagger as mn04_as on the local site; cache and working folder are empty."""
    stream = io.BytesIO()
    torch.save(tagger.state_dict(), stream)
    site.content = stream.getvalue()
    file = replace(
        PUBLISHED["mn04_as"],
        url=site.url,
        size_bytes=len(site.content),
        checksum=f"sha256:{hashlib.sha256(site.content).hexdigest()}",
    )
    monkeypatch.setitem(PUBLISHED, "mn04_as", file)
    monkeypatch.setenv("USS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return file


@pytest.fixture(scope="module")
def separator_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a published separator alone, of zeros that share one number."""
    path = tmp_path_factory.mktemp("separator") / "separator.ckpt"
    entries = ResUNet30("audioset-527", 527).state_dict()
    zeros = {f"ss_model.{name}": torch.zeros(()).expand(entries[name].shape) for name in entries}
    torch.save({"state_dict": zeros}, path)
    return path


def test_the_default_model_is_inside_the_package() -> None:
    model = load_model()
    assert model.separator is not None and model.tagger is not None
    assert weight_hash(load_tagger()) == weight_hash(load_tagger("default"))
    assert weight_hash(load_tagger()) == weight_hash(model.tagger)


def test_a_published_name_is_downloaded_once(
    site: FakeSite, published_tagger: PublishedFile, tagger: EfficientAT, tmp_path: Path
) -> None:
    first, second = load_tagger("mn04_as"), load_tagger("mn04_as")
    assert weight_hash(first) == weight_hash(second) == weight_hash(tagger)
    assert first.name == "mn04_as"
    assert site.ranges == [None]
    assert (tmp_path / "cache" / "mn04_as.pt").read_bytes() == site.content
    assert load_model("mn04_as").provenance == {"file": "mn04_as.pt"}


def test_a_file_put_into_the_cache_needs_no_network(
    site: FakeSite, published_tagger: PublishedFile, tagger: EfficientAT, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mn04_as.pt").write_bytes(site.content)
    assert weight_hash(load_tagger("mn04_as")) == weight_hash(tagger)
    assert site.ranges == []


def test_offline_the_error_says_which_file_to_put_where(
    published_tagger: PublishedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "http://127.0.0.1:1/mn04_as_mAP_432.pt"
    closed = replace(published_tagger, url=address)
    monkeypatch.setitem(PUBLISHED, "mn04_as", closed)
    with pytest.raises(OSError, match="cannot be reached") as caught:
        load_model("mn04_as")
    message = one_line(caught)
    target = tmp_path / "cache" / "mn04_as.pt"
    assert f"download {address} elsewhere and put it at {target}" in message


def test_a_published_file_without_address_says_where_people_find_it(
    published_tagger: PublishedFile, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load_tagger("htsat")
    message = one_line(caught)
    assert "github.com/RetroCirce" in message
    assert str(tmp_path / "cache" / "htsat.ckpt") in message


def test_a_file_in_the_working_folder_comes_before_a_published_name(
    site: FakeSite, published_tagger: PublishedFile, tmp_path: Path
) -> None:
    mine = EfficientAT(width=0.1)
    torch.save(mine.state_dict(), tmp_path / "work" / "mn04_as")
    assert weight_hash(load_tagger("mn04_as")) == weight_hash(mine)
    assert site.ranges == []


def test_a_folder_does_not_hide_a_published_name(
    published_tagger: PublishedFile, tagger: EfficientAT, tmp_path: Path
) -> None:
    (tmp_path / "work" / "mn04_as").mkdir()
    assert weight_hash(load_tagger("mn04_as")) == weight_hash(tagger)


def test_a_name_that_nobody_published_lists_those_that_are(
    published_tagger: PublishedFile,
) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load_model("mn05_as")
    message = one_line(caught)
    kinds = {name: published.kind for name, published in PUBLISHED.items()}
    separators = [name for name, kind in kinds.items() if kind == "separator"]
    for name in ("mn05_as", "default", *separators):
        assert name in message
    assert not any(kinds[name] == "tokenizer" for name in kinds if name in message.split(", "))
    with pytest.raises(FileNotFoundError, match=r"choose default, cnn.*mn04_as") as caught:
        load_tagger("mn05_as")
    assert "audiosep" not in one_line(caught)


def test_a_separator_alone_has_no_tagger(separator_file: Path) -> None:
    model = load_model(separator_file)
    assert isinstance(model.separator, ResUNet30) and model.tagger is None
    assert model.provenance == {"file": "separator.ckpt"}
    with pytest.raises(ValueError, match=r"separator\.ckpt holds no tagger.*cnn14") as caught:
        load_tagger(separator_file)
    one_line(caught)


def test_class_queries_come_from_a_model_or_from_a_file_of_them(
    tmp_path: Path, tagger: EfficientAT
) -> None:
    queries = ClassQueries("cnn14-2048", (3, 72), np.eye(2, 2048, dtype=np.float32))
    save_bundle(tmp_path / "alone.safetensors", Bundle(class_queries=queries))
    save_bundle(tmp_path / "model.safetensors", Bundle(tagger, class_queries=queries))
    for name in ("alone", "model"):
        loaded = load_class_queries(tmp_path / f"{name}.safetensors")
        assert (loaded.space, loaded.class_indexes) == ("cnn14-2048", (3, 72))
        np.testing.assert_array_equal(loaded.vectors, queries.vectors)


def test_a_file_without_class_queries_says_who_makes_them(
    tmp_path: Path, tagger: EfficientAT, separator_file: Path
) -> None:
    save_bundle(tmp_path / "tagger.safetensors", Bundle(tagger))
    for path in (tmp_path / "tagger.safetensors", separator_file):
        with pytest.raises(ValueError, match="uss-mine-anchors") as caught:
            load_class_queries(path)
        assert str(path) in one_line(caught)


def test_only_a_trusted_file_may_run_code(tmp_path: Path, tagger: EfficientAT) -> None:
    path = tmp_path / "model.ckpt"
    for number, load in enumerate((load_model, load_tagger, load_class_queries)):
        trace = tmp_path / f"trace{number}"
        torch.save({"model": tagger.state_dict(), "callback": Harmful(trace)}, path)
        with pytest.raises(ValueError, match="--trust-checkpoint") as caught:
            load(path)
        one_line(caught)
        assert not trace.exists()
        if load is load_class_queries:
            with pytest.raises(ValueError, match="holds no class queries"):
                load(path, trust_checkpoint=True)
        else:
            load(path, trust_checkpoint=True)
        assert trace.exists()


def test_published_weights_may_come_as_safetensors(tmp_path: Path, tagger: EfficientAT) -> None:
    save_file(tagger.state_dict(), tmp_path / "mine.safetensors")
    assert weight_hash(load_tagger(tmp_path / "mine.safetensors")) == weight_hash(tagger)


def test_a_bundle_is_known_under_any_ending(tmp_path: Path, tagger: EfficientAT) -> None:
    save_bundle(tmp_path / "bundle.bin", Bundle(tagger, licence="MIT"))
    assert load_model(tmp_path / "bundle.bin").licence == "MIT"
