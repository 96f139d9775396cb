"""Generates labelled clips of AudioSet sounds that can be synthesised, with a manifest.

The clips serve tests, smoke training runs and demonstrations where no recordings are at
hand. Clip n depends on the seed and n only, so a longer run repeats a shorter one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from sounds.catalogue import render, sound_of_clip
from sounds.manifests import manifest_row, write_manifest
from sounds.signals import SAMPLE_RATE
from sounds.speech import SpeechError, espeak_program

from ontology import Ontology, load_ontology

LICENCE = "CC0-1.0"
MIN_SECONDS, MAX_SECONDS = 2.0, 8.0


def write_clip(index: int, seed: int, folder: Path, ontology: Ontology) -> dict[str, str]:
    """Renders clip ``index`` into ``folder/clips`` and returns its manifest row."""
    sound = sound_of_clip(index)
    rng = np.random.default_rng([seed, index])
    num_samples = round(rng.uniform(MIN_SECONDS, MAX_SECONDS) * SAMPLE_RATE)
    waveform = render(sound, num_samples, rng)
    path = Path("clips") / f"{index:05d}_{sound.key}.flac"
    soundfile.write(folder / path, waveform, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return manifest_row(path, sound.names, num_samples / SAMPLE_RATE, LICENCE, ontology)


def synthesise(folder: Path, num_clips: int, seed: int) -> float:
    """Writes the clips and ``clips.csv``; returns the seconds of audio made."""
    ontology = load_ontology("graph")
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    rows = [write_clip(index, seed, folder, ontology) for index in range(num_clips)]
    write_manifest(folder / "clips.csv", rows)
    return sum(float(row["seconds"]) for row in rows)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--clips", type=int, default=600, help="number of clips")
    parser.add_argument("--seed", type=int, default=0, help="seed of all randomness, 0 or more")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    args = build_parser().parse_args(argv)
    try:
        if args.clips < 1:
            raise ValueError(f"--clips is {args.clips}; give 1 or more")
        if args.seed < 0:
            raise ValueError(f"--seed is {args.seed}; give 0 or more")
        espeak_program()
        seconds = synthesise(args.output, args.clips, args.seed)
    except (SpeechError, ValueError, OSError) as error:
        print(f"synthesise_sounds: {error}", file=sys.stderr)
        return 2
    print(f"{args.clips} clips, {seconds / 60:.1f} minutes: {args.output / 'clips.csv'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
