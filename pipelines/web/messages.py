"""What the page says of work: how far it is, and why it failed."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from pipelines.cli import counted, fault_line
from pipelines.web.jobs import WAITING, Update
from pipelines.web.markup import escaped
from uss.core.errors import INPUT_ERRORS, one_line

logger = logging.getLogger(__name__)

_STAGES = {
    WAITING: "Waiting",
    "reading": "Reading the recording",
    "loading the model": "Loading the model",
    "listening": "Listening",
    "separating": "Separating",
    "preparing the players": "Preparing the players",
    "packing": "Packing",
}


def failure_line(error: Exception, root: Path) -> str:
    """Say what went wrong, to somebody who does not see this machine.

    What is no mistake of the user's is logged with its traceback.

    Args:
        error: what was raised.
        root: folder whose paths are left out: a file is called by its name.
    """
    if not isinstance(error, INPUT_ERRORS):
        logger.error("a job failed", exc_info=error)
        return fault_line(error, debug=True)
    return re.sub(re.escape(str(root)) + r"/(?:[^/\s]+/)*", "", one_line(error))


def progress_html(update: Update) -> str:
    """Show how far work is."""
    stage = escaped(_STAGES.get(update.stage, update.stage))
    if update.num_before:
        stage += f" for {counted(update.num_before, 'job')} before this one"
    if update.fraction is None:
        return (
            f'<div role="status"><p>{stage} …</p><progress aria-label="{stage}"></progress></div>'
        )
    percent = round(100.0 * update.fraction)
    return (
        f'<div role="status"><p>{stage}: {percent} %</p>'
        f'<progress max="100" value="{percent}" aria-label="{stage}"></progress></div>'
    )


def note_html(text: str) -> str:
    """Say something in the place of the progress."""
    return f'<p role="status">{escaped(text)}</p>' if text else ""


def failure_html(line: str) -> str:
    """Say what went wrong in the place of the progress."""
    return f'<p role="alert" class="failure">{escaped(line)}</p>'
