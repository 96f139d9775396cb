"""Read any audio or video file as a float waveform."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import soundfile
import soxr
from av import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Waveform = NDArray[np.float32]

# Estimates of MP3 and the padding of codecs are shorter.
_MISSING_SECONDS = 0.1
# Containers that note how long their tracks are; others estimate it from the size of the file.
_TIMED_CONTAINERS = frozenset({"mov", "matroska", "flac"})
_CHUNK_BEYOND_THE_END = re.compile(r"^ *(?:data|SSND) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
# Programs that write to a pipe cannot know the size, and write the largest number instead.
_UNKNOWN_SIZE = 0x7FFFF000
_MAX_OGG_PAGE_BYTES = 65_307


@dataclass(frozen=True)
class Recording:
    """A decoded file.

    Attributes:
        waveform: (C, T) float32; integer formats are scaled so that full scale is 1.
        sample_rate: in Hz.
    """

    waveform: Waveform
    sample_rate: int

    @property
    def num_channels(self) -> int:
        """C."""
        return int(self.waveform.shape[0])

    @property
    def num_samples(self) -> int:
        """T."""
        return int(self.waveform.shape[1])


class _Decoded(NamedTuple):
    """What a decoder gave, and whether that is the whole file."""

    recording: Recording
    is_whole: bool


def read_audio(path: str | Path, track: int = 1) -> Recording:
    """Decode a file: libsndfile first, else an audio track that FFmpeg finds.

    Of a damaged or cut file, what can be decoded is returned, with a warning in the log.

    Args:
        path: the file.
        track: which of a film's audio tracks, from 1; a file that libsndfile reads has one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty, no known audio or video format, has no such track, or holds no
            samples or samples that are not finite.
    """
    path = Path(path)
    if track < 1:
        raise ValueError(f"there is no audio track {track}; the first is 1")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise ValueError(f"{path} is not a file; name an audio or video file")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is an empty file; it may be an interrupted copy")
    decoded = _read_with_libsndfile(path)
    if decoded is None:
        decoded = _read_with_ffmpeg(path, track)
    else:
        _check_track(path, track, 1)
    recording = decoded.recording
    if recording.num_samples == 0:
        raise ValueError(f"{path} holds no audio samples; name a recording of some length")
    if not np.isfinite(recording.waveform).all():
        raise ValueError(f"{path} holds samples that are NaN or infinite; repair the file first")
    if not decoded.is_whole:
        logger.warning(
            "%s is damaged or cut off; the %.1f s of it that can be decoded are used",
            path,
            recording.num_samples / recording.sample_rate,
        )
    return recording


def read_mono(path: str | Path, sample_rate: int) -> Waveform:
    """Decode a file as the mean of its channels at the given rate.

    Returns:
        (T,) float32.

    Raises:
        FileNotFoundError, ValueError: as ``read_audio``.
    """
    recording = read_audio(path)
    return resample(recording.waveform.mean(axis=0), recording.sample_rate, sample_rate)


def resample(waveform: Waveform, from_hz: int, to_hz: int) -> Waveform:
    """Change the sample rate with soxr's high-quality linear-phase filter.

    Args:
        waveform: (..., T) float32.
        from_hz: its sample rate.
        to_hz: the rate wanted.

    Returns:
        (..., round(T * to_hz / from_hz)) float32; the input itself where the rates are equal.
    """
    if from_hz == to_hz:
        return waveform
    channels = waveform.reshape(-1, waveform.shape[-1])
    num_samples = round(waveform.shape[-1] * to_hz / from_hz)
    out = soxr.resample(channels.T.copy(), from_hz, to_hz).T[:, :num_samples]
    # soxr rounds the length its own way; one sample may be missing at the end.
    out = np.pad(out, ((0, 0), (0, num_samples - out.shape[1])))
    return np.ascontiguousarray(out, dtype=np.float32).reshape(*waveform.shape[:-1], num_samples)


def _read_with_libsndfile(path: Path) -> _Decoded | None:
    """Decode a file; None where FFmpeg has to try."""
    try:
        with soundfile.SoundFile(path) as file:
            num_samples, container, log = file.frames, file.format, file.extra_info
            samples = file.read(dtype="float32", always_2d=True)
            sample_rate = file.samplerate
    # soundfile refuses headerless files by their suffix with a TypeError.
    except (soundfile.LibsndfileError, TypeError):
        return None
    except MemoryError as error:
        raise ValueError(
            f"{path} says it is too long to be held in memory; cut it, or repair its header"
        ) from error
    if container == "OGG" and len(samples) == 0:
        # libsndfile takes the length from the last page, which a cut file lacks.
        return None
    is_cut = (
        (num_samples - len(samples)) / sample_rate > _MISSING_SECONDS
        or _ends_within_a_chunk(log)
        or (container == "OGG" and not _has_last_ogg_page(path))
    )
    return _Decoded(Recording(np.ascontiguousarray(samples.T), sample_rate), not is_cut)


def _ends_within_a_chunk(log: str) -> bool:
    """Whether libsndfile noticed that the samples of a WAV or AIFF file should go on."""
    return any(
        int(available) < int(promised) < _UNKNOWN_SIZE
        for promised, available in _CHUNK_BEYOND_THE_END.findall(log)
    )


def _has_last_ogg_page(path: Path) -> bool:
    """Whether the last page is marked as such (RFC 3533, section 6: bit 3 of the header type)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MAX_OGG_PAGE_BYTES))
        tail = file.read()
    page = tail.rfind(b"OggS")
    return 0 <= page < len(tail) - 5 and bool(tail[page + 5] & 4)


def _check_track(path: Path, track: int, num_tracks: int) -> None:
    if track <= num_tracks:
        return
    if num_tracks == 0:
        raise ValueError(f"{path} has no audio track; name a file with sound")
    has, remedy = (
        ("1 audio track", "choose track 1")
        if num_tracks == 1
        else (f"{num_tracks} audio tracks", f"choose 1 to {num_tracks}")
    )
    raise ValueError(f"{path} has {has}, so there is no track {track}; {remedy}")


def _read_with_ffmpeg(path: Path, track: int) -> _Decoded:
    unreadable = (
        f"{path} is not an audio or video file that libsndfile or FFmpeg can read, or it is cut "
        "off before its index; check that it plays, or convert it to WAV"
    )
    try:
        with av.open(str(path)) as container:
            _check_track(path, track, len(container.streams.audio))
            stream = container.streams.audio[track - 1]
            blocks, is_whole = _decode(container, stream)
            sample_rate = stream.codec_context.sample_rate
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise ValueError(unreadable) from error
    if not blocks and not is_whole:
        raise ValueError(unreadable)
    if not blocks:
        raise ValueError(f"{path} holds no audio samples; name a recording of some length")
    return _Decoded(Recording(np.concatenate(blocks, axis=1), sample_rate), is_whole)


def _decode(container: InputContainer, stream: AudioStream) -> tuple[list[Waveform], bool]:
    """Decode a track; silence takes the place of broken packets, so that the rest keeps its time.

    Returns:
        Blocks of (C, T), and whether nothing is broken or missing.
    """
    resampler = av.AudioResampler(format="fltp")
    blocks: list[Waveform] = []
    is_whole, is_gap, end_seconds = True, False, 0.0
    try:
        for packet in container.demux(stream):
            is_whole = is_whole and not packet.is_corrupt
            try:
                frames = packet.decode()
            except av.FFmpegError:
                is_whole, is_gap = False, True
                continue
            for frame in frames:
                if is_gap and blocks and frame.time is not None:
                    missing = round((frame.time - end_seconds) * frame.sample_rate)
                    blocks.append(np.zeros((len(blocks[0]), max(0, missing)), np.float32))
                is_gap = False
                blocks += _samples(resampler.resample(frame))
                if frame.time is not None:
                    end_seconds = frame.time + frame.samples / frame.sample_rate
    except av.FFmpegError:
        is_whole = False
    if blocks:
        blocks += _samples(resampler.resample(None))
    promised = _promised_end_seconds(container, stream)
    return blocks, is_whole and end_seconds >= promised - _MISSING_SECONDS


def _samples(frames: Sequence[AudioFrame]) -> list[Waveform]:
    return [np.asarray(frame.to_ndarray(), np.float32) for frame in frames]


def _promised_end_seconds(container: InputContainer, stream: AudioStream) -> float:
    """When a track ends according to its container; 0 where that does not say."""
    if container.format.name.split(",")[0] not in _TIMED_CONTAINERS:
        return 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    # Matroska notes the time in a tag, as 00:00:05.064000000.
    noted = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if noted is None:
        return 0.0
    hours, minutes, seconds = noted.groups()
    return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)
