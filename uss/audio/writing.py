"""Write waveforms so that a file appears under its name only when it is complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from uss.audio.file_notes import FileNotes
from uss.audio.formats import check_capacity, file_format, num_bits
from uss.audio.layouts import ChannelLayout, check_layout
from uss.audio.noting import note, placeholder
from uss.audio.wave_chunks import forget_when
from uss.core.arrays import Floats, Waveform
from uss.core.errors import InputError
from uss.core.files import native_path, written_whole

_RESERVED_NAMES = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)
}
# Surrogates stand for bytes that are no UTF-8.
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\ud800-\udfff]+')
_UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
MAX_NAME_BYTES = 120
"""Of what ``safe_file_name`` makes."""


class AudioWriter:
    """A file that grows block by block, and takes its name when the ``with`` block ends well.

    Otherwise nothing of it is left, and an older file of that name is untouched.

    Args:
        path: ends in ``.wav`` or ``.flac``, which is the format.
        sample_rate: in Hz.
        num_channels: C.
        subtype: as libsndfile names it, such as ``FLOAT`` or ``PCM_24``.
        num_samples: how many will be written, 1 or more; WAV beyond 4 GB becomes RF64.
        layout: which speakers the channels are for; None leaves it open.
        notes: what the file says of itself; WAV becomes Broadcast Wave by them.

    Attributes:
        num_clipped: values beyond full scale so far, all channels counted; 0 for float formats.

    Raises:
        ValueError: if the format cannot hold the subtype, rate or channels, or no sample is to be
            written.
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: int,
        num_channels: int,
        subtype: str,
        num_samples: int,
        *,
        layout: ChannelLayout | None = None,
        notes: FileNotes | None = None,
    ) -> None:
        self._path = Path(path)
        self._container = container = self._path.suffix[1:].lower()
        try:
            check_capacity(container, subtype, sample_rate, num_channels)
            check_layout(container, layout)
        except ValueError as error:
            raise InputError(f"{self._path.name}: {error}") from error
        if num_samples < 1:
            raise InputError(f"{self._path.name}: a file needs a sample, not {num_samples}")
        self.num_clipped = 0
        self._num_written = 0
        self._bits = num_bits(subtype)
        self._num_samples = num_samples
        is_noted = layout is not None and layout.mask is not None and not layout.is_plain
        self._noted = layout if is_noted else None
        self._notes = notes
        form = file_format(container, subtype, num_channels, num_samples)
        self._options = {
            "samplerate": sample_rate,
            "channels": num_channels,
            "subtype": subtype,
            "format": "WAVEX" if self._noted and form == "WAV" else form,
        }

    def __enter__(self) -> AudioWriter:
        self._context = self._open()
        self._file = self._context.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """End the file.

        Raises:
            OSError: if the disk is full.
            ValueError: if more or fewer samples were written than the constructor was told.
        """
        return self._context.__exit__(kind, error, traceback)

    def write(self, waveform: Floats) -> Floats:
        """Append a block.

        Args:
            waveform: (C, n) float32 or float64, finite.

        Returns:
            (C, n) the block exactly as the file holds it, rounded and clipped for PCM: float64 for
            ``DOUBLE`` and ``PCM_32``, float32 for the others.

        Raises:
            OSError: if the disk is full.
        """
        if self._bits is None:
            dtype = np.float64 if self._options["subtype"] == "DOUBLE" else np.float32
            held: Floats = waveform.astype(dtype, copy=False)
            self._append(held)
            return held
        self.num_clipped += int(np.count_nonzero(np.abs(waveform) > 1.0))
        full_scale = 2.0 ** (self._bits - 1)
        levels = np.rint(waveform.astype(np.float64) * full_scale)
        np.clip(levels, -full_scale, full_scale - 1.0, out=levels)
        # libsndfile takes the upper bits of integers as they are, but rounds floats its own way.
        self._append((levels * 2.0 ** (32 - self._bits)).astype(np.int32))
        return (levels / full_scale).astype(np.float64 if self._bits == 32 else np.float32)

    @contextmanager
    def _open(self) -> Iterator[soundfile.SoundFile]:
        with written_whole(self._path) as part:
            # Python says why a file cannot be made; libsndfile does not.
            part.touch()
            with self._blaming_the_disk():
                file = soundfile.SoundFile(native_path(part), "w", **self._options)
            room = placeholder(self._container, self._notes, self._noted)
            if room is not None:
                file.comment = room
            try:
                yield file
                if self._num_written != self._num_samples:
                    raise InputError(
                        f"{self._path}: {self._num_written} samples were written, not "
                        f"{self._num_samples} as announced"
                    )
            except BaseException:
                with suppress(soundfile.LibsndfileError):
                    file.close()
                raise
            with self._blaming_the_disk():
                file.close()
                num_held = soundfile.info(native_path(part)).frames
            # FLAC writes its last samples when it is closed, and libsndfile forgets its errors.
            if num_held != self._num_samples:
                raise self._disk_is_full()
            if self._container == "wav":
                forget_when(part)
            note(part, self._container, self._notes, self._noted)

    @contextmanager
    def _blaming_the_disk(self) -> Iterator[None]:
        try:
            yield
        # soundfile asserts that all samples were written.
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise self._disk_is_full() from error

    def _disk_is_full(self) -> OSError:
        return OSError(
            f"{self._path} cannot be written to its end; the disk is full, or holds no files of "
            "that size: make room, or choose another output folder"
        )

    def _append(self, samples: NDArray[Any]) -> None:
        with self._blaming_the_disk():
            self._file.write(samples.T)
        self._num_written += samples.shape[1]


def write_audio(path: str | Path, waveform: Waveform, sample_rate: int, subtype: str) -> Floats:
    """Write a file; its suffix is the format.

    Args:
        path: ends in ``.wav`` or ``.flac``.
        waveform: (C, T) float32.
        sample_rate: in Hz.
        subtype: as libsndfile names it, such as ``FLOAT`` or ``PCM_24``.

    Returns:
        (C, T) the waveform as the file holds it, as ``AudioWriter.write``.

    Raises:
        OSError: if the disk is full.
        ValueError: if the format cannot hold the subtype, rate or channels.
    """
    num_channels, num_samples = waveform.shape
    with AudioWriter(path, sample_rate, num_channels, subtype, num_samples) as writer:
        return writer.write(waveform)


def safe_file_name(name: str) -> str:
    """Make a name that every file system takes, and that people still recognise."""
    # Marks of direction and of no width would hide what a file is called.
    safe = _UNSAFE.sub("_", _UNSEEN.sub("", name)).strip(" .")
    safe = safe.encode()[:MAX_NAME_BYTES].decode(errors="ignore").rstrip(" .") or "_"
    return f"{safe}_" if safe.split(".")[0].casefold() in _RESERVED_NAMES else safe
