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

__all__ = ["Node", "Ontology", "OntologyError", "load_kinds", "load_ontology"]
