"""Separate a recording from a program: find what is in it, take one stem, save the rest.

Run it from the folder above:

    python examples/separate_in_python.py demo/scene.flac
"""

import sys

import numpy as np
import soundfile

from uss import Separator


def main(path: str) -> None:
    """Separate the file and print what was found."""
    # Any array or tensor of floating-point samples will do, (channels, samples) or (samples,).
    samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    waveform = samples.T

    separator = Separator.from_pretrained("default")
    stems = separator.separate(waveform, sample_rate, level=2, progress=show)

    # What was found is known at once; a stem is separated when it is first asked for.
    for name, detection in stems.detections.items():
        print(f"{name}: {detection.probability:.2f}")

    loudest = max(stems, key=lambda name: float(np.abs(stems[name]).max()))
    soundfile.write("loudest.wav", stems[loudest].T, sample_rate, subtype="FLOAT")

    total = sum(stems.values()) + stems.residual
    print(f"loudest: {loudest}; all stems miss the input by {np.abs(total - waveform).max():.1e}")


def show(done: int, total: int) -> None:
    """Show how far the present stem is."""
    print(f"\r{done} of {total} segments", end="" if done < total else "\n", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
