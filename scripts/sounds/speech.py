"""Speech made with the eSpeak NG program: voices, sentences, a room, a telephone line."""

from __future__ import annotations

import functools
import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
import soxr

from sounds.sentences import draw_sentence
from sounds.signals import SAMPLE_RATE, Waveform, add_at, band_pass, normalised, room

ESPEAK_RATE = 22_050
WAV_HEADER_BYTES = 44
MALE_VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "croak", "klatt", "klatt3")
FEMALE_VARIANTS = ("f1", "f2", "f3", "f4", "f5")
WHISPER_VARIANTS = ("whisper", "whisperf")
LANGUAGES = ("en-us", "en-us", "en-gb", "en-gb", "en-gb-scotland", "de", "fr", "es", "it", "nl")


class SpeechError(RuntimeError):
    """A speech synthesizer is missing or refuses a voice or text."""


@dataclass(frozen=True)
class Voice:
    """One speaker: eSpeak NG's language and variant, words a minute, pitch 0 to 99."""

    language: str
    variant: str
    words_per_minute: int
    pitch: int


@functools.cache
def espeak_program() -> str:
    """Path of the eSpeak NG program."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise SpeechError(
            "the program espeak-ng is not on PATH; install it (Debian, Ubuntu: "
            "apt install espeak-ng; macOS: brew install espeak-ng)"
        )
    return program


def draw_voice(variants: tuple[str, ...], rng: np.random.Generator) -> Voice:
    """A random speaker among the given variants."""
    return Voice(
        language=str(rng.choice(LANGUAGES)),
        variant=str(rng.choice(variants)),
        words_per_minute=int(rng.integers(120, 200)),
        pitch=int(rng.integers(30, 70)),
    )


def say(text: str, voice: Voice) -> Waveform:
    """(T,) the words spoken, from the first sound to the last."""
    command = [
        espeak_program(),
        "--stdout",
        "-v",
        f"{voice.language}+{voice.variant}",
        "-s",
        str(voice.words_per_minute),
        "-p",
        str(voice.pitch),
        text,
    ]
    result = subprocess.run(command, check=False, capture_output=True)
    if result.returncode != 0:
        reason = " ".join(result.stderr.decode(errors="replace").split())
        raise SpeechError(f"espeak-ng failed for the voice {voice}: {reason}")
    wav = result.stdout
    # The length in a piped header is a dummy, so the samples are taken as they come.
    samples = np.frombuffer(wav[WAV_HEADER_BYTES:], dtype="<i2").astype(np.float64) / 32768
    return trimmed(samples, ESPEAK_RATE)


def trimmed(samples: Waveform, sample_rate: int) -> Waveform:
    """(T,) at this package's rate, from the first sound to the last."""
    loud = np.flatnonzero(np.abs(samples) > 0.003)
    if len(loud):
        samples = samples[loud[0] : loud[-1] + 1]
    spoken: Waveform = soxr.resample(samples, sample_rate, SAMPLE_RATE)
    return spoken


def talk(num_samples: int, voices: list[Voice], rng: np.random.Generator) -> Waveform:
    """(T,) sentences with pauses, the voices taking turns, until the clip is full."""
    spoken = np.zeros(num_samples)
    start = round(rng.uniform(0.0, 0.4) * SAMPLE_RATE)
    turn = 0
    while start < num_samples:
        voice = voices[turn % len(voices)]
        sentence = normalised(say(draw_sentence(voice.language, rng), voice))
        add_at(spoken, sentence, start)
        start += len(sentence) + round(rng.uniform(0.1, 0.7) * SAMPLE_RATE)
        turn += 1
    return in_a_place(spoken, rng)


def in_a_place(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Dry, in a room, or over the telephone."""
    chance = rng.random()
    if chance < 0.4:
        return room(waveform, rng.uniform(0.2, 0.7), rng.uniform(0.1, 0.5), rng)
    if chance < 0.5:
        return band_pass(waveform, 300.0, 3400.0, order=4)
    return waveform


def male_speech(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A man speaking."""
    return talk(num_samples, [draw_voice(MALE_VARIANTS, rng)], rng)


def female_speech(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A woman speaking."""
    return talk(num_samples, [draw_voice(FEMALE_VARIANTS, rng)], rng)


def whispering(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Someone whispering."""
    return talk(num_samples, [draw_voice(WHISPER_VARIANTS, rng)], rng)


def conversation(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A man and a woman in turn, in one language."""
    first = draw_voice(MALE_VARIANTS, rng)
    second = draw_voice(FEMALE_VARIANTS, rng)
    answer = Voice(first.language, second.variant, second.words_per_minute, second.pitch)
    return talk(num_samples, [first, answer], rng)
