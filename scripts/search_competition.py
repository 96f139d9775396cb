r"""Find how sure a joint separator should be of itself, and write that into its bundle.

    python scripts/search_competition.py BUNDLE --shards TRAIN --validation-shards VALIDATION
    python scripts/search_competition.py BUNDLE ... --temperature 1.3 --sharpness 0.65 --rest 0.25 \
        --write OUT

A network that has learned its training recordings by heart is surer of them than it should be of
others. Three numbers mend that: the temperature, by which all logits are divided, and the sharpness
and odds of the residual with which those that are asked for together compete
(``uss.models.competition``). For each of their values this prints the SI-SDR improvement of
mixtures of two validation anchors, asked for one by one and together, with and without a third
class that is not there, and the level of that one's stem against the mixture (means and medians,
dB).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from uss.checkpoints.bundle import Bundle, load_bundle, save_bundle
from uss.core.errors import INPUT_ERRORS, InputError, one_line
from uss.data.active_classes import ActiveClasses
from uss.data.class_averages import class_queries
from uss.data.validation_mixtures import ValidationBatch, ValidationMixtures
from uss.models import QueryUNet
from uss.models.competition import CompetitionRules
from uss.shards import ShardReader
from uss.training.validation import improvements

_TEMPERATURES = (1.0, 1.25, 1.5)
_SHARPNESS = (1.0, 0.67, 0.5, 0.4, 0.33)
_REST = (1.0, 0.6, 0.37, 0.2)
_FIGURES = (
    "SI-SDRi oracle",
    "SI-SDRi class average",
    "SI-SDRi together",
    "SI-SDRi with an absent class",
    "level of an absent class",
)


def separator_of(bundle: Bundle) -> QueryUNet:
    """Take the network that has such rules.

    Raises:
        ValueError: if it has none.
    """
    if not isinstance(bundle.separator, QueryUNet):
        raise InputError("only a QueryUNet keeps rules of competition; name a bundle of one")
    return bundle.separator.float().eval()


def tempered(network: QueryUNet, temperature: float, rules: CompetitionRules) -> QueryUNet:
    """The same network, with its logits divided by a temperature, and other rules."""
    settings = network.hyperparameters | {
        "joint_sharpness": rules.sharpness,
        "joint_rest": rules.rest,
    }
    other = QueryUNet(**settings).eval()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        for values in other.weigh.parameters():
            values.div_(temperature)
    return other


def measure(network: QueryUNet, batches: Sequence[ValidationBatch]) -> dict[str, Tensor]:
    """Measure all mixtures: figure name to (N,) decibels."""
    with torch.inference_mode():
        found = [improvements(network, batch) for batch in batches]
    return {name: torch.cat([each[name] for each in found]) for name in _FIGURES}


def mixtures(
    train: Path, validation: Path, space: str, count: int, seed: int
) -> ValidationMixtures:
    """Draw the mixtures that training validates on."""
    queries = class_queries(ShardReader(train), space)
    reader = ShardReader(validation)
    ontology = reader.settings.ontology
    active = ActiveClasses.of_lists(reader.active_lists(0.5), ontology, "specific")
    return ValidationMixtures(reader, reader.rows_of(space), queries, active, size=count, seed=seed)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--shards", type=Path, required=True, help="of training, for the queries")
    parser.add_argument("--validation-shards", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200, help="mixtures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, nargs="+", default=_TEMPERATURES)
    parser.add_argument("--sharpness", type=float, nargs="+", default=_SHARPNESS)
    parser.add_argument("--rest", type=float, nargs="+", default=_REST)
    parser.add_argument("--write", type=Path, metavar="OUT", help="bundle with the rules named")
    given = parser.parse_args(words)
    values = list(product(given.temperature, given.sharpness, given.rest))
    try:
        if given.write is not None and len(values) > 1:
            raise InputError("--write takes one temperature, sharpness and rest; name them")
        bundle = load_bundle(given.bundle)
        network = separator_of(bundle)
        drawn = mixtures(
            given.shards, given.validation_shards, network.condition_space, given.count, given.seed
        )
        batches = list(DataLoader(drawn, batch_size=20))
        print("temperature  sharpness  rest  " + "  ".join(_FIGURES))
        for temperature, *rules in values:
            found = tempered(network, temperature, CompetitionRules(*rules))
            figures = measure(found, batches).values()
            cells = (f"{each.mean():6.2f} {each.median():6.2f}" for each in figures)
            print(f"{temperature:11.2f} {rules[0]:10.2f} {rules[1]:5.2f}  " + "  ".join(cells))
        if given.write is not None:
            save_bundle(given.write, replace(bundle, separator=found), half=True)
    except INPUT_ERRORS as error:
        print(one_line(error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
