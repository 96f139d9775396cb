"""Results as bags: folders whose files an archive can check (BagIt, RFC 8493).

The result lies in ``data/`` as it would without; beside it are the tag files that the layout wants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from uss.core.errors import InputError
from uss.core.hashes import file_hash

PAYLOAD = "data"
DECLARATION, INFO = "bagit.txt", "bag-info.txt"
_MANIFEST, _TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
# The version whose manifests have names as they are: that of RFC 8493 writes % as %25, which the
# Library of Congress's own program does not read.
_DECLARED = "BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n"
_TAG_FILE = re.compile(r"bagit\.txt|bag-info\.txt|(?:tag)?manifest-[a-z0-9]+\.txt")


def is_bag(folder: Path) -> bool:
    """Whether a folder is a bag, complete or not."""
    return (folder / DECLARATION).is_file() and (folder / PAYLOAD).is_dir()


def payload_of(folder: Path) -> Path:
    """Tell where a result's files are: in the folder, or in its ``data`` if it is a bag."""
    return folder / PAYLOAD if is_bag(folder) else folder


def payload_names(names: Iterable[str]) -> frozenset[str]:
    """Place files of a result in a bag."""
    return frozenset(f"{PAYLOAD}/{name}" for name in names)


def bag_names(names: Iterable[str]) -> frozenset[str]:
    """List the files of a bag with these in it."""
    return payload_names(names) | {DECLARATION, INFO, _MANIFEST, _TAG_MANIFEST}


def tag_files(folder: Path) -> frozenset[str]:
    """List the tag files that a bag has, also those of other programs."""
    return frozenset(each.name for each in folder.iterdir() if _TAG_FILE.fullmatch(each.name))


def close_bag(folder: Path, info: Mapping[str, str]) -> None:
    """Write the tag files of a bag whose payload is complete.

    Args:
        folder: holds ``data``.
        info: what ``bag-info.txt`` says beside the date and the size.

    Raises:
        OSError: if a file cannot be read or written.
    """
    files = sorted(path for path in (folder / PAYLOAD).rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    told = {
        **info,
        "Bagging-Date": datetime.now(timezone.utc).date().isoformat(),
        "Payload-Oxum": f"{size}.{len(files)}",
    }
    lines = [f"{name}: {' '.join(text.split())}\n" for name, text in told.items()]
    _write(folder / INFO, "".join(lines))
    _write(folder / _MANIFEST, _listed(folder, files))
    _write(folder / DECLARATION, _DECLARED)
    tags = [folder / name for name in (INFO, DECLARATION, _MANIFEST)]
    _write(folder / _TAG_MANIFEST, _listed(folder, sorted(tags)))


def are_tags_whole(folder: Path) -> bool:
    """Whether the tag files of a bag are those that its list of them says."""
    manifests = sorted(folder.glob("tagmanifest-*.txt"))
    try:
        lines = [line for each in manifests for line in each.read_text("utf-8").splitlines()]
        algorithms = [each.stem.rpartition("-")[2] for each in manifests]
        pairs = [line.split(None, 1) for line in lines]
        return bool(pairs) and all(
            any(file_hash(folder / name, algorithm) == digits for algorithm in algorithms)
            for digits, name in pairs
        )
    except (OSError, ValueError):
        return False


def check_payload(folder: Path, names: Iterable[str]) -> None:
    """Refuse what would be in a bag without being in its manifest.

    Args:
        folder: of an earlier result, where the bag will be.
        names: what lies there and is not that result's own, relative to it.

    Raises:
        ValueError: naming the first such file.
    """
    first = min((name for name in names if name.startswith(f"{PAYLOAD}/")), default=None)
    if first is not None:
        raise InputError(
            f"{folder / first} would be in the bag and is none of the result's files; move it out "
            f"of {folder / PAYLOAD}, beside which it may lie"
        )


def _listed(folder: Path, files: Iterable[Path]) -> str:
    return "".join(f"{file_hash(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)


def _write(path: Path, text: str) -> None:
    # Names that are no UTF-8 were made safe before.
    path.write_text(text, encoding="utf-8", errors="replace", newline="\n")
