"""AAF: an audio-only composition of linked files, for Pro Tools, Media Composer and Resolve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uss.core.files import written_whole
from uss.interchange.cells import plain
from uss.interchange.hand_over import PLAIN_RATE, HandOver, Picture
from uss.interchange.otio_timelines import audio_track
from uss.interchange.session_tracks import session_tracks

_BYTES_OF_FLOAT = 4


def write_aaf(hand_over: HandOver, path: Path) -> None:
    """Write the stems of the first group and their residual, which add up to the original.

    The composition counts samples, and its timecode track frames of the film. The original, muted
    tracks and markers are left out, as the adapter writes none of them.

    Args:
        hand_over: a result with stems.
        path: in the folder of the result.

    Raises:
        OSError: if it cannot be written.
    """
    import opentimelineio as otio

    source = hand_over.source
    rate = float(source.sample_rate)
    timeline = otio.schema.Timeline(plain(source.name))
    picture = source.picture or Picture(PLAIN_RATE)
    timeline.global_start_time = otio.opentime.RationalTime(
        picture.start_frame, float(picture.frame_rate)
    )
    for track in session_tracks(hand_over):
        if not track.is_muted:
            made = audio_track(track, rate, is_whole=True)
            timeline.tracks.append(_described(made, hand_over))
    with written_whole(path) as part:
        otio.adapters.write_to_file(timeline, str(part), "AAF", use_empty_mob_ids=True)
        _count_frames(part, picture)


def _described(track: Any, hand_over: HandOver) -> Any:
    """Say how the samples of a track's file are stored, which the adapter cannot see."""
    source = hand_over.source
    block_bytes = _BYTES_OF_FLOAT * source.num_channels
    for clip in track.find_clips():
        clip.media_reference.metadata["AAF"] = {
            "EssenceDescription": {
                "SampleRate": source.sample_rate,
                "AudioSamplingRate": source.sample_rate,
                "Channels": source.num_channels,
                "QuantizationBits": 8 * _BYTES_OF_FLOAT,
                "BlockAlign": block_bytes,
                "AverageBPS": block_bytes * source.sample_rate,
            }
        }
    return track


def _count_frames(path: Path, picture: Picture) -> None:
    """Say how the composition's timecode counts; the adapter knows four rates, and no dropping."""
    import aaf2

    with aaf2.open(str(path), "rw") as file:
        for mob in file.content.toplevel():
            for slot in mob.slots:
                if isinstance(slot.segment, aaf2.components.Timecode):
                    slot.segment.fps = picture.counter.nominal_rate
                    slot.segment.drop = picture.is_drop
