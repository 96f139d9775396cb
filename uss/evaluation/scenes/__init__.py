"""Scenes whose events are known: drawn, rendered, detected, separated and scored.

``scene_job`` runs it all; ``scene_list`` says what a list of scenes is, ``running`` makes a record
of each, with ``level_scores``; ``pooling``, ``node_scores`` and ``scene_results`` make scores of
all records.
"""
