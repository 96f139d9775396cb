"""Options of all commands whose work a cluster can share."""

from __future__ import annotations

import argparse

from pipelines.cli import UsageError, at_least, between
from uss.core.cluster import LOCAL, ClusterSettings

_MAX_GPUS = 64.0


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the work is done, and the share of a cluster that each process gets."""
    parser.add_argument(
        "--ray",
        metavar=f"ADDRESS|{LOCAL}",
        help="share the work among processes of a Ray cluster, or of one that is started on this "
        "machine; needs the extra 'ray', and files that all machines see under the same paths",
    )
    parser.add_argument(
        "--cpus-per-worker",
        type=at_least(1),
        default=None,
        metavar="N",
        help="with --ray, the cores of each process (1 if not given, with GPUs their share)",
    )
    parser.add_argument(
        "--gpus-per-worker",
        type=between(0.0, _MAX_GPUS),
        default=None,
        metavar="X",
        help="with --ray, the GPUs of each process, such as 0.5 (none if not given)",
    )


def cluster_of(arguments: argparse.Namespace) -> ClusterSettings | None:
    """Take what was parsed, ``workers`` too; None if no cluster is asked for.

    Raises:
        ValueError: if it makes no sense together.
    """
    if arguments.ray is not None:
        return ClusterSettings(
            arguments.ray,
            arguments.workers,
            arguments.cpus_per_worker,
            arguments.gpus_per_worker or 0.0,
        )
    for name in ("cpus_per_worker", "gpus_per_worker"):
        if getattr(arguments, name) is not None:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} is for processes of a cluster; name one by --ray")
    return None
