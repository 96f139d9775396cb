"""Read any audio or video file as a float waveform."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Waveform = NDArray[np.float32]


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


def read_audio(path: str | Path) -> Recording:
    """Decode a file: libsndfile first, else the first audio track that FFmpeg finds.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty, no known audio or video format, or holds no samples or
            samples that are not finite.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise ValueError(f"{path} is not a file; name an audio or video file")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is an empty file; it may be an interrupted copy")
    try:
        samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
        recording = Recording(np.ascontiguousarray(samples.T), sample_rate)
    # soundfile refuses headerless files by their suffix with a TypeError.
    except (soundfile.LibsndfileError, TypeError):
        recording = _read_with_ffmpeg(path)
    except MemoryError as error:
        raise ValueError(
            f"{path} says it is too long to be held in memory; cut it, or repair its header"
        ) from error
    if recording.num_samples == 0:
        raise ValueError(f"{path} holds no audio samples; name a recording of some length")
    if not np.isfinite(recording.waveform).all():
        raise ValueError(f"{path} holds samples that are NaN or infinite; repair the file first")
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


def _read_with_ffmpeg(path: Path) -> Recording:
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise ValueError(f"{path} has no audio track; name a file with sound")
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp")
            frames = [
                converted.to_ndarray()
                for frame in container.decode(stream)
                for converted in resampler.resample(frame)
            ]
            frames += [converted.to_ndarray() for converted in resampler.resample(None)]
            sample_rate = stream.codec_context.sample_rate
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is not an audio or video file that libsndfile or FFmpeg can read; "
            "check that it plays, or convert it to WAV"
        ) from error
    if not frames:
        raise ValueError(f"{path} holds no audio samples; name a recording of some length")
    return Recording(np.concatenate(frames, axis=1).astype(np.float32, copy=False), sample_rate)
