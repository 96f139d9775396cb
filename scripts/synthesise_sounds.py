"""Generates labelled clips of AudioSet sounds that can be synthesised, with a manifest.

The clips serve tests, smoke training runs and demonstrations where no recordings are at
hand. Clip n depends on the seed and n only, so a longer run repeats a shorter one.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from sounds.catalogue import Sound, render, sound_of_clip
from sounds.signals import SAMPLE_RATE
from sounds.speech import EspeakError, espeak_program

from ontology import Ontology, load_ontology

COLUMNS = ("clip_id", "path", "mids", "names", "seconds", "licence")
LICENCE = "CC0-1.0"
MIN_SECONDS, MAX_SECONDS = 2.0, 8.0


def labels_of(sound: Sound, ontology: Ontology) -> tuple[list[str], list[str]]:
    """Mids and names of a sound: its own classes, then the classes above them."""
    own = [ontology.find(name) for name in sound.names]
    above = [node for start in own for node in ontology.ancestors(start)]
    nodes = dict.fromkeys(node for node in own + above if node.class_index is not None)
    return [node.mid for node in nodes], [node.name for node in nodes]


def write_clip(index: int, seed: int, folder: Path, ontology: Ontology) -> dict[str, str]:
    """Renders clip ``index`` into ``folder/clips`` and returns its manifest row."""
    sound = sound_of_clip(index)
    rng = np.random.default_rng([seed, index])
    num_samples = round(rng.uniform(MIN_SECONDS, MAX_SECONDS) * SAMPLE_RATE)
    waveform = render(sound, num_samples, rng)
    clip_id = f"{index:05d}_{sound.key}"
    path = Path("clips") / f"{clip_id}.flac"
    soundfile.write(folder / path, waveform, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    mids, names = labels_of(sound, ontology)
    return {
        "clip_id": clip_id,
        "path": path.as_posix(),
        "mids": ";".join(mids),
        "names": ";".join(names),
        "seconds": f"{num_samples / SAMPLE_RATE:.3f}",
        "licence": LICENCE,
    }


def synthesise(folder: Path, num_clips: int, seed: int) -> float:
    """Writes the clips and ``clips.csv``; returns the seconds of audio made."""
    ontology = load_ontology("graph")
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    rows = [write_clip(index, seed, folder, ontology) for index in range(num_clips)]
    with open(folder / "clips.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
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
    except (EspeakError, ValueError, OSError) as error:
        print(f"synthesise_sounds: {error}", file=sys.stderr)
        return 2
    print(f"{args.clips} clips, {seconds / 60:.1f} minutes: {args.output / 'clips.csv'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
