"""Whether the embedded default separates as well as it did: a gate for every change.

    python scripts/check_quality.py AUDIO            # compares with quality/recorded.json
    python scripts/check_quality.py AUDIO --record   # writes that file, after a better model

AUDIO is the folder of the labelled clips that data_manifests/labelled-clips.csv lists. Measures 60
mixtures and 20 scenes of clips that the model has not seen; fails when a mean SI-SDRi or CA-SDRi is
more than 0.3 dB below the recorded one, or an F1 more than 0.03.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.evaluate.command import main as evaluate
from uss.core.errors import INPUT_ERRORS, InputError
from uss.core.files import written_whole

QUALITY = Path(__file__).resolve().parents[1] / "quality"
RECORDED = QUALITY / "recorded.json"
TOLERANCES = {"SI-SDRi": 0.3, "CA-SDRi": 0.3, "F1": 0.03}

_RUNS = {
    "mixtures": ("mixtures.csv", "60", "--condition", "oracle", "class-average"),
    "scenes": ("scenes.csv", "20"),
}


def measure(audio: Path) -> dict[str, float | None]:
    """Evaluate the default; returns figures by name, which ends in the score's.

    Raises:
        ValueError: if an evaluation fails.
    """
    figures: dict[str, float | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (file, limit, *options) in _RUNS.items():
            output = Path(folder) / name
            words = [QUALITY / file, "--audio-root", audio, "--limit", limit, "-o", output]
            # Exact, whatever this machine is fastest at.
            words += ["--precision", "fp32", "--device", "cpu", *options]
            if evaluate([str(word) for word in words]) != 0:
                raise InputError(f"the evaluation of {file} failed; see above")
            figures |= _figures(name, json.loads((output / "results.json").read_text()))
    return figures


def _figures(name: str, results: Mapping[str, Any]) -> dict[str, float | None]:
    if name == "mixtures":
        return {
            f"{name}, {condition}: SI-SDRi": results["outputs"][condition]["mean"]["SI-SDRi"]
            for condition in ("oracle", "class-average")
        }
    (own, *_) = results["detectors"].values()
    fields = {"SI-SDRi": "mean_si_sdri_db", "CA-SDRi": "mean_ca_sdri_db", "F1": "f1"}
    return {
        f"{name}, level {level}: {score}": scores[field]
        for level, scores in own["levels"].items()
        for score, field in fields.items()
    }


def fallen(recorded: Mapping[str, float], found: Mapping[str, float | None]) -> list[str]:
    """Name the figures that are undefined or too far below the recorded ones.

    Raises:
        ValueError: if not the same figures were recorded and found.
    """
    different = sorted(recorded.keys() ^ found.keys())
    if different:
        raise InputError(f"{different[0]} is not both recorded and measured; run with --record")

    def has_fallen(name: str, now: float | None) -> bool:
        return now is None or now < recorded[name] - TOLERANCES[name.rsplit(": ")[-1]]

    return [name for name in recorded if has_fallen(name, found[name])]


def _recorded() -> dict[str, float]:
    try:
        recorded: dict[str, float] = json.loads(RECORDED.read_text())
    except ValueError as error:
        raise InputError(f"{RECORDED} is not JSON ({error}); run with --record") from error
    return recorded


def _record(found: Mapping[str, float | None]) -> None:
    undefined = [name for name, figure in found.items() if figure is None]
    if undefined:
        raise InputError(f"{undefined[0]}: nothing was separated that could be measured")
    with written_whole(RECORDED) as part:
        part.write_text(json.dumps(found, indent=2) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("audio", type=Path, help="folder of the labelled clips")
    parser.add_argument("--record", action="store_true", help="take the figures found as recorded")
    arguments = parser.parse_args(argv)
    try:
        found = measure(arguments.audio)
        if arguments.record:
            _record(found)
        recorded = _recorded()
        below = fallen(recorded, found)
    except INPUT_ERRORS as error:
        print(f"check_quality: {error}", file=sys.stderr)
        return 2
    for name, value in recorded.items():
        verdict = "FALLEN" if name in below else "ok"
        now = "none" if found[name] is None else f"{found[name]:.2f}"
        print(f"{name} {now}, recorded {value:.2f}: {verdict}")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
