"""Compiling a network where the job is long enough to pay for it."""

from __future__ import annotations

import logging
import statistics
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from uss.core.compilers import has_compiler

logger = logging.getLogger(__name__)

Mask = Callable[[Any, Any], Tensor]

# Measured on two cores: compiling takes 40 to 50 s and saves a fifth of ResUNet30's time.
_COMPILE_SECONDS = 50.0
_SAVED_SHARE = 0.2
_MUST_SAVE = 2.0 * _COMPILE_SECONDS
_NUM_TIMED = 20


class LazyCompiler:
    """Compiles a mask network in the middle of a job, once the rest of it is known to pay.

    Args:
        mask: the network, called with batches of one size.
        device: where it runs.

    Attributes:
        is_compiled: whether ``mask`` is the compiled one by now. A compiler that fails is not
            asked again, and ``mask`` stays or becomes what it was.
    """

    def __init__(self, mask: Mask, device: torch.device) -> None:
        self.mask = mask
        self.is_compiled = False
        self._eager = mask
        self._can_compile = has_compiler(device)
        self._has_failed = False
        self._expected = 0
        self._seconds: list[float] = []

    def expect(self, num_rows: int) -> None:
        """Announce rows to come."""
        self._expected += num_rows

    def note(self, num_rows: int, seconds: float, is_full: bool) -> None:
        """Take the time of a batch into account; perhaps compile for the next.

        Args:
            num_rows: in the batch.
            seconds: it took.
            is_full: whether it had the size that compiled batches have.
        """
        self._expected -= num_rows
        if not is_full or self.is_compiled or self._has_failed or not self._can_compile:
            return
        self._seconds.append(seconds / num_rows)
        rest = self._expected * statistics.median(self._seconds[-_NUM_TIMED:])
        if len(self._seconds) >= _NUM_TIMED and rest * _SAVED_SHARE > _MUST_SAVE:
            logger.info(
                "compiling the separator, which takes about a minute, as some %.0f minutes of "
                "work are left",
                rest / 60.0,
            )
            self.compile()

    def compile(self) -> None:
        """Compile at once; torch does the work when the next full batch comes."""
        if self.is_compiled or self._has_failed:
            return
        # The mask is put together of complex numbers, which stay as they are.
        warnings.filterwarnings("ignore", "Torchinductor does not support code generation")
        # Compilers fail in many ways; none of them may end a job that runs without.
        try:
            compiled = torch.compile(self._eager, dynamic=False)
        except Exception as error:
            self._give_up(error)
            return

        def compiled_or_eager(encoded: Any, modulation: Any) -> Tensor:
            try:
                out: Tensor = compiled(encoded, modulation)
            except Exception as error:
                self._give_up(error)
                return self._eager(encoded, modulation)
            return out

        self.mask = compiled_or_eager
        self.is_compiled = True

    def _give_up(self, error: Exception) -> None:
        """Run uncompiled from now on."""
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        logger.warning("the separator runs uncompiled: %s", reason)
        self.mask = self._eager
        self.is_compiled = False
        self._has_failed = True
