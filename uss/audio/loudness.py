"""Loudness of a written file after EBU R128, by FFmpeg's meter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import soundfile
from av.filter import Graph

from uss.audio.layouts import ChannelLayout
from uss.core.files import native_path

_PLAIN = {1: "mono", 2: "stereo"}
# Blocks below count as silence (ITU-R BS.1770-4, the absolute gate).
_GATE_LUFS = -70.0
# Where the meter's scale ends; samples of integers stored as floats lie beyond.
_TOP_LUFS = 10.0
# The weighting has a shelf from 1.7 kHz on.
_MIN_RATE = 4_000
_PREFIX = "lavfi.r128."


@dataclass(frozen=True)
class Loudness:
    """What BWF notes of loudness; None where too little sounds to tell.

    The true peak is left out: it takes longer than all the rest.

    Attributes:
        integrated_lufs: of the whole file.
        range_lu: between its quiet and its loud parts.
        momentary_lufs: of the loudest 0.4 s.
        short_term_lufs: of the loudest 3 s.
    """

    integrated_lufs: float | None
    range_lu: float | None
    momentary_lufs: float | None
    short_term_lufs: float | None

    @property
    def in_order(self) -> tuple[float | None, ...]:
        """As BWF has them: value, range, true peak, momentary, short-term."""
        return (
            self.integrated_lufs,
            self.range_lu,
            None,
            self.momentary_lufs,
            self.short_term_lufs,
        )


def loudness_of(path: Path, layout: ChannelLayout | None) -> Loudness | None:
    """Measure a file that libsndfile reads, in blocks of a second.

    Args:
        path: the file.
        layout: of its channels, as surround channels count for more; None for mono and stereo.

    Returns:
        None where nobody knows which channel is which, or the rate is too low to weight it.
    """
    with soundfile.SoundFile(native_path(path)) as file:
        mask = None if layout is None else layout.mask
        # FFmpeg has no name for most sets of speakers.
        name = f"0x{mask:x}" if mask else _PLAIN.get(file.channels)
        if name is None or file.samplerate < _MIN_RATE:
            return None
        integrated, spread, momentary, short_term = _GATE_LUFS, 0.0, _GATE_LUFS, _GATE_LUFS
        for noted in _measured(file, name):
            momentary = max(momentary, float(noted[f"{_PREFIX}M"]))
            short_term = max(short_term, float(noted[f"{_PREFIX}S"]))
            integrated = float(noted[f"{_PREFIX}I"])
            spread = float(noted[f"{_PREFIX}LRA"])
    is_heard = _known(integrated) is not None
    spread_known = spread if is_heard else None
    return Loudness(_known(integrated), spread_known, _known(momentary), _known(short_term))


def _known(lufs: float) -> float | None:
    return lufs if _GATE_LUFS < lufs < _TOP_LUFS else None


def _measured(file: soundfile.SoundFile, layout: str) -> Iterator[dict[str, str]]:
    """Give what the meter notes at every tenth of a second."""
    rate, graph = file.samplerate, Graph()
    source = graph.add_abuffer(
        sample_rate=rate, format="flt", layout=layout, time_base=Fraction(1, rate)
    )
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    position = 0
    while len(samples := file.read(rate, dtype="float32", always_2d=True)):
        # Interleaved: of planes PyAV takes fewer than eight.
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, position
        position += len(samples)
        source.push(frame)
        yield from _pulled(sink)


def _pulled(sink: av.filter.context.FilterContext) -> Iterator[dict[str, str]]:
    while True:
        try:
            noted = dict(sink.pull().metadata)
        except (av.BlockingIOError, av.EOFError):
            return
        if f"{_PREFIX}I" in noted:
            yield noted
