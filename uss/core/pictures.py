"""Drawing pictures of our own, whatever the user has told matplotlib."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

_SETTINGS = ("MPLBACKEND", "MATPLOTLIBRC")


@contextmanager
def own_style() -> Iterator[None]:
    """Draw with matplotlib's defaults in the block; the user's settings are back after it.

    Figures need a canvas of their own (``FigureCanvasAgg``), so no backend is chosen. matplotlib is
    imported here: where it refuses the user's settings, such as a notebook's backend that is not
    installed, it is imported without them.
    """
    try:
        import matplotlib
    # It also fails where a file of settings cannot be decoded.
    except Exception:
        for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
            del sys.modules[name]
        kept = {name: text for name, text in os.environ.items() if name not in _SETTINGS}
        with patch.dict(os.environ, {**kept, "MATPLOTLIBRC": os.devnull}, clear=True):
            import matplotlib
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def printable(name: str) -> str:
    """Replace what of a file name is no UTF-8, which fonts cannot show."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
