"""Measure how well marked seconds ask for the sound in them, beside its class.

    python scripts/measure_spans.py AUDIO [--scenes quality/scenes.csv] [--limit 30] [--model FILE]

AUDIO holds the clips of the scenes. Every event that is not alone in its scene is marked from its
true onset to its true offset, and events of 1.5 s and more once again in their middle second alone.
What is marked asks for the event, with and without what the rest of the scene sounds like, as
``uss-separate --span`` does, and so does its class. Scored is the SI-SDR improvement of the stem
against the event over the whole scene: of the stem as it is, and where it is silent outside of the
span. Beside it stands what cutting the mixture to the span improves, without separating anything.

Events whose class the model has no query for are left out. Prints a table; -o writes the rows.
Stems that hold nothing of the event (SI-SDRi below -60 dB) are counted, and not averaged.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from uss.audio import Recording
from uss.conditions.queries import Query
from uss.conditions.span_queries import REST_WEIGHT
from uss.core.arrays import Float32
from uss.core.errors import INPUT_ERRORS, InputError, one_line
from uss.core.files import written_whole
from uss.core.spans import Span
from uss.evaluation.scenes.records import OFF_TARGET_DB
from uss.evaluation.scenes.rendering import RenderedScene, render
from uss.evaluation.scenes.scene import Scene, SceneEvent
from uss.evaluation.scenes.scene_list import read_scenes_with_audio
from uss.metrics import is_alone, si_sdr_improvement
from uss.separation.gating import span_gate
from uss.separation.plan import Wanted
from uss.separation.separator import Separator
from uss.separation.stream import whole_stems

QUALITY = Path(__file__).resolve().parents[1] / "quality"
LEAST_SECONDS, PART_SECONDS = 1.5, 1.0


@dataclass(frozen=True)
class Row:
    """One event, asked for in one way.

    Attributes:
        scene, event: which it is.
        marked: ``all`` of it, or ``1 s``.
        asked: ``class``, ``span`` alone, ``span and rest``, or ``mixture``, which is not separated.
        everywhere_db: SI-SDRi of the stem of the whole scene.
        there_db: where it is silent outside of the span.
    """

    scene: str
    event: int
    marked: str
    asked: str
    everywhere_db: float
    there_db: float


def measure_scene(separator: Separator, scene: Scene, root: Path) -> list[Row]:
    """Ask for every event in all ways; see the module.

    Raises:
        OSError, ValueError: if the scene cannot be rendered.
    """
    rendered = render(scene, root)
    recording = Recording(rendered.mixture, rendered.sample_rate)
    asked = list(_asked(separator, scene, rendered, recording))
    if not asked:
        return []
    analysis = separator.analyse(recording)
    rows = []
    # One by one, as a user who marks one sound: stems of a call may share bins.
    for event, marked, how, query, span in asked:
        gate = span_gate(
            [(span.start_seconds, span.end_seconds)],
            recording.sample_rate,
            0,
            recording.num_samples,
        )
        stem = recording.waveform
        if query is not None:
            # Whether it is detected is another question.
            plan = separator.plan(analysis, Wanted(queries=[query], threshold=0.0))
            stem = whole_stems(separator.stream(recording, analysis, plan), 1, stem)[0]
        scores = [_improvement(rendered, event, each) for each in (stem, stem * gate)]
        rows.append(Row(scene.name, event, marked, how, *scores))
    return rows


def _asked(
    separator: Separator, scene: Scene, rendered: RenderedScene, recording: Recording
) -> Iterator[tuple[int, str, str, Query | None, Span]]:
    mixture = torch.from_numpy(rendered.mixture[0])
    rate = recording.sample_rate

    def read(start: float, end: float) -> Recording:
        return Recording(recording.waveform[:, round(start * rate) : round(end * rate)], rate)

    for number, event in enumerate(scene.events):
        if is_alone(torch.from_numpy(rendered.sources[number][0]), mixture):
            continue
        try:
            of_class = separator.class_query(event.mids[0])
            of_class.check(separator.conditioning)
        except ValueError:
            continue
        for marked, span in _marks(event):
            yield number, marked, "mixture", None, span
            yield number, marked, "class", of_class, span
            for how, weight in (("span", 0.0), ("span and rest", REST_WEIGHT)):
                heard = (0.0, scene.seconds)
                (query,) = separator.span_queries([span], read, heard, rest_weight=weight)
                yield number, marked, how, query, span


def _marks(event: SceneEvent) -> Iterator[tuple[str, Span]]:
    start, end = event.onset_seconds, event.onset_seconds + event.seconds
    yield "all", Span(start, end)
    if event.seconds >= LEAST_SECONDS:
        first = (start + end - PART_SECONDS) / 2.0
        yield "1 s", Span(first, first + PART_SECONDS)


def _improvement(rendered: RenderedScene, event: int, stem: Float32) -> float:
    source, mixture = rendered.sources[event][0], rendered.mixture[0]
    waveforms = (
        torch.from_numpy(np.ascontiguousarray(each)) for each in (source, stem[0], mixture)
    )
    return float(si_sdr_improvement(*waveforms))


def table(rows: Sequence[Row]) -> list[str]:
    """Average what is on target, one line for each way to mark and to ask."""
    ways: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        ways.setdefault((row.marked, row.asked), []).append(row)
    lines = ["| marked | asked with | events | whole file | span only |", "|---|---|---|---|---|"]
    for (marked, asked), own in ways.items():
        cells = [_cell([each.everywhere_db for each in own]), _cell([e.there_db for e in own])]
        lines.append(f"| {marked} | {asked} | {len(own)} | {' | '.join(cells)} |")
    return lines


def _cell(values: Sequence[float]) -> str:
    found = [each for each in values if each >= OFF_TARGET_DB]
    if not found:
        return "-"
    missed = len(values) - len(found)
    return f"{np.mean(found):.1f} dB" + (f" ({missed} off target)" if missed else "")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", type=Path)
    parser.add_argument("--scenes", type=Path, default=QUALITY / "scenes.csv")
    parser.add_argument("--limit", type=int, default=30)
    parser.add_argument("--model", default="default")
    parser.add_argument("-o", "--output", type=Path, default=None, help="JSON")
    arguments = parser.parse_args(argv)
    try:
        scenes = read_scenes_with_audio(arguments.scenes, arguments.audio, arguments.limit)
        separator = Separator.from_pretrained(arguments.model)
        rows: list[Row] = []
        for number, scene in enumerate(scenes, start=1):
            rows += measure_scene(separator, scene, arguments.audio)
            print(f"{number} of {len(scenes)} scenes", file=sys.stderr)
        if not rows:
            raise InputError("no event of these scenes can be asked for; choose others")
        if arguments.output is not None:
            _write(arguments.output, rows)
    except INPUT_ERRORS as error:
        print(f"measure_spans: {one_line(error)}", file=sys.stderr)
        return 2
    print("\n".join(table(rows)))
    return 0


def _write(path: Path, rows: Sequence[Row]) -> None:
    listed: list[Mapping[str, object]] = [asdict(row) for row in rows]
    with written_whole(path) as part:
        part.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
