"""Decode with libsndfile: WAV, AIFF, FLAC, Ogg, MP3 and the like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import soundfile

from uss.audio.layouts import layout_of_libsndfile
from uss.audio.sources import block_samples
from uss.audio.windows import WHOLE, Part, Window
from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.core.files import native_path

# Estimates of MP3 and the padding of codecs are shorter.
MISSING_SECONDS = 0.1
_CHUNK_BEYOND_THE_END = re.compile(
    r"^ *(?:data|SSND|BODY|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE
)
_TRUNCATED = re.compile(
    r"^(?:Seems to be a truncated file|\*\*\* File seems to be truncated)", re.MULTILINE
)
# Of AVR and Akai's samples libsndfile tells what they say, and counts what is there.
_PROMISED_SAMPLES = re.compile(r"^ *Frames *: (\d+)$", re.MULTILINE)
_FEWER_THAN_PROMISED = re.compile(r"frame count (\d+) does not match .*'ds64' chunk of (\d+)")
# Programs that write to a pipe cannot know the size, and write the largest number instead; for SoX
# that is this one in AIFF.
_UNKNOWN_SIZE = 0x7F000000
# What libsndfile says of FLAC from a pipe, which holds 0 instead.
_UNKNOWN_NUM_SAMPLES = 2**63 - 1
_MAX_OGG_PAGE_BYTES = 65_307
# The formats in which libsndfile finds a sample by its number.
_COUNTABLE_FORMATS = frozenset(
    {
        "AIFF",
        "AU",
        "AVR",
        "CAF",
        "FLAC",
        "MAT5",
        "NIST",
        "RF64",
        "SVX",
        "VOC",
        "W64",
        "WAV",
        "WAVEX",
    }
)
_MAX_TAG_BYTES = 1_024


class LibsndfileError(InputError):
    """libsndfile cannot decode a file, or not from here on."""


class LibsndfileGoesOnError(LibsndfileError):
    """More may follow behind the end that libsndfile sees."""


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read in one go.

    soundfile asks files that can seek for their position, and goes there, after every block, which
    decoders of compressed formats need not survive at a damaged place.
    """

    def seekable(self) -> bool:
        return False


class LibsndfileDecoder:
    """An audio file that libsndfile knows.

    Args:
        path: the file.
        part: which bytes of it.

    Attributes:
        sample_rate: in Hz.
        num_channels: C.
        channel_layout: which speakers the channels are for; None where the file does not say.
        is_whole: after a pass: whether nothing of the file is missing.
    """

    def __init__(self, path: Path, part: Part = WHOLE) -> None:
        self._path = path
        self._part = part
        self.is_whole = True
        self._is_flac = _begins_with(path, part.start or 0, b"fLaC")
        with self._open() as file:
            self.sample_rate: int = file.samplerate
            self.num_channels: int = file.channels
            if file.format == "OGG" and file.frames == 0:
                # libsndfile takes the length from the last page, which a cut file may lack.
                raise LibsndfileError(f"{path} has no last page")
            if file.format == "OGG" and file.channels > 2:
                # libsndfile leaves the channels in Vorbis's order, in which no other format has
                # them; FFmpeg brings them into that of WAV.
                raise LibsndfileError(f"{path} has channels in the order of Vorbis")
            self.channel_layout = layout_of_libsndfile(path, file.extra_info, file.channels)

    def blocks(self) -> Iterator[Waveform]:
        """Decode from the start.

        Yields:
            (C, n) float32.

        Raises:
            LibsndfileError: where the file is too damaged to go on, or goes on where libsndfile
                does not.
        """
        with self._open() as file:
            num_samples = 0
            for block in self._given(file):
                num_samples += block.shape[1]
                yield block
            self.is_whole = not self._is_cut(file, num_samples)
            goes_on = self._goes_on(file)
        if goes_on:
            raise LibsndfileGoesOnError(f"{self._path} goes on behind its last sample")

    def blocks_from(self, start: int) -> Iterator[Waveform] | None:
        """Decode from a sample on.

        Returns:
            As ``blocks``; None where finding the sample takes decoding what lies before it.
        """
        with self._open() as file:
            is_countable = file.format in _COUNTABLE_FORMATS and file.frames < _UNKNOWN_NUM_SAMPLES
            # Behind the last sample of a FLAC file the next file may begin.
            may_follow = self._is_flac and start >= file.frames
        return self._blocks_after(start) if is_countable and not may_follow else None

    def _blocks_after(self, start: int) -> Iterator[Waveform]:
        with self._open() as file:
            if start >= file.frames:
                return
            try:
                file.seek(start)
            except soundfile.LibsndfileError as error:
                raise LibsndfileError(f"{self._path}: {error}") from error
            yield from self._given(file)
            goes_on = self._goes_on(file)
        if goes_on:
            raise LibsndfileGoesOnError(f"{self._path} goes on behind its last sample")

    def _given(self, file: _SequentialFile) -> Iterator[Waveform]:
        length = block_samples(self.sample_rate, self.num_channels)
        while len(samples := self._read(file, length)):
            yield np.ascontiguousarray(samples.T)

    def _goes_on(self, file: _SequentialFile) -> bool:
        return self._is_flac and self._num_unread(file) > _MAX_TAG_BYTES

    @contextmanager
    def _open(self) -> Iterator[_SequentialFile]:
        part = self._part
        if part.start is None and self._is_flac:
            # To know where libsndfile stops.
            part = Part(0, self._path.stat().st_size)
        with ExitStack() as files:
            name: object = native_path(self._path)
            if part.start is not None:
                name = files.enter_context(Window(self._path, part))
            try:
                file = files.enter_context(_SequentialFile(name))
            # soundfile refuses headerless files by their suffix with a TypeError.
            except (soundfile.LibsndfileError, TypeError) as error:
                raise LibsndfileError(f"{self._path}: {error}") from error
            yield file

    def _read(self, file: _SequentialFile, num_samples: int) -> Waveform:
        try:
            samples: Waveform = file.read(num_samples, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise LibsndfileError(f"{self._path}: {error}") from error
        return samples

    def _num_unread(self, file: _SequentialFile) -> int:
        """How many bytes lie behind those that libsndfile asked for."""
        return file.name.num_unread if isinstance(file.name, Window) else 0

    def _is_cut(self, file: _SequentialFile, num_samples: int) -> bool:
        promised = 0 if file.frames == _UNKNOWN_NUM_SAMPLES else file.frames
        if file.format == "NIST":
            promised = _noted_in_sphere(self._path, self._part.start or 0)
        elif file.format in ("AVR", "MPC2K"):
            promised = max(map(int, _PROMISED_SAMPLES.findall(file.extra_info)), default=0)
        return (
            (promised - num_samples) / self.sample_rate > MISSING_SECONDS
            or _promises_more(file.extra_info)
            or (file.format == "OGG" and not _has_last_ogg_page(self._path, self._part))
        )


def _promises_more(log: str) -> bool:
    """Whether libsndfile noticed that the samples should go on."""
    found = _CHUNK_BEYOND_THE_END.findall(log)
    found += [(promised, given) for given, promised in _FEWER_THAN_PROMISED.findall(log)]
    is_more = any(int(given) < int(promised) < _UNKNOWN_SIZE for promised, given in found)
    return is_more or _TRUNCATED.search(log) is not None


def _has_last_ogg_page(path: Path, part: Part) -> bool:
    """Whether the last page is marked as such (RFC 3533, section 6: bit 3 of the header type)."""
    with path.open("rb") as file:
        end = part.end or path.stat().st_size
        start = max(part.start or 0, end - _MAX_OGG_PAGE_BYTES)
        file.seek(start)
        tail = file.read(end - start)
    page = tail.rfind(b"OggS")
    return 0 <= page < len(tail) - 5 and bool(tail[page + 5] & 4)


def _noted_in_sphere(path: Path, start: int) -> int:
    """Read the number of samples from a header of NIST's SPHERE, which libsndfile does not ask."""
    with path.open("rb") as file:
        file.seek(start)
        noted = re.search(rb"\nsample_count -i (\d+)\n", file.read(_MAX_TAG_BYTES))
    return int(noted[1]) if noted else 0


def _begins_with(path: Path, start: int, magic: bytes) -> bool:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(len(magic)) == magic
