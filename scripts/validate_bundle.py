"""Measure a bundle's separator on fixed two-class mixtures at 0 dB.

    python scripts/validate_bundle.py BUNDLE SHARDS

SHARDS are validation anchors, mined with the bundle as ``--encoder``; class averages come from the
bundle, so from training clips. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from ontology import load_ontology
from uss.checkpoints import load_model
from uss.data.dataset import ValidationMixtures
from uss.data.sampler import ActiveClasses
from uss.shards import ShardReader
from uss.training.validation import improvements


def measure(
    bundle_file: str, shards: str | Path, *, size: int, seed: int
) -> dict[str, torch.Tensor]:
    """Figure name to (size,) decibels; see ``uss.training.validation.improvements``."""
    bundle = load_model(bundle_file)
    if bundle.separator is None or bundle.queries is None:
        raise ValueError(f"{bundle_file} holds no separator with class queries")
    reader = ShardReader(shards)
    ontology = load_ontology()
    classes = ActiveClasses.of(reader.labels, reader.tag_probabilities, 0.5, ontology, "specific")
    conditions = reader.conditions(bundle.separator.condition_space)
    mixtures = ValidationMixtures(reader, conditions, bundle.queries, classes, size=size, seed=seed)
    collected: dict[str, list[torch.Tensor]] = {}
    with torch.inference_mode():
        for batch in DataLoader(mixtures, batch_size=8):
            for name, values in improvements(bundle.separator, batch).items():
                collected.setdefault(name, []).append(values)
    return {name: torch.cat(values) for name, values in collected.items()}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("bundle", help="default, or a file")
    parser.add_argument("shards", type=Path)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    try:
        figures = measure(
            arguments.bundle, arguments.shards, size=arguments.size, seed=arguments.seed
        )
    except (ValueError, OSError) as error:
        print(f"validate_bundle: {error}", file=sys.stderr)
        return 2
    print("| condition | mean SI-SDRi | median SI-SDRi | mean SDRi | median SDRi |")
    print("|---|---:|---:|---:|---:|")
    for condition in ("oracle", "class average", "swapped"):
        cells = [
            f"{value:.2f} dB"
            for metric in ("SI-SDRi", "SDRi")
            for values in [figures[f"{metric} {condition}"]]
            for value in (values.nanmean(), values.nanmedian())
        ]
        print(f"| {condition} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
