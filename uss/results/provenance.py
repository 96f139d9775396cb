"""What was done to which file, with what: ``provenance.json``, for archives and for licences."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import uss
from uss.checkpoints.cards import TEXT_MODEL, ModelCard, card_of, embedded_card
from uss.checkpoints.loading import weight_hash
from uss.conditions.text_queries import TextQuery
from uss.core.files import written_whole
from uss.core.hashes import short_hash
from uss.results.file_settings import FileSettings
from uss.results.identity import Identity
from uss.results.result import SeparationResult
from uss.separation.separator import Separator

VERSION = 1
_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "soundfile",
    "soxr",
    "av",
    "safetensors",
    "transformers",
    "onnxruntime",
)


@dataclass(frozen=True)
class Provenance:
    """What all results of a run have in common.

    Attributes:
        command: the words of the command line; None where a program called the library.
        models: of every weight that was used: its role, and what is known of its file.
        machine: what computed, and how exactly.
    """

    command: Sequence[str] | None = None
    models: Sequence[Mapping[str, Any]] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        separator: Separator,
        settings: FileSettings,
        command: Sequence[str] | None,
        others: Sequence[Separator] = (),
    ) -> Provenance:
        """Find out what a run uses; files of weights are hashed once.

        Args:
            separator: finds and separates.
            settings: what is done with every file.
            command: see ``Provenance``.
            others: whose stems are candidates too.
        """
        models = _described_models(separator, settings)
        for other in others:
            role = "separator of candidates"
            card = _card_of(other, other.names.model)
            models.append(_as_json(role, other.names.model, other.separator_hash, card))
        return cls(command and list(command), models, _machine(separator))

    def write(self, path: Path, result: SeparationResult, identity: Identity) -> None:
        """Write ``provenance.json``.

        Args:
            path: the file.
            result: what was made.
            identity: of which recording.

        Raises:
            OSError: if it cannot be written.
        """
        content = {
            "version": VERSION,
            "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "program": {"name": "uss-pipeline", "version": uss.__version__},
            "packages": dict(_versions()),
            "command": self.command,
            "input": {
                **asdict(identity),
                "sample_rate": result.sample_rate,
                "num_channels": result.num_channels,
                "start_seconds": result.start_seconds,
                "duration_seconds": result.duration_seconds,
                "film_offset_seconds": result.film_offset_seconds,
                "timecode": result.timecode,
                "time_reference": result.time_reference,
                "tags": dict(result.tags),
            },
            "marked": {stem.name: stem.marked for stem in result.stems if stem.marked},
            "models": self.models,
            "settings": asdict(result.settings),
            "machine": self.machine,
            "seeds": _seeds(result),
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        with written_whole(path) as part:
            part.write_text(text, encoding="utf-8", errors="backslashreplace")


def _seeds(result: SeparationResult) -> list[int]:
    """All seeds that were drawn with; generative models alone draw random numbers."""
    own = [] if result.settings.seed is None else [result.settings.seed]
    drawn = (each.seed for stem in result.stems for each in stem.candidates)
    return sorted({*own, *(seed for seed in drawn if seed is not None)})


def _described_models(separator: Separator, settings: FileSettings) -> list[dict[str, Any]]:
    """Describe all weights that a run uses."""
    names = separator.names

    def described(role: str, name: str | None, weights: str | None = None) -> dict[str, Any]:
        card = _card_of(separator, name)
        return _as_json(role, name, weights, card)

    tagger = weight_hash(separator.tagger)
    found = [
        described("separator", names.model, separator.separator_hash),
        described("tagger", names.tagger or names.model, tagger),
    ]
    if separator.encoder is not separator.tagger:
        own = weight_hash(separator.encoder)
        found.append(described("condition encoder", names.model, own))
    if separator.class_queries is not None:
        own = short_hash(separator.class_queries.content())
        found.append(described("class queries", names.class_queries or names.model, own))
    if separator.text_encoder is not None:
        name = names.text_encoder or names.own_text_encoder
        found.append(described("text encoder", name))
    wanted = settings.wanted
    if any(isinstance(each, TextQuery) for each in (*wanted.queries, *wanted.without)):
        card = embedded_card(TEXT_MODEL)
        found.append(_as_json("understanding of words", TEXT_MODEL, None, card))
    return found


def _as_json(role: str, name: str | None, weights: str | None, card: ModelCard) -> dict[str, Any]:
    return {
        "role": role,
        "name": name,
        "file": None if card.path is None else card.path.name,
        "size_bytes": card.size_bytes,
        "sha256": card.sha256,
        "weights_hash": weights,
        "licence": card.spdx,
        "licence_as_stated": card.licence,
        "trained_on": card.trained_on,
        "source": card.source,
        "provenance": card.provenance,
    }


def _card_of(separator: Separator, name: str | None) -> ModelCard:
    """Describe weights by their name; of no name are those that a program made, or loaded."""
    if name is not None:
        return card_of(name)
    bundle = separator.bundle
    return ModelCard(
        name="unnamed", task="separation", licence=bundle.licence, provenance=bundle.provenance
    )


def _machine(separator: Separator) -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "device": str(separator.runtime.device),
        "precision": str(separator.runtime.dtype).removeprefix("torch."),
        "num_cpus": os.cpu_count(),
    }


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue
