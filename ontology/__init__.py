"""The AudioSet ontology: 632 sound categories, 527 of which taggers are trained on.

>>> from ontology import load_ontology
>>> ontology = load_ontology()
>>> [node.name for node in ontology.nodes_at_level(1)][:3]
['Human sounds', 'Animal', 'Music']
>>> len(ontology.class_indexes(ontology.find("music")))
146
"""

from ontology.graph import Node, Ontology, OntologyError
from ontology.loading import load_kinds, load_ontology
from ontology.own_classes import OWN_PREFIX, OwnClass, own_mid, same_name, with_own_classes

__all__ = [
    "OWN_PREFIX",
    "Node",
    "Ontology",
    "OntologyError",
    "OwnClass",
    "load_kinds",
    "load_ontology",
    "own_mid",
    "same_name",
    "with_own_classes",
]
