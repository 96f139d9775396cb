"""Labels: what is written into a label file, and what is read from one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from uss.core.errors import InputError
from uss.interchange.cells import plain
from uss.interchange.hand_over import HandOver, SourceFile

_BEYOND_SECONDS = 0.1
"""Programs round the lengths that they note."""


@dataclass(frozen=True)
class Label:
    """A named span of a recording.

    Attributes:
        start_seconds, end_seconds: from the start of the recording.
        name: what is heard; one line.
        probability, low_hz, high_hz: see ``Event``; None where the file does not say.
        mid, group: see ``Sound``.
        file: the recording it is in, where the format names it.
    """

    start_seconds: float
    end_seconds: float
    name: str
    probability: float | None = None
    low_hz: float | None = None
    high_hz: float | None = None
    mid: str | None = None
    group: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class Sheet:
    """What a label file is written from.

    Attributes:
        source: the recording.
        labels: by time.
        end_seconds: where what was separated ends, on the clock of the labels.
    """

    source: SourceFile
    labels: tuple[Label, ...]
    end_seconds: float

    @classmethod
    def of(cls, hand_over: HandOver, *, counts_from_film: bool = False) -> Sheet:
        """List what is heard when.

        Args:
            hand_over: the result.
            counts_from_film: times are those of the film, not of its audio track.
        """
        source = hand_over.source
        late = source.film_seconds if counts_from_film else source.start_seconds
        end = max(0.0, late + source.duration_seconds)
        labels = [
            Label(
                max(0.0, late + event.onset_seconds),
                min(end, late + event.offset_seconds),
                plain(sound.name),
                event.probability,
                event.low_hz,
                event.high_hz,
                sound.mid,
                sound.group,
            )
            for sound in hand_over.sounds
            for event in sound.events
        ]
        heard = [each for each in labels if each.end_seconds > each.start_seconds]
        return cls(source, tuple(sorted(heard, key=_by_time)), end)

    def tiers(self) -> Iterator[tuple[str, list[Label]]]:
        """Give the labels class by class, each under a name that no other has."""
        found: dict[tuple[str, str | None], list[Label]] = {}
        for label in self.labels:
            found.setdefault((label.name, label.group), []).append(label)
        names = [name for name, _ in found]
        taken: set[str] = set()
        for (name, group), labels in found.items():
            unique = name if names.count(name) == 1 else f"{name} ({group})"
            while unique in taken:
                unique += "'"
            taken.add(unique)
            yield unique, labels


@dataclass(frozen=True)
class LabelTable:
    """What a label file says.

    Attributes:
        labels: in the order of the file.
        duration_seconds: of the recording, where the file says so.
        counts_from_film: times are those of the film, not of the recording.
    """

    labels: tuple[Label, ...]
    duration_seconds: float | None = None
    counts_from_film: bool = False

    def on_track(self, film_offset_seconds: float) -> LabelTable:
        """Count from the start of the recording, which begins in its film at some time."""
        if not self.counts_from_film or not film_offset_seconds:
            return replace(self, counts_from_film=False)
        labels = tuple(
            replace(
                each,
                start_seconds=max(0.0, each.start_seconds - film_offset_seconds),
                end_seconds=max(0.0, each.end_seconds - film_offset_seconds),
            )
            for each in self.labels
        )
        return replace(self, labels=labels, counts_from_film=False)

    def check_fits(self, what: str, duration_seconds: float) -> None:
        """Refuse the labels of a recording of another length.

        Args:
            what: the label file, for the message.
            duration_seconds: of the recording.

        Raises:
            ValueError: naming both lengths.
        """
        noted = self.duration_seconds
        last = max((each.end_seconds for each in self.labels), default=0.0)
        is_other = noted is not None and abs(noted - duration_seconds) > _BEYOND_SECONDS
        if is_other or last > duration_seconds + _BEYOND_SECONDS:
            says = f"labels seconds up to {last:.2f}" if noted is None else f"is for {noted:.2f} s"
            raise InputError(
                f"{what} {says}, and the recording lasts {duration_seconds:.2f} s; name the labels "
                "of this recording"
            )


def _by_time(label: Label) -> tuple[float, float, str]:
    return label.start_seconds, label.end_seconds, label.name
