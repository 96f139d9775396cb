"""Renders MIDI files with the FluidSynth program and the Fluid (R3) sound font, in a room."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from sounds.midi import Patch, Sends, midi_file
from sounds.phrases import Phrase
from sounds.signals import SAMPLE_RATE, Waveform

FONT_FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/soundfonts", "/usr/local/share/soundfonts")
FONT_NAMES = ("FluidR3_GM.sf2",)
TIMEOUT_SECONDS = 30.0


class FluidsynthError(RuntimeError):
    """The program FluidSynth or its sound font is missing, or rendering fails."""


@dataclass(frozen=True)
class Room:
    """FluidSynth's reverberation: size and damping 0 to 1, width 0 to 100, level 0 to 1."""

    size: float
    damping: float
    width: float
    level: float


@functools.cache
def fluidsynth_program() -> str:
    """Path of the FluidSynth program."""
    program = shutil.which("fluidsynth")
    if program is None:
        raise FluidsynthError(
            "the program fluidsynth is not on PATH; install it (Debian, Ubuntu: "
            "apt install fluidsynth; macOS: brew install fluid-synth)"
        )
    return program


@functools.cache
def font_path() -> Path:
    """Path of the Fluid (R3) General MIDI sound font."""
    paths = [Path(folder) / name for folder in FONT_FOLDERS for name in FONT_NAMES]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        raise FluidsynthError(
            f"the sound font {FONT_NAMES[0]} is in none of {', '.join(FONT_FOLDERS)}; install it "
            "(Debian, Ubuntu: apt install fluid-soundfont-gm)"
        )
    return found


def play(
    phrase: Phrase, patch: Patch, num_samples: int, room: Room | None, sends: Sends
) -> Waveform:
    """(T,) the phrase played by a preset of the font, both channels mixed to one.

    Args:
        phrase: What is played.
        patch: By which preset.
        num_samples: T.
        room: Where; None: dry.
        sends: Tuning, and how much the room and the chorus get.
    """
    settings: dict[str, float] = {
        "synth.reverb.active": int(room is not None),
        "synth.chorus.active": int(sends.chorus > 0),
        "synth.dynamic-sample-loading": 1,
    }
    if room is not None:
        settings |= {
            "synth.reverb.room-size": room.size,
            "synth.reverb.damp": room.damping,
            "synth.reverb.width": room.width,
            "synth.reverb.level": room.level,
        }
    with tempfile.TemporaryDirectory() as folder:
        score, recording = Path(folder) / "phrase.mid", Path(folder) / "phrase.wav"
        score.write_bytes(midi_file(phrase, patch, num_samples / SAMPLE_RATE, sends))
        command = [fluidsynth_program(), "-n", "-i", "-q", "-g", "0.5", "-r", str(SAMPLE_RATE)]
        command += ["-T", "wav", "-O", "float", "-F", str(recording)]
        command += [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
        command += [str(font_path()), str(score)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_SECONDS)
            stereo = soundfile.read(recording, dtype="float64", always_2d=True)[0]
        except (subprocess.SubprocessError, soundfile.LibsndfileError) as error:
            raise FluidsynthError(f"fluidsynth failed for {patch}: {error}") from error
    waveform = stereo.mean(axis=1)
    if not waveform.any():
        raise FluidsynthError(f"{font_path()} has no sound for {patch}; use the Fluid (R3) font")
    played: Waveform = np.zeros(num_samples)
    played[: len(waveform)] = waveform[:num_samples]
    return played
