"""Which weights are inside the package, in the cache, and to be had; what can be done with them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from uss.checkpoints.cards import ModelCard, embedded_cards, published_card
from uss.checkpoints.downloads import cache_folder
from uss.checkpoints.published import PUBLISHED, PublishedFile
from uss.core.errors import InputError
from uss.core.hashes import file_hash

State = Literal["installed", "cached", "wrong size", "incomplete", "downloadable", "by hand"]
_PARTS = (".part", ".part.etag")


@dataclass(frozen=True)
class Listed:
    """A model, and where it is.

    Attributes:
        card: what is known of it.
        state: ``installed`` in the package; ``cached``; ``wrong size`` in the cache; ``incomplete``
            where a download broke off; ``downloadable``; ``by hand`` where only a person gets it.
    """

    card: ModelCard
    state: State

    def as_json(self) -> dict[str, Any]:
        """Say it for a compliance desk; hashes what is here."""
        card = self.card
        return {
            "name": card.name,
            "state": self.state,
            "task": card.task,
            "licence": card.spdx,
            "licence_as_stated": card.licence,
            "trained_on": card.trained_on,
            "condition_space": card.space,
            "source": card.source,
            "file": None if card.path is None else str(card.path),
            "size_bytes": card.size_bytes,
            "sha256": card.sha256,
            "published_checksum": card.checksum,
            "provenance": dict(card.provenance),
        }


@dataclass(frozen=True)
class Verdict:
    """Whether a file of weights is what it should be.

    Attributes:
        name: of the model.
        is_right: False if it is not.
        reason: what was compared.
    """

    name: str
    is_right: bool
    reason: str


def inventory(names: Sequence[str] = ()) -> list[Listed]:
    """List all models, or some.

    Raises:
        ValueError: if there is no model of a name.
    """
    listed = [Listed(card, "installed") for card in embedded_cards()]
    listed += [Listed(published_card(each), _state_of(each)) for each in PUBLISHED.values()]
    known = {each.card.name: each for each in listed}
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise InputError(f"there is no model {unknown!r}; choose {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)] if names else listed


def _state_of(published: PublishedFile) -> State:
    path = cache_folder() / published.file_name
    if path.is_file():
        is_right = published.size_bytes in (None, path.stat().st_size)
        return "cached" if is_right else "wrong size"
    if path.with_name(f"{path.name}.part").is_file():
        return "incomplete"
    return "downloadable" if published.url else "by hand"


def verify(names: Sequence[str] = ()) -> Iterator[Verdict]:
    """Compare what is here with what was published, or installed, byte by byte.

    Args:
        names: of models; all that are here if none are named.

    Raises:
        ValueError: if there is no model of a name, or it is not here.
    """
    for each in inventory(names):
        card = each.card
        if each.state == "installed":
            yield _installed(card)
        elif card.path is not None:
            yield _compared(card, PUBLISHED[card.name])
        elif names:
            raise InputError(
                f"{card.name} is not in the cache {cache_folder()}; uss-separate --download "
                f"{card.name} fetches it"
            )


def _compared(card: ModelCard, published: PublishedFile) -> Verdict:
    assert card.path is not None
    remedy = f"uss-models prune {card.name}, then uss-separate --download {card.name}"
    size = card.path.stat().st_size
    if published.size_bytes not in (None, size):
        said = f"{card.path} has {size:,} bytes, not {published.size_bytes:,}; {remedy}"
        return Verdict(card.name, False, said)
    if published.checksum is None:
        return Verdict(card.name, True, f"no hash was published; sha256 {card.sha256}")
    algorithm, _, digits = published.checksum.partition(":")
    if file_hash(card.path, algorithm) != digits:
        said = f"{card.path} has not the {algorithm} that was published; {remedy}"
        return Verdict(card.name, False, said)
    return Verdict(card.name, True, f"{algorithm} as published")


def _installed(card: ModelCard) -> Verdict:
    """Compare with the list that the installer keeps; an editable installation has none."""
    assert card.path is not None
    noted = _noted_by_installer(card.path)
    if noted is None:
        return Verdict(card.name, True, f"in the package; sha256 {card.sha256}")
    if noted != card.sha256:
        said = f"{card.path} is not as it was installed; install uss-pipeline again"
        return Verdict(card.name, False, said)
    return Verdict(card.name, True, "sha256 as installed")


def _noted_by_installer(path: Path) -> str | None:
    try:
        files = metadata.distribution("uss-pipeline").files or []
    except metadata.PackageNotFoundError:
        return None
    for each in files:
        if each.name == path.name and each.hash and Path(str(each.locate())) == path:
            return base64.urlsafe_b64decode(f"{each.hash.value}==").hex()
    return None


def leftovers(names: Sequence[str] = (), *, also_files: bool = False) -> list[Path]:
    """List what can be removed from the cache: what broken downloads left, and models.

    Args:
        names: of models; all if none are named.
        also_files: the models themselves too.

    Raises:
        ValueError: if there is no published model of a name.
    """
    for name in names:
        if name not in PUBLISHED:
            raise InputError(f"{name} is no model of the cache; choose {', '.join(PUBLISHED)}")
    found = []
    for name in names or PUBLISHED:
        path = cache_folder() / PUBLISHED[name].file_name
        places = [path.with_name(f"{path.name}{part}") for part in _PARTS]
        found += [each for each in ([path] if also_files else []) + places if each.is_file()]
    return found


def remove(path: Path) -> bool:
    """Remove a file of the cache.

    Returns:
        False if another process is downloading it; it stays then.

    Raises:
        OSError: if it cannot be removed.
    """
    name = path.name
    for part in _PARTS:
        name = name.removesuffix(part)
    try:
        # The lock stays: another process may just have opened it.
        with FileLock(path.with_name(f"{name}.lock"), timeout=0):
            path.unlink(missing_ok=True)
    except Timeout:
        return False
    return True
