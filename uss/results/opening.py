"""Opening recordings: what would fail after the work is refused before it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from uss.audio import AudioFile, AudioSource, check_capacity, check_layout
from uss.audio.envelopes import Envelope
from uss.audio.excerpting import Excerpt
from uss.audio.muxing import check_film
from uss.audio.scale import scale_hint
from uss.audio.sources import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.results.file_settings import FileSettings
from uss.results.recordings import Input

logger = logging.getLogger(__name__)


def open_recording(path: Path, track: int | None) -> AudioFile:
    """Open a file to be separated.

    Args:
        path: the file.
        track: which of its audio tracks, from 1; None for the default.

    Raises:
        OSError, ValueError: as ``AudioFile``; or if it is a folder, or its sample rate is absurd.
    """
    if path.is_dir():
        raise InputError(
            f"the folder {path} holds no audio or video file (folders in it are searched with "
            "--recursive only); name an audio or video file, or a folder with some"
        )
    file = AudioFile(path, track)
    if not MIN_SAMPLE_RATE <= file.sample_rate <= MAX_SAMPLE_RATE:
        raise InputError(
            f"{path} has a sample rate of {file.sample_rate} Hz by its header, which may be "
            f"damaged; give {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
        )
    return file


def open_checked(recording: Input, settings: FileSettings) -> Excerpt:
    """Open a recording, and refuse before the work what would fail after it."""
    path = recording.path
    file = open_recording(path, recording.track or settings.track)
    if recording.track is None and settings.track is None:
        _tell_of_others(file)
    span = (settings.start_seconds, settings.end_seconds)
    source = Excerpt(file, *span, is_aligned=settings.is_aligned)
    form = settings.output_format
    if not settings.detect_only:
        check_capacity(form.suffix, form.subtype, source.sample_rate, source.num_channels)
        check_layout(form.suffix, source.channel_layout)
    if settings.mux:
        check_film(path)
        check_capacity("flac", "PCM_24", source.sample_rate, source.num_channels)
        check_layout("flac", source.channel_layout)
    return source


def _tell_of_others(file: AudioFile) -> None:
    """Say which track of a film was taken where nobody chose."""
    if len(file.tracks) > 1:
        taken = file.tracks[file.track - 1]
        others = ", ".join(str(each) for each in file.tracks if each is not taken)
        logger.info("%s: audio track %s is taken, not %s", file.path, taken, others)


def check_scale(path: Path, envelope: Envelope) -> None:
    """Warn of a file of floating-point samples that are integers."""
    peak = max(float(envelope.high.max(initial=0.0)), -float(envelope.low.min(initial=0.0)))
    hint = scale_hint(peak)
    if hint is not None:
        logger.warning("%s: %s", path, hint)


class Watched:
    """A recording whose reading is counted in seconds."""

    def __init__(self, source: AudioSource, heard: Callable[[float], object]) -> None:
        self.sample_rate = source.sample_rate
        self.num_channels = source.num_channels
        self._source = source
        self._heard = heard

    def blocks(self) -> Iterator[Waveform]:
        """See ``AudioSource``."""
        for block in self._source.blocks():
            self._heard(block.shape[1] / self.sample_rate)
            yield block
