"""Clips of voices: one speaker, two in turn, a reader, a whisper."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sounds.signals import SAMPLE_RATE, Generator, Waveform, add_at, normalised
from sounds.speakers import Speaker, draw_manner, utter
from sounds.speech import in_a_place
from sounds.takes import Source

WHISPER_WINDOW, WHISPER_HOP, ENVELOPE_CEPSTRA = 1024, 256, 48
SYNTHETIC = "Speech synthesizer"
PERSONS = {
    "man": "Male speech, man speaking",
    "woman": "Female speech, woman speaking",
    "child": "Child speech, kid speaking",
}


def turns(
    speakers: Sequence[Speaker],
    pause_seconds: tuple[float, float],
    num_samples: int,
    rng: np.random.Generator,
) -> Waveform:
    """(T,) dry sentences, the speakers in turn, until the clip is full."""
    spoken = np.zeros(num_samples)
    manners = [draw_manner(speaker, rng) for speaker in speakers]
    manners = [replace(manner, language=manners[0].language) for manner in manners]
    start, turn = round(rng.uniform(0.0, 0.4) * SAMPLE_RATE), 0
    while start < num_samples:
        number = turn % len(speakers)
        sentence = normalised(utter(speakers[number], manners[number], rng))
        add_at(spoken, sentence, start)
        start += len(sentence) + round(rng.uniform(*pause_seconds) * SAMPLE_RATE)
        turn += 1
    return spoken


def speaking(
    speakers: Sequence[Speaker],
    pause_seconds: tuple[float, float],
    num_samples: int,
    rng: np.random.Generator,
) -> Waveform:
    """(T,) the speakers in turn, somewhere."""
    return in_a_place(turns(speakers, pause_seconds, num_samples, rng), rng)


def whispering(speaker: Speaker, num_samples: int, rng: np.random.Generator) -> Waveform:
    """(T,) a speaker whispering."""
    voiced = turns((speaker,), (0.1, 0.6), num_samples, rng)
    return in_a_place(whispered(voiced, rng), rng)


def whispered(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """(T,) speech whose voice is exchanged for breath: its spectral envelope filled with noise.

    The envelope is the exponential of the low part of the cepstrum (Oppenheim and Schafer 1968).
    """
    window = np.sqrt(np.hanning(WHISPER_WINDOW + 1)[:-1])
    padded = np.pad(waveform, WHISPER_WINDOW)
    starts = range(0, len(padded) - WHISPER_WINDOW, WHISPER_HOP)
    breath, keep = np.zeros(len(padded)), np.zeros(WHISPER_WINDOW)
    keep[:ENVELOPE_CEPSTRA] = keep[-ENVELOPE_CEPSTRA + 1 :] = 1.0
    noise = rng.standard_normal(len(padded))
    for start in starts:
        span = slice(start, start + WHISPER_WINDOW)
        magnitude = np.abs(np.fft.rfft(padded[span] * window))
        cepstrum = np.fft.irfft(np.log(magnitude + 1e-6))
        envelope = np.exp(np.fft.rfft(cepstrum * keep).real)
        filled = np.fft.rfft(noise[span] * window) * envelope
        breath[span] += np.fft.irfft(filled) * window
    return tilted(breath[WHISPER_WINDOW:-WHISPER_WINDOW], rng.uniform(8.0, 12.0))


def tilted(waveform: Waveform, octave_db: float) -> Waveform:
    """(T,) higher frequencies raised by so much an octave, from 200 Hz to 7 kHz.

    The glottis gives speech a spectrum that falls by about as much; breath has none of that.
    """
    frequency = np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)
    gain = (np.maximum(frequency, 200.0) / 1000.0) ** (octave_db / 6.02)
    gain *= np.minimum(1.0, 7000.0 / np.maximum(frequency, 1.0)) ** 2
    lifted: Waveform = np.fft.irfft(np.fft.rfft(waveform) * gain, len(waveform))
    return lifted


def source(
    key: str, names: Sequence[str], generate: Generator, speakers: Sequence[Speaker]
) -> Source:
    """What clips of these speakers have in common."""
    return Source(
        key,
        tuple(dict.fromkeys(names)),
        generate,
        group="voices:" + "+".join(speaker.key for speaker in speakers),
        licence=" AND ".join(dict.fromkeys(speaker.licence for speaker in speakers)),
        attribution="; ".join(f"{s.program}, voice {s.voice}" for s in speakers),
    )


def voice_sources(speakers: Sequence[Speaker]) -> list[Source]:
    """Everything these speakers can do, class after class."""
    people = [speaker for speaker in speakers if speaker.person != "machine"]
    adults = [speaker for speaker in people if speaker.person != "child"]
    found = []
    for speaker in speakers:
        names = (PERSONS.get(speaker.person, SYNTHETIC), SYNTHETIC)
        talk = functools.partial(speaking, (speaker,), (0.1, 0.8))
        found.append(source(speaker.key, names, talk, (speaker,)))
    for speaker in adults:
        read_as = ("Narration, monologue", PERSONS[speaker.person], SYNTHETIC)
        read = functools.partial(speaking, (speaker,), (0.25, 0.5))
        found.append(source(f"reading_{speaker.key}", read_as, read, (speaker,)))
    for speaker in people:
        if speaker.program != "espeak-ng":
            whisper = functools.partial(whispering, speaker)
            found.append(source(f"whisper_{speaker.key}", ("Whispering",), whisper, (speaker,)))
    return found + conversations(people)


def conversations(people: Sequence[Speaker]) -> list[Source]:
    """Two different speakers of one language; of eSpeak NG's, a man and a woman."""
    recorded = [speaker for speaker in people if speaker.program != "espeak-ng"]
    pairs = [
        (first, second)
        for number, first in enumerate(recorded)
        for second in recorded[number + 1 :]
        if first.language == second.language
    ]
    men = [speaker for speaker in people if speaker.person == "man" and not speaker.language]
    women = [speaker for speaker in people if speaker.person == "woman" and not speaker.language]
    found = []
    for pair in (*pairs, *zip(men, women, strict=False)):
        names = ("Conversation", *(PERSONS[speaker.person] for speaker in pair), SYNTHETIC)
        talk = functools.partial(speaking, pair, (0.05, 0.5))
        found.append(source("_".join(speaker.key for speaker in pair), names, talk, pair))
    # In an order that mixes the pairs, so that the first few clips have different speakers.
    return sorted(found, key=lambda each: zlib.crc32(each.key.encode()))
