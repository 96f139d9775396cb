"""Renders phrases of General MIDI instruments and drums into labelled clips, with a manifest.

FluidSynth plays the Fluid (R3) sound font. Clip n depends on the seed and n only. With
``--tagger``, clips in which that tagger does not hear their class are left out and others are
tried in their place, up to three for each one asked for.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence

import numpy as np
from sounds import takes_command
from sounds.fluidsynth import Room, fluidsynth_program, font_path, play
from sounds.instruments import INSTRUMENTS, Instrument
from sounds.midi import Sends
from sounds.signals import SAMPLE_RATE, Waveform
from sounds.takes import Source

LICENCE = "MIT"
ATTRIBUTION = "Fluid (R3) General MIDI sound font, (c) 2000-2002, 2008 Frank Wen"
FONT_KEY = "fluidr3"
DRY_SHARE, CHORUS_SHARE = 0.3, 0.15


def draw_room(rng: np.random.Generator) -> Room | None:
    """A room from small to a hall, or none."""
    if rng.random() < DRY_SHARE:
        return None
    return Room(
        size=round(rng.uniform(0.05, 0.95), 3),
        damping=round(rng.uniform(0.0, 0.9), 3),
        width=round(rng.uniform(0.0, 50.0), 1),
        level=round(rng.uniform(0.2, 1.0), 3),
    )


def perform(instrument: Instrument, num_samples: int, rng: np.random.Generator) -> Waveform:
    """(T,) one of the instrument's phrases, at a tempo, loudness, tuning and place."""
    # Every second phrase ends early enough for the last note to die away.
    seconds = num_samples / SAMPLE_RATE - (rng.uniform(0.4, 1.5) if rng.random() < 0.5 else 0.0)
    maker = instrument.makers[rng.integers(len(instrument.makers))]
    patch = instrument.patches[rng.integers(len(instrument.patches))]
    phrase = maker(instrument.pitches, seconds, rng)
    sends = Sends(
        tuning_cents=0.0 if patch.is_drums else rng.uniform(-35, 35),
        reverb=int(rng.integers(30, 128)),
        chorus=int(rng.integers(20, 100)) if rng.random() < CHORUS_SHARE else 0,
    )
    return play(phrase, patch, num_samples, draw_room(rng), sends)


def sources() -> list[Source]:
    """Every instrument of the table; raises if FluidSynth or the font is missing."""
    fluidsynth_program()
    font_path()
    return [
        Source(
            instrument.key,
            instrument.names,
            functools.partial(perform, instrument),
            group=f"{FONT_KEY}:{instrument.key}",
            licence=LICENCE,
            attribution=ATTRIBUTION,
        )
        for instrument in INSTRUMENTS
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return takes_command.run("render_instruments", __doc__, sources, argv)


if __name__ == "__main__":
    sys.exit(main())
