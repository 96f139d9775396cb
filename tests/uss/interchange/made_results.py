"""Results for the tests of formats, with what readers trip over."""

from fractions import Fraction
from pathlib import Path

from uss.interchange.hand_over import Event, HandOver, Picture, Sound, SourceFile

RATE = 48_000
AWKWARD = [
    "a\ttab and a\nline",
    'he said "dogs" & <cats>',
    '"quoted"',
    'it\'s `all` "three" quotes',
    "🐕 собака 犬",
    "x" * 200,
    "\\ back",
    "--> arrow",
    "comma, semicolon; colon: #1 !note",
    "control \x01 \x85 \u2028 end",
    "no Unicode \udce9",
]
"""Names that some format has a rule for."""


def sound(name: str, *spans: tuple[float, float], **changed: object) -> Sound:
    """A sound of the group ``level2``, as probable as 0.75."""
    fields = {
        "mid": "/m/0bt9lr",
        "group": "level2",
        "branch": "Animal",
        "file": f"level2/{name}.wav",
        "band": (None, None),
    } | changed
    band = fields.pop("band")
    events = tuple(Event(start, end, 0.75, *band) for start, end in spans)  # type: ignore[misc]
    return Sound(name, events=events, **fields)  # type: ignore[arg-type]


def source(**changed: object) -> SourceFile:
    """A recording of ten seconds in the folder above the output."""
    fields: dict[str, object] = {
        "name": "scene.wav",
        "path": Path("/tapes/scene.wav"),
        "relative": "../../scene.wav",
        "sample_rate": RATE,
        "num_channels": 2,
        "duration_seconds": 10.0,
    }
    return SourceFile(**(fields | changed))  # type: ignore[arg-type]


def hand_over(*sounds: Sound, **changed: object) -> HandOver:
    """A result with a residual."""
    groups = {each.group for each in sounds} or {"level2"}
    residuals = {group: f"{group}/residual.wav" for group in sorted(groups)}
    return HandOver(source(**changed), sounds, residuals)


def film(**changed: object) -> dict[str, object]:
    """Fields of a film of a hundred seconds at 29.97 frames a second, which starts at an hour."""
    picture = Picture(Fraction(30_000, 1001), 107_892, True, 100.1)
    own = {
        "name": "film.mov",
        "path": Path("/films/film.mov"),
        "relative": "../../film.mov",
        "num_channels": 6,
        "duration_seconds": 98.5,
        "film_seconds": 1.5,
        "picture": picture,
    }
    return own | changed
