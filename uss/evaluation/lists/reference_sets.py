"""Embeddings of reference sets, kept in the cache: they do not depend on what is evaluated."""

from __future__ import annotations

import hashlib
import logging
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from uss.audio import AudioFile
from uss.audio.listing import find_recordings
from uss.checkpoints.downloads import cache_folder
from uss.core.arrays import Float32, Waveform
from uss.core.errors import InputError
from uss.core.files import written_whole
from uss.core.hashes import short_hash
from uss.evaluation.lists.embedders import Embedder

logger = logging.getLogger(__name__)

_FOLDER = "references"


class ReferenceSet:
    """Remembers the embeddings of sounds between evaluations.

    Args:
        name: tells sets apart; each network has its own of each.
        embedder: makes what is not known.
    """

    def __init__(self, name: str, embedder: Embedder) -> None:
        self._embedder = embedder
        identity = short_hash(name.encode(errors="surrogateescape"))
        self._path = cache_folder() / _FOLDER / f"{identity}-{embedder.weight_hash}.npz"
        self._known = _read(self._path, embedder.size)
        self._num_saved = len(self._known)

    def of_waveform(self, waveform: Waveform, sample_rate: int) -> Float32:
        """(W, H) of a (C, T) sound; the samples themselves tell whether it is known."""
        digest = hashlib.sha256(f"{sample_rate} {waveform.shape}".encode())
        digest.update(np.ascontiguousarray(waveform).tobytes())
        return self._get(digest.hexdigest(), lambda: self._embedder.embed(waveform, sample_rate))

    def of_folder(self, folder: Path) -> Float32:
        """(N, H) of all audio in a folder and those in it.

        Files are known by name, size and the time that they were changed.

        Raises:
            OSError, ValueError: if there is none, or one cannot be read.
        """
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; name one with audio to compare with")
        files = [found.path for found in find_recordings([folder], recursive=True)]
        if files == [folder]:
            raise InputError(f"the folder {folder} holds no audio to compare with; name another")
        parts = []
        for path in files:
            stat = path.stat()
            key = f"{path.relative_to(folder).as_posix()} {stat.st_size} {stat.st_mtime_ns}"
            hashed = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
            parts.append(self._get(hashed, partial(self._of_file, path)))
        return np.concatenate(parts)

    def save(self) -> None:
        """Keep what was made.

        Raises:
            OSError: if the cache cannot be written.
        """
        if len(self._known) == self._num_saved:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(self._path) as part, part.open("wb") as file:
            np.savez(
                file,
                keys=np.array(list(self._known), dtype="U64"),
                counts=np.array([len(each) for each in self._known.values()]),
                embeddings=np.concatenate(list(self._known.values())),
            )
        self._num_saved = len(self._known)

    def _get(self, key: str, make: Callable[[], Float32]) -> Float32:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def _of_file(self, path: Path) -> Float32:
        file = AudioFile(path)
        waveform = np.concatenate(list(file.blocks()), axis=1)
        return self._embedder.embed(waveform, file.sample_rate)


def _read(path: Path, size: int) -> dict[str, Float32]:
    """Read what was kept; nothing where there is nothing, or a broken file."""
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as content:
            keys, counts, embeddings = (content[name] for name in ("keys", "counts", "embeddings"))
        if embeddings.shape != (counts.sum(), size) or len(keys) != len(counts):
            raise ValueError("its arrays do not fit")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("%s is broken (%s); it is made again", path, error)
        return {}
    parts = np.split(embeddings.astype(np.float32), np.cumsum(counts)[:-1])
    return dict(zip(keys.tolist(), parts, strict=True))
