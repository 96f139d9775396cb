"""Every kind of published file, by its entries and whatever it is called.

Large networks get entries of the published names and shapes that hold zeros and take no memory;
those of the small ones are filled, so that it shows whether they arrive.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import CONSTANTS
from uss.checkpoints.recognition import recognise, template_of
from uss.core.state_dicts import is_constant
from uss.models import ResUNet30
from uss.taggers import (
    HTSAT,
    Cnn6,
    Cnn10,
    Cnn14,
    Cnn14DecisionLevelMax,
    EfficientAT,
    TaggerNetwork,
)

pytestmark = pytest.mark.usefixtures("no_initialisation")

State = dict[str, Tensor]
Entries = Callable[..., State]

USS = "resunet30_at_soft"
QUERY_NET = "query_net.base."
DETECTOR = "anchor_segment_detector.sed_model."


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the class list that panns-inference wants out of the real home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="session")
def entries(shared: Path) -> Entries:
    """Return a function that makes the entries of a published model, all zero, under a prefix."""

    def make(model: str, prefix: str = "") -> State:
        shapes = json.loads((shared / "parity" / f"{model}.shapes.json").read_text())
        return {prefix + name: blank(shape) for name, shape in shapes.items()}

    return make


def blank(shape: Any) -> Tensor:
    """Make zeros that share one number."""
    return torch.zeros(()).expand(tuple(shape))


def separator_of(state: Mapping[str, Tensor], name: str = "any.bin") -> ResUNet30:
    """Recognise a separator that comes alone."""
    separator, tagger = recognise(state, Path(name))
    assert isinstance(separator, ResUNet30) and tagger is None
    assert not separator.training
    return separator


def tagger_of(state: Mapping[str, Tensor], name: str = "any.bin") -> TaggerNetwork:
    """Recognise a tagger that comes alone."""
    separator, tagger = recognise(state, Path(name))
    assert separator is None and tagger is not None
    assert not tagger.training
    return tagger


def error(state: Mapping[str, Tensor], name: str = "any.bin") -> str:
    with pytest.raises(ValueError) as caught:
        recognise(state, Path(name))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("prefix", ["", "ss_model.", "module.", "module.ss_model."])
def test_a_separator_is_known_plain_and_under_its_prefixes(entries: Entries, prefix: str) -> None:
    separator = separator_of(entries(USS, prefix))
    assert separator.condition_space == "audioset-527"
    assert separator.sample_rate == 32_000


@pytest.mark.parametrize(
    ("model", "space"),
    [
        ("resunet30_at_soft", "audioset-527"),
        ("resunet30_embedding", "cnn14-2048"),
        ("resunet30_audiosep", "clap-512"),
    ],
)
def test_the_condition_size_tells_the_space(entries: Entries, model: str, space: str) -> None:
    assert separator_of(entries(model, "ss_model.")).condition_space == space


def test_an_unknown_condition_size_is_told(entries: Entries) -> None:
    state = {
        name: blank((value.shape[0], 100))
        if name.startswith("film.") and value.dim() == 2
        else value
        for name, value in entries(USS).items()
    }
    message = error(state, "mine.ckpt")
    assert "mine.ckpt takes conditions of size 100" in message
    assert "527, 2048, 512" in message


def test_the_weights_of_a_separator_arrive(entries: Entries) -> None:
    state = entries(USS, "ss_model.")
    state["ss_model.base.after_conv.bias"] = torch.tensor([1.0, 2.0, 3.0])
    state["ss_model.film.decoder_block6->beta1.bias"] = torch.arange(64.0)
    separator = separator_of(state)
    assert separator.base.after_conv.bias.tolist() == [1.0, 2.0, 3.0]
    assert torch.equal(separator.film["decoder_block6->beta1"].bias, torch.arange(64.0))
    assert not separator.base.pre_conv.weight.any()


def test_the_tagger_of_a_uss_file_is_its_query_net(entries: Entries) -> None:
    """Also where the detector, whose entries are the same, comes first."""
    state = {
        **entries("cnn14", DETECTOR),
        **entries(USS, "ss_model."),
        **entries("cnn14", QUERY_NET),
    }
    state[f"{QUERY_NET}fc_audioset.bias"] = torch.full((527,), 1.0)
    state[f"{DETECTOR}fc_audioset.bias"] = torch.full((527,), 2.0)
    separator, tagger = recognise(state, Path("any.ckpt"))
    assert isinstance(separator, ResUNet30) and separator.condition_space == "audioset-527"
    assert type(tagger) is Cnn14
    assert (tagger.get_submodule(tagger.head).bias == 1.0).all()


def test_a_query_net_is_no_detector_whatever_the_files_name(entries: Entries) -> None:
    state = {**entries(USS, "ss_model."), **entries("cnn14", QUERY_NET)}
    tagger = recognise(state, Path("ss=resunet30,sed=Cnn14_DecisionLevelMax.ckpt")).tagger
    assert type(tagger) is Cnn14


def test_audiosep_was_trained_on_five_seconds(entries: Entries) -> None:
    assert separator_of(entries("resunet30_audiosep")).segment_seconds == 5.0
    assert separator_of(entries(USS)).segment_seconds == 2.0


def test_a_separator_with_learned_conditions_is_refused(entries: Entries) -> None:
    """Without its adaptor it would be asked with the wrong conditions, silently."""
    state = {**entries(USS, "ss_model."), **entries("cnn14", QUERY_NET)}
    state["query_net.fc1.weight"] = blank((2048, 2048))
    assert "query_net.fc1.weight" in error(state)


def test_a_uss_file_without_query_net_has_no_tagger(entries: Entries) -> None:
    """Its detector is a Cnn14_DecisionLevelMax, which must not be taken for a Cnn14."""
    separator_of({**entries(USS, "ss_model."), **entries("cnn14", DETECTOR)})


def test_the_text_encoder_of_audiosep_is_left_aside(entries: Entries) -> None:
    state = {
        "query_encoder.model.text_branch.embeddings.position_ids": torch.arange(3)[None],
        "query_encoder.model.audio_branch.patch_embed.proj.weight": blank((96, 1, 4, 4)),
        "query_encoder.model.logit_scale_a": torch.zeros(()),
        **entries("resunet30_audiosep", "ss_model."),
    }
    assert separator_of(state, "audiosep.ckpt").condition_space == "clap-512"


@pytest.mark.parametrize(
    ("model", "kind", "weight"),
    [("cnn6", Cnn6, "fc1.weight"), ("cnn10", Cnn10, "conv_block4.conv2.weight")],
)
@pytest.mark.parametrize("prefix", ["", "module.", QUERY_NET])
def test_small_panns_are_known_and_their_weights_arrive(
    published: Callable[[str], State], model: str, kind: type, weight: str, prefix: str
) -> None:
    state = published(model)
    tagger = tagger_of({prefix + name: value for name, value in state.items()}, "Cnn14.pth")
    assert type(tagger) is kind
    assert tagger.name == model
    assert torch.equal(tagger.state_dict()[weight], state[weight])


@pytest.mark.parametrize("prefix", ["", "module.", "sed_model.", "module.sed_model."])
def test_htsat_is_known_bare_and_as_its_authors_save_it(entries: Entries, prefix: str) -> None:
    state = entries("htsat", prefix)
    state[f"{prefix}tscam_conv.bias"] = torch.full((527,), 3.0)
    tagger = tagger_of(state, "Cnn14_DecisionLevelMax.pth")
    assert isinstance(tagger, HTSAT)
    assert (tagger.tscam_conv.bias == 3.0).all()


@pytest.mark.parametrize("width", [0.1, 0.4])
def test_efficientat_is_known_with_its_width_and_named_after_its_file(width: float) -> None:
    state = EfficientAT(width=width).state_dict()
    state["classifier.5.bias"] = torch.full((527,), 3.0)
    tagger = tagger_of(state, "folder/mn99_as_mAP_432.pt")
    assert isinstance(tagger, EfficientAT)
    assert (tagger.width, tagger.name) == (width, "mn99_as")
    assert (tagger.get_submodule(tagger.head).get_submodule("5").bias == 3.0).all()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Cnn14_DecisionLevelMax_mAP=0.385.pth", Cnn14DecisionLevelMax),
        ("cnn14-decision-level-max.pth", Cnn14DecisionLevelMax),
        ("Cnn14_mAP=0.431.pth", Cnn14),
        ("decision-level-max/cnn6.pth", Cnn14),
    ],
)
def test_only_the_two_cnn14_are_told_apart_by_the_file_name(
    entries: Entries, name: str, kind: type
) -> None:
    state = entries("cnn14")
    state["fc_audioset.bias"] = torch.full((527,), 3.0)
    tagger = tagger_of(state, name)
    assert type(tagger) is kind
    assert (tagger.get_submodule(tagger.head).bias == 3.0).all()


def test_a_checkpoint_of_uss_train_gets_the_hint() -> None:
    state = {"model.base.pre_conv.weight": torch.zeros(2), "model.film.a.bias": torch.zeros(2)}
    message = error(state, "last.ckpt")
    assert "last.ckpt is a training checkpoint" in message
    assert "bundle.safetensors" in message


def test_entries_of_no_known_model_are_named() -> None:
    state = {f"encoder.{name}.weight": torch.zeros(2) for name in "dcba"}
    message = error(state, "bert.pt")
    assert "bert.pt is of no model this program knows" in message
    assert "encoder.a.weight, encoder.b.weight, encoder.c.weight)" in message
    assert "encoder.d" not in message
    for known in ("USS", "AudioSep", "Cnn14", "HTS-AT", "EfficientAT"):
        assert known in message


# The hallmarks are what recognition could go by: the names, depths and shapes that tell kinds.
MISSING = [
    (USS, "ss_model.", "ResUNet30", "base.bn0.weight"),
    (USS, "ss_model.", "ResUNet30", "base.pre_conv.weight"),
    (USS, "", "ResUNet30", "base.after_conv.bias"),
    (USS, "", "ResUNet30", "film.encoder_block1->conv_block1->beta1.weight"),
    (USS, "ss_model.", "ResUNet30", "film.decoder_block6->conv_block2->beta2.bias"),
    ("cnn6", "", "Cnn6", "bn0.weight"),
    ("cnn6", "", "Cnn6", "conv_block1.conv1.weight"),
    ("cnn6", "", "Cnn6", "fc_audioset.bias"),
    ("cnn10", "", "Cnn10", "conv_block1.conv2.weight"),
    ("cnn10", "", "Cnn10", "conv_block4.bn2.running_var"),
    ("cnn10", "", "Cnn10", "fc1.weight"),
    ("cnn14", "", "Cnn14", "conv_block1.conv1.weight"),
    ("cnn14", "", "Cnn14", "conv_block6.conv2.weight"),
    ("cnn14", QUERY_NET, "Cnn14", "fc_audioset.weight"),
    ("htsat", "", "HTSAT", "bn0.weight"),
    ("htsat", "", "HTSAT", "patch_embed.proj.weight"),
    ("htsat", "sed_model.", "HTSAT", "layers.0.blocks.0.attn.relative_position_bias_table"),
    ("htsat", "sed_model.", "HTSAT", "tscam_conv.weight"),
    ("htsat", "", "HTSAT", "tscam_conv.bias"),
]


@pytest.mark.parametrize(("model", "prefix", "kind", "name"), MISSING)
def test_a_missing_entry_is_named_and_the_kind_is_right(
    entries: Entries, model: str, prefix: str, kind: str, name: str
) -> None:
    state = entries(model, prefix)
    del state[prefix + name]
    message = error(state)
    assert f"the {kind} it looks like: it lacks {name};" in message
    assert "any.bin" in message and "download it again" in message


@pytest.mark.parametrize("model", ["cnn6", "cnn10"])
def test_whatever_entry_is_missing_is_named(entries: Entries, model: str) -> None:
    state = entries(model)
    for name in state:
        if not is_constant(name, CONSTANTS[model]):
            message = error({other: state[other] for other in state if other != name})
            assert f"the {model.capitalize()} it looks like: it lacks {name};" in message


@pytest.mark.parametrize(
    "name",
    ["features.0.0.weight", "features.16.0.weight", "classifier.2.weight", "classifier.5.bias"],
)
def test_a_missing_entry_of_efficientat_is_named(name: str) -> None:
    state = EfficientAT(width=0.1).state_dict()
    del state[name]
    message = error(state)
    assert name in message and "EfficientAT" in message
    assert len(message) < 300


def test_one_entry_missing_in_the_query_net_is_no_separator_alone(entries: Entries) -> None:
    state = {**entries(USS, "ss_model."), **entries("cnn14", QUERY_NET)}
    del state[f"{QUERY_NET}bn0.weight"]
    assert "the Cnn14 it looks like: it lacks bn0.weight;" in error(state)


@pytest.mark.parametrize(
    ("model", "kind", "name"),
    [
        (USS, "ResUNet30", "base.pre_conv.weight"),
        (USS, "ResUNet30", "film.decoder_block6->beta1.weight"),
        ("cnn6", "Cnn6", "conv_block1.conv1.weight"),
        ("cnn10", "Cnn10", "fc_audioset.weight"),
        ("cnn14", "Cnn14", "fc_audioset.weight"),
        ("htsat", "HTSAT", "patch_embed.proj.weight"),
    ],
)
def test_a_misshapen_entry_is_named(entries: Entries, model: str, kind: str, name: str) -> None:
    state = entries(model)
    right = tuple(state[name].shape)
    state[name] = blank((7, 5))
    message = error(state)
    assert f"does not fit the {kind} it looks like" in message
    assert f"wrong shape: {name} ((7, 5) instead of {right});" in message


def test_a_classifier_of_other_classes_is_no_audioset_tagger() -> None:
    state = EfficientAT(width=0.1).state_dict()
    state["classifier.5.weight"], state["classifier.5.bias"] = blank((50, 128)), blank((50,))
    message = error(state)
    assert "classifier.5.weight" in message and "classifier.5.bias" in message
    assert len(message) < 500


def test_an_unknown_entry_is_named(entries: Entries) -> None:
    state = {**entries("cnn6"), "conv_block4.conv1.bias": blank((512,))}
    assert "the Cnn6 it looks like: it has unknown entries conv_block4.conv1.bias;" in error(state)


@pytest.mark.parametrize("model", ["cnn6", "cnn10", "cnn14", USS])
def test_what_only_htsat_leaves_unread_is_unknown_elsewhere(entries: Entries, model: str) -> None:
    state = {**entries(model), "head.weight": blank((527, 768))}
    assert "it has unknown entries head.weight;" in error(state)


def test_a_head_beside_efficientat_is_unknown() -> None:
    state = {**EfficientAT(width=0.1).state_dict(), "head.weight": blank((527, 768))}
    assert "the EfficientAT it looks like: it has unknown entries head.weight;" in error(state)


@pytest.mark.parametrize(
    ("name", "kind", "space", "rate", "template"),
    [
        ("lassnet", "LASSNet", "lass-net-256", 32_000, "{lower}"),
        ("clipsep", "CLIPSep", "clip-512", 16_000, "a photo of {lower}"),
        ("clipsep_nit", "CLIPSep", "clip-512", 16_000, "a photo of {lower}"),
        (
            "bimodal_trainable",
            "BiModalUNet",
            "clap-words-59725",
            16_000,
            "The sound of {lower}",
        ),
    ],
)
def test_separators_that_are_asked_in_words(
    shared: Path, name: str, kind: str, space: str, rate: int, template: str
) -> None:
    shapes = json.loads((shared / "systems" / "shapes" / f"{name}.shapes.json").read_text())
    state = {entry: blank(shape) for entry, shape in shapes.items()}
    separator, tagger = recognise(state, Path("best_model.pt"))
    assert tagger is None and type(separator).__name__ == kind
    assert separator is not None and not separator.training
    assert (separator.condition_space, separator.sample_rate) == (space, rate)
    assert template_of(separator) == template
    last = next(entry for entry in reversed(shapes) if entry.endswith("bias"))
    del state[last]
    assert last.removeprefix("module.") in error(state)
    state[last] = blank((1, 2, 3))
    assert "(1, 2, 3)" in error(state)
