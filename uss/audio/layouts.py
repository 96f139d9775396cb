"""Which speaker each channel is for, and how WAV notes it."""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from av import AudioLayout
from av.audio.stream import AudioStream

from uss.audio.wave_chunks import chunks_of
from uss.core.errors import InputError

# The bits of dwChannelMask in WAVE_FORMAT_EXTENSIBLE, from the lowest on, as FFmpeg names them.
# fmt: off
_SPEAKERS = (
    "FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC",
    "TFL", "TFC", "TFR", "TBL", "TBC", "TBR",
)
# fmt: on
_PLAIN_MASKS = {1: 0x4, 2: 0x3}
# RFC 9639, section 9.1.3; the surround channels of 5 and 6 are called "back/surround" there, and
# FFmpeg and its players put them to the sides.
# fmt: off
_MASKS_OF_FLAC = {
    1: 0x4, 2: 0x3, 3: 0x7, 4: 0x33, 5: 0x607, 6: 0x60F, 7: 0x70F, 8: 0x63F,
}
# fmt: on
_ALIKE_IN_FLAC = {0x37: 0x607, 0x3F: 0x60F}
_MASK_BYTES_INTO_FORMAT = 20
_MAX_HEADER_BYTES = 2**16
# What libsndfile calls the speakers of CAF and AIFF files.
# fmt: off
_SPEAKERS_OF_APPLE = {
    "L": "FL", "R": "FR", "C": "FC", "LFE": "LFE", "Ls": "SL", "Rs": "SR", "Cs": "BC",
    "Lfront": "FL", "Rfront": "FR", "Lrear": "BL", "Rrear": "BR",
}
# fmt: on
_LOGGED_SPEAKERS = re.compile(r"^ *Layout : .*\((.*?),?\)$", re.MULTILINE)
_LOGGED_BITMAP = "Layout : Use channel bitmap"
# The tag kAudioChannelLayoutTag_UseChannelBitmap, 1 << 16, then the bitmap.
_APPLE_BITMAP = re.compile(rb"(?:chan.{8}|CHAN.{4})\x00\x01\x00\x00(.{4})", re.DOTALL)
_NOTED_IN_FLAC = re.compile(rb"(?i:WAVEFORMATEXTENSIBLE_CHANNEL_MASK)=0x([0-9A-Fa-f]{1,8})")
_LOGGED_MASK = re.compile(r"^ *Channel Mask *: 0x([0-9A-Fa-f]+)", re.MULTILINE)


@dataclass(frozen=True)
class ChannelLayout:
    """The speakers that a recording's channels are for.

    Attributes:
        name: as FFmpeg calls them, such as ``5.1(side)``.
        mask: one bit per speaker, in the order of the channels; None where no mask can tell, as
            the channels come in another order or are for other speakers.
    """

    name: str
    mask: int | None

    @classmethod
    def of_mask(cls, mask: int, num_channels: int) -> ChannelLayout | None:
        """Take what a WAV header says; None if it does not say which channel is which."""
        known = mask & (2 ** len(_SPEAKERS) - 1)
        if known != mask or mask.bit_count() != num_channels:
            return None
        return cls(AudioLayout(f"0x{mask:x}").name, mask)

    @classmethod
    def of_ffmpeg(cls, layout: AudioLayout) -> ChannelLayout | None:
        """Take what FFmpeg found; None if the channels are only numbered."""
        names = [channel.name for channel in layout.channels]
        return cls.of_speakers(layout.name, names)

    @classmethod
    def of_speakers(cls, name: str, speakers: Sequence[str | None]) -> ChannelLayout | None:
        """Name the speaker of each channel as FFmpeg does; None if none is known."""
        bits = [_SPEAKERS.index(each) for each in speakers if each in _SPEAKERS]
        if not bits:
            return None
        is_in_order = len(bits) == len(speakers) and bits == sorted(set(bits))
        if not is_in_order:
            return cls(name, None)
        return cls.of_mask(sum(1 << bit for bit in bits), len(bits))

    @property
    def is_plain(self) -> bool:
        """Whether files of as many channels are understood so without being told."""
        return self.mask is not None and _PLAIN_MASKS.get(self.mask.bit_count()) == self.mask

    @property
    def is_plain_flac(self) -> bool:
        """Whether FLAC means so even where its comments are lost, as in MP4."""
        if self.mask is None:
            return False
        mask = _ALIKE_IN_FLAC.get(self.mask, self.mask)
        return _MASKS_OF_FLAC.get(mask.bit_count()) == mask


def layout_of_libsndfile(path: Path, log: str, num_channels: int) -> ChannelLayout | None:
    """Find what a file that libsndfile decodes says of its channels.

    Args:
        path: the file.
        log: what libsndfile says of it.
        num_channels: C.
    """
    if mask := _LOGGED_MASK.search(log):
        return ChannelLayout.of_mask(int(mask.group(1), 16), num_channels)
    if log.startswith(("fLaC", "FLAC")) or "FLAC Stream" in log:
        return _layout_of_flac(path, num_channels)
    if speakers := _LOGGED_SPEAKERS.search(log):
        names = [_SPEAKERS_OF_APPLE.get(each.strip()) for each in speakers.group(1).split(",")]
        return ChannelLayout.of_speakers(f"({speakers.group(1)})", names)
    if _LOGGED_BITMAP in log:
        return ChannelLayout.of_mask(_bitmap_of_apple(path), num_channels)
    return None


def _layout_of_flac(path: Path, num_channels: int) -> ChannelLayout | None:
    with path.open("rb") as file:
        noted = _NOTED_IN_FLAC.search(file.read(_MAX_HEADER_BYTES))
    mask = int(noted.group(1), 16) if noted else _MASKS_OF_FLAC.get(num_channels, 0)
    return ChannelLayout.of_mask(mask, num_channels)


def _bitmap_of_apple(path: Path) -> int:
    """The channel bitmap of a CAF or AIFF file, whose bits are those of WAV."""
    with path.open("rb") as file:
        found = _APPLE_BITMAP.search(file.read(_MAX_HEADER_BYTES))
    return int.from_bytes(found.group(1), "big") if found else 0


def settled_layout(stream: AudioStream) -> ChannelLayout | None:
    """Find what FFmpeg says of a track's channels, before it is decoded.

    PyAV frees the list of a layout of any order twice, which ends the process. So one reference to
    it is never given back, and the decoder is told to number the channels as usual.

    Raises:
        ValueError: if FFmpeg has no decoder for the track.
    """
    if stream.codec_context is None:
        raise InputError(
            f"{stream.container.name} has sound that is coded in a way FFmpeg does not know; "
            "convert it to WAV with the program that made it"
        )
    layout = stream.codec_context.layout
    if not layout.name.endswith(")") or " channels (" not in layout.name:
        return ChannelLayout.of_ffmpeg(layout)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
    found = ChannelLayout.of_ffmpeg(layout)
    stream.codec_context.layout = AudioLayout(f"{layout.nb_channels}C")
    return found


def check_layout(container: str, layout: ChannelLayout | None) -> None:
    """Refuse a format that would turn a layout into another, before any work is done.

    WAV can leave open which channel is which; FLAC cannot.

    Raises:
        ValueError: naming the layout.
    """
    if container.lower() == "flac" and layout is not None and layout.mask is None:
        raise InputError(
            f"flac cannot note the channels {layout.name}, and players would take them for others; "
            "write WAV (--format wav, without --mux)"
        )


def note_layout(path: Path, layout: ChannelLayout) -> None:
    """Write the channel mask into a complete file of libsndfile's: WAVEX or RF64.

    libsndfile would take the mask from its callers, but soundfile does not hand it on.

    Args:
        path: the file.
        layout: has a mask.
    """
    assert layout.mask is not None
    with path.open("r+b") as file:
        place = next(each.start for each in chunks_of(file) if each.name == b"fmt ")
        file.seek(place + _MASK_BYTES_INTO_FORMAT)
        file.write(struct.pack("<I", layout.mask))
