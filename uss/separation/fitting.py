"""Which parts of a model separate, hear and ask, and whether they fit together."""

from __future__ import annotations

from dataclasses import replace

import torch

from ontology import Ontology
from uss.checkpoints.bundle import Bundle
from uss.conditions.class_queries import ClassQueries, fitting_queries
from uss.conditions.class_words import ClassWords, class_words
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.models import MaskModel, SeparatorNetwork, stems_of_space
from uss.taggers import TaggerNetwork


def shares_bins(model: SeparatorNetwork, wanted: bool | None) -> bool:
    """Whether a model's stems share bins: as wanted, or else as it was trained.

    Raises:
        ValueError: if it is wanted of a model that gives no masks.
    """
    if wanted and not isinstance(model, MaskModel):
        raise InputError(
            f"a {type(model).__name__} gives no masks, so its stems cannot share bins; leave out "
            "joint separation"
        )
    return model.joint if wanted is None else wanted


def runtime_of(
    model: SeparatorNetwork | None, runtime: Runtime, precision: str = "auto"
) -> Runtime:
    """Choose how a model runs: as is wanted, unless it knows one precision alone.

    Args:
        model: the separator, if there is one.
        runtime: how others run.
        precision: that was named, see ``Runtime.choose``.

    Raises:
        ValueError: if it cannot run in the precision that was named.
    """
    if model is None or not model.only_float32:
        return runtime
    if precision not in ("auto", "fp32"):
        raise InputError(
            f"a model in ONNX computes in float32, not in {precision}; leave out the precision, or "
            "name the model that it was exported from"
        )
    return replace(runtime, dtype=torch.float32)


def check_blind(space: str, is_wanted: bool) -> None:
    """See that nobody asks a blind separator for something, nor another one for nothing.

    Args:
        space: of the separator's conditions.
        is_wanted: whether it is to give its stems of itself.

    Raises:
        ValueError: if so.
    """
    num_stems = stems_of_space(space)
    if num_stems is None and is_wanted:
        raise InputError(
            f"the model is asked for sounds (its conditions are of {space!r}), so it cannot "
            "separate blindly; leave out --blind, or name a model that was trained with MixIT"
        )
    if num_stems is not None and not is_wanted:
        raise InputError(
            f"the model separates blindly: it gives {num_stems} stems of itself, and cannot be "
            "asked for classes, words or sounds; name another model, or let uss-separate --blind "
            "write them"
        )


def separating(
    bundle: Bundle, queries: ClassQueries | None, ontology: Ontology
) -> tuple[SeparatorNetwork, ClassQueries | None]:
    """Choose what separates, and what it is asked with: vectors, or the classes' names.

    Raises:
        ValueError: if the bundle holds no separator, or nothing asks it in its space.
    """
    if bundle.separator is None:
        raise InputError("the model file holds a tagger but no separator; use it as --tagger")
    space = bundle.separator.condition_space
    if queries is None and stems_of_space(space) is not None:
        return bundle.separator, None
    own, encoder = bundle.class_queries, bundle.text_encoder
    if encoder is not None and encoder.space != space:
        raise InputError(
            f"the text encoder makes conditions of {encoder.space!r}, the separator takes "
            f"{space!r}; name the one that it was trained with"
        )
    if own is None and encoder is not None:
        own = class_words(encoder, ontology, bundle.template)
    return bundle.separator, fitting_queries(space, queries, own)


def queries_of_own(space: str, queries: ClassQueries | None) -> ClassQueries | None:
    """Choose queries that ask for classes that AudioSet does not know; None where there are none.

    They are asked with their own vectors, also where eq. 10 asks for all other classes.
    """
    return queries if queries is not None and queries.own and queries.space == space else None


def hearing(bundle: Bundle, tagger: TaggerNetwork | None) -> tuple[TaggerNetwork, TaggerNetwork]:
    """Choose what detects, and what makes the conditions.

    Raises:
        ValueError: if there is no tagger.
    """
    detecting, encoder = tagger or bundle.tagger, bundle.tagger or tagger
    if detecting is None or encoder is None:
        raise InputError(
            "the model file holds a separator but no tagger to find classes with; name one "
            "with --tagger, such as cnn14 for the published separators"
        )
    return detecting, encoder


def check_fit(model: SeparatorNetwork, tagger: TaggerNetwork, queries: ClassQueries | None) -> None:
    """Refuse parts that do not fit together.

    Raises:
        ValueError: naming what does not fit.
    """
    size = model.condition_size
    is_stored = queries is not None and not isinstance(queries, ClassWords)
    if queries is not None and is_stored and queries.vectors.shape[1] != size:
        raise InputError(
            f"the class queries hold {queries.vectors.shape[1]} numbers per class, the "
            f"separator takes {size}; make them with the encoder of its space "
            f"{model.condition_space!r}"
        )
    if tagger.sample_rate % model.sample_rate:
        raise InputError(
            f"the tagger hears {tagger.sample_rate} Hz, the separator "
            f"{model.sample_rate} Hz; use models of one rate, or a separator of a whole fraction "
            "of it"
        )
