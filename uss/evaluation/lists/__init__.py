"""Mixtures of a list: separated, scored and summed up."""
