"""What commands and programs detect with unless told otherwise; nothing here needs torch."""

DEFAULT_THRESHOLD = 0.2
"""Where the model has no thresholds of its own (section 4.4)."""

DEFAULT_OVERLAP = 0.25
"""Of neighbouring segments, as a fraction of one; 0 is the paper's."""

DEFAULT_LEVEL = 2
"""Of the ontology."""
