"""Broadcast Wave: the chunks of a WAV file that say what it is and where it belongs.

``bext`` as in EBU Tech 3285 (version 2, 2011), its coding history as in EBU R98; ``LIST/INFO`` and
the cue points as in Microsoft's and IBM's Multimedia Programming Interface (1991).
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from uss.audio.file_notes import FileNotes, Mark
from uss.audio.loudness import Loudness
from uss.audio.wave_chunks import chunk, chunks_of, is_wave

# Description, originator, its reference, date, time, TimeReference, version, UMID, five values of
# loudness, and what is reserved.
_BEXT = struct.Struct("<256s32s32s10s8sQH64s5h180s")
_VERSION = 2
_NOT_USED = 0x7FFF
_MAX_SAMPLE = 2**32 - 1
_INFO = {"title": b"INAM", "artist": b"IART", "date": b"ICRD", "isrc": b"ISRC"}
_BEXT_AT_LEAST = 602


def bext_chunk(notes: FileNotes, loudness: Loudness | None = None) -> bytes:
    """Make a ``bext`` chunk; its length does not depend on the loudness."""
    levels = (None,) * 5 if loudness is None else loudness.in_order
    fixed = _BEXT.pack(
        ascii_text(notes.description)[:256],
        ascii_text(notes.originator)[:32],
        b"",
        ascii_text(notes.origination_date)[:10],
        ascii_text(notes.origination_time)[:8],
        notes.time_reference,
        _VERSION,
        b"",
        *(_NOT_USED if level is None else round(100.0 * level) for level in levels),
        b"",
    )
    lines = "".join(f"{line}\r\n" for line in notes.coding_history)
    return chunk(b"bext", fixed + ascii_text(lines))


def info_chunk(notes: FileNotes) -> bytes:
    """Make a ``LIST`` chunk of tags, in UTF-8, as FFmpeg reads and writes it."""
    fields = [(_INFO[tag], text) for tag, text in notes.tags.items()]
    fields += [(b"ICMT", notes.description), (b"ISFT", notes.originator)]
    listed = b"".join(chunk(name, _text(text) + b"\0") for name, text in fields)
    return chunk(b"LIST", b"INFO" + listed)


def cue_chunks(marks: Sequence[Mark]) -> bytes:
    """Make the chunks of cue points with their labels and lengths; none of no marks.

    Positions have 32 bits: at 48 kHz those of a day. What lies behind is left out.
    """
    kept = [mark for mark in marks if mark.start_samples <= _MAX_SAMPLE]
    if not kept:
        return b""
    points = [
        struct.pack("<II4sIII", number, mark.start_samples, b"data", 0, 0, mark.start_samples)
        for number, mark in enumerate(kept, start=1)
    ]
    # All labels first: FFmpeg reads none behind the first length.
    listed = [_label(number, mark) for number, mark in enumerate(kept, start=1)]
    listed += [_length(number, mark) for number, mark in enumerate(kept, start=1)]
    cues = chunk(b"cue ", struct.pack("<I", len(points)) + b"".join(points))
    return cues + chunk(b"LIST", b"adtl" + b"".join(listed))


def _label(number: int, mark: Mark) -> bytes:
    return chunk(b"labl", struct.pack("<I", number) + _text(mark.name) + b"\0")


def _length(number: int, mark: Mark) -> bytes:
    length = min(mark.num_samples, _MAX_SAMPLE)
    return chunk(b"ltxt", struct.pack("<II4s4H", number, length, b"rgn ", 0, 0, 0, 0))


def read_bext(path: Path) -> Mapping[str, str]:
    """Read the ``bext`` chunk of a file; nothing if it has none."""
    with path.open("rb") as file:
        if not is_wave(file.read(12)):
            return {}
        found = next((each for each in chunks_of(file) if each.name == b"bext"), None)
        if found is None or found.num_bytes < _BEXT_AT_LEAST:
            return {}
        file.seek(found.start)
        content = file.read(min(found.num_bytes, 2**20))
    if len(content) < _BEXT_AT_LEAST:
        return {}
    description, _, _, date, time, reference, *_ = _BEXT.unpack_from(content)
    return {
        "description": _read(description),
        "origination_date": _read(date),
        "origination_time": _read(time),
        "time_reference": str(reference),
        "coding_history": _read(content[_BEXT_AT_LEAST:]),
    }


def ascii_text(text: str) -> bytes:
    """Write in ASCII, as ``bext`` has it: without accents, and a question mark for the rest."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(each for each in plain if not unicodedata.combining(each)).encode(
        "ascii", "replace"
    )


def _text(text: str) -> bytes:
    return text.encode("utf-8", "replace").replace(b"\0", b" ")


def _read(field: bytes) -> str:
    # Latin-1 knows every byte; some programs write UTF-8 all the same.
    content = field.partition(b"\0")[0]
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError:
        return content.decode("latin-1").strip()
