"""Classes that AudioSet does not know: a name, and perhaps the node that they are a kind of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from ontology.graph import Node, Ontology, OntologyError
from ontology.words import folded

OWN_PREFIX = "/own/"
_NO_LETTERS = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class OwnClass:
    """A class of somebody's own.

    Attributes:
        mid: Its id, which begins with ``/own/``.
        name: The name for people, which none of AudioSet's nodes has.
        parent: Mid of the node that it is a kind of; empty for none.
    """

    mid: str
    name: str
    parent: str = ""


def own_mid(name: str) -> str:
    """Make the id of a class of its name: ``My machine`` becomes ``/own/my_machine``."""
    return OWN_PREFIX + _NO_LETTERS.sub("_", name.casefold()).strip("_")


def same_name(name: str) -> str:
    """Bring a name to a form that is the same for names that people take for one.

    Names in other letters than Latin ones differ by more than case.
    """
    return folded(name) or name.strip().casefold()


def with_own_classes(ontology: Ontology, own: Sequence[OwnClass], *, indexed: bool) -> Ontology:
    """Add classes to an ontology, below their parents.

    Args:
        ontology: AudioSet's.
        own: The classes.
        indexed: Number them after AudioSet's, as labels of clips need it. Without, they have no
            class index: no tagger tells their probability, and what lies above them is asked for
            without them.

    Raises:
        OntologyError: If a class has no name or no id of its own, or an unknown parent.
    """
    if not own:
        return ontology
    _check(ontology, own)
    nodes = dict(ontology.nodes)
    classes = list(ontology.classes)
    for each in own:
        index = len(classes) if indexed else None
        parents = (each.parent,) if each.parent else ()
        nodes[each.mid] = Node(each.mid, each.name, index, (), parents, ())
        if indexed:
            classes.append(nodes[each.mid])
        for mid in parents:
            nodes[mid] = replace(nodes[mid], children=(*nodes[mid].children, each.mid))
    # The parents are other nodes now.
    current = tuple(nodes[node.mid] for node in classes)
    return replace(
        ontology, nodes=MappingProxyType(nodes), classes=current, own=tuple(e.mid for e in own)
    )


def _check(ontology: Ontology, own: Sequence[OwnClass]) -> None:
    taken = {same_name(node.name): node for node in ontology.nodes.values()}
    seen: dict[str, OwnClass] = {}
    for each in own:
        if not each.name.strip() or each.name.strip().isdecimal():
            raise OntologyError(f'no class can be called "{each.name}"; give it a name of letters')
        if same_name(each.name) in taken:
            node = taken[same_name(each.name)]
            raise OntologyError(
                f'"{each.name}" is AudioSet\'s "{node.name}"; label its clips {node.mid}, or give '
                "your class another name"
            )
        if not each.mid.startswith(OWN_PREFIX) or not _is_word(each.mid):
            raise OntologyError(
                f'"{each.mid}" cannot be the id of "{each.name}"; ids of classes of your own are '
                f"like {OWN_PREFIX}machine, without blanks, commas and semicolons"
            )
        if each.parent and each.parent not in ontology.nodes:
            raise OntologyError(
                f'"{each.name}" is said to be a kind of "{each.parent}", which is none of '
                "AudioSet's nodes; name one, or none"
            )
        for key in {each.mid, same_name(each.name)}:
            if key in seen:
                raise OntologyError(
                    f'two classes of your own are called "{seen[key].name}" and "{each.name}", '
                    f"with the ids {seen[key].mid} and {each.mid}; rename one"
                )
            seen[key] = each


def _is_word(mid: str) -> bool:
    name = mid.removeprefix(OWN_PREFIX)
    return bool(name) and not re.search(r"[\s,;\"'@]", name)
