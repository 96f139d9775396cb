"""Print how well the embedded text encoder does: on captions with labels, and on queries.

python scripts/check_text_encoder.py --captions CAPTIONS/caption_labels.csv --split val
python scripts/check_text_encoder.py --queries quality/text_queries.csv [--wrong] [--model default]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from text_encoder.class_texts import read_captions
from text_encoder.learning import scores
from text_encoder.query_scores import NONSENSE, Answer, answers, share

from ontology import load_ontology
from uss.conditions.text_classes import load_text_classes
from uss.conditions.understanding import understand
from uss.core.errors import INPUT_ERRORS, InputError, one_line
from uss.separation.separator import Separator


def print_separable(model: str, found: Sequence[Answer]) -> None:
    """Print how many of the texts that are understood a model has queries for."""
    separator = Separator.from_pretrained(model)
    asking = [each for each in found if each.is_right and each.kind != NONSENSE and each.asks]
    refused = []
    for each in asking:
        (query,) = separator.text_queries(each.query).queries
        try:
            query.check(separator.conditioning)
        except InputError:
            refused.append(each.query)
    kept = len(asking) - len(refused)
    print(
        f"{kept} of {len(asking)} understood texts can be separated by {model} "
        f"({kept / len(asking):.3f}), which has queries for "
        f"{separator.conditioning.separable.sum()} classes; not: {'; '.join(refused) or 'none'}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    try:
        return _check(argv)
    except INPUT_ERRORS as error:
        print(f"check_text_encoder: {one_line(error)}", file=sys.stderr)
        return 2


def _check(argv: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--captions", type=Path, help="CSV of captions and labels")
    parser.add_argument("--split", default="val", help="of the captions")
    parser.add_argument("--queries", type=Path, help="CSV of queries and classes")
    parser.add_argument("--model", help="also say how many of the queries it can separate")
    parser.add_argument("--wrong", action="store_true", help="list what is not answered right")
    arguments = parser.parse_args(argv)
    ontology, encoder = load_ontology(), load_text_classes()
    if arguments.captions:
        captions = read_captions(arguments.captions, arguments.split, ontology)
        precision, top = scores(encoder.encode(captions.texts), captions.targets)
        print(f"{len(captions.texts)} captions: mAP {precision:.4f}, top class {top:.4f}")
    if arguments.queries:
        found = answers(arguments.queries, encoder, ontology)
        right = Counter(each.kind for each in found if each.is_right)
        for kind, count in Counter(each.kind for each in found).items():
            print(f"{kind:10} {right[kind]:3} of {count}")
        print(
            f"sounds {share(found, nonsense=False):.3f}, refused {share(found, nonsense=True):.3f}"
        )
        for each in found if arguments.wrong else ():
            if not each.is_right:
                print(f"  {each.query}: {each.said}")
        if arguments.model:
            print_separable(arguments.model, found)
        known = [each.query for each in found if each.is_right and each.kind != "nonsense"]
        start = time.perf_counter()
        for query in known:
            understand(query, encoder, ontology)
        print(f"{1e3 * (time.perf_counter() - start) / len(known):.2f} ms a query")
    return 0


if __name__ == "__main__":
    sys.exit(main())
