"""Renders speech of several synthesizers into labelled clips, with a manifest.

eSpeak NG, Flite and Festival speak with whatever voices are installed: men, women, children and
machines, alone or in conversation, reading or whispering. Clip n depends on the seed, n and the
voices installed. With ``--tagger``, clips in which that tagger does not hear their class are left
out and others are tried in their place, up to three for each one asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sounds import takes_command
from sounds.speakers import installed_speakers
from sounds.speech import SpeechError
from sounds.takes import Source
from sounds.voices import voice_sources


def sources() -> list[Source]:
    """What the installed speakers can do."""
    speakers = installed_speakers()
    if not speakers:
        raise SpeechError(
            "none of espeak-ng, flite and festival is on PATH; install some (Debian, Ubuntu: "
            "apt install espeak-ng flite festival)"
        )
    return voice_sources(speakers)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return takes_command.run("render_voices", __doc__, sources, argv)


if __name__ == "__main__":
    sys.exit(main())
