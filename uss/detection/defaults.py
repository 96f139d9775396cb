"""What commands and programs detect with unless told otherwise; nothing here needs torch."""

from typing import Union

DEFAULT_THRESHOLD = 0.2
"""Where the model has no thresholds of its own (section 4.4)."""

DEFAULT_OVERLAP = 0.25
"""Of neighbouring segments, as a fraction of one; 0 is the paper's."""

DEFAULT_LEVEL = 2
"""Of the ontology."""

SENSITIVITIES = ("low", "medium", "high")
"""What is detected is mostly right; the best balance; most of what is there is detected."""

ASKED_SENSITIVITY = "medium"
"""Of what somebody names; see ``Detector.as_asked``."""

Threshold = Union[float, str, None]  # noqa: UP007 - read at run time, by Python 3.10 as well
"""Of detection: one for all classes, or a sensitivity by name; None for the model's own."""
