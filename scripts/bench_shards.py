"""Measure sets of shards: their size per anchor, opening and drawing at AudioSet's scale.

    python scripts/bench_shards.py size SHARDS
    python scripts/bench_shards.py reading [--anchors 512]
    python scripts/bench_shards.py make FOLDER ANCHORS SPACE
    python scripts/bench_shards.py start [--anchors 2000000] [--recipe paper] [--set KEY VALUE ...]

``size`` says where the bytes of a mined set go. ``reading`` writes random waveforms in several ways
(plain, with HDF5's checksums, gzip, lzf) and reads them back in random order. ``make`` writes an
index of many anchors, whose rows are those of one real shard of noise over and over, and ``start``
trains on such a set: seconds until a step is done, seconds per batch of the loader alone, and the
most memory the process ever had.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from ontology import load_ontology
from uss.checkpoints.loading import save_tagger
from uss.core.errors import INPUT_ERRORS
from uss.shards import (
    Anchor,
    ShardFiles,
    ShardSettings,
    list_shards,
    shard_path,
    update_index,
    write_shard,
)
from uss.shards.class_lists import ClassLists
from uss.shards.index import ShardEntry, ShardIndex, save_index
from uss.shards.names import Names
from uss.taggers import NUM_CLASSES, Cnn14

_SAMPLE_RATE = 32_000
_SEGMENT_SAMPLES = 64_000
_ROWS = 1024
_TAGGER_FILE = "cnn14.safetensors"


def print_sizes(folder: Path) -> None:
    """Say how many bytes an anchor takes, column by column."""
    files = list_shards(folder)
    stored: dict[str, int] = {}
    count = 0
    for path in files:
        with h5py.File(path, "r") as file:
            count += len(file["class_index"])

            def note(name: str, item: object) -> None:
                if isinstance(item, h5py.Dataset):
                    stored[name] = stored.get(name, 0) + item.id.get_storage_size()

            file.visititems(note)
    total = sum(path.stat().st_size for path in files)
    print(f"{count} anchors in {len(files)} shards: {total / count:.0f} bytes per anchor")
    for name, size in sorted(stored.items(), key=lambda item: -item[1]):
        print(f"{size / count:10.1f}  {name}")
    print(f"{(total - sum(stored.values())) / count:10.1f}  HDF5's own")
    index = folder / "index.h5"
    if index.exists():
        print(f"{index.stat().st_size / count:10.1f}  {index.name} beside them")


def print_reading(num_anchors: int) -> None:
    """Read rows of waveforms that were stored in several ways."""
    rng = np.random.default_rng(0)
    # Noise with a falling spectrum, which is what compresses; white noise would not at all.
    noise = np.cumsum(rng.standard_normal((num_anchors, _SEGMENT_SAMPLES)), axis=1)
    noise -= noise.mean(axis=1, keepdims=True)
    stored = (noise / np.abs(noise).max(axis=1, keepdims=True) * 20000).astype(np.int16)
    order = rng.permutation(num_anchors)
    with tempfile.TemporaryDirectory() as folder:
        for name, options in {
            "plain": {},
            "fletcher32": {"fletcher32": True},
            "lzf": {"compression": "lzf"},
            "lzf, shuffled": {"compression": "lzf", "shuffle": True},
            "gzip 1, shuffled": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
        }.items():
            path = Path(folder) / "waveforms.h5"
            with h5py.File(path, "w") as file:
                file.create_dataset("x", data=stored, chunks=(1, _SEGMENT_SAMPLES), **options)
            with h5py.File(path, "r") as file:
                column = file["x"]
                started = time.process_time()
                for row in order:
                    column[int(row)]
                seconds = time.process_time() - started
            size = path.stat().st_size / num_anchors
            each = 1e3 * seconds / num_anchors
            print(f"{name:18s} {size:9.0f} bytes, {each:7.3f} ms of CPU per row")


def make_set(folder: Path, num_anchors: int, spaces: dict[str, int]) -> None:
    """Make a set whose shards are links to one real one, and whose index names them all."""
    rng = np.random.default_rng(0)
    settings = ShardSettings(
        _SAMPLE_RATE, _SEGMENT_SAMPLES, NUM_CLASSES, "noise", "0" * 16, spaces, {"strategy": "sed"}
    )
    folder.mkdir(parents=True, exist_ok=True)
    first = shard_path(folder, 0, _ROWS)
    write_shard(first, [_anchor(row, spaces, rng) for row in range(_ROWS)], [], settings)
    one = update_index(ShardFiles(folder))
    # The bundle that training exports wants the tagger that made the conditions.
    save_tagger(folder / _TAGGER_FILE, Cnn14(), licence="CC0-1.0", provenance={"made": "random"})
    started = time.perf_counter()
    index = _repeated(one, -(-num_anchors // _ROWS))
    for number, entry in enumerate(index.entries):
        if number:
            os.link(first, folder / entry.name)
    save_index(ShardFiles(folder), index)
    size = (folder / "index.h5").stat().st_size
    print(
        f"an index of {len(index.labels)} anchors in {len(index.entries)} shards: "
        f"{size / 1e6:.0f} MB, written in {time.perf_counter() - started:.1f} s"
    )


def _anchor(row: int, spaces: dict[str, int], rng: np.random.Generator) -> Anchor:
    index = row % NUM_CLASSES
    above = [
        node.class_index
        for node in load_ontology().ancestors(load_ontology().classes[index])
        if node.class_index is not None
    ]
    tags = rng.random(NUM_CLASSES).astype(np.float32) ** 200
    tags[index] = 0.6
    return Anchor(
        clip_id=f"clip-{row}",
        class_index=index,
        start_seconds=float(rng.uniform(0.0, 8.0)),
        score=0.5,
        waveform=(0.1 * rng.standard_normal(_SEGMENT_SAMPLES)).astype(np.float32),
        labels=(index, *above),
        tag_probabilities=tags,
        conditions={s: rng.standard_normal(size).astype(np.float32) for s, size in spaces.items()},
    )


def _repeated(one: ShardIndex, times: int) -> ShardIndex:
    """Repeat a shard's rows as those of many shards, each with clips of its own."""
    count = len(one.labels)
    numbers = np.arange(times * count, dtype=np.int32)
    columns = {name: np.tile(values, times) for name, values in one.columns.items()}
    clips = Names.of([f"clip-{number}" for number in numbers])
    return replace(
        one,
        entries=[_entry(one.entries[0], k * count, count) for k in range(times)],
        columns={**columns, "clip_number": numbers, "group_number": numbers},
        offsets={name: np.tile(values, times) for name, values in one.offsets.items()},
        labels=ClassLists.joined([one.labels] * times),
        tags=ClassLists.joined([one.tags] * times),
        tag_values=np.tile(one.tag_values, times),
        clips=clips,
        groups=clips,
    )


def _entry(first: ShardEntry, start: int, count: int) -> ShardEntry:
    return replace(first, name=shard_path("", start, start + count).name)


def train(folder: Path, recipe: str, options: Sequence[str]) -> int:
    """Take two steps in this process, as ``uss-train`` does, and say what they took."""
    started = time.perf_counter()
    import torch
    from pytorch_lightning.callbacks import Callback

    from pipelines.train import main as train_main

    steps: list[tuple[float, float]] = []

    class Clock(Callback):
        def on_train_batch_end(self, *_: object) -> None:
            steps.append((time.perf_counter() - started, time.process_time()))

    import pipelines.train as command

    original = command._fit

    def fit(cli: object, checkpoint: str | None) -> None:
        cli.trainer.callbacks.append(Clock())  # type: ignore[attr-defined]
        original(cli, checkpoint)  # type: ignore[arg-type]
        data = cli.datamodule  # type: ignore[attr-defined]
        begun = time.perf_counter()
        for n in range(100, 110):
            data.training[n]
        print(f"{(time.perf_counter() - begun) / 10:.3f} s per batch of the loader alone")

    command._fit = fit  # type: ignore[assignment]
    words = ["--config", recipe, "--data.shards", str(folder), *options]
    words += ["--trainer.default_root_dir", str(folder / "run"), "--trainer.max_steps", "2"]
    words += ["--export.tagger", str(folder / _TAGGER_FILE)]
    words += ["--trainer.accelerator", "cpu", "--trainer.devices", "1"]
    status = train_main([*words, "--trainer.enable_progress_bar", "false"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    took = ", ".join(f"{wall:.1f} ({cpu:.1f} of CPU)" for wall, cpu in steps)
    print(f"steps done after {took} s; {peak:.2f} GB at most; torch {torch.__version__}")
    return status


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("size").add_argument("shards", type=Path)
    kinds.add_parser("reading").add_argument("--anchors", type=int, default=512)
    start = kinds.add_parser("start")
    start.add_argument("--anchors", type=int, default=2_000_000)
    start.add_argument("--recipe", default="paper")
    start.add_argument("--space", default="cnn14-2048")
    start.add_argument("--folder", type=Path, help="where to make the set; made and kept")
    made = kinds.add_parser("make")
    made.add_argument("folder", type=Path)
    made.add_argument("anchors", type=int)
    made.add_argument("space")
    start.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"))
    arguments = parser.parse_args(argv)
    try:
        if arguments.kind == "size":
            print_sizes(arguments.shards)
        elif arguments.kind == "reading":
            print_reading(arguments.anchors)
        elif arguments.kind == "make":
            size = int(arguments.space.rsplit("-", 1)[-1])
            make_set(arguments.folder, arguments.anchors, {arguments.space: size})
        else:
            return _start(arguments)
    except INPUT_ERRORS as error:
        print(f"bench_shards: {error}", file=sys.stderr)
        return 2
    return 0


def _start(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not list_shards(folder):
            # In a process of its own: what it takes is not what training takes.
            words = ["make", str(folder), str(arguments.anchors), arguments.space]
            subprocess.run([sys.executable, __file__, *words], check=True)
        options = [word for key, value in arguments.set for word in (f"--{key}", value)]
        return train(folder, arguments.recipe, options)


if __name__ == "__main__":
    sys.exit(main())
