"""What is done with every file of a run."""

from __future__ import annotations

from dataclasses import dataclass

from uss.audio import DEFAULT_SUBTYPES, check_format
from uss.core.errors import InputError
from uss.core.spans import Span
from uss.detection.defaults import DEFAULT_OVERLAP
from uss.interchange.labels import check_label_formats
from uss.interchange.marks import MarkedFile
from uss.interchange.sessions import check_session_formats
from uss.results.stem_names import check_stem_template
from uss.results.stem_writer import FLOAT_WAV, OutputFormat
from uss.separation.plan import Wanted

ALIGNMENTS = ("track", "film")
"""What time 0 of the stems is that of."""


@dataclass(frozen=True, kw_only=True)
class FileSettings:
    """What is done with every file.

    Attributes:
        wanted: what is looked for, and what goes to the residual.
        overlap: of neighbouring segments.
        track: which audio track of a film, from 1; None for the one it flags as default.
        is_aligned: stems begin with the film instead of their track.
        start_seconds, end_seconds: the part of the recording that is separated.
        output_format: of the stems.
        detect_only: write what is found, and when, without separating it.
        mux: also write a copy of the film whose audio tracks are the stems.
        labels: formats of label files, see ``uss.interchange.labels``.
        sessions: formats of sessions, see ``uss.interchange.sessions``.
        names: how the files of stems are called, see ``uss.results.stem_names``.
        bag: make the result a bag, see ``uss.results.bags``.
        marked: which seconds of the recording sound like what is wanted too; of one recording.
        span_only: that is wanted in these seconds alone.
        candidates: how many seeds generative models draw with; the best stems are kept.
        score_stems: let the tagger score stems, see ``uss.metrics.tagger_score``.
    """

    wanted: Wanted
    overlap: float = DEFAULT_OVERLAP
    track: int | None = None
    is_aligned: bool = False
    start_seconds: float = 0.0
    end_seconds: float | None = None
    output_format: OutputFormat = FLOAT_WAV
    detect_only: bool = False
    mux: bool = False
    labels: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    names: str | None = None
    bag: bool = False
    marked: tuple[Span | MarkedFile, ...] = ()
    span_only: bool = False
    candidates: int = 1
    score_stems: bool = False

    def __post_init__(self) -> None:
        """Check that they go together."""
        if self.names is not None:
            check_stem_template(self.names)
        if self.wanted.blind and self.detect_only:
            raise InputError("blind separation finds nothing without separating; leave out one")
        if self.mux and self.detect_only:
            raise InputError("a film needs stems, and detection alone writes none; leave out one")
        if self.sessions and self.detect_only:
            raise InputError(
                "a session needs stems, and detection alone writes none; labels need none"
            )
        if self.score_stems and (self.detect_only or self.wanted.blind):
            raise InputError(
                "scores are of stems that were asked for; leave them out, or detection alone and "
                "blind separation"
            )
        if self.candidates < 1 or (self.candidates > 1 and self.detect_only):
            raise InputError(
                f"{self.candidates} candidates of each stem: give 1 or more, and 1 where nothing "
                "is separated"
            )
        if self.span_only and not self.marked:
            raise InputError("no span is marked, so nothing is wanted in spans alone; mark one")
        check_label_formats(self.labels)
        check_session_formats(self.sessions)


def output_format(suffix: str, subtype: str | None) -> OutputFormat:
    """Choose how stems are stored; without a subtype, float WAV and 24-bit FLAC.

    Raises:
        ValueError: if there is no such format.
    """
    if suffix not in DEFAULT_SUBTYPES:
        raise InputError(f"format {suffix!r}; choose {' or '.join(DEFAULT_SUBTYPES)}")
    form = OutputFormat(suffix, subtype or DEFAULT_SUBTYPES[suffix])
    check_format(form.suffix, form.subtype)
    return form


def is_aligned(align: str) -> bool:
    """Take where stems begin.

    Raises:
        ValueError: if it is neither ``track`` nor ``film``.
    """
    if align not in ALIGNMENTS:
        raise InputError(f"stems are not aligned to {align!r}; choose {' or '.join(ALIGNMENTS)}")
    return align == "film"
