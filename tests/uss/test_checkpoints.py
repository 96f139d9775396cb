import pickle
from pathlib import Path

import pytest
import torch

from uss.bundle import Bundle, save_bundle
from uss.checkpoints import load_model, load_tagger, save_tagger, weight_hash
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
    with pytest.raises(ValueError, match="not a PyTorch weights file"):
        load_tagger(path)
    path.write_bytes(pickle.dumps(Harmful(trace), protocol=2))
    with pytest.raises(ValueError, match="not a PyTorch weights file"):
        load_tagger(path)
    assert not trace.exists()


def test_other_things_that_torch_saves(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save([torch.zeros(2)], path)
    with pytest.raises(ValueError, match="holds a list, not a state dict"):
        load_tagger(path)
    torch.save({"model": {"weight": torch.zeros(2)}}, path)
    with pytest.raises(ValueError, match="not an EfficientAT state dict"):
        load_tagger(path)


@pytest.mark.parametrize("value", [3, torch.zeros(())], ids=["number", "scalar"])
def test_a_state_dict_with_an_entry_of_another_kind(tmp_path: Path, value: object) -> None:
    path = tmp_path / "model.pt"
    torch.save({"classifier.2.weight": value}, path)
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
