"""Decode with libsndfile: WAV, AIFF, FLAC, Ogg, MP3 and the like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from uss.audio.sources import block_samples
from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.core.files import native_path

# Estimates of MP3 and the padding of codecs are shorter.
MISSING_SECONDS = 0.1
_CHUNK_BEYOND_THE_END = re.compile(r"^ *(?:data|SSND) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
_FEWER_THAN_PROMISED = re.compile(r"frame count (\d+) does not match .*'ds64' chunk of (\d+)")
# Programs that write to a pipe cannot know the size, and write the largest number instead; for SoX
# that is this one in AIFF.
_UNKNOWN_SIZE = 0x7F000000
# What libsndfile says of FLAC from a pipe, which holds 0 instead.
_UNKNOWN_NUM_SAMPLES = 2**63 - 1
_MAX_OGG_PAGE_BYTES = 65_307


class LibsndfileError(InputError):
    """libsndfile cannot decode a file, or not from here on."""


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read in one go.

    soundfile asks files that can seek for their position, and goes there, after every block, which
    decoders of compressed formats need not survive at a damaged place.
    """

    def seekable(self) -> bool:
        return False


class LibsndfileDecoder:
    """An audio file that libsndfile knows.

    Attributes:
        sample_rate: in Hz.
        num_channels: C.
        is_whole: after a pass: whether nothing of the file is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_whole = True
        with self._open() as file:
            self.sample_rate: int = file.samplerate
            self.num_channels: int = file.channels
            if file.format == "OGG" and file.frames == 0:
                # libsndfile takes the length from the last page, which a cut file may lack.
                raise LibsndfileError(f"{path} has no last page")

    def blocks(self) -> Iterator[Waveform]:
        """Decode from the start.

        Yields:
            (C, n) float32.

        Raises:
            LibsndfileError: where the file is too damaged to go on.
        """
        length = block_samples(self.sample_rate, self.num_channels)
        with self._open() as file:
            num_samples = 0
            while len(samples := self._read(file, length)):
                num_samples += len(samples)
                yield np.ascontiguousarray(samples.T)
            self.is_whole = not self._is_cut(file, num_samples)

    def _open(self) -> _SequentialFile:
        try:
            return _SequentialFile(native_path(self._path))
        # soundfile refuses headerless files by their suffix with a TypeError.
        except (soundfile.LibsndfileError, TypeError) as error:
            raise LibsndfileError(f"{self._path}: {error}") from error

    def _read(self, file: _SequentialFile, num_samples: int) -> Waveform:
        try:
            samples: Waveform = file.read(num_samples, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise LibsndfileError(f"{self._path}: {error}") from error
        return samples

    def _is_cut(self, file: _SequentialFile, num_samples: int) -> bool:
        promised = 0 if file.frames == _UNKNOWN_NUM_SAMPLES else file.frames
        return (
            (promised - num_samples) / self.sample_rate > MISSING_SECONDS
            or _promises_more(file.extra_info)
            or (file.format == "OGG" and not _has_last_ogg_page(self._path))
        )


def _promises_more(log: str) -> bool:
    """Whether libsndfile noticed that the samples of a WAV or AIFF file should go on."""
    found = _CHUNK_BEYOND_THE_END.findall(log)
    found += [(promised, given) for given, promised in _FEWER_THAN_PROMISED.findall(log)]
    return any(int(given) < int(promised) < _UNKNOWN_SIZE for promised, given in found)


def _has_last_ogg_page(path: Path) -> bool:
    """Whether the last page is marked as such (RFC 3533, section 6: bit 3 of the header type)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MAX_OGG_PAGE_BYTES))
        tail = file.read()
    page = tail.rfind(b"OggS")
    return 0 <= page < len(tail) - 5 and bool(tail[page + 5] & 4)
