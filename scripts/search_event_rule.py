"""What an event is: tries rules on scenes whose events are known, the best first.

    uss-prepare scenes AUDIO --split train --count 80 --seed 7 -o train.csv
    python scripts/search_event_rule.py train.csv AUDIO

Separates every scene once, and finds events in all stems by each rule, and without stems by the
scene's own levels. A rule is as good as its event-based and segment-based F1 together, mean of
levels 1 to 3. The first row is what the separator's segments have, the second the rule in use
(``uss/detection/onsets.py``).
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.evaluate.progress import quiet_detection
from uss.audio import Recording
from uss.audio.envelopes import LevelCurve
from uss.core.arrays import Float32, Waveform
from uss.detection.events import heard_in_frames, intervals_of
from uss.detection.onsets import DEFAULT_RULE, EventRule, find_intervals
from uss.evaluation.result_formats import align
from uss.evaluation.scenes.level_scores import level_truth, times_of_nodes
from uss.evaluation.scenes.node_times import NodeTimes, TimeCounts, counts_of
from uss.evaluation.scenes.records import LEVELS
from uss.evaluation.scenes.rendering import render
from uss.evaluation.scenes.scene import Scene
from uss.evaluation.scenes.scene_list import read_scenes_with_audio
from uss.metrics.sound_events import Interval
from uss.separation.plan import Wanted
from uss.separation.separator import Separator
from uss.separation.stream import whole_stems

GRID = tuple(
    EventRule(on_db, off_db, gap_seconds, min_seconds)
    for on_db, off_db, gap_seconds, min_seconds in itertools.product(
        (-10.0, -15.0, -20.0, -25.0), (-20.0, -25.0, -30.0), (0.3, 0.5, 0.75, 1.0), (0.1, 0.25)
    )
    if off_db <= on_db
)


@dataclass(frozen=True)
class Node:
    """A node that is there in a scene, or was found in it.

    Attributes:
        level: of the ontology.
        seconds: of the scene.
        times: when it is there, and its spans.
        levels_db: (N,) of its stem; None where it was missed.
        scene_levels_db: (N,) of the scene.
        heard: (N,) see ``heard_in_frames``.
    """

    level: int
    seconds: float
    times: NodeTimes
    levels_db: Float32 | None = None
    scene_levels_db: Float32 | None = None
    heard: Float32 | None = None

    def found_by(self, rule: EventRule, *, has_stem: bool = True) -> tuple[Interval, ...]:
        """Its events by a rule."""
        levels_db = self.levels_db if has_stem else self.scene_levels_db
        if levels_db is None:
            return ()
        return tuple(find_intervals(self.times.spans, levels_db, self.heard, rule))


def nodes_of(separator: Separator, scene: Scene, root: Path) -> Iterator[Node]:
    """Separate a scene; gives all nodes of all levels that are there or were found."""
    rendered = render(scene, root)
    recording = Recording(rendered.mixture, rendered.sample_rate)
    analysis = replace(separator.analyse(recording), has_infrasound=False)
    plan = separator.plan(analysis, Wanted(levels=LEVELS))
    stems: Iterator[Waveform] = iter(())
    if plan.detections:
        stream = separator.stream(recording, analysis, plan)
        stems = iter(whole_stems(stream, len(plan.detections), recording.waveform))
    whole = levels_of(rendered.mixture, rendered.sample_rate)
    for level, detections in zip(LEVELS, plan.groups.values(), strict=True):
        truth = level_truth(scene, level, separator.ontology)
        none = {str(each.query.mid): () for each in detections}
        times = times_of_nodes(scene, truth, detections, analysis, none)
        for each in detections:
            levels_db = levels_of(next(stems), rendered.sample_rate)
            known = times.pop(str(each.query.mid), None)
            if known is not None:
                heard = heard_in_frames(each, analysis, len(whole))
                spans = replace(known, spans=tuple(intervals_of(each, analysis)))
                yield Node(level, scene.seconds, spans, levels_db, whole, heard)
        for missed in times.values():
            yield Node(level, scene.seconds, missed)


def levels_of(waveform: Waveform, sample_rate: int) -> Float32:
    """(N,) of a (C, T) waveform."""
    curve = LevelCurve(sample_rate)
    curve.add(waveform)
    return curve.levels_db


def scores(
    nodes: Sequence[Node], events: Callable[[Node], tuple[Interval, ...]]
) -> list[tuple[float, float]]:
    """Event-based and segment-based F1 of each level."""
    by_level = []
    for level in LEVELS:
        counts = (
            counts_of([replace(each.times, events=events(each))], each.seconds, of_spans=False)
            for each in nodes
            if each.level == level
        )
        pooled = sum(counts, TimeCounts())
        by_level.append((pooled.events.f1, pooled.segments.f1))
    return by_level


def row(name: str, nodes: Sequence[Node], rule: EventRule | None) -> tuple[float, list[str]]:
    """What a rule reaches, and a line of the table; None for spans."""
    if rule is None:
        of_stems = of_scene = scores(nodes, lambda node: node.times.spans)
    else:
        of_stems = scores(nodes, lambda node: node.found_by(rule))
        of_scene = scores(nodes, lambda node: node.found_by(rule, has_stem=False))
    cells = [f"{value:.3f}" for pair in (*of_stems, of_scene[1]) for value in pair]
    return float(np.mean(np.sum(of_stems, axis=1))), [name, *cells]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the search; returns the exit status."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scenes", type=Path, help="list that uss-prepare scenes wrote")
    parser.add_argument("audio", type=Path, help="folder its paths start from")
    parser.add_argument("--model", default="default")
    parser.add_argument("--limit", type=int, default=None, metavar="N")
    parser.add_argument("--show", type=int, default=20, metavar="N", help="rules")
    arguments = parser.parse_args(argv)
    scenes = read_scenes_with_audio(arguments.scenes, arguments.audio, arguments.limit)
    separator = Separator.from_pretrained(arguments.model)
    nodes = []
    with quiet_detection():
        for scene in scenes:
            nodes += nodes_of(separator, scene, arguments.audio)
    heads = [f"{what} {level}" for level in LEVELS for what in ("event", "segment")]
    table = [["rule", *heads, "no stems: event 2", "segment 2"]]
    table += [row("spans", nodes, None)[1], row("in use", nodes, DEFAULT_RULE)[1]]
    tried = sorted(
        (
            row(
                f"on {rule.on_db:g} off {rule.off_db:g} dB, gap {rule.gap_seconds:g}, "
                f"min {rule.min_seconds:g} s",
                nodes,
                rule,
            )
            for rule in GRID
        ),
        reverse=True,
    )
    print("\n".join(align([*table, *(cells for _, cells in tried[: arguments.show])])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
