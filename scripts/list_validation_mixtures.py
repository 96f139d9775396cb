"""Write the mixtures that training validates on as a list for uss-evaluate.

    python scripts/list_validation_mixtures.py AUDIO SHARDS -o LIST.csv

AUDIO holds clips.csv and its clips, SHARDS their mined validation anchors. Only classes that the
model has queries for are mixed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ontology import load_ontology
from uss.benchmarks.mixed_rows import Excerpt, Gains, Source, mixed_row
from uss.checkpoints.loading import load_model
from uss.core.errors import INPUT_ERRORS, InputError
from uss.data.active_classes import ActiveClasses
from uss.data.manifest import read_manifest
from uss.data.mixing import energy_matching_gain
from uss.data.validation_mixtures import ValidationMixtures
from uss.evaluation.lists.mixture_list import ListRow, write_list
from uss.shards import ShardReader

_GAIN_DIGITS = 4
_TIME_DIGITS = 6


def validation_rows(
    audio: Path, shards: Path, model: str, *, size: int, seed: int
) -> list[ListRow]:
    """Describe fixed mixtures of two anchors at 0 dB.

    Raises:
        OSError, ValueError: if a file is missing, or the anchors allow no mixture.
    """
    queries = load_model(model).class_queries
    if queries is None:
        raise InputError(f"{model} holds no class queries; name a bundle")
    path_of = {clip.clip_id: clip.path for clip in read_manifest(audio / "clips.csv")}
    with ShardReader(shards) as reader:
        active = ActiveClasses.of(
            reader.labels, reader.tag_probabilities, 0.5, load_ontology(), "specific"
        )
        # Conditions play no part in which anchors are mixed.
        conditions = np.zeros((len(reader), queries.vectors.shape[1]), np.float32)
        mixtures = ValidationMixtures(reader, conditions, queries, active, size=size, seed=seed)
        rate = reader.settings.sample_rate
        excerpt = Excerpt(reader.settings.segment_samples / rate, "zeros", rate)
        rows = []
        for pair in mixtures.pairs:
            target, interferer = (torch.from_numpy(reader.waveform(row)) for row in pair)
            gain_db = 20.0 * float(energy_matching_gain(target, interferer).log10())
            sources = [_source_of(reader, row, path_of) for row in pair]
            gains = Gains(0.0, round(gain_db, _GAIN_DIGITS))
            rows.append(mixed_row(*sources, excerpt, gains, seed=seed))
    return rows


def _source_of(reader: ShardReader, row: int, path_of: Mapping[str, str]) -> Source:
    node = load_ontology().classes[reader.class_index[row]]
    start_seconds = round(float(reader.start_seconds[row]), _TIME_DIGITS)
    return Source(path_of[reader.clip_id[row]], node.name, (node.mid,), start_seconds)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("audio", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", default="default", help="whose queries say which classes")
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    try:
        rows = validation_rows(
            arguments.audio,
            arguments.shards,
            arguments.model,
            size=arguments.size,
            seed=arguments.seed,
        )
        write_list(arguments.output, rows)
    except INPUT_ERRORS as error:
        print(f"list_validation_mixtures: {error}", file=sys.stderr)
        return 2
    print(f"{len(rows)} mixtures in {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
