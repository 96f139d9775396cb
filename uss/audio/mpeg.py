"""Where a stream of MPEG audio (MP3) begins anew (ISO/IEC 11172-3; the header of Xing and LAME)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from uss.audio.windows import Part

_SEARCHED_BYTES = 65_536
_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)
# Two bytes of delay and padding, 12 bits each.
_LAME_PADDING = 21


@dataclass(frozen=True)
class _Frame:
    num_bytes: int
    num_samples: int
    sample_rate: int
    num_channels: int
    layer: int
    side_bytes: int

    @property
    def kind(self) -> tuple[int, int, int]:
        return self.sample_rate, self.num_channels, self.layer


@dataclass
class _Stream:
    """Frames that one encoder made."""

    start: int
    end: int
    kind: tuple[int, int, int]
    promised_frames: int | None = None
    promised_seconds: float = 0.0
    num_frames: int = 0


def mpeg_parts(file: BinaryIO, start: int, size: int) -> list[Part] | None:
    """Find the streams of a file in which MP3 files follow each other.

    Args:
        file: the file.
        start: where tags end.
        size: of the file in bytes.

    Returns:
        One part for each stream; None if there is no MPEG audio.
    """
    first = _parse(file, start)
    if first is None or (_parse(file, start + first.num_bytes) is None and not _is_last(file)):
        return None
    streams = [stream for stream in _streams(file, start, size) if stream.num_frames]
    if len(streams) < 2:
        promised = streams[0].promised_seconds if streams else 0.0
        return [Part(is_mpeg=True, promised_seconds=promised)]
    return [
        Part(each.start, each.end, is_mpeg=True, promised_seconds=each.promised_seconds)
        for each in streams
    ]


def _is_last(file: BinaryIO) -> bool:
    """Whether a frame is the only one: nothing could be read behind it."""
    return not file.read(1)


def _streams(file: BinaryIO, position: int, size: int) -> list[_Stream]:
    streams: list[_Stream] = []
    while position < size:
        frame = _parse(file, position)
        if frame is None:
            found = _next_frame(file, position + 1, size)
            if found is None:
                break
            position = found
            continue
        note = _noted(file, position, frame)
        current = streams[-1] if streams else None
        is_over = current is not None and current.num_frames == current.promised_frames
        if current is None or note is not None or is_over or frame.kind != current.kind:
            current = _Stream(position, position, frame.kind)
            streams.append(current)
        if note is not None:
            current.promised_frames, current.promised_seconds = note
        else:
            current.num_frames += 1
        position += frame.num_bytes
        current.end = min(size, position)
        if note is not None and note[0] is None:
            current.promised_frames = None
    return streams


def _parse(file: BinaryIO, position: int) -> _Frame | None:
    file.seek(position)
    header = file.read(4)
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return None
    version, layer = (header[1] >> 3) & 3, 4 - ((header[1] >> 1) & 3)
    bitrate, rate, padding = header[2] >> 4, (header[2] >> 2) & 3, (header[2] >> 1) & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    is_first = version == 3
    kbps = _KBPS[(1, layer) if is_first else (2, min(layer, 2))][bitrate - 1]
    hz = _RATES[rate] >> (0 if is_first else 1 if version == 2 else 2)
    num_samples = 384 if layer == 1 else 576 if layer == 3 and not is_first else 1_152
    unit = 4 if layer == 1 else 1
    num_bytes = (num_samples // 8 * 1_000 * kbps // hz // unit + padding) * unit
    num_channels = 1 if header[3] >> 6 == 3 else 2
    side = {(True, 1): 17, (True, 2): 32, (False, 1): 9, (False, 2): 17}[is_first, num_channels]
    return _Frame(num_bytes, num_samples, hz, num_channels, layer, side)


def _next_frame(file: BinaryIO, position: int, size: int) -> int | None:
    """Find the next two frames in a row; tags lie between streams, and damage anywhere."""
    while position < size:
        file.seek(position)
        piece = file.read(_SEARCHED_BYTES)
        offset = piece.find(0xFF)
        while offset >= 0:
            frame = _parse(file, position + offset)
            if frame is not None:
                after = position + offset + frame.num_bytes
                following = _parse(file, after)
                if after == size or (following is not None and following.kind == frame.kind):
                    return position + offset
            offset = piece.find(0xFF, offset + 1)
        position += len(piece)
    return None


def _noted(file: BinaryIO, position: int, frame: _Frame) -> tuple[int | None, float] | None:
    """Read the header of Xing or LAME in a frame's place: how many frames follow, and seconds."""
    if frame.layer != 3:
        return None
    file.seek(position + 4 + frame.side_bytes)
    tag = file.read(8)
    if not tag.startswith((b"Xing", b"Info")):
        return None
    flags = tag[7]
    if not flags & 1:
        return None, 0.0
    num_frames = int.from_bytes(file.read(4), "big")
    file.read(sum(size for bit, size in ((2, 4), (4, 100), (8, 4)) if flags & bit))
    lame = file.read(_LAME_PADDING + 3)
    cut = int.from_bytes(lame[_LAME_PADDING:], "big") if len(lame) == _LAME_PADDING + 3 else 0
    num_cut = (cut >> 12) + (cut & 0xFFF)
    num_samples = max(0, num_frames * frame.num_samples - num_cut)
    return num_frames, num_samples / frame.sample_rate
