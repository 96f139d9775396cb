"""Mixtures of a list: read, separated under several conditions, scored and summed up.

``list_job`` runs it all; ``mixture_list`` says what a list is, ``mixtures`` makes waveforms of its
rows, ``condition_maker`` what the separator is asked with, ``evaluating`` and ``scoring`` the
scores of each row, ``aggregates`` and ``list_results`` those of all.
"""
