"""OpenTimelineIO: a result as a timeline, and the formats that its adapters write of one."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from uss.core.errors import InputError
from uss.core.files import written_whole
from uss.interchange.cells import plain
from uss.interchange.hand_over import HandOver, Picture
from uss.interchange.session_tracks import SessionTrack, session_tracks, url_of

PACKAGES = {
    "otio": ("opentimelineio",),
    "aaf": ("opentimelineio", "otio_aaf_adapter"),
    "edl": ("opentimelineio", "otio_cmx3600_adapter"),
}
"""What a format needs to be importable."""


def check_packages(name: str) -> None:
    """Refuse a format whose packages are not installed.

    Raises:
        ValueError: saying how to install them.
    """
    missing = [each for each in PACKAGES.get(name, ()) if importlib.util.find_spec(each) is None]
    if missing:
        raise InputError(
            f"the session format {name} needs the package {missing[0].replace('_', '-')}; "
            "pip install 'uss-pipeline[session]'"
        )


def write_otio(hand_over: HandOver, path: Path) -> None:
    """Write a timeline in OpenTimelineIO's JSON.

    Times are frames of the film, not rounded, or samples where there is no film. Media are linked
    by relative URLs; each event is a marker of its stem's clip.

    Args:
        hand_over: a result with stems.
        path: in the folder of the result.

    Raises:
        OSError: if it cannot be written.
    """
    with written_whole(path) as part:
        part.write_bytes(timeline_of(hand_over).to_json_string(indent=2).encode("utf-8"))


def timeline_of(hand_over: HandOver) -> Any:
    """Lay out a result as a timeline of one clip a track."""
    import opentimelineio as otio

    source = hand_over.source
    picture = source.picture
    rate = float(picture.frame_rate if picture else source.sample_rate)
    timeline = otio.schema.Timeline(plain(source.name))
    timeline.global_start_time = otio.opentime.RationalTime(
        picture.start_frame if picture else 0, rate
    )
    if picture is not None and source.relative is not None:
        timeline.tracks.append(picture_track(source.relative, picture))
    timeline.tracks.extend(audio_track(track, rate) for track in session_tracks(hand_over))
    return timeline


def picture_track(file: str, picture: Picture) -> Any:
    """Make the track of a film's pictures, whose media count from the film's timecode."""
    import opentimelineio as otio

    rate = float(picture.frame_rate)
    # Films end at the end of a frame, but note microseconds.
    frames = max(1, round(Fraction(picture.duration_seconds) * picture.frame_rate))
    media = otio.schema.ExternalReference(
        url_of(file), _range(otio, picture.start_frame, frames, rate)
    )
    clip = otio.schema.Clip("Picture", media, _range(otio, picture.start_frame, frames, rate))
    track = otio.schema.Track("Picture", kind=otio.schema.TrackKind.Video)
    track.append(clip)
    return track


def audio_track(track: SessionTrack, rate: float, *, is_whole: bool = False) -> Any:
    """Make a track with the clip of a file at its place, and its events as markers.

    Args:
        track: what is on it.
        rate: units per second.
        is_whole: places are rounded to units.
    """
    import opentimelineio as otio

    start, skipped, seconds = (
        float(round(each * rate)) if is_whole else each * rate
        for each in (track.start_seconds, track.skipped_seconds, track.seconds)
    )
    media = otio.schema.ExternalReference(
        url_of(track.file), _range(otio, 0.0, skipped + seconds, rate)
    )
    clip = otio.schema.Clip(track.name, media, _range(otio, skipped, seconds, rate))
    colour = otio.core.Color(
        track.colour.red / 255, track.colour.green / 255, track.colour.blue / 255, 1.0
    )
    clip.color = colour
    clip.markers.extend(_markers(otio, track, rate))
    made = otio.schema.Track(track.name, kind=otio.schema.TrackKind.Audio)
    made.color = colour
    made.enabled = not track.is_muted
    if start > 0.0:
        made.append(otio.schema.Gap(source_range=_range(otio, 0.0, start, rate)))
    made.append(clip)
    return made


def _markers(otio: Any, track: SessionTrack, rate: float) -> Sequence[Any]:
    """Mark events in the time of the clip's file."""
    late = track.skipped_seconds - track.start_seconds
    return [
        otio.schema.Marker(
            track.name,
            _range(
                otio,
                (event.onset_seconds + late) * rate,
                (event.offset_seconds - event.onset_seconds) * rate,
                rate,
            ),
            color=track.colour.marker,
            metadata={"uss": {"probability": event.probability, "group": track.group}},
        )
        for event in track.events
    ]


def _range(otio: Any, start: float, duration: float, rate: float) -> Any:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, rate), time(duration, rate))
