"""Universal sound separation from weakly labelled audio."""

__version__ = "0.1.0"
