"""``uss-mine-anchors``: a manifest and its clips in, HDF5 shards of anchors out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO, get_args

from ontology import load_ontology, with_own_classes
from pipelines.cli import (
    CommandParser,
    UsageError,
    at_least,
    between,
    run_command,
)
from pipelines.cluster_options import add_cluster_arguments, cluster_of
from pipelines.mining_bar import MiningBar
from pipelines.recipes import read_mining
from pipelines.shard_sets import add_encoders_to_set, add_set_arguments, verify_set
from uss.checkpoints.published import DEFAULT_MODEL, PUBLISHED
from uss.mining.clip_mining import usable_cores
from uss.mining.job import MiningJob, mine_manifest
from uss.mining.miner import SEGMENT_SECONDS, MiningSettings, Strategy
from uss.mining.networks import NetworkNames
from uss.mining.summary import MiningSummary
from uss.shards import is_url


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(mine_anchors_parser(), argv, _run)


class _RecipeParser(CommandParser):
    """Takes its defaults from the recipe that is named."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, with what ``--recipe`` says in the place of the defaults."""
        given = sys.argv[1:] if args is None else list(args)
        look_ahead = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        look_ahead.add_argument("--recipe", nargs="?")
        recipe = look_ahead.parse_known_args(given)[0].recipe
        mining = {} if recipe is None else read_mining(recipe)
        # An option that may be repeated would add to a default, not replace it.
        encoders = mining.pop("encoder", None)
        self.set_defaults(**mining)
        arguments = super().parse_args(given, namespace)
        if arguments.encoder is None:
            arguments.encoder = encoders
        return arguments


def mine_anchors_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = _RecipeParser(
        "uss-mine-anchors",
        "Find the segments of weakly labelled clips that most likely hold each label, and store "
        "them with their tags and conditions. Started again, it goes on where it was stopped, and "
        "mines clips that had no file before.",
    )
    parser.add_argument(
        "manifest",
        type=Path,
        nargs="?",
        help="CSV with clip_id,path,mids and, for --split, split; or one of AudioSet's own",
    )
    parser.add_argument("--audio-root", type=Path, help="folder the manifest's paths start from")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder for the shards")
    parser.add_argument(
        "--own-classes",
        type=Path,
        metavar="FILE",
        help="CSV with id,name,parent of labels that AudioSet does not know (if not given, "
        "MANIFEST with the ending .classes.csv, where there is one)",
    )
    parser.add_argument("--split", help="only rows whose column split says so")
    parser.add_argument(
        "--recipe", metavar="NAME|FILE", help="take what is not given here from a recipe's mining"
    )
    _add_network_arguments(parser)
    parser.add_argument("--segment-seconds", type=between(*SEGMENT_SECONDS), default=2.0)
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
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="of the taggers; auto is that of the shards that are there, else bf16 where it is "
        "faster",
    )
    parser.add_argument(
        "--workers",
        type=at_least(1),
        default=None,
        help="threads that decode, tag and encode, with --ray processes (as many as there are "
        "cores, or there is room for, if not given)",
    )
    add_cluster_arguments(parser)
    parser.add_argument("--shard-size", type=at_least(1), default=4096, help="in manifest rows")
    add_set_arguments(parser)
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
        "given); wav2vec2 and speaker need the extra 'speech'; clap:FILE stores CLAP's of audio "
        "and of captions, clip:FILE, bert-mini:FILE and flan-t5:FILE of captions, and need the "
        "extra 'text'",
    )
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="load files that hold more than weights; they can run any code",
    )


def _run(arguments: argparse.Namespace) -> int:
    """Choose what is to be done with which set.

    Raises:
        ValueError: if what it takes is not there, or two things are asked for at once.
    """
    is_mining = arguments.verify is None and not arguments.add_encoder
    if arguments.ray is not None and not is_mining:
        raise UsageError("--ray shares out mining alone; leave it out")
    if arguments.verify is not None:
        if arguments.manifest is not None or arguments.add_encoder or arguments.append:
            raise UsageError("--verify DIR stands for itself; leave out the manifest")
        return verify_set(arguments.verify, arguments.min_purity, arguments.keep_top)
    if arguments.output is None:
        raise UsageError("name the folder for the shards with -o")
    if is_url(arguments.output):
        raise UsageError(
            f"shards cannot be written to {arguments.output}; mine into a folder and copy it there "
            "when it is complete (aws s3 sync DIR URL), index and all"
        )
    if arguments.add_encoder:
        if arguments.manifest is not None or arguments.append:
            raise UsageError("--add-encoder hears the shards alone; leave out the manifest")
        return add_encoders_to_set(
            Path(arguments.output),
            arguments.add_encoder,
            device=arguments.device,
            trust_checkpoint=arguments.trust_checkpoint,
        )
    if arguments.manifest is None or arguments.audio_root is None:
        raise UsageError("name a manifest and its --audio-root; or a set to --verify")
    return _mine(arguments)


def _mine(arguments: argparse.Namespace) -> int:
    with MiningBar() as bar:
        summary = mine_manifest(_job(arguments), bar)
    print_summary(summary)
    return 0


def _job(arguments: argparse.Namespace) -> MiningJob:
    return MiningJob(
        arguments.manifest,
        arguments.audio_root,
        Path(arguments.output),
        split=arguments.split,
        settings=MiningSettings(
            arguments.segment_seconds,
            arguments.anchors_per_clip,
            arguments.labels,
            arguments.strategy,
            arguments.seed,
        ),
        networks=NetworkNames(
            arguments.tagger,
            arguments.anchor_tagger,
            arguments.encoder or (),
            arguments.trust_checkpoint,
        ),
        device=arguments.device,
        precision=arguments.precision,
        workers=arguments.workers or usable_cores(),
        shard_size=arguments.shard_size,
        own_classes=arguments.own_classes,
        append=arguments.append,
        min_purity=arguments.min_purity,
        keep_top=arguments.keep_top,
        cluster=cluster_of(arguments),
    )


def print_summary(summary: MiningSummary, file: TextIO | None = None) -> None:
    """Print what the folder of shards holds now; to stdout where no file is given."""
    classes = with_own_classes(load_ontology(), summary.own_classes, indexed=True).classes
    print(
        f"{summary.num_clips} clips, {len(summary.skipped)} skipped (skipped.csv), "
        f"{summary.num_anchors} anchors of {len(summary.anchors_of_class)} classes",
        file=file,
    )
    for index, count in summary.anchors_of_class.items():
        print(f"{count:8d}  {classes[index].name}", file=file)
    if summary.seconds_of_audio > 0.0:
        rate = summary.seconds_of_audio / max(summary.elapsed_seconds, 1e-9)
        print(f"{rate:.1f} s of audio per second", file=file)


if __name__ == "__main__":
    sys.exit(main())
