"""Ctrl-C, kill and hang-up: whatever ends a command, it tidies up first."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pipelines.streams import complain

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
# Closing a terminal and ``timeout`` send a signal twice, to a process and to its group.
_ONE_SIGNAL_SECONDS = 1.0


class Interruption:
    """Handles signals: the first is a KeyboardInterrupt, the second ends the process at once.

    Attributes:
        signal_number: which came; None if none did.
        program: the command, if the process is its own.
        is_importing: whether modules are being imported, see ``importing``.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.program: str | None = None
        self.is_importing = False
        self._since = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal.

        Raises:
            KeyboardInterrupt: if it is the first.
        """
        if self.is_importing and self.program is not None:
            complain(f"{self.program}: interrupted")
            os._exit(128 + number)
        if self.signal_number is None:
            self.signal_number = number
            self._since = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - self._since > _ONE_SIGNAL_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    @property
    def status(self) -> int:
        """The exit status that shells expect."""
        return 128 + (self.signal_number or signal.SIGINT)


@contextmanager
def importing(program: str | None = None) -> Iterator[None]:
    """Import modules in the block; a signal then ends the process at once, which holds nothing yet.

    Modules in C++, such as torch, abort the process where a KeyboardInterrupt meets them.

    Args:
        program: whose process this is, from now on. In a process of which nobody has said so, such
            as a notebook, a signal is a KeyboardInterrupt all the same.
    """
    interruption = _handling()
    if interruption is None:
        yield
        return
    interruption.program = program or interruption.program
    interruption.is_importing = True
    try:
        yield
    finally:
        interruption.is_importing = False


def is_interrupted() -> bool:
    """Whether a signal came since the outermost block of ``interruptible`` began."""
    interruption = _handling()
    return interruption is not None and interruption.signal_number is not None


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Treat kill and hang-up like Ctrl-C in the block, in the main thread.

    Signals that are ignored (``nohup``, jobs in the background) or that somebody else handles stay
    so. Blocks may be nested; the outer one handles the signals.
    """
    outer = _handling()
    if outer is not None:
        yield outer
        return
    interruption = Interruption()
    replaced: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if handler in (signal.SIG_DFL, signal.default_int_handler):
                replaced[number] = handler
                signal.signal(number, interruption)
    try:
        yield interruption
    finally:
        for number, handler in replaced.items():
            if signal.getsignal(number) is interruption:
                signal.signal(number, handler)


def _handling() -> Interruption | None:
    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if isinstance(handler, Interruption):
            return handler
    return None
