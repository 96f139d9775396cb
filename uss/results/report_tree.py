"""The report's tree of classes: what was found, under its ancestors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ontology import Node, Ontology
from uss.results.result import StemResult


def class_tree(stems: Sequence[StemResult], ontology: Ontology) -> Iterator[str]:
    """The classes found, under their ancestors; then what is no class of its own."""
    found: dict[str, list[int]] = {}
    several, by_audio, in_words = [], [], []
    for position, stem in enumerate(stems):
        if stem.mid is not None:
            found.setdefault(stem.mid, []).append(position)
        elif stem.mids:
            nodes = escape("; ".join(ontology.nodes[mid].name for mid in stem.mids))
            several.append(f"<li>{_found([position], stems)}: {nodes}</li>")
        elif stem.text is not None:
            means = escape("; ".join(each.name for each in stem.understood))
            item = _found([position], stems) + (f": {means}" if means else "")
            in_words.append(f"<li>{item}</li>")
        else:
            spans = ", ".join(f"{clock(start)}&ndash;{clock(end)}" for start, end in stem.marked)
            marked = f": as marked at {spans}" if spans else ""
            by_audio.append(f"<li>{_found([position], stems)}{marked}</li>")
    shown = {node.mid for mid in found for node in ontology.ancestors(mid)} | found.keys()

    def branch(nodes: Sequence[Node]) -> Iterator[str]:
        for node in nodes:
            text = _found(found[node.mid], stems) if node.mid in found else escape(node.name)
            levels = ", ".join(map(str, ontology.levels(node)))
            yield f"<li>{text} (level {levels})"
            below = [ontology.nodes[mid] for mid in node.children if mid in shown]
            if below:
                yield "<ul>"
                yield from branch(below)
                yield "</ul>"
            yield "</li>"

    roots = [node for node in ontology.nodes.values() if node.mid in shown and not node.parents]
    if roots:
        yield '<ul class="tree">'
        yield from branch(roots)
        yield "</ul>"
    yield from listed("several", "Asked for as several classes", several)
    yield from listed("by-audio", "Asked for by audio", by_audio)
    yield from listed("in-words", "Asked for in words", in_words)


def listed(anchor: str, title: str, items: Sequence[str]) -> Iterator[str]:
    """A list under a heading; nothing where it is empty."""
    if items:
        yield f'<h3 id="{anchor}">{title}</h3>'
        yield f'<ul class="tree" aria-labelledby="{anchor}">'
        yield from items
        yield "</ul>"


def _found(positions: Sequence[int], stems: Sequence[StemResult]) -> str:
    """Link to the first row of a class."""
    name = escape(stems[positions[0]].name)
    link = f'<a class="found" href="#{anchor_of(positions[0])}">{name}</a>'
    known = [stems[position].probability for position in positions]
    highest = max((each for each in known if each is not None), default=None)
    return link if highest is None else f"{link} {highest:.2f}"


def anchor_of(position: int) -> str:
    """The anchor of a stem's row in the report's table."""
    return f"stem-{position}"


def clock(seconds: float) -> str:
    """Write seconds as ``m:ss.s``, or ``h:mm:ss.s``."""
    minutes, tenths = divmod(round(10.0 * seconds), 600)
    hours, minutes_left = divmod(minutes, 60)
    text = f"{hours}:{minutes_left:02}" if hours else f"{minutes}"
    return f"{text}:{tenths // 10:02}" + (f".{tenths % 10}" if tenths % 10 else "")


def count_of(number: int, what: str) -> str:
    """Write how many there are of something."""
    return f"{number} {what}{'' if number == 1 else 's'}"
