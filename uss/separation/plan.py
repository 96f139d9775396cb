"""What is separated from a recording, and which stems belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ontology import Ontology
from uss.detection.hierarchy import Detection, Target
from uss.separation.consistency import Family

NAMED_GROUP = "queries"
"""The folder of what the user named."""


@dataclass(frozen=True)
class Plan:
    """What is separated from a recording.

    Attributes:
        groups: folder to detections; the stems of one folder add up with its residual.
        negatives: what must go to the residual.
        consistency: stems share out the residual, and children add up to their parents.
        full_band: stems follow the mask's top bins above the separator's band.
    """

    groups: Mapping[str, Sequence[Detection]]
    negatives: Sequence[Detection] = ()
    consistency: bool = False
    full_band: bool = False

    @property
    def detections(self) -> tuple[Detection, ...]:
        """Those of all groups, in turn; one stem each."""
        return tuple(detection for group in self.groups.values() for detection in group)


def target_key(target: Target) -> object:
    """What makes two targets the same one."""
    return target.mid or target


def families(plan: Plan, ontology: Ontology) -> list[Family]:
    """Stems that shall add up: the coarsest level to the mixture, finer ones to their parents.

    Named classes and queries add up to the mixture. Where a stem's parent was not separated it
    stays as it is.
    """
    families: list[Family] = []
    start = 0
    parents: dict[str, int] | None = None
    for name, detections in plan.groups.items():
        rows = range(start, start + len(detections))
        start += len(detections)
        if name == NAMED_GROUP or parents is None:
            families.append(Family(None, tuple(rows)))
        else:
            by_parent: dict[int, list[int]] = {}
            for row, detection in zip(rows, detections, strict=True):
                above = [node.mid for node in ontology.ancestors(str(detection.target.mid))]
                parent = next((parents[mid] for mid in above if mid in parents), None)
                if parent is not None:
                    by_parent.setdefault(parent, []).append(row)
            families += [Family(parent, tuple(rows)) for parent, rows in by_parent.items()]
        if name != NAMED_GROUP:
            parents = {str(d.target.mid): row for row, d in zip(rows, detections, strict=True)}
    return families
