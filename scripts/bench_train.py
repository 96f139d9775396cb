"""Measure a training step of ResUNet30 from shards against one that tags on the fly.

Run it on an idle machine; it prints the tables of docs/recipes.md:

    python scripts/bench_train.py --threads 2
    python scripts/bench_train.py --device cuda

``training_steps.py`` says what both steps do. The step on the fly always runs in float32, as
published. Both take turns, and the median of the steps counts. The ceilings are what counting
operations promises, were every operation as fast as a matrix product of its precision: the step on
the fly, divided by the step from shards; in bfloat16 times how much faster such products are.
Without --shards, noise is written to shards first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matrix_peak import matrix_peak
from training_steps import OnTheFlyStep, ShardStep, Step, count_operations

from uss.core.errors import INPUT_ERRORS, InputError
from uss.core.runtime import Runtime
from uss.data.datamodule import ShardDataModule
from uss.models import ResUNet30
from uss.shards import Anchor, ShardSettings, shard_path, write_shard
from uss.taggers import NUM_CLASSES
from uss.training.execution import to_channels_last

_SPACE, _SIZE = "cnn14-2048", 2048
_SAMPLE_RATE = 32_000
_ANCHORS_PER_CLASS = 4
_ON_THE_FLY = "on the fly, float32"
_STAGES = ("reading", "detection", "condition", "mixing", "forward", "backward", "optimiser")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, help="of a CPU (default: torch's)")
    parser.add_argument("--shards", help=f"folder of 2 s shards with {_SPACE} conditions")
    parser.add_argument("--batch-size", type=int, default=16, help="the paper's (default: 16)")
    parser.add_argument("--steps", type=int, default=5, help="that count, of each (default: 5)")
    parser.add_argument("--compile", action="store_true", help="also measure compiled steps")
    parser.add_argument("--clip-seconds", type=float, default=10.0, help="default: 10")
    parser.add_argument("--channels", type=int, nargs="+", help="of a smaller network, for trials")
    arguments = parser.parse_args(argv)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        shards = arguments.shards or _write_noise(Path(folder), arguments.batch_size)
        try:
            _measure(shards, arguments)
        except INPUT_ERRORS as error:
            print(f"bench_train.py: {error}", file=sys.stderr)
            return 2
    return 0


def _measure(shards: str, arguments: argparse.Namespace) -> None:
    """Time and print."""
    if arguments.steps < 1:
        raise InputError(f"--steps {arguments.steps} measures nothing; take 1 or more")
    device = torch.device(arguments.device)
    on_the_fly, from_shards = _steps(shards, device, arguments)
    gflop = {name: count_operations(step) for name, step in _one_of_each(on_the_fly, from_shards)}
    peaks = {dtype: matrix_peak(dtype, device) for dtype in (torch.float32, torch.bfloat16)}
    seconds = _take_turns({_ON_THE_FLY: on_the_fly, **from_shards}, arguments.steps)
    print(f"{device.type}, {torch.get_num_threads()} threads, batches of {arguments.batch_size}.")
    print("Matrix products: " + ", ".join(f"{p:.0f} GFLOP/s in {d}" for d, p in peaks.items()))
    print("Operations: " + ", ".join(f"{n:.0f} GFLOP a step {k}" for k, n in gflop.items()) + "\n")
    columns = ("step", "s", "data loading", "times on the fly", "ceiling by operations")
    print("| " + " | ".join(columns) + " |\n|---|" + "---:|" * (len(columns) - 1))
    baseline = sum(seconds[_ON_THE_FLY].values())
    for name, stages in seconds.items():
        total = sum(stages.values())
        cells = [name, f"{total:.3f}", "", "", ""]
        if name in from_shards:
            by_count = gflop["on the fly"] / gflop["from shards"]
            faster = peaks[from_shards[name].runtime.dtype] / peaks[torch.float32]
            loading = f"{100.0 * stages['reading'] / total:.1f} %"
            cells[2:] = [loading, f"{baseline / total:.2f}", f"{by_count * faster:.2f}"]
        print("| " + " | ".join(cells) + " |")
    print("\n| stage, in s | " + " | ".join(seconds) + " |\n|---|" + "---:|" * len(seconds))
    for stage in _STAGES:
        cells = [f"{stages[stage]:.4f}" if stage in stages else "" for stages in seconds.values()]
        print(f"| {stage} | " + " | ".join(cells) + " |")


def _one_of_each(
    on_the_fly: OnTheFlyStep, from_shards: dict[str, ShardStep]
) -> list[tuple[str, Step]]:
    """The steps whose operations are counted."""
    return [("on the fly", on_the_fly), ("from shards", next(iter(from_shards.values())))]


def _steps(
    shards: str, device: torch.device, arguments: argparse.Namespace
) -> tuple[OnTheFlyStep, dict[str, ShardStep]]:
    """Make what is measured; every step has a model of its own."""
    data = ShardDataModule(
        shards, _SPACE, batch_size=arguments.batch_size, disjoint="any", mixture_rms=None
    )
    data.setup("fit")
    stored = data.reader.settings
    segment_seconds = stored.segment_samples / stored.sample_rate

    def model() -> ResUNet30:
        sizes = {"channels": arguments.channels} if arguments.channels else {}
        return ResUNet30(_SPACE, _SIZE, segment_seconds=segment_seconds, **sizes).to(device)

    runtime = Runtime(device, torch.float32)
    clips = 0.1 * torch.randn(
        2 * arguments.batch_size, round(arguments.clip_seconds * _SAMPLE_RATE)
    )
    on_the_fly = OnTheFlyStep(clips, arguments.batch_size, model(), runtime)
    runtimes = {"float32": runtime}
    if Runtime.choose(arguments.device).dtype == torch.bfloat16:
        runtimes["bfloat16"] = replace(runtime, dtype=torch.bfloat16)
    else:
        print("This device multiplies bfloat16 no faster than float32; it is left out.\n")
    steps: dict[str, ShardStep] = {}
    for precision, at in runtimes.items():
        for compiled in (False, True) if arguments.compile else (False,):
            trained = model()
            to_channels_last(trained)
            name = f"from shards, {precision}" + (", compiled" if compiled else "")
            steps[name] = ShardStep(data.training, trained, at, compiled=compiled)
    return on_the_fly, steps


def _take_turns(steps: dict[str, Step], count: int) -> dict[str, dict[str, float]]:
    """Median seconds of every stage, after one step of each that does not count."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in steps}
    for n in range(count + 1):
        for name, step in steps.items():
            taken[name].append(step(n))
    return {
        name: {stage: statistics.median(each[stage] for each in stages[1:]) for stage in stages[0]}
        for name, stages in taken.items()
    }


def _write_noise(folder: Path, batch_size: int) -> str:
    """Write shards of noise: four anchors each of as many classes as a batch takes."""
    rng = np.random.default_rng(0)
    num_samples = 2 * _SAMPLE_RATE
    settings = ShardSettings(
        _SAMPLE_RATE, num_samples, NUM_CLASSES, "noise", "0" * 16, {_SPACE: _SIZE}, {}
    )
    anchors = [
        Anchor(
            clip_id=f"{index}-{take}",
            class_index=index,
            start_seconds=0.0,
            score=1.0,
            waveform=(0.1 * rng.standard_normal(num_samples)).astype(np.float32),
            labels=(index,),
            tag_probabilities=np.zeros(NUM_CLASSES, np.float32),
            conditions={_SPACE: rng.standard_normal(_SIZE).astype(np.float32)},
        )
        for index in range(batch_size)
        for take in range(_ANCHORS_PER_CLASS)
    ]
    write_shard(shard_path(folder, 0, len(anchors)), anchors, [], settings)
    return str(folder)


if __name__ == "__main__":
    sys.exit(main())
