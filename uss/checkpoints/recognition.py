"""Recognising published weights by their entries: which network, under which prefix."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from uss.checkpoints.flowsep_parts import part_in
from uss.checkpoints.published import PUBLISHED
from uss.conditions.class_words import DEFAULT_TEMPLATE
from uss.core.errors import InputError
from uss.models import (
    BiModalUNet,
    CLIPSep,
    FlowSep,
    LASSNet,
    ResUNet30,
    SeparatorNetwork,
)
from uss.models.flowsep import is_flowsep
from uss.taggers import (
    HTSAT,
    ArchitectureSource,
    Cnn6,
    Cnn10,
    Cnn14,
    Cnn14DecisionLevelMax,
    EfficientAT,
    TaggerNetwork,
)

logger = logging.getLogger(__name__)

_SEPARATOR_PREFIX = "ss_model."
_QUERY_NET_PREFIX = "query_net.base."
_LEARNED_PREFIX = "query_net."
_SED_PREFIX = "sed_model."
_WRAPPER_PREFIX = "module."
_OWN_CHECKPOINT_PREFIX = "model."

_TEMPLATES: Mapping[type[SeparatorNetwork], str] = {
    LASSNet: "{lower}",
    CLIPSep: "a photo of {lower}",
    BiModalUNet: "The sound of {lower}",
}

Cnn14Kind = type[Cnn14] | type[Cnn14DecisionLevelMax]

CHOICES: Mapping[str, Cnn14Kind] = {kind.name: kind for kind in (Cnn14, Cnn14DecisionLevelMax)}
"""Name -> class of the networks whose entries are the same, so that a user may have to choose."""


class PublishedNetworks(NamedTuple):
    """What a published file holds; None for what it does not."""

    separator: SeparatorNetwork | None
    tagger: TaggerNetwork | None


def recognise(
    state: Mapping[str, Tensor], path: Path, choice: str | None = None
) -> PublishedNetworks:
    """Build the networks whose entries a state dict holds, and load them strictly.

    A Lightning checkpoint of USS holds a separator and the tagger of its conditions; its detector
    is left aside. Text encoders, AudioSep's and LASS-Net's, are ``text_loading``'s.

    Args:
        state: entry name -> tensor.
        path: of the file. Only Cnn14 and Cnn14_DecisionLevelMax, whose entries are the same, are
            told apart by its name; where it does not tell, a warning says what is assumed.
        choice: which of ``CHOICES`` it is instead.

    Raises:
        ValueError: if the entries are of no known network, or some are missing, unknown or
            misshapen; or if they contradict the choice.
    """
    state = _without_prefix(state, _WRAPPER_PREFIX) or state
    asked_in_words = _asked_in_words(state, path)
    if asked_in_words is not None:
        _refuse_choice(choice, path)
        return PublishedNetworks(asked_in_words, None)
    separator_state = _without_prefix(state, _SEPARATOR_PREFIX)
    if not _any_starts(state, _OWN_CHECKPOINT_PREFIX):
        _refuse_learned_conditions(state, path)
    query_net_state = _without_prefix(state, _QUERY_NET_PREFIX)
    tagger_state: Mapping[str, Tensor] = query_net_state or _without_prefix(state, _SED_PREFIX)
    if not separator_state and not tagger_state:
        if _any_starts(state, "film.", "base."):
            separator_state = dict(state)
        else:
            tagger_state = state
    separator = ResUNet30.from_state_dict(separator_state, str(path)) if separator_state else None
    tagger = None
    if query_net_state:
        # A query net is a tagger, whatever detector the file's name speaks of.
        tagger = _tagger(tagger_state, path, Cnn14, "file")
    elif tagger_state:
        tagger = _tagger(tagger_state, path, *_which_cnn14(path, choice))
    if choice is not None:
        check_choice(choice, tagger, path)
    return PublishedNetworks(separator, tagger)


def template_of(separator: SeparatorNetwork | None) -> str:
    """Return the words in which a published separator was asked for classes.

    AudioSep's lists ask for AudioSet's classes by their names as they are, LASS-Net in lower case;
    CLIPSep was trained with pictures, and evaluated with prompts that speak of them; the bi-modal
    network's prompts speak of the sound, where no caption does.
    """
    return next(
        (said for kind, said in _TEMPLATES.items() if type(separator) is kind), DEFAULT_TEMPLATE
    )


def _asked_in_words(state: Mapping[str, Tensor], path: Path) -> SeparatorNetwork | None:
    """Load FlowSep, LASS-Net, CLIPSep, CLIPSep-NIT or the bi-modal U-Net; None for all others."""
    if is_flowsep(state):
        return FlowSep.from_state_dict(state, str(path))
    part = part_in(state)
    if part is not None:
        raise InputError(
            f"{path} holds FlowSep's {part} alone; put it into one folder with the checkpoint of "
            "the U-Net, and name the folder"
        )
    if _any_starts(state, "UNet.", "text_embedder."):
        return LASSNet.from_state_dict(state, str(path))
    if _any_starts(state, "sound_net.", "synth_net."):
        return CLIPSep.from_state_dict(state, str(path))
    if _any_starts(state, "net_sound.", "net_synthesizer."):
        return BiModalUNet.from_state_dict(state, str(path))
    return None


def _refuse_choice(choice: str | None, path: Path) -> None:
    if choice is not None:
        check_choice(choice, None, path)


def check_choice(choice: str, tagger: TaggerNetwork | None, path: Path) -> None:
    """Refuse a tagger that is not of the class that the user chose.

    Raises:
        ValueError: if it is of another class, or there is none.
    """
    if type(tagger) is not CHOICES[choice]:
        held = f"the tagger {type(tagger).__name__}" if tagger is not None else "no tagger"
        raise InputError(
            f"{path} holds {held}, not {CHOICES[choice].__name__}; leave out {choice + ':'!r} "
            "before its name"
        )


def _which_cnn14(path: Path, choice: str | None) -> tuple[Cnn14Kind, ArchitectureSource]:
    """Tell Cnn14 from Cnn14_DecisionLevelMax without their entries, which are the same."""
    if choice is not None:
        return CHOICES[choice], "choice"
    if "decisionlevel" in path.name.lower().replace("-", "").replace("_", ""):
        return Cnn14DecisionLevelMax, "file name"
    published = PUBLISHED[Cnn14.name]
    if path.name in (published.file_name, published.published_name):
        return Cnn14, "file name"
    return Cnn14, "assumption"


def _refuse_learned_conditions(state: Mapping[str, Tensor], path: Path) -> None:
    """Layers on top of the tagger would have to be run to make the separator's conditions."""
    for name in state:
        if name.startswith(_LEARNED_PREFIX) and not name.startswith(_QUERY_NET_PREFIX):
            raise InputError(
                f"{path} was trained with a query net of its own ({name}), which this program "
                "cannot rebuild; choose a separator whose conditions are a tagger's"
            )


def _tagger(
    state: Mapping[str, Tensor], path: Path, cnn14: Cnn14Kind, cnn14_from: ArchitectureSource
) -> TaggerNetwork:
    """Judge by groups of entries, so that one that is missing can be named.

    Args:
        state: entry name -> tensor.
        path: of the file.
        cnn14: what it is if the entries are of either Cnn14.
        cnn14_from: what told that.
    """
    if _any_starts(state, "patch_embed.", "layers."):
        return HTSAT.from_state_dict(state, str(path))
    if _any_starts(state, "features."):
        return EfficientAT.from_state_dict(state, path.stem.split("_mAP")[0], str(path))
    if _any_starts(state, "conv_block5.", "conv_block6."):
        tagger = cnn14.from_state_dict(state, str(path))
        tagger.architecture_from = cnn14_from
        if cnn14_from == "assumption":
            _warn_of_assumption(path, cnn14)
        return tagger
    if _any_starts(state, "conv_block"):
        has_two = any(".conv2." in name or ".bn2." in name for name in state)
        return (Cnn10 if has_two else Cnn6).from_state_dict(state, str(path))
    if _any_starts(state, _OWN_CHECKPOINT_PREFIX):
        raise InputError(
            f"{path} is a training checkpoint, which lacks the tagger and the class queries; name "
            "the bundle.safetensors that uss-train exported"
        )
    some = ", ".join(sorted(state)[:3])
    raise InputError(
        f"{path} is of no model this program knows (its entries begin with {some}); it knows "
        "USS, AudioSep, LASS-Net, CLIPSep, the bi-modal U-Net, FlowSep, PANNs (Cnn6, Cnn10, "
        "Cnn14), HTS-AT and EfficientAT"
    )


def _warn_of_assumption(path: Path, assumed: Cnn14Kind) -> None:
    others = (name for name, kind in CHOICES.items() if kind is not assumed)
    logger.warning(
        "%s: taken for %s, as its entries fit %s too and its name does not tell; to choose, write "
        "%s",
        path,
        assumed.name,
        " and ".join(others),
        " or ".join(f"{name}:{path}" for name in CHOICES),
    )


def _without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Entries under a prefix, without it."""
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def _any_starts(names: Iterable[str], *prefixes: str) -> bool:
    return any(name.startswith(prefixes) for name in names)
