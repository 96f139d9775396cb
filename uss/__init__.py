"""Universal sound separation from weakly labelled audio.

>>> from uss import Separator
>>> stems = Separator.from_pretrained().separate(waveform, sample_rate, level=2)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uss.separation.separator import Separator

__all__ = ["Separator", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first used, so that ``import uss`` stays light."""
    if name == "Separator":
        from uss.separation.separator import Separator

        return Separator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
