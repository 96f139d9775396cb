"""Presets as files: which there are, where people put their own, and what is written in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from uss.core.errors import InputError
from uss.separation.groups import check_preset_name

_SUFFIXES = (".yaml", ".yml")
_KEYS = ("description", "stems")
_STEM_KEYS = ("classes", "without")
_RESIDUAL = "residual"


@dataclass(frozen=True)
class StemClasses:
    """What a stem holds, in the words of the file.

    Attributes:
        classes: names, mids, class indexes or aliases.
        without: the same of what is taken from them.
    """

    classes: tuple[str | int, ...]
    without: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class PresetFile:
    """A preset as it is written.

    Attributes:
        path: the file; the preset is called like it.
        description: one line for people.
        stems: by name.
    """

    path: Path
    description: str
    stems: Mapping[str, StemClasses]

    @property
    def name(self) -> str:
        """What it is asked for by, and the folder of its stems."""
        return self.path.stem


def preset_folder() -> Path:
    """Return where people put presets: ``USS_PRESETS``, else in their settings; may be missing."""
    given = os.environ.get("USS_PRESETS")
    if given:
        return Path(given).expanduser()
    home = Path.home()
    if sys.platform == "win32":
        settings = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        settings = home / "Library" / "Application Support"
    else:
        settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return settings / "uss-pipeline" / "presets"


def available_presets() -> dict[str, Path]:
    """Map the names of all presets to their files; a person's own go before the package's."""
    folders = (Path(str(resources.files("uss").joinpath("presets"))), preset_folder())
    return {
        path.stem: path
        for folder in folders
        for path in sorted(folder.glob("*"))
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    }


def find_preset(named: str | Path) -> Path:
    """Find the file of a preset by its name, or as a path.

    Raises:
        ValueError: if there is none of that name.
    """
    path = Path(named).expanduser()
    if path.suffix.lower() in _SUFFIXES or len(path.parts) > 1:
        return path
    known = available_presets()
    if str(named) not in known:
        raise InputError(
            f"unknown preset {str(named)!r}; there are {', '.join(sorted(known))}; name one of "
            f"them or a YAML file, or put a file of that name into {preset_folder()}"
        )
    return known[str(named)]


def read_preset(path: Path) -> PresetFile:
    """Read a preset.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is none, or its name can be no folder's.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no YAML file: {error}; correct it") from error
    try:
        check_preset_name(path.stem)
        checked = _with_keys(content, _KEYS, "a preset")
        stems = checked.get("stems")
        if not isinstance(stems, dict) or not stems:
            raise InputError('it names no stems; list them under "stems", each with its classes')
        found = {_stem_name(name): _stem_classes(name, stem) for name, stem in stems.items()}
        if len({name.casefold() for name in found}) < len(stems):
            raise InputError("two stems have the same name but for case; rename one")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return PresetFile(path, str(checked.get("description") or ""), found)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that is given twice, which YAML's own loader takes for the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Make a dict; see ``yaml.SafeLoader``."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is given twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _with_keys(content: Any, known: tuple[str, ...], what: str) -> dict[str, Any]:
    """See that it is a mapping of known keys."""
    if not isinstance(content, dict):
        raise InputError(f"{what} has the keys {' and '.join(known)}; write them")
    for key in content:
        if key not in known:
            raise InputError(f"unknown key {key!r}; {what} has the keys {' and '.join(known)}")
    return content


def _stem_name(name: Any) -> str:
    text = name.strip() if isinstance(name, str) else ""
    if not text or text.casefold() == _RESIDUAL:
        raise InputError(f"no stem can be called {name!r}; choose another name, in quotes")
    return text


def _stem_classes(name: Any, stem: Any) -> StemClasses:
    """Take a list of classes, or a mapping with what is taken from them."""
    fields = {"classes": stem} if isinstance(stem, list) else stem
    fields = _with_keys(fields, _STEM_KEYS, f"the stem {name!r}")
    classes, without = (_names(name, fields.get(key) or []) for key in _STEM_KEYS)
    if not classes:
        raise InputError(f"the stem {name!r} lists no classes; name at least one")
    return StemClasses(classes, without)


def _names(stem: Any, names: Any) -> tuple[str | int, ...]:
    listed = names if isinstance(names, list) else [names]
    for each in listed:
        if isinstance(each, bool) or not isinstance(each, (str, int)):
            raise InputError(
                f"the stem {stem!r} lists {each!r}, which is no name; put it in quotes"
            )
    return tuple(listed)
