"""``uss-models``: which weights are here, what they are, and under which licence."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from pipelines.cli import BAD_INPUT, CommandParser, UsageError, counted, run_command
from pipelines.interruptions import importing
from pipelines.streams import complain, say

_PROGRAM = "uss-models"
_ACTIONS = ("list", "verify", "prune")
_SOFTWARE = (
    {"name": "uss-pipeline", "licence": "Apache-2.0"},
    {"name": "AudioSet ontology (ontology/nodes.csv)", "licence": "CC-BY-SA-4.0"},
    {"name": "AudioSet classes (ontology/classes.csv)", "licence": "CC-BY-4.0"},
)
_MANIFEST_VERSION = 1
_HASH_DIGITS = 12


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(models_parser(), argv, _run)


class _Parser(CommandParser):
    """Takes names of models before and after options."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See ``argparse``, which else takes all names in one place."""
        return self.parse_intermixed_args(args, namespace)


def models_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = _Parser(
        _PROGRAM,
        "List the weights inside the package, in the cache, and to be had; check them, or remove "
        "them from the cache.",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="list|verify|prune|NAME",
        help="list (unless something else is asked for); verify compares what is here with what "
        "was published; prune removes what broken downloads left, and the models that are named; "
        "names of models, all if there are none",
    )
    parser.add_argument(
        "--licences",
        action="store_true",
        help="list as JSON, with licences (SPDX), training data, sources and hashes",
    )
    parser.add_argument(
        "--all", action="store_true", help="prune: remove every model from the cache"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="prune: say what would be removed, and stop"
    )
    return parser


def _run(arguments: argparse.Namespace) -> int:
    words = arguments.words
    action, names = (words[0], words[1:]) if words[:1] and words[0] in _ACTIONS else ("list", words)
    is_pruning = action == "prune"
    if (arguments.all or arguments.dry_run) and not is_pruning:
        raise UsageError(f"--all and --dry-run go with prune; write {_PROGRAM} prune")
    if arguments.licences and action != "list":
        raise UsageError(f"--licences lists; leave out {action}")
    if arguments.all and names:
        raise UsageError("prune --all removes all models; leave out the names, or --all")
    if is_pruning:
        return _prune(names, also_files=arguments.all, dry=arguments.dry_run)
    return _verify(names) if action == "verify" else _list(names, as_json=arguments.licences)


def _list(names: Sequence[str], *, as_json: bool) -> int:
    with importing():
        from uss.checkpoints.downloads import cache_folder
        from uss.checkpoints.inventory import inventory

    listed = inventory(names)
    if as_json:
        manifest = {
            "version": _MANIFEST_VERSION,
            "software": _SOFTWARE,
            "models": [each.as_json() for each in listed],
        }
        say(json.dumps(manifest, indent=2, ensure_ascii=False))
        return 0
    rows = [("name", "state", "size", "licence", "task", "space", "hash")]
    for each in listed:
        card = each.card
        known = card.checksum or (f"sha256:{card.sha256}" if card.sha256 else "")
        algorithm, _, digits = known.partition(":")
        shown = f"{algorithm}:{digits[:_HASH_DIGITS]}" if known else "-"
        size = "-" if card.size_bytes is None else f"{card.size_bytes / 1e6:,.1f} MB"
        rows.append((card.name, each.state, size, card.spdx, card.task, card.space or "-", shown))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())
    say(f"the cache is {cache_folder()} (USS_CACHE); uss-separate --download NAME fetches into it")
    return 0


def _verify(names: Sequence[str]) -> int:
    with importing():
        from uss.checkpoints.inventory import verify

    status = 0
    for verdict in verify(names):
        if verdict.is_right:
            say(f"{verdict.name}: {verdict.reason}")
        else:
            complain(f"{_PROGRAM}: {verdict.name}: {verdict.reason}")
            status = BAD_INPUT
    return status


def _prune(names: Sequence[str], *, also_files: bool, dry: bool) -> int:
    with importing():
        from uss.checkpoints.inventory import leftovers, remove

    num_bytes, status = 0, 0
    for path in leftovers(names, also_files=also_files or bool(names)):
        size = path.stat().st_size
        if not dry and not remove(path):
            complain(f"{_PROGRAM}: {path} is being downloaded, and stays; wait until that ends")
            status = BAD_INPUT
            continue
        num_bytes += size
        say(f"{path} ({counted(size, 'byte')})")
    done = "would be" if dry else "are"
    say(f"{num_bytes / 1e6:,.1f} MB {done} free")
    return status
