"""The parts of a separator, from names and files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from uss.checkpoints.bundle import Bundle
from uss.checkpoints.downloads import cache_folder
from uss.checkpoints.loading import load_class_queries, load_model, load_tagger
from uss.checkpoints.published import DEFAULT_MODEL, PUBLISHED
from uss.checkpoints.text_loading import load_text_encoder
from uss.conditions.class_queries import TEXT_SPACES, ClassQueries
from uss.core.errors import InputError
from uss.taggers import TaggerNetwork


@dataclass(frozen=True)
class ModelNames:
    """What the parts of a separator were called where they were loaded; None if they were not.

    Attributes:
        model: of what separates.
        class_queries: of what it asks with, if not its own.
        text_encoder: of what it reads words with, if not its own.
        tagger: of what detects, if not its own.
        own_text_encoder: of what it reads words with where nobody named that.
    """

    model: str | None = None
    class_queries: str | None = None
    text_encoder: str | None = None
    tagger: str | None = None
    own_text_encoder: str | None = None


@dataclass(frozen=True)
class Parts:
    """What a separator is made of.

    Attributes:
        bundle: holds what separates.
        tagger: detects instead of the bundle's own; None for that.
        class_queries: instead of the bundle's own; None for those.
        names: of all these.
    """

    bundle: Bundle
    tagger: TaggerNetwork | None
    class_queries: ClassQueries | None
    names: ModelNames


def load_parts(
    model: str | Path,
    separator: str | Path | None = None,
    tagger: str | Path | None = None,
    class_queries: str | Path | None = None,
    text_encoder: str | Path | None = None,
    trust: bool = False,
) -> Parts:
    """Load what ``Separator.from_pretrained`` names; see there.

    Raises:
        FileNotFoundError, OSError, ValueError: if a file is missing, broken, cannot be downloaded,
            or is of the wrong kind; if the model would do nothing.
    """
    if separator is not None and tagger is not None and str(model) != DEFAULT_MODEL:
        raise InputError(
            f"the model {model} would do nothing beside a separator and a tagger; leave it out"
        )
    name = model if separator is None else separator
    bundle = load_model(name, trust_checkpoint=trust)
    reader = None if bundle.text_encoder is None else str(name)
    if text_encoder is not None:
        encoder = load_text_encoder(text_encoder, space=_space(bundle), trust_checkpoint=trust)
        bundle = replace(bundle, text_encoder=encoder)
    elif class_queries is None and _lacks_words(bundle):
        bundle, reader = _with_published_encoder(name, bundle)
    detecting, detector = None, _said(tagger)
    if tagger is not None:
        detecting = load_tagger(tagger, trust_checkpoint=trust)
    elif separator is not None:
        detecting, detector = load_tagger(model, trust_checkpoint=trust), str(model)
    elif _takes_text(bundle) and bundle.tagger is None:
        # No tagger has to do with their conditions, so any will do: our own, with its thresholds.
        default, detector = load_model(), DEFAULT_MODEL
        bundle = replace(bundle, tagger=default.tagger, thresholds=default.thresholds)
    queries = None
    if class_queries is not None:
        queries = load_class_queries(class_queries, trust_checkpoint=trust)
    names = ModelNames(str(name), _said(class_queries), _said(text_encoder), detector, reader)
    return Parts(bundle, detecting, queries, names)


def _takes_text(bundle: Bundle) -> bool:
    return bundle.separator is not None and bundle.separator.condition_space in TEXT_SPACES


def _lacks_words(bundle: Bundle) -> bool:
    """Whether nothing says what the separator is asked for classes with."""
    return _takes_text(bundle) and bundle.text_encoder is None and bundle.class_queries is None


def _with_published_encoder(name: str | Path, bundle: Bundle) -> tuple[Bundle, str | None]:
    """Load the published text encoder of a separator's space, if there is one to be had.

    That of a published separator is fetched as the separator is; for a file it is taken where it
    lies in the cache, as nobody asked for a download.

    Returns:
        The bundle with it, and its name.
    """
    assert bundle.separator is not None
    published = PUBLISHED[TEXT_SPACES[bundle.separator.condition_space]]
    is_there = (cache_folder() / published.file_name).is_file()
    if published.kind != "text encoder" or not (is_there or str(name) in PUBLISHED):
        return bundle, None
    encoder = load_text_encoder(published.name, space=_space(bundle))
    return replace(bundle, text_encoder=encoder), published.name


def _space(bundle: Bundle) -> str | None:
    return None if bundle.separator is None else bundle.separator.condition_space


def _said(named: str | Path | None) -> str | None:
    return None if named is None else str(named)
