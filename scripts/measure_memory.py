"""Measure the peak memory of uss-separate for recordings of different lengths.

Repeats the demo scene as a stereo file at 48 kHz, separates it at level 2 with the default model in
a process of its own, and prints a table of docs/performance.md:

    python scripts/measure_memory.py --minutes 1 10 60
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from measured_command import separate

from uss.audio import read_audio, resample

_SCENE = Path(__file__).parents[1] / "demo" / "scene.flac"
_SAMPLE_RATE = 48_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1.0, 10.0, 60.0])
    arguments = parser.parse_args(argv)
    print("| minutes | peak resident set | seconds |\n|---:|---:|---:|")
    for minutes in arguments.minutes:
        with tempfile.TemporaryDirectory() as folder:
            recording = Path(folder) / "recording.wav"
            _write_scene(recording, minutes)
            taken = separate([recording, "-o", Path(folder) / "out", "--level", "2"])
        print(f"| {minutes:g} | {taken.megabytes:.0f} MB | {taken.seconds:.0f} |", flush=True)
    return 0


def _write_scene(path: Path, minutes: float) -> None:
    scene = read_audio(_SCENE)
    left = resample(scene.waveform[0], scene.sample_rate, _SAMPLE_RATE)
    stereo = np.stack([left, 0.8 * left], axis=1)
    missing = round(60.0 * minutes * _SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", _SAMPLE_RATE, 2, "PCM_16") as file:
        while missing > 0:
            file.write(stereo[:missing])
            missing -= len(stereo)


if __name__ == "__main__":
    sys.exit(main())
