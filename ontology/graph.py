"""The ontology as an immutable graph: levels, ancestors, descendants and look-ups."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

from ontology.suggesting import Vocabulary
from ontology.words import folded

Reading = Literal["tree", "graph"]
_Answer = TypeVar("_Answer")


class OntologyError(ValueError):
    """What was asked for is not in the ontology; the message says what is."""


@dataclass(frozen=True, slots=True)
class Node:
    """One sound category.

    Attributes:
        mid: AudioSet id, such as ``/m/09x0r``.
        name: The name for people, such as ``Speech``.
        class_index: Position among the 527 classes, ``None`` if taggers do not know the node.
        restrictions: Any of ``abstract`` and ``blacklist``, as AudioSet publishes them.
        parents: Mids of the nodes directly above, empty for a root.
        children: Mids of the nodes directly below.
    """

    mid: str
    name: str
    class_index: int | None
    restrictions: tuple[str, ...]
    parents: tuple[str, ...]
    children: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Ontology:
    """All nodes under one reading; made by :func:`ontology.load_ontology`.

    Level 1 holds the roots, and a child lies one level below its parent. Methods that take a
    node accept a :class:`Node` (of either reading) or its mid.

    Attributes:
        reading: ``tree`` (one parent per node) or ``graph`` (all parents).
        nodes: Every node by mid, in the order of the ontology file.
        classes: The nodes that taggers know; ``classes[k].class_index == k``.
        aliases: What people call a node, or several nodes together; to their mids.
        hints: What people ask for that no node is; to the mids of what comes near.
        own: Mids of nodes that are not AudioSet's; see :func:`ontology.with_own_classes`.
    """

    reading: Reading
    nodes: Mapping[str, Node]
    classes: tuple[Node, ...]
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own: tuple[str, ...] = ()
    _answers: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and other processes get the nodes in a dict; a proxy cannot be pickled."""
        tables = dict(self.aliases), dict(self.hints)
        return _restored, (self.reading, dict(self.nodes), self.classes, *tables, self.own)

    @property
    def max_level(self) -> int:
        """The deepest level that holds a node."""
        return self._once("max_level", lambda: max(self.levels(mid)[-1] for mid in self.nodes))

    def levels(self, node: Node | str) -> tuple[int, ...]:
        """Return the levels a node lies at, ascending: one per distinct path length from a root.

        The tree reading always gives exactly one.
        """
        parents = self._node(node).parents
        if not parents:
            return (1,)
        return tuple(sorted({level + 1 for parent in parents for level in self.levels(parent)}))

    def nodes_at_level(self, level: int, *, with_classes: bool = False) -> tuple[Node, ...]:
        """Return the nodes of one level, in the order of the ontology file.

        Args:
            level: From 1 (the roots) to :attr:`max_level`.
            with_classes: Leave out nodes that have none of the classes at or below them.
        """
        if not 1 <= level <= self.max_level:
            raise OntologyError(f"level {level} does not exist; choose 1 to {self.max_level}")
        return self._once(
            ("level", level, with_classes),
            lambda: tuple(
                node
                for node in self.nodes.values()
                if level in self.levels(node) and (self.class_indexes(node) or not with_classes)
            ),
        )

    def class_indexes(self, node: Node | str) -> tuple[int, ...]:
        """Return ``children(node)`` of the paper's Algorithm 4, ascending and without repeats.

        These are the classes among the node itself and everything below it.
        """
        start = self._node(node)

        def indexes() -> tuple[int, ...]:
            family = (start, *self.descendants(start))
            return tuple(sorted(n.class_index for n in family if n.class_index is not None))

        return self._once(("classes", start.mid), indexes)

    def descendants(self, node: Node | str) -> tuple[Node, ...]:
        """Return every node below, each once, nearest first; the node itself is not included."""
        return self._reachable(node, "children")

    def ancestors(self, node: Node | str) -> tuple[Node, ...]:
        """Return every node above, each once, nearest first; the node itself is not included."""
        return self._reachable(node, "parents")

    def find(self, key: str | int, *, aliases: bool = True) -> Node:
        """Return the one node a person means; see :meth:`look_up`.

        Args:
            key: A mid, a class index (also as a string of digits), a name or an alias.
            aliases: Also take aliases, and names in another form. Without, a name must be
                AudioSet's, except for case and outer blanks: data files are not guessed at.
        """
        nodes = self.look_up(key) if aliases else self._known_as(key)
        if not nodes:
            raise OntologyError(self._unknown(str(key).strip()))
        if len(nodes) > 1:
            names = ", ".join(f'"{node.name}"' for node in nodes)
            raise OntologyError(f'"{str(key).strip()}" stands for {names}; choose one of them')
        return nodes[0]

    def look_up(self, key: str | int) -> tuple[Node, ...]:
        """Return the nodes a person means: one, or those of an alias that stands for several.

        Args:
            key: A mid, a class index (also as a string of digits), a name, for which case and
                outer blanks do not matter, a name in another form (plural, with or without hyphens
                and blanks), or else an alias. Of several nodes with one name, the class wins.
        """
        if known := self._known_as(key):
            return known
        form = folded(text := str(key).strip())
        mids = self._once("names", self._folded_names).get(form)
        mids = mids or self._once("aliases", self._folded_aliases).get(form, ())
        if not mids:
            raise OntologyError(self._unknown(text))
        return tuple(self.nodes[mid] for mid in mids)

    def is_name(self, key: str | int) -> bool:
        """Tell whether a key is AudioSet's own: a mid, a class index, or a name."""
        try:
            return bool(self._known_as(key))
        except OntologyError:
            return False

    def like(self, text: str) -> list[str]:
        """Suggest names for what is none, the likeliest first; none if nothing is like it."""
        return self._once("vocabulary", lambda: _vocabulary(self)).like(text)

    def _once(self, question: object, compute: Callable[[], _Answer]) -> _Answer:
        """Answer from memory what was asked before; the graph never changes."""
        if question not in self._answers:
            self._answers[question] = compute()
        return cast(_Answer, self._answers[question])

    def _node(self, node: Node | str) -> Node:
        mid = node.mid if isinstance(node, Node) else node
        if mid not in self.nodes:
            raise OntologyError(f'unknown mid "{mid}"; look a node up by name or index with find()')
        return self.nodes[mid]

    def _reachable(
        self, node: Node | str, direction: Literal["parents", "children"]
    ) -> tuple[Node, ...]:
        start = self._node(node)
        found = {start.mid: start}
        queue = [start]
        for current in queue:
            mids = current.parents if direction == "parents" else current.children
            new = [self.nodes[mid] for mid in mids if mid not in found]
            found.update((n.mid, n) for n in new)
            queue.extend(new)
        return tuple(queue[1:])

    def _known_as(self, key: str | int) -> tuple[Node, ...]:
        """The node of a mid, a class index or a name; none if there is no such name."""
        text = str(key).strip()
        if text in self.nodes:
            return (self.nodes[text],)
        if isinstance(key, int) or text.isdecimal():
            return (self._class_at(int(text)),)
        same_name = [n for n in self.nodes.values() if n.name.casefold() == text.casefold()]
        matches = [n for n in same_name if n.class_index is not None] or same_name
        if len(matches) > 1:
            mids = ", ".join(node.mid for node in matches)
            raise OntologyError(f'class name "{text}" is ambiguous; choose one of the mids {mids}')
        return tuple(matches)

    def _folded_names(self) -> dict[str, tuple[str, ...]]:
        """Forms of names that mean one node each."""
        forms: dict[str, list[str]] = {}
        for node in self.nodes.values():
            forms.setdefault(folded(node.name), []).append(node.mid)
        return {form: tuple(mids) for form, mids in forms.items() if form and len(mids) == 1}

    def _folded_aliases(self) -> Mapping[str, tuple[str, ...]]:
        return {folded(alias): mids for alias, mids in self.aliases.items()}

    def _class_at(self, index: int) -> Node:
        if not 0 <= index < len(self.classes):
            last = len(self.classes) - 1
            raise OntologyError(f"class index {index} does not exist; choose 0 to {last}")
        return self.classes[index]

    def _unknown(self, text: str) -> str:
        """Say that there is no such class, and what is like it."""
        names = [f'"{name}"' for name in self.like(text)]
        if names:
            return f'unknown class "{text}"; did you mean {", ".join(names)}?'
        return (
            f'unknown class "{text}"; give an AudioSet name, a mid such as /m/09x0r or a class '
            f"index from 0 to {len(self.classes) - 1}"
        )


def _vocabulary(ontology: Ontology) -> Vocabulary:
    """All that can be asked for, and what lies above it."""
    askable = {mid for mid in ontology.nodes if ontology.class_indexes(mid)} | set(ontology.own)
    return Vocabulary(
        {mid: node.name for mid, node in ontology.nodes.items()},
        {mid: tuple(node.mid for node in ontology.ancestors(mid)) for mid in ontology.nodes},
        ontology.aliases,
        askable,
        ontology.hints,
    )


def _restored(
    reading: Reading,
    nodes: dict[str, Node],
    classes: tuple[Node, ...],
    aliases: dict[str, tuple[str, ...]],
    hints: dict[str, tuple[str, ...]],
    own: tuple[str, ...],
) -> Ontology:
    words = MappingProxyType(aliases), MappingProxyType(hints)
    return Ontology(reading, MappingProxyType(nodes), classes, *words, own)
