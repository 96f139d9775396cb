"""CMX 3600 edit lists: one edit, and a locator at the onset of every event.

The format holds one video track and a pair of audio channels, so stems have no place in it. What it
hands over is when something sounds, at the film's timecode.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uss.core.files import written_whole
from uss.core.timecodes import FrameCounter
from uss.interchange.cells import plain
from uss.interchange.hand_over import PLAIN_RATE, HandOver, Picture
from uss.interchange.otio_timelines import picture_track
from uss.interchange.session_tracks import session_tracks

_MAX_TITLE_LETTERS = 70


def write_edl(hand_over: HandOver, path: Path) -> None:
    """Write the film as one edit, each event a locator: colour, name, and where it ends.

    Args:
        hand_over: a result with stems.
        path: in the folder of the result.

    Raises:
        OSError: if it cannot be written.
    """
    import opentimelineio as otio

    source = hand_over.source
    end = source.film_seconds + source.duration_seconds
    picture = source.picture or Picture(PLAIN_RATE, duration_seconds=end)
    counter = picture.counter
    # The adapter takes every rate of 30000/1001 for drop-frame; whole rates count every frame.
    rate = float(picture.frame_rate if picture.is_drop else counter.nominal_rate)
    track = picture_track(source.relative or plain(source.name), picture)
    clip = track[0]
    clip.name = plain(source.name)
    clip.metadata["cmx_3600"] = {"reel": "AX"}
    _count_at(otio, clip, rate)
    clip.markers.extend(_locators(otio, hand_over, picture, counter, rate))
    timeline = otio.schema.Timeline(plain(source.name)[:_MAX_TITLE_LETTERS])
    timeline.tracks.append(track)
    if source.picture is None:
        # The adapter writes the first track, and wants one of pictures somewhere.
        track.kind = otio.schema.TrackKind.Audio
        timeline.tracks.append(otio.schema.Track("none", kind=otio.schema.TrackKind.Video))
    record_start = otio.opentime.RationalTime(picture.start_frame, rate)
    track.source_range = otio.opentime.TimeRange(-record_start, clip.source_range.duration)
    text = otio.adapters.write_to_string(timeline, "cmx_3600", rate=rate)
    mode = "DROP FRAME" if picture.is_drop else "NON-DROP FRAME"
    title, _, edits = text.partition("\n")
    with written_whole(path) as part:
        part.write_bytes(f"{title}\nFCM: {mode}\n{edits}".encode())


def _count_at(otio: Any, clip: Any, rate: float) -> None:
    """Count the frames of a clip at another rate; their numbers stay."""

    def counted(span: Any) -> Any:
        time = otio.opentime.RationalTime
        return otio.opentime.TimeRange(
            time(span.start_time.value, rate), time(span.duration.value, rate)
        )

    clip.source_range = counted(clip.source_range)
    clip.media_reference.available_range = counted(clip.media_reference.available_range)


def _locators(
    otio: Any, hand_over: HandOver, picture: Picture, counter: FrameCounter, rate: float
) -> list[Any]:
    found = [
        (event.onset_seconds, event.offset_seconds, track)
        for track in session_tracks(hand_over)
        for event in track.events
    ]
    markers = []
    for onset, offset, track in sorted(found, key=lambda each: (each[0], each[1], each[2].name)):
        frame = picture.start_frame + counter.frame_at(onset)
        until = counter.write(picture.start_frame + counter.frame_at(offset))
        time = otio.opentime.RationalTime
        markers.append(
            otio.schema.Marker(
                f"{track.name} to {until}",
                otio.opentime.TimeRange(time(frame, rate), time(0, rate)),
                color=track.colour.marker,
            )
        )
    return markers
