"""Recipes: YAML configurations that may be based on another one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from uss.checkpoints.published import PUBLISHED
from uss.core.errors import InputError

logger = logging.getLogger(__name__)

_BASE = "base"
_CLASS = "class_path"
_MAX_DEPTH = 10
_MINING_TYPES = {
    "strategy": "a name",
    "segment_seconds": "a number",
    "anchors_per_clip": "a whole number",
    "labels": "a name",
    "tagger": "a name or file",
    "anchor_tagger": "a name or file",
    "encoder": "a list of names or files",
}


@dataclass(frozen=True)
class MiningRecipe:
    """How the shards of a recipe are mined: the options of ``uss-mine-anchors``.

    Attributes:
        strategy, segment_seconds, anchors_per_clip, labels: see
            ``uss.mining.miner.MiningSettings``.
        tagger: name or file; detects the anchors.
        anchor_tagger: name or file; tags them. None takes the tagger.
        encoder: names or files; what they make of the anchors are the conditions.
    """

    strategy: str = "sed"
    segment_seconds: float = 2.0
    anchors_per_clip: int | None = None
    labels: str = "all"
    tagger: str = "default"
    anchor_tagger: str | None = None
    encoder: list[str] | None = None

    def check(self, mined: Mapping[str, Any], folder: str) -> None:
        """Check that shards were mined so.

        Args:
            mined: the mining settings that the shards hold, and the names of their taggers.
            folder: of the shards.

        Other taggers than a recipe's published ones are only logged.

        Raises:
            ValueError: naming the setting that differs.
        """
        for name in ("tagger", "anchor_tagger"):
            wanted, used = getattr(self, name), mined.get(name)
            if wanted in PUBLISHED and used is not None and used != wanted:
                logger.warning(
                    "the recipe's %s is %s, that of %s is %s", name, wanted, folder, used
                )
        for name in ("strategy", "segment_seconds", "anchors_per_clip", "labels"):
            wanted = getattr(self, name)
            if wanted is not None and name in mined and mined[name] != wanted:
                raise InputError(
                    f"the recipe wants shards of {name} {wanted!r}, those in {folder} "
                    f"are of {mined[name]!r}; mine them with uss-mine-anchors --recipe"
                )


def read_mining(name_or_file: str | Path) -> dict[str, Any]:
    """Read how a recipe's shards are mined: the values of ``MiningRecipe`` that it sets.

    Raises:
        FileNotFoundError: as ``read_recipe``.
        ValueError: as ``read_recipe``, and if the recipe says nothing of mining, or an unknown key.
    """
    section = read_recipe(name_or_file).get("mining")
    if not isinstance(section, dict):
        raise InputError(f"the recipe {name_or_file} does not say how its shards are mined")
    unknown = section.keys() - {field.name for field in fields(MiningRecipe)}
    if unknown:
        raise InputError(f"the recipe {name_or_file} has unknown keys: mining.{min(unknown)}")
    for key, value in section.items():
        if not _has_right_type(key, value):
            raise InputError(
                f"the recipe {name_or_file}: mining.{key} {value!r} must be {_MINING_TYPES[key]}"
            )
    return section


def _has_right_type(key: str, value: object) -> bool:
    if value is None:
        return key in ("anchors_per_clip", "anchor_tagger", "encoder")
    if key == "segment_seconds":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if key == "anchors_per_clip":
        return isinstance(value, int) and not isinstance(value, bool)
    if key == "encoder":
        return isinstance(value, list) and all(isinstance(name, str) for name in value)
    return isinstance(value, str)


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of the recipes inside the package."""
    folder = Path(str(resources.files("pipelines") / "configs"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_recipe(name_or_file: str | Path) -> Path:
    """Resolve a recipe: a file, or the name of one inside the package.

    Raises:
        FileNotFoundError: if it is neither.
    """
    path = Path(name_or_file)
    if path.is_file():
        return path
    shipped = shipped_recipes()
    if str(name_or_file) in shipped:
        return shipped[str(name_or_file)]
    raise FileNotFoundError(
        f"{path}: no such recipe; name a YAML file, or one of {', '.join(shipped)}"
    )


def read_recipe(name_or_file: str | Path) -> dict[str, Any]:
    """Read a recipe, merged into those it is based on.

    The key ``base`` names another recipe: a file, relative to this one, or one inside the package.
    Keys of a recipe replace those of
    its base; where both hold a mapping, the mappings are merged, unless they configure different
    classes (``class_path``).

    Raises:
        FileNotFoundError: if the recipe or one of its bases is missing.
        ValueError: if one is no YAML mapping, or is based on itself.
    """
    return _read(find_recipe(name_or_file), depth=0)


def _read(path: Path, depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise InputError(f"{path} is based on itself, or on a chain of more than {_MAX_DEPTH}")
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if recipe is None:
        recipe = {}
    if not isinstance(recipe, dict):
        raise InputError(f"{path} holds a {type(recipe).__name__}, not a mapping of keys")
    base = recipe.pop(_BASE, None)
    if base is None:
        return recipe
    base_path = path.parent / str(base)
    if not base_path.is_file():
        base_path = shipped_recipes().get(Path(str(base)).stem, base_path)
    if not base_path.is_file():
        raise FileNotFoundError(
            f"{path} is based on {base_path}, which does not exist; name a file relative to it, or "
            f"one of {', '.join(shipped_recipes())}"
        )
    return _merge(_read(base_path, depth + 1), recipe)


def _merge(base: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    if _CLASS in recipe and recipe[_CLASS] != base.get(_CLASS):
        return recipe
    merged = dict(base)
    for key, value in recipe.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged
