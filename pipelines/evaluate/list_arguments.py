"""What ``uss-evaluate`` is told of lists of mixtures: conditions and metrics."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipelines.cli import UsageError
from uss.evaluation.lists.condition_maker import CONDITION_KINDS
from uss.evaluation.lists.embedders import CLAP_EMBEDDER
from uss.evaluation.lists.scoring import (
    CLAP_METRICS,
    EMBEDDING_METRICS,
    METRICS,
    SET_METRICS,
    Metric,
)

LIST_ONLY = ("condition", "metrics", "clap", "embedder", "references", "keep_going")
"""Names of what scenes do not know."""


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument(
        "--condition",
        nargs="+",
        action="extend",
        choices=CONDITION_KINDS,
        default=None,
        help="what the separator is asked with: the clean target (eq. 11), the class's query "
        "(eq. 9), the mixture's own tags within the class (eq. 10), the list's query recordings or "
        "its captions; results.json leads with the first (oracle, and class-average for the "
        "classes that the model has queries for, if not given)",
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        action="extend",
        choices=METRICS,
        default=None,
        help="pesq and bss-eval need the extra 'eval'; fad and kad compare all outputs together; "
        "tagger-score needs no reference (sdr si-sdr, and those customary for a benchmark, if not "
        "given)",
    )
    parser.add_argument(
        "--clap",
        metavar="NAME|FILE|FOLDER",
        help="scores clap-score and clap-score-a, instead of the separator's own CLAP, if it has "
        "one; such as clap-music-speech-audioset; needs the extra 'text'",
    )
    parser.add_argument(
        "--embedder",
        metavar="NAME|FILE|clap",
        help="makes the embeddings of fad, kad and embedding-error: a tagger, or the CLAP of "
        "--clap (the model's own tagger if not given)",
    )
    parser.add_argument(
        "--references",
        type=Path,
        metavar="DIR",
        help="audio that fad and kad compare outputs with (the list's targets if not given)",
    )


def check_list_arguments(arguments: argparse.Namespace) -> None:
    """Refuse options of metrics that were not asked for.

    Raises:
        UsageError: naming the option.
    """
    metrics = set(arguments.metrics or ())
    for option, value, needed in (
        ("--embedder", arguments.embedder, EMBEDDING_METRICS),
        ("--references", arguments.references, SET_METRICS),
        ("--clap", arguments.clap, _clap_metrics(arguments)),
    ):
        if value is not None and metrics.isdisjoint(needed):
            raise UsageError(
                f"{option} is for --metrics {' or '.join(needed)}; give that too, or leave it out"
            )


def _clap_metrics(arguments: argparse.Namespace) -> Sequence[Metric]:
    """What asks CLAP."""
    asks_for_embeddings = arguments.embedder == CLAP_EMBEDDER
    return (*CLAP_METRICS, *EMBEDDING_METRICS) if asks_for_embeddings else CLAP_METRICS
