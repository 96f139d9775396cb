"""Label files by the name of their format: which there are, how they are written and read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from uss.core.errors import InputError
from uss.core.files import fitting_name, written_whole
from uss.interchange.audacity import read_audacity, write_audacity
from uss.interchange.desed import read_desed, write_desed, write_durations
from uss.interchange.elan import read_elan, write_elan
from uss.interchange.hand_over import HandOver
from uss.interchange.kaleidoscope import read_kaleidoscope, write_kaleidoscope
from uss.interchange.label_csv import read_csv, write_csv
from uss.interchange.raven import read_raven, write_raven
from uss.interchange.rttm import read_rttm, write_rttm
from uss.interchange.sheets import LabelTable, Sheet
from uss.interchange.textgrid import read_textgrid, write_textgrid
from uss.interchange.webvtt import read_webvtt, write_webvtt

Write = Callable[[Sheet], str]


@dataclass(frozen=True)
class LabelFormat:
    """A format of label files.

    Attributes:
        files: what is written, by the end of its name.
        read: reads the first of these.
        counts_from_film: times are those of the film, as players show them, instead of the audio
            track's.
    """

    files: Mapping[str, Write]
    read: Callable[[str], LabelTable]
    counts_from_film: bool = False


LABEL_FORMATS: Mapping[str, LabelFormat] = {
    "audacity": LabelFormat({".labels.txt": write_audacity}, read_audacity),
    "raven": LabelFormat({".Table.1.selections.txt": write_raven}, read_raven),
    "kaleidoscope": LabelFormat({".kaleidoscope.csv": write_kaleidoscope}, read_kaleidoscope),
    "textgrid": LabelFormat({".TextGrid": write_textgrid}, read_textgrid),
    "eaf": LabelFormat({".eaf": write_elan}, read_elan, counts_from_film=True),
    "rttm": LabelFormat({".rttm": write_rttm}, read_rttm),
    "desed": LabelFormat(
        {".events.tsv": write_desed, ".durations.tsv": write_durations}, read_desed
    ),
    "vtt": LabelFormat({".vtt": write_webvtt}, read_webvtt, counts_from_film=True),
    "csv": LabelFormat({".labels.csv": write_csv}, read_csv),
}


def check_label_formats(formats: Iterable[str]) -> None:
    """Refuse formats that there are not.

    Raises:
        ValueError: naming those there are.
    """
    for name in formats:
        if name not in LABEL_FORMATS:
            raise InputError(f"no label format {name!r}; choose {', '.join(LABEL_FORMATS)}")


def label_files(stem: str, name: str) -> list[str]:
    """Call the files of a format after a recording.

    Args:
        stem: how the recording is called.
        name: of the format.
    """
    return [fitting_name(stem, suffix) for suffix in LABEL_FORMATS[name].files]


def write_labels(folder: Path, stem: str, hand_over: HandOver, name: str) -> None:
    """Write the files of a format into a folder.

    Args:
        folder: that of the result.
        stem: how the recording is called.
        hand_over: the result.
        name: of the format.

    Raises:
        OSError: if they cannot be written.
    """
    form = LABEL_FORMATS[name]
    sheet = Sheet.of(hand_over, counts_from_film=form.counts_from_film)
    for file, write in zip(label_files(stem, name), form.files.values(), strict=True):
        with written_whole(folder / file) as part:
            # Read-back by other programs depends on line ends that are the same everywhere.
            part.write_bytes(write(sheet).encode("utf-8"))


def read_labels(
    path: Path, *, recording: str | None = None, film_offset_seconds: float = 0.0
) -> LabelTable:
    """Read a label file in any of the formats, told by its name and its first line.

    Args:
        path: the file.
        recording: name of the file that the labels are wanted for. Where the format names files,
            only its labels are taken; None for all.
        film_offset_seconds: when the recording begins in its film. Formats that go with pictures
            count from there.

    Returns:
        Labels whose times count from the start of the recording.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is in none of the formats, or labels other recordings only.
    """
    table = read_table(path).on_track(film_offset_seconds)
    return table if recording is None else of_recording(path, table, recording)


def read_table(path: Path) -> LabelTable:
    """Read all of a label file as ``read_labels`` does, with the times that it holds."""
    text = _text(path)
    form = LABEL_FORMATS[recognised(path, text)]
    try:
        return replace(form.read(text), counts_from_film=form.counts_from_film)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def recognised(path: Path, text: str) -> str:
    """Name the format of a label file.

    Raises:
        ValueError: if it is none.
    """
    suffix = path.suffix.lower()
    first = text.partition("\n")[0].strip()
    columns = {cell.strip() for cell in first.split("\t")}
    if suffix in (".txt", ".tsv"):
        if "Begin Time (s)" in columns:
            return "raven"
        return "desed" if "event_label" in columns else "audacity"
    if suffix == ".csv":
        return "kaleidoscope" if "IN FILE" in first.split(",") else "csv"
    known = {".textgrid": "textgrid", ".eaf": "eaf", ".rttm": "rttm", ".vtt": "vtt"}
    if suffix not in known:
        raise InputError(
            f"{path}: files that end in {suffix or 'nothing'!r} are no labels; give "
            f"{', '.join(['.txt', '.tsv', '.csv', *known])}"
        )
    return known[suffix]


def of_recording(path: str | Path, table: LabelTable, recording: str) -> LabelTable:
    """Take the labels of one recording; where none is named all are meant.

    Args:
        path: of the label file, for the message.
        table: what it says.
        recording: the name of its file.

    Raises:
        ValueError: if it labels other recordings only.
    """
    wanted = _file_names(recording)
    own = tuple(
        each for each in table.labels if each.file is None or _file_names(each.file) & wanted
    )
    if table.labels and not own:
        others = sorted({str(each.file) for each in table.labels})
        raise InputError(
            f"{path} labels {', '.join(others[:3])}, not {recording}; name the labels of this "
            "recording"
        )
    return replace(table, labels=own)


def _file_names(name: str) -> set[str]:
    """How tables may call a file: with its suffix or without, blanks as underscores."""
    whole = re.split(r"[/\\]", name)[-1].casefold().replace(" ", "_")
    return {whole, whole.rpartition(".")[0] or whole}


def _text(path: Path) -> str:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    content = path.read_bytes()
    # Praat writes UTF-16 where letters need it.
    is_wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8; save it as that") from error
