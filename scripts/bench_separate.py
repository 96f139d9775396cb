"""Measure how fast separation runs: real-time factors, and how close to the machine's limit.

Run it on an idle machine; it prints the tables of docs/performance.md:

    python scripts/bench_separate.py --threads 1 2

The baseline computes ResUNet30 as the published code does: transforms by convolution
(torchlibrosa), batch norms as they are, float32, batches of eight segments and one class.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product

import numpy as np
import torch
from matrix_peak import matrix_peak
from torch.utils.flop_counter import FlopCounterMode
from torchlibrosa.stft import ISTFT, STFT

from uss.audio import Recording
from uss.audio.segments import Segmentation
from uss.checkpoints.loading import load_model
from uss.core.runtime import Runtime
from uss.models import ResUNet30, SeparatorNetwork
from uss.separation.batching import Batcher
from uss.separation.consistency import Combination
from uss.separation.stream import StemStream
from uss.separation.work import Work

_SEGMENT_SECONDS = 2.0
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_BASELINE_BATCH = 8
_COLUMNS = (
    "model",
    "precision",
    "classes",
    "s per segment and class",
    "times real time per class",
    "of the matrix peak",
    "times the baseline",
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--repeats", type=int, default=3, help="the median counts")
    parser.add_argument("--compile", action="store_true", help="also measure compiled networks")
    parser.add_argument("--models", nargs="+", choices=("default", "ResUNet30"))
    parser.add_argument("--segments", type=int, default=16, help="per measurement")
    arguments = parser.parse_args(argv)
    device = torch.device(arguments.device)
    torch.manual_seed(0)
    models = {"default": _default(), "ResUNet30": ResUNet30("audioset-527", 527).eval()}
    chosen = {name: models[name] for name in arguments.models or models}
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        print(f"\n### {device.type}, threads: {threads}\n")
        _measure(chosen, models["ResUNet30"], device, arguments)
    return 0


def _measure(
    models: Mapping[str, SeparatorNetwork],
    published: SeparatorNetwork,
    device: torch.device,
    arguments: argparse.Namespace,
) -> None:
    """Print what is measured with one number of threads."""
    peaks = {name: matrix_peak(dtype, device) for name, dtype in _DTYPES.items()}
    products = ", ".join(f"{peak:.0f} GFLOP/s in {name}" for name, peak in peaks.items())
    repeats = arguments.repeats
    baseline = _median(partial(_baseline, published.to(device)), repeats)
    print(f"Matrix products: {products}.")
    print(f"Baseline, ResUNet30: {baseline:.3f} s per segment.\n")
    print("| " + " | ".join(_COLUMNS) + " |")
    print("|---|---|" + "---:|" * (len(_COLUMNS) - 2))
    for name, model in models.items():
        flops = _flops(model)
        batch_size = 32 if device.type == "cuda" else Runtime.batch_size
        for precision, dtype in _DTYPES.items():
            ready = model.for_inference(dtype).to(device)
            runtime = Runtime(device, dtype, batch_size)
            for is_compiled, num_classes in product((False, True), (1, 10)):
                can_compile = arguments.compile and precision == "bf16" and not model.looks_once
                if is_compiled and not can_compile:
                    continue
                run = partial(
                    separation_seconds, ready, runtime, arguments.segments, num_classes, is_compiled
                )
                seconds = _median(run, repeats)
                share = flops / seconds / 1e9 / peaks[precision]
                how = f"{precision}, compiled" if is_compiled else precision
                cells = [name, how, str(num_classes), f"{seconds:.4f}"]
                # A network that looks once computes less for each further class.
                is_counted = num_classes == 1 or not model.looks_once
                cells += [f"{_SEGMENT_SECONDS / seconds:.0f}"]
                cells += [f"{100 * share:.0f} %" if is_counted else ""]
                cells += [f"{baseline / seconds:.1f}" if name == "ResUNet30" else ""]
                print("| " + " | ".join(cells) + " |")


def _default() -> SeparatorNetwork:
    separator = load_model().separator
    assert separator is not None
    return separator


def _median(measure: Callable[[], float], repeats: int) -> float:
    """Median of the repeats, after one that does not count."""
    measure()
    return statistics.median(measure() for _ in range(repeats))


def separation_seconds(
    model: SeparatorNetwork,
    runtime: Runtime,
    num_segments: int,
    num_classes: int,
    is_compiled: bool,
) -> float:
    """Seconds per segment and class of the whole engine, transforms included."""
    rng = np.random.default_rng(0)
    # With the default overlap a segment is separated more often than every two seconds.
    segmentation = Segmentation.of(
        int(num_segments * _SEGMENT_SECONDS * model.sample_rate),
        int(_SEGMENT_SECONDS * model.sample_rate),
        0.0,
    )
    waveform = (0.1 * rng.standard_normal((1, segmentation.num_samples))).astype(np.float32)
    conditions = rng.random((num_classes, model.condition_size), np.float32)
    batcher = Batcher(model, runtime)
    if is_compiled:
        batcher.compile()
    work = Work(
        num_samples=segmentation.num_samples,
        segmentation=segmentation,
        active=np.ones((num_classes, segmentation.num_segments), bool),
        conditions=lambda row, segments: np.repeat(conditions[row][None], len(segments), axis=0),
        combination=Combination(tuple(range(num_classes))),
    )
    stream = StemStream(Recording(waveform, model.sample_rate), work, batcher)
    start = time.perf_counter()
    for _ in stream:
        pass
    return (time.perf_counter() - start) / segmentation.num_segments / num_classes


def _baseline(model: SeparatorNetwork) -> float:
    """Seconds per segment as the published code computes them."""
    assert isinstance(model, ResUNet30)
    options = {"n_fft": 2048, "hop_length": 320, "win_length": 2048}
    device = next(model.parameters()).device
    analysis, synthesis = STFT(**options).to(device), ISTFT(**options).to(device)
    num_samples = int(_SEGMENT_SECONDS * model.sample_rate)
    waveform = 0.1 * torch.randn(_BASELINE_BATCH, num_samples, device=device)
    condition = torch.rand(_BASELINE_BATCH, 527, device=device)
    start = time.perf_counter()
    with torch.inference_mode():
        real, imaginary = (part[:, 0].transpose(1, 2) for part in analysis(waveform))
        spectrogram = torch.complex(real, imaginary)
        mask = model.mask(model.encode(spectrogram), model.modulate(condition))
        masked = (spectrogram * mask).transpose(1, 2)[:, None]
        synthesis(masked.real, masked.imag, num_samples)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / _BASELINE_BATCH


def _flops(model: SeparatorNetwork) -> int:
    """Operations of the network for one segment, multiplications and additions counted apart."""
    counter = FlopCounterMode(display=False)
    waveform = torch.zeros(1, 1, int(_SEGMENT_SECONDS * model.sample_rate))
    condition = torch.zeros(1, model.condition_size)
    with torch.inference_mode(), counter:
        model(waveform, condition)
    return counter.get_total_flops()


if __name__ == "__main__":
    sys.exit(main())
