"""The result of a separation: one versioned object, of which files are views."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from uss.audio.tracks import TrackInfo
from uss.conditions.text_queries import MeantClass
from uss.core.files import written_whole
from uss.interchange.hand_over import Event
from uss.metrics.tagger_score import TaggerScore
from uss.results.identity import Identity
from uss.results.stem_scores import StemCandidate, candidates_in, score_of
from uss.results.understood import ExcludedSound, meant_classes
from uss.separation.groups import group_of

RESULT_VERSION = 1
RECORD_NAME = "detections.json"


@dataclass(frozen=True)
class ThresholdOrigin:
    """Where thresholds per class come from.

    Attributes:
        model: the model that holds them.
        sha256: the first 16 hex digits of that of their float32 values.
        calibration: what the model says about how they were found.
    """

    model: str | None
    sha256: str
    calibration: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a result depends on beside its recording.

    Attributes:
        model: name or file of what separates.
        separator_hash: of its weights.
        class_queries: name or file, if they are not the model's own.
        tagger: name of the network that detects.
        tagger_hash: of its weights.
        tagger_architecture: name of its class.
        tagger_architecture_from: what told that its file holds this class: ``file``, its entries;
            ``file name``; ``choice``, of the user; ``assumption``, as nothing else did.
        threshold: of detection, where all classes share one; else None.
        sensitivity: that was asked for instead.
        thresholds: where those of each class come from; None where all share one.
        overlap: of neighbouring segments.
        precision: of the network that separates.
        track: which of the audio tracks, from 1.
        align: ``film`` where time 0 of the stems is that of the film; else ``track``.
        start_seconds, end_seconds: the part that was asked for; None for the end.
        without: names of what must be in no stem.
        consistency, full_band, joint: see ``uss.separation.plan.Wanted``.
        steps, seed, guide: see ``uss.separation.chunk_drawing.Drawing``; None of models that draw
            nothing.
        candidates: how many seeds were drawn with, of which the best stems are kept.
        candidate_models: other models whose stems were candidates too: name or file to the hash of
            what separates.
        score_stems: whether stems were scored without being chosen.
        request_hash: of all else: what was asked for, the values of class queries, the network
            that makes conditions if another one detects; see ``uss.results.request``.
    """

    model: str | None = None
    separator_hash: str = ""
    class_queries: str | None = None
    tagger: str = ""
    tagger_hash: str = ""
    tagger_architecture: str = ""
    tagger_architecture_from: str = "file"
    threshold: float | None = None
    sensitivity: str | None = None
    thresholds: ThresholdOrigin | None = None
    overlap: float = 0.25
    precision: str = "float32"
    track: int = 1
    align: str = "track"
    start_seconds: float = 0.0
    end_seconds: float | None = None
    without: Sequence[str] = ()
    consistency: bool = False
    full_band: bool = False
    joint: bool = False
    steps: int | None = None
    seed: int | None = None
    guide: bool = False
    candidates: int = 1
    candidate_models: Mapping[str, str] = field(default_factory=dict)
    score_stems: bool = False
    request_hash: str = ""

    @property
    def generates(self) -> bool:
        """Whether the samples of stems were generated, and are no part of the recording."""
        return self.steps is not None and not self.guide


@dataclass(frozen=True)
class StemResult:
    """One stem of a result.

    Attributes:
        mid, name: of the ontology node; what stands for several nodes, and a query made of audio
            or words, have no mid.
        level: the level it was found at; None where the user named it.
        probability: the highest of ``probabilities``.
        probabilities: Q(segment, node); None, as the highest, of words that no class stands for.
        active_intervals: (start, end) in seconds of the segments in which it was separated.
        loudness_dbfs: RMS level while active, 0 dB for a square wave at full scale; None where
            the stem is silent or was not separated.
        file: relative to the result's folder; None where the stem was not separated.
        events: when it is heard, in the order of time: at least one in each active interval.
        mids: of the nodes, where it stands for several.
        preset: the preset that it belongs to; ``blind`` for what the model gave of itself.
        text: the words that ask for it, where words do.
        understood: what they mean, the most probable first.
        marked: (start, end) in seconds that ask for it, where marked ones do; unlike other times
            they are those of the recording, also of an excerpt.
        generated: whether a generative model made its samples; what the residual holds is then
            only what is left when they are subtracted.
        score: what the tagger hears in it and in what is left, see ``uss.metrics.tagger_score``;
            None where that was not asked for, or it stands for no class.
        candidates: what it was chosen from; none where there was no choice.
    """

    mid: str | None
    name: str
    level: int | None
    probability: float | None
    probabilities: tuple[float, ...] | None
    active_intervals: tuple[tuple[float, float], ...]
    loudness_dbfs: float | None
    file: str | None
    events: tuple[Event, ...] = ()
    mids: tuple[str, ...] = ()
    preset: str | None = None
    text: str | None = None
    understood: tuple[MeantClass, ...] = ()
    marked: tuple[tuple[float, float], ...] = ()
    generated: bool = False
    score: TaggerScore | None = None
    candidates: tuple[StemCandidate, ...] = ()

    @property
    def group(self) -> str:
        """The group of stems that it is in; also the folder of its file."""
        return self.preset or group_of(self.level)


@dataclass(frozen=True)
class SeparationResult:
    """All that is known about one separated recording.

    Attributes:
        input: name of the file.
        sample_rate: in Hz.
        num_channels: C.
        duration_seconds: of the recording.
        segment_seconds: length of a segment.
        segment_starts: in seconds, one per probability.
        settings: what it depends on.
        stems: most probable first within each level.
        residuals: folder to file; empty where nothing was separated.
        residual_loudness_dbfs: folder to RMS level over the whole recording; None where silent.
        channel_layout: the speakers that the channels are for, such as ``5.1(side)``, as FFmpeg
            calls them; None where the recording does not say.
        start_seconds: where the excerpt begins that was separated; all other times, of segments and
            intervals, count from there, as those of the stems' files do.
        film_offset_seconds: when the audio track begins in its film.
        time_reference: samples from midnight to the stems' first, by the clock of the recording
            (BWF or a film's time code), which is taken to start at midnight where it has none.
        timecode: that the film starts at, as it is noted there.
        tags: title, artist, date and ISRC, those that the recording has.
        tracks: all audio tracks of the film; none where the recording is no film.
        identity: which recording it is of.
        files: all that belong to it, relative to its folder; a later run may remove these alone.
        fingerprints: of all these but ``detections.json``, see ``uss.results.fingerprints``.
        missing: what could not be made beside the stems, and why, one line each.
        excluded: what must be in no stem, and what that was understood as.
    """

    input: str
    sample_rate: int
    num_channels: int
    duration_seconds: float
    segment_seconds: float
    segment_starts: tuple[float, ...]
    settings: RunSettings
    stems: tuple[StemResult, ...]
    residuals: Mapping[str, str]
    residual_loudness_dbfs: Mapping[str, float | None] = field(default_factory=dict)
    channel_layout: str | None = None
    start_seconds: float = 0.0
    film_offset_seconds: float = 0.0
    time_reference: int = 0
    timecode: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    tracks: tuple[TrackInfo, ...] = ()
    identity: Identity | None = None
    files: tuple[str, ...] = ()
    fingerprints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    excluded: tuple[ExcludedSound, ...] = ()

    def write_json(self, path: str | Path) -> None:
        """Write ``detections.json``."""
        content = {"version": RESULT_VERSION, **asdict(self)}
        for stem in content["stems"]:
            # Which band they lie in is not known of what was found.
            for event in stem["events"]:
                del event["low_hz"], event["high_hz"]
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        with written_whole(path) as part:
            # What of a file name is no UTF-8 becomes an escape of JSON.
            part.write_text(text, encoding="utf-8", errors="backslashreplace")


def result_of(content: Mapping[str, Any]) -> SeparationResult:
    """Take a result from the content of its ``detections.json``.

    Raises:
        KeyError, TypeError: if something is missing in it, or added.
    """
    settings = dict(content["settings"])
    if settings["thresholds"] is not None:
        settings["thresholds"] = ThresholdOrigin(**settings["thresholds"])
    known = {each.name for each in fields(SeparationResult)} & content.keys()
    return SeparationResult(
        **{
            **{name: content[name] for name in known},
            "segment_starts": tuple(content["segment_starts"]),
            "settings": RunSettings(**settings),
            "stems": tuple(_stem_of(stem) for stem in content["stems"]),
            "tracks": tuple(TrackInfo(**track) for track in content.get("tracks", ())),
            "identity": Identity(**content["identity"]),
            "files": tuple(content["files"]),
            "missing": tuple(content.get("missing", ())),
            "excluded": tuple(
                ExcludedSound(each["name"], meant_classes(each["understood"]))
                for each in content.get("excluded", ())
            ),
        }
    )


def _stem_of(content: Mapping[str, Any]) -> StemResult:
    intervals = tuple((start, end) for start, end in content["active_intervals"])
    probabilities = content["probabilities"]
    probabilities = None if probabilities is None else tuple(probabilities)
    lists = {"probabilities": probabilities, "active_intervals": intervals}
    # Results of earlier releases know no stems of several nodes, nor texts.
    understood = meant_classes(content.get("understood", ()))
    marked = tuple((start, end) for start, end in content.get("marked", ()))
    later: dict[str, Any] = {
        "mids": tuple(content.get("mids", ())),
        "understood": understood,
        "marked": marked,
        "score": score_of(content.get("score")),
        "candidates": candidates_in(content.get("candidates", ())),
    }
    if "events" in content:
        later["events"] = tuple(Event(**event) for event in content["events"])
    else:
        # Nor finer events: they were the segments.
        later["events"] = tuple(Event(*each, content["probability"]) for each in intervals)
    return StemResult(**{**content, **lists, **later})
