"""The command line that the scripts which write takes have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ontology import load_ontology
from sounds.fluidsynth import FluidsynthError
from sounds.judging import probabilities_of, verdict_on
from sounds.speech import SpeechError
from sounds.takes import Judge, Source, Takes, summary, write_takes
from uss.checkpoints.loading import load_tagger


def judge_by(name_or_file: str) -> Judge:
    """A judge that asks a tagger, by name or file."""
    tagger, ontology = load_tagger(name_or_file).eval(), load_ontology("graph")
    return lambda waveform, name: verdict_on(probabilities_of(tagger, waveform), name, ontology)


def build_parser(description: str | None) -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--clips-per-class", type=int, default=6, help="clips of each class")
    parser.add_argument("--seed", type=int, default=0, help="seed of all randomness, 0 or more")
    parser.add_argument("--tagger", help="name or file of a tagger that must agree with the label")
    return parser


def run(
    name: str,
    description: str | None,
    sources: Callable[[], Sequence[Source]],
    argv: Sequence[str] | None,
) -> int:
    """Runs the command of a script.

    Args:
        name: The script's, for error messages.
        description: What ``--help`` says.
        sources: Gives what is rendered, or raises if a program is missing.
        argv: The arguments.

    Returns: exit status.
    """
    args = build_parser(description).parse_args(argv)
    try:
        if args.clips_per_class < 1:
            raise ValueError(f"--clips-per-class is {args.clips_per_class}; give 1 or more")
        if args.seed < 0:
            raise ValueError(f"--seed is {args.seed}; give 0 or more")
        takes = Takes(sources(), args.seed)
        judge = None if args.tagger is None else judge_by(args.tagger)
        tallies = write_takes(takes, args.output, args.clips_per_class, judge)
    except (FluidsynthError, SpeechError, ValueError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    print("\n".join(summary(tallies)))
    kept = sum(len(tally.rows) for tally in tallies.values())
    minutes = sum(tally.minutes for tally in tallies.values())
    print(f"{kept} clips, {minutes:.1f} minutes: {args.output / 'clips.csv'}")
    return 0
