"""Measure how fast mining runs: audio-seconds per second, and where the processor's time goes.

Run it on an idle machine, over clips of a manifest:

    python scripts/bench_mining.py AUDIO/clips.csv --audio-root AUDIO --mn04 mn04_as_mAP_432.pt

Networks whose files are not named are filled with noise, which costs as much. All rows mine the
same clips, one after another in one run. The last row is the published way: CNN14's sound event
detection and CNN14's embeddings in float32, with the library's own transforms, each anchor of each
label encoded for itself.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import nn

from ontology import load_ontology
from uss.checkpoints.loading import load_tagger
from uss.conditions.embedding import EmbeddingEncoder
from uss.core.read_ahead import read_ahead
from uss.core.runtime import Runtime
from uss.core.stage_clock import StageClock
from uss.data.manifest import read_manifest
from uss.hearing.mel import PannsLogMel
from uss.mining.choosing import SegmentChooser
from uss.mining.clip_mining import usable_cores
from uss.mining.clip_reading import ClipReader
from uss.mining.job import MiningJob, mine_manifest
from uss.mining.miner import MiningSettings
from uss.mining.networks import MiningNetworks
from uss.shards import Anchor, ShardSettings, ShardWriter, shard_path
from uss.taggers import HTSAT, NUM_CLASSES, Cnn14, EfficientAT, TaggerNetwork
from uss.taggers.panns_library import panns_models

_PUBLISHED = ("published: CNN14 twice", "fp32")
_STAGES = ("decode", "resample", "tag", "encode", "write")
_COLUMNS = (
    "mining with",
    "precision",
    "audio s per s",
    *(f"{stage} %" for stage in _STAGES),
    "CPU s",
    "wall / (CPU / cores)",
    "times the published way",
)


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes:
        seconds_of_audio: mined.
        wall_seconds: it took.
        stages: CPU seconds of each.
        cpu_seconds: of the whole process meanwhile.
    """

    seconds_of_audio: float
    wall_seconds: float
    stages: dict[str, float]
    cpu_seconds: float


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--audio-root", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=200, help="drawn from the manifest")
    parser.add_argument("--mn04", type=Path, help="published file of mn04_as")
    parser.add_argument("--cnn14", type=Path, help="published file of CNN14")
    parser.add_argument("--htsat", type=Path, help="published file of HTS-AT")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--only", nargs="+", help="names of networks; all if not given")
    parser.add_argument("--no-published", action="store_true", help="leave out the last row")
    arguments = parser.parse_args(argv)
    networks: dict[str, Callable[[], TaggerNetwork]] = {
        "mn04_as": partial(_network, arguments.mn04, EfficientAT),
        "CNN14": partial(_network, arguments.cnn14, Cnn14),
        "HTS-AT": partial(_network, arguments.htsat, HTSAT),
    }
    with tempfile.TemporaryDirectory() as folder:
        manifest = _drawn(arguments.manifest, arguments.clips, Path(folder) / "clips.csv")
        job = MiningJob(
            manifest,
            arguments.audio_root,
            Path(folder) / "shards",
            device=arguments.device,
            workers=arguments.workers,
            shard_size=max(1, arguments.clips // 4),
        )
        rows = {
            (name, precision): _mined(
                replace(job, precision=precision), make(), f"{name}-{precision}"
            )
            for name, make in networks.items()
            for precision in arguments.precisions
            if (arguments.only is None or name in arguments.only)
            and not (precision == "bf16" and name == "mn04_as")
        }
        if not arguments.no_published:
            rows[_PUBLISHED] = _published(replace(job, output=job.output / "published"))
    _print(rows, arguments.workers)
    return 0


def _network(file: Path | None, architecture: type[TaggerNetwork]) -> TaggerNetwork:
    torch.manual_seed(0)
    return architecture().eval() if file is None else load_tagger(file)


def _drawn(manifest: Path, count: int, target: Path) -> Path:
    """Write a manifest of some clips of another."""
    clips = read_manifest(manifest)
    order = np.random.default_rng(0).permutation(len(clips))[:count]
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "mids"])
        for clip in (clips[row] for row in sorted(order)):
            writer.writerow([clip.clip_id, clip.path, ";".join(clip.mids)])
    return target


def _mined(job: MiningJob, tagger: TaggerNetwork, name: str) -> Measured:
    """Mine as ``uss-mine-anchors`` does, with a network that need not come from a file."""
    networks = MiningNetworks(tagger, tagger, [EmbeddingEncoder(tagger)])
    tagger.to(Runtime.choose(job.device, "fp32").device)
    with mock.patch.object(MiningNetworks, "load", lambda *_: networks):
        # Once for warmth: files in the cache, kernels chosen.
        mine_manifest(replace(job, output=job.output / f"{name}-warm"))
        start = time.process_time()
        summary = mine_manifest(replace(job, output=job.output / name))
        cpu_seconds = time.process_time() - start
    stages = dict(summary.cpu_seconds)
    return Measured(summary.seconds_of_audio, summary.elapsed_seconds, stages, cpu_seconds)


def _library(kind: str, device: torch.device) -> nn.Module:
    """Build CNN14 as the library runs it, with its transforms by convolution."""
    network: nn.Module = getattr(panns_models(), kind)(
        sample_rate=PannsLogMel.sample_rate,
        window_size=PannsLogMel.n_fft,
        hop_size=PannsLogMel.hop_length,
        mel_bins=PannsLogMel.num_bands,
        fmin=PannsLogMel.min_hz,
        fmax=PannsLogMel.max_hz,
        classes_num=NUM_CLASSES,
    )
    return network.eval().to(device)


def _published(job: MiningJob) -> Measured:
    """Mine clip by clip: detection, and then the condition of the anchor of each label."""
    device = Runtime.choose(job.device, "fp32").device
    rate, segment_samples, space = PannsLogMel.sample_rate, 2 * PannsLogMel.sample_rate, "cnn14"
    detector, encoder = (_library(kind, device) for kind in ("Cnn14_DecisionLevelMax", "Cnn14"))
    chooser = SegmentChooser(MiningSettings(), load_ontology(), rate, 100.0, segment_samples)
    reader = ClipReader(job.audio_root, rate, StageClock())
    clips = read_manifest(job.manifest)
    settings = ShardSettings(rate, segment_samples, NUM_CLASSES, space, "", {space: 2048}, {})
    torch.set_num_threads(job.workers)
    num_samples, start, cpu = 0, time.monotonic(), time.process_time()
    decoded = read_ahead((clip, reader(clip).waveform) for clip in clips)
    job.output.mkdir(parents=True)
    with ShardWriter(shard_path(job.output, 0, len(clips)), settings) as shard:
        for clip, waveform in decoded:
            if waveform is None or len(waveform) < rate:
                continue
            num_samples += len(waveform)
            nodes = (chooser.ontology.nodes.get(mid) for mid in clip.mids)
            indexes = (node.class_index for node in nodes if node is not None)
            labels = tuple(index for index in indexes if index is not None)
            with torch.inference_mode():
                heard = torch.from_numpy(waveform)[None].to(device)
                framewise = detector(heard)["framewise_output"][0].cpu().numpy()
            chosen = chooser.detected(labels, framewise, waveform)
            if not chosen:
                continue
            segments = np.zeros((len(chosen), segment_samples), np.float32)
            for row, (_, first, end, _) in enumerate(chosen):
                segments[row, : end - first] = waveform[first:end]
            with torch.inference_mode():
                output = encoder(torch.from_numpy(segments).to(device))
            tags, vectors = (
                output[name].cpu().numpy() for name in ("clipwise_output", "embedding")
            )
            for row, (index, first, end, score) in enumerate(chosen):
                shard.append(
                    Anchor(
                        clip_id=clip.clip_id,
                        class_index=index,
                        start_seconds=first / rate,
                        score=score or 0.0,
                        waveform=segments[row, : end - first],
                        labels=labels,
                        tag_probabilities=tags[row],
                        conditions={space: vectors[row]},
                    )
                )
    wall, cpu_seconds = time.monotonic() - start, time.process_time() - cpu
    return Measured(num_samples / rate, wall, {}, cpu_seconds)


def _print(rows: Mapping[tuple[str, str], Measured], cores: int) -> None:
    published = rows.get(_PUBLISHED)
    print(f"\n{cores} cores, torch {torch.__version__}\n")
    print("| " + " | ".join(_COLUMNS) + " |")
    print("|---|---|" + "---:|" * (len(_COLUMNS) - 2))
    for (name, precision), run in rows.items():
        rate = run.seconds_of_audio / run.wall_seconds
        total = sum(run.stages.values())
        shares = [f"{100.0 * run.stages[each] / total:.0f}" if total else "" for each in _STAGES]
        cells = [name, precision, f"{rate:.1f}", *shares, f"{run.cpu_seconds:.1f}"]
        cells.append(f"{run.wall_seconds * cores / total:.2f}" if total else "")
        if published is not None:
            cells.append(f"{rate * published.wall_seconds / published.seconds_of_audio:.1f}")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(main())
