"""Cnn14 and Cnn14_DecisionLevelMax have the same entries: how files of theirs are told apart."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from uss.checkpoints.bundle import load_bundle
from uss.checkpoints.loading import load_model, load_tagger, save_tagger
from uss.core.errors import InputError
from uss.taggers import Cnn6, Cnn14, Cnn14DecisionLevelMax, EfficientAT

pytestmark = pytest.mark.usefixtures("no_initialisation")

DETECTOR = "cnn14-decision-level-max"
CHOICES = [("cnn14", Cnn14), (DETECTOR, Cnn14DecisionLevelMax)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder; also keeps a class list out of the real home folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """Return entries of either network, zeros that share one number."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        with torch.device("meta"):
            network = Cnn14().network
    return {name: torch.zeros(()).expand(v.shape) for name, v in network.state_dict().items()}


@pytest.fixture
def sed(folder: Path, entries: dict[str, Tensor]) -> Path:
    """Write a file whose name tells nothing."""
    torch.save({"model": entries}, folder / "sed.pth")
    return folder / "sed.pth"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_file_of_either_is_taken_for_cnn14_with_a_warning(
    sed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tagger = load_tagger("sed.pth")
    assert type(tagger) is Cnn14
    assert tagger.architecture_from == "assumption"
    (line,) = warnings(caplog)
    assert "\n" not in line
    assert "sed.pth: taken for cnn14, as its entries fit cnn14-decision-level-max too" in line
    assert line.endswith("to choose, write cnn14:sed.pth or cnn14-decision-level-max:sed.pth")


@pytest.mark.parametrize(("choice", "kind"), CHOICES)
@pytest.mark.parametrize("folder_too", [False, True])
def test_the_user_chooses(
    sed: Path, caplog: pytest.LogCaptureFixture, choice: str, kind: type, folder_too: bool
) -> None:
    name = f"{choice}:{sed if folder_too else sed.name}"
    tagger = load_tagger(name)
    assert type(tagger) is kind
    assert (tagger.name, tagger.architecture_from) == (choice, "choice")
    assert load_model(name).provenance == {"file": "sed.pth"}
    assert warnings(caplog) == []


@pytest.mark.parametrize(("choice", "kind"), CHOICES)
def test_a_choice_comes_before_the_files_name(
    folder: Path, sed: Path, choice: str, kind: type
) -> None:
    sed.rename(folder / "Cnn14_DecisionLevelMax.pth")
    assert type(load_tagger(f"{choice}:Cnn14_DecisionLevelMax.pth")) is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Cnn14_mAP=0.431.pth", Cnn14),
        ("cnn14.pth", Cnn14),
        ("Cnn14_DecisionLevelMax_mAP=0.385.pth", Cnn14DecisionLevelMax),
        ("my-decision-level-max.pt", Cnn14DecisionLevelMax),
    ],
)
def test_names_that_tell_need_no_warning(
    folder: Path, sed: Path, caplog: pytest.LogCaptureFixture, name: str, kind: type
) -> None:
    sed.rename(folder / name)
    tagger = load_tagger(name)
    assert type(tagger) is kind
    assert tagger.architecture_from == "file name"
    assert warnings(caplog) == []


def test_a_file_whose_name_holds_the_colon_comes_first(
    folder: Path, sed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"{DETECTOR}:sed.pth"
    torch.save(EfficientAT(width=0.1).state_dict(), folder / name)
    assert isinstance(load_tagger(name), EfficientAT)
    torch.save(EfficientAT(width=0.1).state_dict(), folder / "a:b.pth")
    assert load_tagger("a:b.pth").name == "a:b"


def test_a_query_net_is_certain(
    folder: Path, entries: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    lightning = {f"query_net.base.{name}": value for name, value in entries.items()}
    torch.save({"state_dict": lightning}, folder / "uss.ckpt")
    for name in ("uss.ckpt", "cnn14:uss.ckpt"):
        tagger = load_tagger(name)
        assert type(tagger) is Cnn14
        assert tagger.architecture_from == "file"
    assert warnings(caplog) == []
    with pytest.raises(
        InputError, match=r"uss\.ckpt holds the tagger Cnn14, not Cnn14DecisionLevelMax"
    ):
        load_tagger(f"{DETECTOR}:uss.ckpt")


@pytest.mark.parametrize("choice", [choice for choice, _ in CHOICES])
def test_entries_of_another_network_contradict_the_choice(folder: Path, choice: str) -> None:
    torch.save(Cnn6().state_dict(), folder / "small.pth")
    with pytest.raises(InputError) as caught:
        load_tagger(f"{choice}:small.pth")
    assert "small.pth holds the tagger Cnn6, not Cnn14" in str(caught.value)
    assert f"leave out '{choice}:' before its name" in str(caught.value)
    assert load_tagger("small.pth").architecture_from == "file"


def test_a_bundle_says_itself_what_it_holds(folder: Path, sed: Path) -> None:
    save_tagger("mine.safetensors", load_tagger(f"{DETECTOR}:sed.pth"), licence="?", provenance={})
    tagger = load_bundle("mine.safetensors").tagger
    assert type(tagger) is Cnn14DecisionLevelMax and tagger.architecture_from == "file"
    assert type(load_tagger(f"{DETECTOR}:mine.safetensors")) is Cnn14DecisionLevelMax
    with pytest.raises(InputError, match="holds the tagger Cnn14DecisionLevelMax, not Cnn14;"):
        load_tagger("cnn14:mine.safetensors")


def test_an_unknown_architecture_is_refused_with_those_that_there_are(sed: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_tagger("cnn10:sed.pth")
    message = str(caught.value)
    assert "\n" not in message
    assert "cnn10:sed.pth: there is no architecture 'cnn10' to choose" in message
    assert "cnn14:sed.pth or cnn14-decision-level-max:sed.pth, or sed.pth alone" in message


def test_a_missing_file_after_the_architecture_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"^nowhere\.pth: no such file.*'cnn14:'"):
        load_tagger("cnn14:nowhere.pth")
    with pytest.raises(FileNotFoundError, match=r"cnn15:nowhere\.pth: no such file"):
        load_tagger("cnn15:nowhere.pth")
