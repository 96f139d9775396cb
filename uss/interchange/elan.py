"""ELAN's annotation documents: a tier for each class, and the recording linked."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from uss.core.errors import InputError
from uss.interchange.cells import seconds_in, span_of
from uss.interchange.sheets import Label, LabelTable, Sheet

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv2.8.xsd"
_SCHEMA_LOCATION = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
_TYPE = "default-lt"
_EMPTY_TIER = "sounds"
_DATE = "1970-01-01T00:00:00+00:00"
"""The format wants one, and the same result is to give the same file."""


def write_elan(sheet: Sheet) -> str:
    """Write the document, with the media's URL and with its place relative to the document."""
    document = Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "",
            "DATE": _DATE,
            "FORMAT": "2.8",
            "VERSION": "2.8",
            _SCHEMA_LOCATION: _SCHEMA,
        },
    )
    header = SubElement(document, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    _link(header, sheet)
    order = SubElement(document, "TIME_ORDER")
    num_annotations = 0
    times: list[tuple[int, str]] = []
    for name, labels in list(sheet.tiers()) or [(_EMPTY_TIER, [])]:
        tier = SubElement(document, "TIER", {"LINGUISTIC_TYPE_REF": _TYPE, "TIER_ID": name})
        last = 0
        for label in labels:
            # Annotations of a tier may not overlap, nor end where they start.
            start = max(last, round(1000.0 * label.start_seconds))
            last = max(start + 1, round(1000.0 * label.end_seconds))
            num_annotations += 1
            ends = (f"ts{2 * num_annotations - 1}", f"ts{2 * num_annotations}")
            times += [(start, ends[0]), (last, ends[1])]
            alignable = SubElement(
                SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                {
                    "ANNOTATION_ID": f"a{num_annotations}",
                    "TIME_SLOT_REF1": ends[0],
                    "TIME_SLOT_REF2": ends[1],
                },
            )
            SubElement(alignable, "ANNOTATION_VALUE").text = label.name
    for milliseconds, slot in sorted(times, key=lambda each: each[0]):
        SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(milliseconds)})
    SubElement(
        document,
        "LINGUISTIC_TYPE",
        {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": _TYPE, "TIME_ALIGNABLE": "true"},
    )
    ElementTree.indent(document)
    text = ElementTree.tostring(document, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def read_elan(text: str) -> LabelTable:
    """Read all annotations that have times of their own; an empty one is called like its tier.

    Raises:
        ValueError: if it is no such document.
    """
    try:
        document = ElementTree.fromstring(text.encode("utf-8"))
    except ElementTree.ParseError as error:
        raise InputError(f"it is no XML ({error}); save it again from ELAN") from error
    times = {
        slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in document.iter("TIME_SLOT")
    }
    labels = []
    for tier in document.iter("TIER"):
        name = tier.get("TIER_ID", "")
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            first, last = (times.get(annotation.get(f"TIME_SLOT_REF{end}")) for end in (1, 2))
            # Slots without a time lie somewhere between others.
            if first is None or last is None:
                continue
            said = (annotation.findtext("ANNOTATION_VALUE") or "").strip()
            where = f"tier {name!r}"
            start, end = (seconds_in(each, where) / 1000.0 for each in (first, last))
            labels.append(Label(*span_of(start, end, where), said or name))
    return LabelTable(tuple(labels))


def _link(header: Element, sheet: Sheet) -> None:
    source = sheet.source
    if source.path is None or source.relative is None:
        return
    mime, _ = mimetypes.guess_type(source.name)
    SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        {
            "MEDIA_URL": Path(source.path).absolute().as_uri(),
            "MIME_TYPE": mime or "unknown",
            "RELATIVE_MEDIA_URL": "./" + quote(source.relative, errors="surrogateescape"),
        },
    )
