"""``uss-mine-anchors``: a manifest and its clips in, HDF5 shards of anchors out."""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ontology import load_ontology
from pipelines.cli import CommandParser, at_least, between, one_line, run_command
from pipelines.recipes import read_mining
from uss.audio import read_mono
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.loading import load_tagger, weight_hash
from uss.checkpoints.published import DEFAULT_MODEL, PUBLISHED
from uss.conditions.embedding import ConditionEncoder
from uss.conditions.encoders import load_encoder
from uss.core.errors import INPUT_ERRORS, InputError
from uss.core.files import written_whole
from uss.core.runtime import Runtime
from uss.data.class_averages import class_queries
from uss.data.locating import locate
from uss.data.manifest import Clip, read_manifest
from uss.mining.miner import AnchorMiner, MiningSettings, SkippedClipError, Strategy
from uss.shards import (
    ShardReader,
    ShardSettings,
    ShardWriter,
    SkippedClip,
    list_shards,
    read_settings,
    read_skipped,
    shard_path,
)
from uss.taggers import NUM_CLASSES, PROBABILITY_SPACE, TaggerNetwork

_PREFETCH = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(_parser(), argv, _mine)


def mine(argv: Sequence[str]) -> None:
    """Do the same for another command, which is told of errors.

    Raises:
        OSError, ValueError: if an option, the manifest, a model or the shards are not as they
            should be.
    """
    _mine(_parser().parse_args(argv))


class _RecipeParser(CommandParser):
    """Takes its defaults from the recipe that is named."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, with what ``--recipe`` says in the place of the defaults."""
        given = sys.argv[1:] if args is None else list(args)
        look_ahead = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        look_ahead.add_argument("--recipe", nargs="?")
        recipe = look_ahead.parse_known_args(given)[0].recipe
        if recipe is not None:
            self.set_defaults(**read_mining(recipe))
        return super().parse_args(given, namespace)


def _parser() -> argparse.ArgumentParser:
    parser = _RecipeParser(
        "uss-mine-anchors",
        "Find the segments of weakly labelled clips that most likely hold each label, and store "
        "them with their tags and conditions. Started again, it goes on where it was stopped.",
    )
    parser.add_argument(
        "manifest",
        type=Path,
        help="CSV with clip_id,path,mids and, for --split, split; or one of AudioSet's own",
    )
    parser.add_argument(
        "--audio-root", type=Path, required=True, help="folder the manifest's paths start from"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--split", help="only rows whose column split says so")
    parser.add_argument(
        "--recipe", metavar="NAME|FILE", help="take what is not given here from a recipe's mining"
    )
    _add_network_arguments(parser)
    parser.add_argument("--segment-seconds", type=between(0.5, 10.0), default=2.0)
    parser.add_argument(
        "--strategy",
        choices=get_args(Strategy),
        default="sed",
        help="take the segments where detection hears the label, or draw them at random: two of "
        "one clip to mix with each other, or one to mix with other clips'",
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the random strategies")
    parser.add_argument(
        "--anchors-per-clip",
        type=at_least(1),
        default=None,
        help="and per label (if not given, 2 with in-clip-random, else 1)",
    )
    parser.add_argument(
        "--labels",
        choices=("all", "specific"),
        default="all",
        help="mine for every label, or only for those without a more specific one beside them",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--workers", type=at_least(1), default=2, help="threads that read clips")
    parser.add_argument("--shard-size", type=at_least(1), default=4096, help="in manifest rows")
    return parser


def _add_network_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tagger",
        default=DEFAULT_MODEL,
        metavar="NAME|FILE",
        help=f"detects the anchors: {DEFAULT_MODEL}, a file, or one of "
        f"{', '.join(name for name, file in PUBLISHED.items() if file.kind == 'tagger')}",
    )
    parser.add_argument(
        "--anchor-tagger",
        default=None,
        metavar="NAME|FILE",
        help="tags the anchors, which are conditions too (the --tagger if not given)",
    )
    parser.add_argument(
        "--encoder",
        nargs="+",
        default=None,
        metavar="NAME|FILE",
        help="taggers whose embeddings are stored as conditions (the --anchor-tagger if not "
        "given); wav2vec2 and speaker need the extra 'speech'",
    )
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="load files that hold more than weights; they can run any code",
    )


def _mine(arguments: argparse.Namespace) -> int:
    settings = MiningSettings(
        arguments.segment_seconds,
        arguments.anchors_per_clip,
        arguments.labels,
        arguments.strategy,
        arguments.seed,
    )
    clips = read_manifest(arguments.manifest, arguments.split)
    if not clips:
        raise InputError(f"{arguments.manifest} has no rows; nothing to mine")
    if not arguments.audio_root.is_dir():
        raise InputError(f"{arguments.audio_root} is not a folder; name the clips' --audio-root")
    located = locate(clips, arguments.audio_root)
    networks = _Networks.load(arguments)
    tagger = networks.tagger
    miner = AnchorMiner(
        tagger, networks.encoders, load_ontology(), settings, networks.anchor_tagger
    )
    shard_settings = ShardSettings(
        sample_rate=tagger.sample_rate,
        segment_samples=miner.segment_samples,
        num_classes=NUM_CLASSES,
        tagger=tagger.name,
        tagger_hash=weight_hash(tagger),
        spaces={encoder.space: encoder.size for encoder in networks.encoders},
        mining={
            **settings.attributes(),
            "shard_size": arguments.shard_size,
            "manifest_hash": _manifest_hash(clips),
            **networks.attributes(),
        },
    )
    runs = [
        (start, min(start + arguments.shard_size, len(clips)))
        for start in range(0, len(clips), arguments.shard_size)
    ]
    arguments.output.mkdir(parents=True, exist_ok=True)
    _check_existing(arguments.output, runs, shard_settings)
    reader = _ClipReader(arguments.audio_root, tagger.sample_rate, arguments.workers)
    started, seconds = time.monotonic(), 0.0
    with tqdm(
        total=len(clips), unit="clip", desc="mining", file=sys.stderr, disable=None
    ) as progress:
        for start, end in runs:
            path = shard_path(arguments.output, start, end)
            if path.exists():
                progress.update(end - start)
                continue
            seconds += _mine_shard(
                path, located[start:end], miner, shard_settings, reader, progress
            )
    _summarise(arguments.output, len(clips), seconds, time.monotonic() - started)
    return 0


@dataclass(frozen=True)
class _Networks:
    """What detects the anchors, tags them and encodes them."""

    tagger: TaggerNetwork
    anchor_tagger: TaggerNetwork
    encoders: Sequence[ConditionEncoder]

    @classmethod
    def load(cls, arguments: argparse.Namespace) -> _Networks:
        """Load each network once, in however many places it is named."""
        trust = arguments.trust_checkpoint
        load = functools.cache(lambda name: load_tagger(name, trust_checkpoint=trust))
        tagger_name = arguments.anchor_tagger or arguments.tagger
        names = dict.fromkeys(arguments.encoder or [tagger_name])
        encoders = [load_encoder(name, load) for name in names]
        for space, count in Counter(encoder.space for encoder in encoders).items():
            if count > 1:
                raise InputError(
                    f"{count} encoders make conditions of {space!r}, and shards hold one kind of "
                    "each; name one of them"
                )
        device = Runtime.choose(arguments.device, "fp32").device
        networks = cls(load(arguments.tagger), load(tagger_name), encoders)
        for network in (networks.tagger, networks.anchor_tagger, *(e.network for e in encoders)):
            network.to(device)
        return networks

    def attributes(self) -> dict[str, Any]:
        """What the shards say of them, beside the detecting tagger."""
        values: dict[str, Any] = {
            "encoder_hashes": [weight_hash(encoder.network) for encoder in self.encoders]
        }
        if self.anchor_tagger is not self.tagger:
            values["anchor_tagger"] = self.anchor_tagger.name
            values["anchor_tagger_hash"] = weight_hash(self.anchor_tagger)
        return values


def _manifest_hash(clips: Sequence[Clip]) -> str:
    """Identify what is mined: the first 16 hex digits of a SHA-256 over all rows."""
    return hashlib.sha256(repr(clips).encode()).hexdigest()[:16]


def _check_existing(folder: Path, runs: Sequence[tuple[int, int]], settings: ShardSettings) -> None:
    """Refuse to mix this run's shards with those of another."""
    expected = {shard_path(folder, *run) for run in runs}
    for path in list_shards(folder):
        if path not in expected or read_settings(path) != settings:
            raise InputError(
                f"{path} comes from another manifest, tagger or other settings; choose an empty "
                "output folder or delete the old shards"
            )


@dataclass(frozen=True)
class _Decoded:
    waveform: NDArray[np.float32] | None
    error: str = ""


class _ClipReader:
    """Decodes clips ahead of their use, in their order."""

    def __init__(self, root: Path, sample_rate: int, workers: int) -> None:
        self.root = root
        self.sample_rate = sample_rate
        self.workers = workers

    def __call__(self, clips: Sequence[Clip]) -> Iterator[tuple[Clip, _Decoded]]:
        pending: deque[tuple[Clip, Future[_Decoded]]] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            for clip in clips:
                pending.append((clip, pool.submit(self._read, clip)))
                if len(pending) > _PREFETCH * self.workers:
                    done, future = pending.popleft()
                    yield done, future.result()
            for done, future in pending:
                yield done, future.result()

    def _read(self, clip: Clip) -> _Decoded:
        if not clip.path:
            return _Decoded(None, "no audio file")
        try:
            return _Decoded(read_mono(self.root / clip.path, self.sample_rate))
        except INPUT_ERRORS as error:
            return _Decoded(None, one_line(error))


def _mine_shard(
    path: Path,
    clips: Sequence[Clip],
    miner: AnchorMiner,
    settings: ShardSettings,
    reader: _ClipReader,
    progress: tqdm[None],
) -> float:
    """Mine and write one shard; returns the seconds of audio that were read."""
    seconds = 0.0
    with ShardWriter(path, settings) as shard:
        for clip, decoded in reader(clips):
            try:
                labels = miner.labels(clip.mids)
                if decoded.waveform is None:
                    raise SkippedClipError(decoded.error)
                seconds += len(decoded.waveform) / settings.sample_rate
                for anchor in miner.mine(clip.clip_id, decoded.waveform, labels, clip.caption):
                    shard.append(anchor)
            except SkippedClipError as reason:
                shard.skip(SkippedClip(clip.clip_id, str(reason)))
            progress.update()
    return seconds


def _summarise(folder: Path, num_clips: int, seconds: float, elapsed: float) -> None:
    """Write ``skipped.csv`` and the class queries, and print what the folder now holds."""
    skipped = [entry for path in list_shards(folder) for entry in read_skipped(path)]
    with (
        written_whole(folder / "skipped.csv") as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["clip_id", "reason"])
        writer.writerows((entry.clip_id, entry.reason) for entry in skipped)
    with ShardReader(folder) as reader:
        counts = Counter(reader.class_index.tolist())
        num_anchors = len(reader)
        for space in (*reader.settings.spaces, PROBABILITY_SPACE) if num_anchors else ():
            queries = class_queries(reader, space)
            save_bundle(folder / f"queries-{space}.safetensors", Bundle(queries=queries))
    classes = load_ontology().classes
    print(
        f"{num_clips} clips, {len(skipped)} skipped (skipped.csv), {num_anchors} anchors of "
        f"{len(counts)} classes"
    )
    for index, count in counts.most_common():
        print(f"{count:8d}  {classes[index].name}")
    if seconds > 0.0:
        print(f"{seconds / max(elapsed, 1e-9):.1f} s of audio per second")


if __name__ == "__main__":
    sys.exit(main())
