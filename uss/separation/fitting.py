"""Which parts of a model separate, hear and ask, and whether they fit together."""

from __future__ import annotations

from uss.checkpoints.bundle import Bundle
from uss.conditions.class_queries import ClassQueries, fitting_queries
from uss.core.errors import InputError
from uss.models import SeparatorNetwork
from uss.taggers import TaggerNetwork


def separating(
    bundle: Bundle, queries: ClassQueries | None
) -> tuple[SeparatorNetwork, ClassQueries | None]:
    """Choose what separates, and what it is asked with.

    Raises:
        ValueError: if the bundle holds no separator, or nothing asks it in its space.
    """
    if bundle.separator is None:
        raise InputError("the model file holds a tagger but no separator; use it as --tagger")
    space = bundle.separator.condition_space
    return bundle.separator, fitting_queries(space, queries, bundle.class_queries)


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
    if queries is not None and queries.vectors.shape[1] != size:
        raise InputError(
            f"the class queries hold {queries.vectors.shape[1]} numbers per class, the "
            f"separator takes {size}; make them with the encoder of its space "
            f"{model.condition_space!r}"
        )
    if tagger.sample_rate != model.sample_rate:
        raise InputError(
            f"the tagger hears {tagger.sample_rate} Hz, the separator "
            f"{model.sample_rate} Hz; use models of one rate"
        )
