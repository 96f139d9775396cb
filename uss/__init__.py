"""Universal sound separation from weakly labelled audio.

>>> from uss import Separator, separate_file
>>> stems = Separator.from_pretrained().separate(waveform, sample_rate, level=2)  # doctest: +SKIP
>>> separate_file("movie.wav", "separated")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uss.core.spans import Span
    from uss.results.separate_file import separate_file
    from uss.separation.separator import Separator

__all__ = ["Separator", "Span", "__version__", "separate_file"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first used, so that ``import uss`` stays light."""
    if name == "Separator":
        from uss.separation.separator import Separator

        return Separator
    if name == "separate_file":
        from uss.results.separate_file import separate_file

        return separate_file
    if name == "Span":
        from uss.core.spans import Span

        return Span
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
