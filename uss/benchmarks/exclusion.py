"""Which clips with several labels exclude each other."""

from __future__ import annotations

from collections.abc import Sequence

from ontology import load_ontology


class LabelExclusion:
    """Clips conflict if the class or the most specific labels of one hold for the other as well.

    This is the rule ``specific`` of ``uss.data.sampler.ActiveClasses``, for labels that need not
    be among the 527 classes: a clip's labels pass to their ancestors, so that "dog" and "cat" do
    not conflict, although both are animals, while "dog" and "animal" do.

    Args:
        labels: mids of each clip's labels; one that AudioSet's ontology lacks stands alone.
        classes: mid of each clip's class, with which it is asked for; one of its labels.
    """

    def __init__(self, labels: Sequence[Sequence[str]], classes: Sequence[str]) -> None:
        ontology = load_ontology()
        above = {
            mid: frozenset(node.mid for node in ontology.ancestors(mid))
            if mid in ontology.nodes
            else frozenset()
            for mids in labels
            for mid in mids
        }
        self._active: list[frozenset[str]] = []
        self._specific: list[frozenset[str]] = []
        for mids, class_mid in zip(labels, classes, strict=True):
            ancestors = frozenset[str]().union(*(above[mid] for mid in mids))
            self._active.append(ancestors.union(mids))
            self._specific.append((frozenset(mids) - ancestors) | {class_mid})

    def __call__(self, first: int, second: int) -> bool:
        """Whether two clips, by their indexes, must not be mixed."""
        return not (
            self._specific[first].isdisjoint(self._active[second])
            and self._active[first].isdisjoint(self._specific[second])
        )
