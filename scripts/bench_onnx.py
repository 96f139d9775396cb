"""Measure exported models against torch: speed with each number of threads, size, and SNR.

Run it on an idle machine; it prints the tables of docs/onnx.md:

    uss-export-onnx -o exported
    python scripts/bench_onnx.py default exported --threads 1 2

The SNR is that of stems against those of the model in torch and float32, on the demo scene or on
other recordings; where detection differs, sounds that both found are compared.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from bench_separate import separation_seconds

from uss.audio import read_audio
from uss.core.runtime import Runtime
from uss.separation.separator import Separator

_SCENE = Path(__file__).resolve().parents[1] / "demo" / "scene.flac"
_WINDOW_SECONDS = 4
_COLUMNS = (
    "model",
    "precision",
    "MB",
    "s to tag 4 s",
    "s per segment, 1 class",
    "s per segment, 10 classes",
    "SNR of stems, dB (lowest)",
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", help="in torch")
    parser.add_argument("folders", nargs="+", help="models in ONNX that were made of it")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3, help="the median counts")
    parser.add_argument("--segments", type=int, default=16, help="per measurement")
    parser.add_argument("--recordings", nargs="+", type=Path, default=[_SCENE])
    parser.add_argument("--level", type=int, default=2)
    arguments = parser.parse_args(argv)
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        print(f"\n### threads: {threads}\n")
        print("| " + " | ".join(_COLUMNS) + " |")
        print("|---|---|" + "---:|" * (len(_COLUMNS) - 2))
        expected: list[Mapping[str, np.ndarray]] = []
        for model, precision in [
            (arguments.model, "fp32"),
            (arguments.model, "auto"),
            *((folder, "auto") for folder in arguments.folders),
        ]:
            separator = Separator.from_pretrained(model, precision=precision)
            found = [_stems(separator, path, arguments.level) for path in arguments.recordings]
            expected = expected or found
            cells = [Path(model).name, separator.runtime.precision, _megabytes(model)]
            cells += [
                f"{_median(each, arguments.repeats):.4f}"
                for each in (
                    partial(_tagging_seconds, separator),
                    partial(_segment_seconds, separator, arguments.segments, 1),
                    partial(_segment_seconds, separator, arguments.segments, 10),
                )
            ]
            print("| " + " | ".join([*cells, _snr(found, expected)]) + " |", flush=True)
    return 0


def _median(measure: Callable[[], float], repeats: int) -> float:
    """Median of the repeats, after one that does not count."""
    measure()
    return statistics.median(measure() for _ in range(repeats))


def _tagging_seconds(separator: Separator) -> float:
    """Of one window."""
    tagger = separator.tagger
    waveform = 0.1 * torch.randn(1, _WINDOW_SECONDS * tagger.sample_rate)
    start = time.perf_counter()
    with torch.inference_mode():
        tagger(waveform)
    return time.perf_counter() - start


def _segment_seconds(separator: Separator, num_segments: int, num_classes: int) -> float:
    """Of one segment with all its classes."""
    runtime = Runtime(torch.device("cpu"), separator.runtime.dtype)
    return num_classes * separation_seconds(
        separator.model, runtime, num_segments, num_classes, False
    )


def _stems(separator: Separator, path: Path, level: int) -> dict[str, np.ndarray]:
    recording = read_audio(path)
    stems = separator.separate(recording.waveform, recording.sample_rate, level=level)
    return {name: np.asarray(stems[name]) for name in stems}


def _snr(
    found: Sequence[Mapping[str, np.ndarray]], expected: Sequence[Mapping[str, np.ndarray]]
) -> str:
    """Median and lowest over all stems that both found, and how many only one of them found."""
    if found is expected:
        return ""
    values, num_single = [], 0
    for given, wanted in zip(found, expected, strict=True):
        num_single += len(given.keys() ^ wanted.keys())
        for name in given.keys() & wanted.keys():
            error = np.square(given[name] - wanted[name]).sum() + 1e-20
            values.append(10.0 * np.log10((np.square(wanted[name]).sum() + 1e-20) / error))
    text = f"{statistics.median(values):.1f} ({min(values):.1f})"
    return text + (f", {num_single} stems found by one alone" if num_single else "")


def _megabytes(model: str) -> str:
    """Size of a folder's graphs; nothing for what is no folder."""
    graphs = [path for path in Path(model).glob("*.onnx") if path.name != "text.onnx"]
    return f"{sum(path.stat().st_size for path in graphs) / 1e6:.1f}" if graphs else ""


if __name__ == "__main__":
    sys.exit(main())
