"""Voices of several synthesizers: eSpeak NG, Flite and Festival, men, women and children."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from sounds.sentences import draw_sentence
from sounds.signals import SAMPLE_RATE, Waveform
from sounds.speech import LANGUAGES, SpeechError, Voice, say, trimmed

TIMEOUT_SECONDS = 60.0
FESTIVAL_FOLDERS = ("/usr/share/festival/voices", "/usr/local/share/festival/voices")
FLITE_PITCH_HZ = {"man": (85, 135), "woman": (165, 235)}
Person = Literal["man", "woman", "child", "machine"]


@dataclass(frozen=True)
class Speaker:
    """One voice.

    Attributes:
        key: Part of file names and groups.
        program: Which synthesizer speaks.
        voice: What that synthesizer calls it.
        person: Who it sounds like.
        language: What it speaks; empty: any that eSpeak NG is asked for.
        licence: Of the recordings it is made from, or of eSpeak NG's output, which has none.
    """

    key: str
    program: Literal["espeak-ng", "flite", "festival"]
    voice: str
    person: Person
    language: str = ""
    licence: str = "CC0-1.0"


CMU, CSTR = "LicenseRef-CMU-Flite", "LicenseRef-Festvox"
RECORDED = (
    Speaker("flite_awb", "flite", "awb", "man", "en", CMU),
    Speaker("flite_rms", "flite", "rms", "man", "en", CMU),
    Speaker("flite_kal16", "flite", "kal16", "man", "en", CMU),
    Speaker("flite_slt", "flite", "slt", "woman", "en", CMU),
    Speaker("festival_ked", "festival", "ked_diphone", "man", "en", CSTR),
    Speaker("festival_slt", "festival", "cmu_us_slt_arctic_hts", "woman", "en", CSTR),
    Speaker("festival_lp", "festival", "lp_diphone", "woman", "it", "GPL-2.0-or-later"),
    Speaker("festival_pc", "festival", "pc_diphone", "man", "it", "GPL-2.0-or-later"),
    Speaker("festival_lj", "festival", "suo_fi_lj_diphone", "woman", "fi", "LGPL-2.0-or-later"),
    Speaker("festival_mv", "festival", "hy_fi_mv_diphone", "man", "fi", "LGPL-2.0-or-later"),
    Speaker("festival_ona", "festival", "upc_ca_ona_hts", "woman", "ca", "LGPL-2.1-or-later"),
    Speaker("festival_dita", "festival", "czech_dita", "woman", "cs", "GPL-3.0-or-later"),
    Speaker("festival_machac", "festival", "czech_machac", "man", "cs", "GPL-3.0-or-later"),
    Speaker("festival_ph", "festival", "czech_ph", "man", "cs", "GPL-3.0-or-later"),
    Speaker("festival_krb", "festival", "czech_krb", "child", "cs", "GPL-3.0-or-later"),
)
ESPEAK_VARIANTS: dict[Person, tuple[str, ...]] = {
    "man": ("m1", "m3", "m4", "m7", "klatt", "klatt3", "adam", "Andy", "Michael", "travis"),
    "woman": ("f1", "f2", "f3", "f4", "f5", "Annie", "linda", "steph", "belinda", "anika"),
    "machine": ("robosoft", "robosoft4", "UniRobot", "anikaRobot", "announcer"),
}
FORMANTS = tuple(
    Speaker(f"espeak_{variant}", "espeak-ng", variant, person)
    for person, variants in ESPEAK_VARIANTS.items()
    for variant in variants
)


@functools.cache
def installed_speakers() -> tuple[Speaker, ...]:
    """The speakers whose programs and voices are on this machine."""
    return tuple(speaker for speaker in (*RECORDED, *FORMANTS) if is_installed(speaker))


def is_installed(speaker: Speaker) -> bool:
    """Whether a speaker can speak here; Flite's voices are part of its program."""
    if shutil.which(speaker.program) is None:
        return False
    if speaker.program != "festival":
        return True
    return shutil.which("text2wave") is not None and any(
        any(Path(folder).glob(f"*/{speaker.voice}")) for folder in FESTIVAL_FOLDERS
    )


@dataclass(frozen=True)
class Manner:
    """How a speaker speaks during a clip: tempo, pitch within the person's, size of the body."""

    language: str
    slowness: float
    pitch: float
    size: float


def draw_manner(speaker: Speaker, rng: np.random.Generator) -> Manner:
    """A manner of speaking; pitch is a place from 0, low, to 1, high."""
    return Manner(
        language=speaker.language or str(rng.choice(LANGUAGES)),
        slowness=float(rng.uniform(0.8, 1.3)),
        pitch=float(rng.random()),
        size=float(rng.uniform(0.95, 1.06)),
    )


def utter(speaker: Speaker, manner: Manner, rng: np.random.Generator) -> Waveform:
    """(T,) one sentence."""
    sentence = draw_sentence(manner.language, rng)
    if speaker.program == "espeak-ng":
        words_per_minute = round(160 / manner.slowness)
        pitch = round(30 + 40 * manner.pitch)
        return say(sentence, Voice(manner.language, speaker.voice, words_per_minute, pitch))
    samples, sample_rate = recorded(speaker, manner, sentence)
    spoken = trimmed(samples, sample_rate)
    resized: Waveform = soxr.resample(spoken, SAMPLE_RATE * manner.size, SAMPLE_RATE)
    return resized


def recorded(speaker: Speaker, manner: Manner, sentence: str) -> tuple[Waveform, int]:
    """(T,) and sample rate of a sentence spoken by Flite or Festival."""
    with tempfile.TemporaryDirectory() as folder:
        text, wav = Path(folder) / "sentence.txt", Path(folder) / "sentence.wav"
        if speaker.program == "flite":
            low, high = FLITE_PITCH_HZ[speaker.person]
            pitch_hz = low + (high - low) * manner.pitch
            command = ["flite", "-voice", speaker.voice, "-f", str(text), "-o", str(wav)]
            command += ["--setf", f"duration_stretch={manner.slowness:.3f}"]
            command += ["--setf", f"int_f0_target_mean={pitch_hz:.1f}"]
        else:
            command = ["text2wave", "-eval", f"(voice_{speaker.voice})", "-o", str(wav), str(text)]
            command[3:3] = ["-eval", f"(Parameter.set 'Duration_Stretch {manner.slowness:.3f})"]
        # Festival's voices read Latin alphabets of one byte a letter.
        encoding = "iso-8859-2" if manner.language == "cs" else "iso-8859-1"
        text.write_bytes(sentence.encode(encoding))
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_SECONDS)
            samples, sample_rate = soundfile.read(wav, dtype="float64")
        except (subprocess.SubprocessError, soundfile.LibsndfileError) as error:
            problem = f"{speaker.program} failed for the voice {speaker.voice}: {error}"
            raise SpeechError(problem) from error
        return samples, int(sample_rate)
