"""How well a separator separates: stems in, scores out.

``lists`` evaluates lists of mixtures, ``scenes`` timelines of events; neither knows the other. Both
stand on what is here: how files are excerpted and tables written, what scores depend on, and the
journal that lets an evaluation be stopped. Calibration finds a model's thresholds on scenes.
"""
