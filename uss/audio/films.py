"""Copying what a film shows, packet by packet, as it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av import AudioLayout
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from uss.audio.clocks import Clock, clocked_streams
from uss.audio.layouts import settled_layout
from uss.audio.parts import find_parts
from uss.audio.tracks import CLOCKED_CONTAINERS, check_track, tracks_in
from uss.core.errors import InputError

logger = logging.getLogger(__name__)

Packet = Any  # generic in new versions of PyAV only

# Apple's players refuse HEVC under the tag that FFmpeg chooses.
_KEPT_CODEC_TAGS = frozenset({"hvc1", "dvh1"})
_NOTES_ON_THE_CONTAINER = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id"}
)


@contextmanager
def open_film(film: Path) -> Iterator[InputContainer]:
    """Open a film for the time of a ``with`` block.

    Raises:
        FileNotFoundError: if there is no such film.
        ValueError: if it cannot be opened or has no moving pictures.
    """
    if not film.exists():
        raise FileNotFoundError(f"{film}: no such file; check the path")
    try:
        # FFmpeg takes a relative path with a colon for the address of a server.
        source = av.open(str(film.absolute()))
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise InputError(
            f"{film} is no film that FFmpeg can open, or it is cut off before its index; check "
            "that it plays"
        ) from error
    with source:
        if not pictures(source):
            raise InputError(f"{film} has no moving pictures; name a film")
        yield source


def pictures(source: InputContainer) -> list[Stream]:
    """List the video streams, without covers."""
    cover = av.stream.Disposition.attached_pic
    return [stream for stream in source.streams.video if not stream.disposition & cover]


def zero_seconds_of(source: InputContainer) -> Fraction:
    """Read what the film's clock shows when it starts."""
    is_clocked = source.format.name in CLOCKED_CONTAINERS
    return Fraction((source.start_time or 0) if is_clocked else 0, av.time_base)


def start_of_track(film: Path, track: int) -> tuple[Fraction, AudioLayout]:
    """Decode the first frame of a track: when it is heard, in seconds, and its channels."""
    with open_film(film) as source:
        tracks = tracks_in(source)
        check_track(film, track, len(tracks), tracks)
        stream = source.streams.audio[track - 1]
        settled_layout(stream)
        for packet in source.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                return (frame.pts or 0) * Fraction(frame.time_base or 1), frame.layout
    raise InputError(f"{film}: nothing of audio track {track} can be decoded; choose another")


def clock_of(film: Path, track: int) -> Clock:
    """Read how the film's clock goes, by its pictures and an audio track."""
    if len(find_parts(film)) > 1:
        logger.warning(
            "%s consists of films that follow each other; the copy has the pictures of the first",
            film,
        )
    with open_film(film) as source:
        return Clock(source, clocked_streams(source, source.streams.audio[track - 1]))


def add_copies(source: InputContainer, copy: OutputContainer) -> dict[int, Stream]:
    """Add the streams to copy; they are returned by their index in the film."""
    moving = pictures(source)
    copies: dict[int, Stream] = {}
    for stream in source.streams:
        if stream not in moving and stream.type not in ("subtitle", "attachment"):
            continue
        try:
            # Opaque, as FFmpeg may lack an encoder for what is only copied.
            copied: Any = copy.add_stream_from_template(stream, opaque=True)
        except ValueError as error:
            if stream in moving:
                raise InputError(
                    f"{source.name}: its pictures cannot be copied ({error}); convert it to MP4 or "
                    "Matroska first"
                ) from error
            logger.warning("a %s track is left out of the film's copy: %s", stream.type, error)
            continue
        copied.disposition = stream.disposition.value
        copied.metadata.update(_lasting(stream.metadata))
        if stream.codec_context and stream.codec_context.codec_tag in _KEPT_CODEC_TAGS:
            copied.codec_context.codec_tag = stream.codec_context.codec_tag
        copies[stream.index] = copied
    return copies


def copy_notes(source: InputContainer, copy: OutputContainer, zero_seconds: Fraction) -> None:
    """Copy metadata and chapters, of a film that starts at ``zero_seconds``."""
    copy.metadata.update(_lasting(source.metadata))
    if hasattr(copy, "set_chapters"):
        chapters = source.chapters()
        for chapter in chapters:
            late = round(zero_seconds / (chapter["time_base"] or 1))
            chapter["start"] -= late
            chapter["end"] -= late
        copy.set_chapters(chapters)


def _lasting(metadata: Mapping[str, str]) -> dict[str, str]:
    return {k: text for k, text in metadata.items() if k.lower() not in _NOTES_ON_THE_CONTAINER}


def copied_packets(
    film: Path,
    source: InputContainer,
    copies: Mapping[int, Stream],
    zero_seconds: Fraction,
    clock: Clock,
) -> Iterator[Packet]:
    """Give the packets to copy, in the film's order, with times that start at ``zero_seconds``."""
    copied = {i for i, stream in copies.items() if stream.type != "attachment"}
    streams = [source.streams[i] for i in sorted(copied | clock.followed)]
    clock.restart()
    try:
        for packet in source.demux(streams):
            shift = clock.shift(packet) - zero_seconds
            # The last packet of each stream only ends it.
            if packet.stream.index not in copied or (packet.size == 0 and packet.dts is None):
                continue
            late = round(shift / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + late
            packet.dts = None if packet.dts is None else packet.dts + late
            packet.stream = copies[packet.stream.index]
            yield packet
    except av.FFmpegError as error:
        logger.warning("%s is damaged; the copy ends there (%s)", film, error.strerror)
