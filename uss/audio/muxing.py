"""Copy a film with stems in the place of its audio tracks."""

from __future__ import annotations

import heapq
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from av import AudioFrame, AudioLayout
from av.audio.stream import AudioStream
from av.container import OutputContainer
from numpy.typing import NDArray

from uss.audio.films import (
    Packet,
    add_copies,
    clock_of,
    copied_packets,
    copy_notes,
    open_film,
    pictures,
    start_of_track,
    zero_seconds_of,
)
from uss.audio.layouts import ChannelLayout
from uss.core.arrays import Float64
from uss.core.errors import InputError
from uss.core.files import native_path, written_whole

logger = logging.getLogger(__name__)

_FORMATS = {".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4"}
_FULL_SCALE = 2**23
_BLOCK_SAMPLES = 16_384
# The channels that FLAC names (RFC 9639, section 9.1.3), by their number.
_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")


@dataclass(frozen=True)
class AudioTrack:
    """A stem for a film.

    Attributes:
        title: what players show.
        path: a file that libsndfile reads.
    """

    title: str
    path: Path


def check_film(film: Path) -> None:
    """Refuse a file whose pictures cannot be copied.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be opened, shows no more than a cover, or is coded in a way that
            no container for FLAC can hold.
    """
    film_suffix(film)


def film_suffix(film: Path, layout: ChannelLayout | None = None) -> str:
    """Choose the container of the copy.

    Args:
        film: the film.
        layout: of the stems' channels. MP4 holds FLAC without its comments, so that it knows only
            the usual layout of each number of channels.

    Returns:
        The film's own suffix in small letters where that container can hold FLAC of this layout
        beside the pictures as they are (Matroska and MP4), else ``.mkv``.

    Raises:
        FileNotFoundError, ValueError: as ``check_film``.
    """
    own = film.suffix.lower()
    with open_film(film) as source:
        # FFmpeg has no context for codecs that it does not know.
        contexts = [stream.codec_context for stream in pictures(source)]
        codecs = {context.name if context else "unknown" for context in contexts}
        is_own = _FORMATS.get(own, "none") in source.format.name
    if layout is not None and not layout.is_plain_flac and _FORMATS.get(own) == "mp4":
        is_own = False
    for suffix in (own, ".mkv") if is_own else (".mkv",):
        with av.open(os.devnull, "w", format=_FORMATS[suffix]) as container:
            if codecs <= container.supported_codecs:
                return suffix
    raise InputError(
        f"{film}: Matroska cannot hold {', '.join(sorted(codecs))} video; convert it to H.264"
    )


def mux_stems(
    film: Path,
    track: int,
    stems: Sequence[AudioTrack],
    output: Path,
    *,
    late_seconds: Fraction = Fraction(0),
) -> None:
    """Copy a film with stems as its audio tracks, in FLAC of 24 bits.

    The pictures are copied without decoding, with their times, rotation and metadata (FFmpeg only
    changes the framing of H.264 and HEVC from AVI and broadcasts); so are the subtitles, fonts,
    chapters and metadata that the container can hold. Not kept are the film's audio tracks, covers
    and data such as time codes; chapters and fonts before PyAV 16; and, in Matroska, times finer
    than a millisecond and the shape of pixels where only the old container told it.

    The stems start when the track's first decoded sample is heard, or ``late_seconds`` after that;
    the first is the default.
    Where that is before time 0, players of MP4 skip it, and Matroska delays the pictures instead.

    Args:
        film: the film.
        track: which of its audio tracks the stems come from, from 1.
        stems: 1 or more, of at most 8 channels.
        output: its suffix, ``film_suffix(film)`` or ``.mkv``, is the container.
        late_seconds: how much later than the track the stems begin; may be negative.

    Raises:
        FileNotFoundError: if there is no such film.
        ValueError: if the film, the stems or the container do not allow it.
        OSError: if the copy cannot be written.
    """
    container = _FORMATS.get(output.suffix.lower())
    if container is None:
        raise InputError(f"{output.name}: no container for FLAC; choose {', '.join(_FORMATS)}")
    if not stems or track < 1:
        raise InputError(
            f"{len(stems)} stems of audio track {track}; give 1 or more, of track 1 on"
        )
    start_seconds, layout = start_of_track(film, track)
    start_seconds += late_seconds
    clock = clock_of(film, track)
    with open_film(film) as source, written_whole(output) as part, _plain_errors(film, output):
        language = source.streams.audio[track - 1].language
        zero_seconds = zero_seconds_of(source)
        with av.open(str(part.absolute()), "w", format=container) as copy:
            copies = add_copies(source, copy)
            copy_notes(source, copy, zero_seconds)
            voices = [_add_voice(copy, stem, layout, language) for stem in stems]
            default: Any = av.stream.Disposition.default.value
            voices[0].disposition = default
            copy.start_encoding()
            flows = [copied_packets(film, source, copies, zero_seconds, clock)]
            for stem, voice in zip(stems, voices, strict=True):
                flows.append(_encoded(stem, voice, start_seconds - zero_seconds))
            for packet in heapq.merge(*flows, key=_seconds):
                copy.mux(packet)


@contextmanager
def _plain_errors(film: Path, output: Path) -> Iterator[None]:
    """Say in one line what went wrong in FFmpeg or libsndfile."""
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(output)) from error
        raise InputError(
            f"{film} cannot be copied to {output.name} ({error.strerror}); convert it to MP4 first"
        ) from error
    except soundfile.LibsndfileError as error:
        raise InputError(f"a stem cannot be read ({error}); separate the film anew") from error


def _add_voice(
    copy: OutputContainer, stem: AudioTrack, layout: AudioLayout, language: str | None
) -> AudioStream:
    """Add the track of a stem; libsndfile does not tell what its channels are, so the film does."""
    info = soundfile.info(native_path(stem.path))
    if info.channels > len(_LAYOUTS):
        raise InputError(
            f"{stem.title} has {info.channels} channels, and FLAC at most {len(_LAYOUTS)}; mix "
            "them down first"
        )
    is_alike = layout.nb_channels == info.channels and not layout.name.endswith(" channels")
    name = layout.name if is_alike else _LAYOUTS[info.channels - 1]
    voice: AudioStream = copy.add_stream("flac", info.samplerate, layout=name, format="s32")
    voice.metadata["title"] = stem.title
    if copy.format.name == "mp4":
        # Some players show this instead.
        voice.metadata["handler_name"] = stem.title
    if language is not None:
        voice.metadata["language"] = language
    return voice


def _encoded(stem: AudioTrack, voice: AudioStream, start_seconds: Fraction) -> Iterator[Packet]:
    with soundfile.SoundFile(native_path(stem.path)) as file:
        position, num_clipped = round(start_seconds * file.samplerate), 0
        for block in file.blocks(_BLOCK_SAMPLES, dtype="float64", always_2d=True):
            num_clipped += int(np.count_nonzero(np.abs(block) > 1.0))
            frame = AudioFrame.from_ndarray(_left_aligned(block), "s32", voice.layout.name)
            frame.sample_rate, frame.time_base = file.samplerate, Fraction(1, file.samplerate)
            frame.pts = position
            position += len(block)
            yield from voice.encode(frame)
    yield from voice.encode(None)
    if num_clipped:
        logger.warning("%s: %d samples beyond full scale are clipped", stem.title, num_clipped)


def _left_aligned(block: Float64) -> NDArray[np.int32]:
    """Round (T, C) samples to 24 bits; FFmpeg's encoder takes the upper ones of (1, T * C)."""
    rounded = np.rint(block * _FULL_SCALE).clip(-_FULL_SCALE, _FULL_SCALE - 1)
    return rounded.astype(np.int32).reshape(1, -1) << 8


def _seconds(packet: Packet) -> Fraction:
    """When a packet has to be decoded."""
    ticks = packet.pts if packet.dts is None else packet.dts
    return Fraction((ticks or 0) * packet.time_base)
