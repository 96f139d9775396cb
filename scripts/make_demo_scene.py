"""Makes the demo scene: a man speaks in a room, a telephone rings, a police car passes, it rains.

Everything is synthesised from a seed by the generators of ``sounds``; the words are spoken by
eSpeak NG, whose version decides about the last bits.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from sounds import bells, noises, sirens
from sounds.signals import SAMPLE_RATE, Generator, Waveform, add_at, normalised, ramps, room
from sounds.speech import SpeechError, Voice, say

SCENE_SECONDS = 10.0
SCENE_PEAK = 0.8
ROOM_DECAY_SECONDS = 0.35
ROOM_WET = 0.25
RING_CADENCE_SECONDS = (1.2, 1.0)
VOICE = Voice(language="en-gb", variant="m3", words_per_minute=165, pitch=45)
WORDS = "I was reading by the window, when suddenly the telephone rang."


def spoken(num_samples: int, rng: np.random.Generator) -> Waveform:
    """(T,) the sentence of the scene; ``rng`` is not used, the words are always the same."""
    speech = np.zeros(num_samples)
    add_at(speech, say(WORDS, VOICE), 0)
    return speech


def telephone(num_samples: int, rng: np.random.Generator) -> Waveform:
    """(T,) two rings; the gongs die away slowly."""
    return bells.telephone_ring(num_samples, RING_CADENCE_SECONDS, 0.0, rng)


@dataclass(frozen=True)
class Event:
    """One sound of the scene: when it sounds, how loud, how it comes and goes."""

    name: str
    generate: Generator
    start_seconds: float
    stop_seconds: float
    peak_db: float
    fade_seconds: float


EVENTS = (
    Event("speech", spoken, 0.1, 4.2, 0.0, 0.01),
    Event("telephone", telephone, 2.7, 7.0, 0.0, 0.01),
    Event("siren", sirens.police_siren, 6.2, 10.0, -4.0, 0.5),
    Event("rain", noises.rain, 0.0, 10.0, -30.0, 0.02),
)


def render_event(event: Event, num_samples: int, seed: int, index: int) -> Waveform:
    """(T,) one event at its place in the scene, heard in the room that all events share."""
    rng = np.random.default_rng([seed, index])
    part_samples = round((event.stop_seconds - event.start_seconds) * SAMPLE_RATE)
    inside = np.ones(part_samples)
    edge = round(event.fade_seconds * SAMPLE_RATE)
    inside[:edge] = inside[-edge:] = 0.0
    dry = normalised(event.generate(part_samples, rng), 10 ** (event.peak_db / 20))
    placed = np.zeros(num_samples)
    start = round(event.start_seconds * SAMPLE_RATE)
    add_at(placed, dry * ramps(inside, event.fade_seconds), start)
    return room(placed, ROOM_DECAY_SECONDS, ROOM_WET, np.random.default_rng([seed, len(EVENTS)]))


def mix(stems: dict[str, Waveform]) -> Waveform:
    """(T,) the scene."""
    scene: Waveform = np.sum(list(stems.values()), axis=0)
    return scene


def make_stems(seed: int) -> dict[str, Waveform]:
    """The events by name, each (T,), with a common gain that gives their sum its peak."""
    num_samples = round(SCENE_SECONDS * SAMPLE_RATE)
    stems = {
        event.name: render_event(event, num_samples, seed, index)
        for index, event in enumerate(EVENTS)
    }
    gain = SCENE_PEAK / np.max(np.abs(mix(stems)))
    return {name: gain * stem for name, stem in stems.items()}


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    default = Path(__file__).resolve().parent.parent / "demo" / "scene.flac"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-o", "--output", type=Path, default=default, help="default: demo/scene.flac"
    )
    parser.add_argument(
        "--stems", type=Path, help="folder for the true stems, not written unless given"
    )
    parser.add_argument("--seed", type=int, default=2, help="seed of all randomness (default: 2)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    args = build_parser().parse_args(argv)
    try:
        if args.seed < 0:
            raise ValueError(f"--seed is {args.seed}; give 0 or more")
        stems = make_stems(args.seed)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(args.output, mix(stems), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        if args.stems:
            args.stems.mkdir(parents=True, exist_ok=True)
            for name, stem in stems.items():
                soundfile.write(args.stems / f"{name}.flac", stem, SAMPLE_RATE, subtype="PCM_16")
    except (SpeechError, ValueError, OSError) as error:
        print(f"make_demo_scene: {error}", file=sys.stderr)
        return 2
    print(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
