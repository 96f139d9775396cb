"""A phrase as the bytes of a Standard MIDI File (format 0)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sounds.phrases import Note, Phrase

TICKS_PER_BEAT = 480
BEAT_MICROSECONDS = 500_000
TICKS_PER_SECOND = TICKS_PER_BEAT * 1_000_000 // BEAT_MICROSECONDS
DRUM_CHANNEL = 9
BANK_SELECT, REVERB_SEND, CHORUS_SEND, ALL_SOUND_OFF = 0, 91, 93, 120
BEND_CENTS = 200  # a full pitch bend, as General MIDI has it


@dataclass(frozen=True)
class Patch:
    """Which preset of a font plays; drum kits are programs of the drum channel."""

    program: int
    bank: int = 0
    is_drums: bool = False


@dataclass(frozen=True)
class Sends:
    """What a clip as a whole is set to: tuning, and how much goes to the effects, 0 to 127."""

    tuning_cents: float = 0.0
    reverb: int = 0
    chorus: int = 0


def variable_length(value: int) -> bytes:
    """Seven bits a byte, the highest first; all but the last have their top bit set."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | value & 0x7F)
    return bytes(reversed(digits))


def midi_file(phrase: Phrase, patch: Patch, seconds: float, sends: Sends) -> bytes:
    """The file that plays a phrase and ends after the seconds given."""
    channel = DRUM_CHANNEL if patch.is_drums else 0
    control, bend = 0xB0 | channel, round(8192 * (1 + sends.tuning_cents / BEND_CENTS))
    setting = [
        bytes([control, BANK_SELECT, patch.bank]),
        bytes([0xC0 | channel, patch.program]),
        bytes([control, REVERB_SEND, sends.reverb]),
        bytes([control, CHORUS_SEND, sends.chorus]),
        bytes([0xE0 | channel, bend & 0x7F, bend >> 7]),
    ]
    timed = [(0, 0, message) for message in setting]
    for change in phrase.controls:
        message = bytes([control, change.controller, change.value])
        timed.append((tick(change.seconds), 1, message))
    end = tick(seconds)
    for note, stop in released(phrase):
        # A key is let go before it is struck again at the same time.
        struck = bytes([0x90 | channel, note.pitch, note.velocity])
        timed.append((tick(note.start_seconds), 3, struck))
        timed.append((stop, 2, bytes([0x80 | channel, note.pitch, 64])))
    timed = [entry for entry in timed if entry[0] < end]
    timed.sort(key=lambda entry: entry[:2])
    # FluidSynth plays on while a note is held, for ever if need be.
    timed.append((end, 4, bytes([control, ALL_SOUND_OFF, 0])))
    track, now = [], 0
    for time, _, message in timed:
        track.append(variable_length(time - now) + message)
        now = time
    track.append(b"\x00\xff\x2f\x00")
    body = b"\x00\xff\x51\x03" + BEAT_MICROSECONDS.to_bytes(3, "big") + b"".join(track)
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS_PER_BEAT)
    return header + b"MTrk" + struct.pack(">I", len(body)) + body


def released(phrase: Phrase) -> list[tuple[Note, int]]:
    """Notes and the tick at which each is let go: before its key is struck again."""
    notes = sorted(phrase.notes, key=lambda note: (note.pitch, note.start_seconds))
    stops = []
    for note, following in zip(notes, [*notes[1:], None], strict=True):
        stop = tick(note.start_seconds + note.duration_seconds)
        if following is not None and following.pitch == note.pitch:
            stop = min(stop, tick(following.start_seconds))
        stops.append((note, max(stop, tick(note.start_seconds))))
    return stops


def tick(seconds: float) -> int:
    """The tick nearest to a time."""
    return max(0, round(seconds * TICKS_PER_SECOND))
