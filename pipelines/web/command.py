"""``uss-web``: the page in the browser."""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.cli import CommandParser, UsageError, at_least, run_command
from pipelines.interruptions import importing
from pipelines.model_options import ModelOptions, add_runtime_arguments
from pipelines.streams import say
from pipelines.web.limits import Limits
from uss.checkpoints.published import DEFAULT_MODEL
from uss.core.errors import InputError

_PROGRAM = "uss-web"
SHARE_WORD = "anyone-with-the-link"
"""What must follow ``--share``: it says what that does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(web_parser(), argv, _run)


def web_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    limits = Limits()
    parser = CommandParser(
        _PROGRAM,
        "Serve a page in the browser that finds the sounds of a recording and separates them. It "
        "can be reached from this machine alone, unless --host or --share say otherwise.",
    )
    parser.add_argument(
        "--model",
        nargs="+",
        default=[DEFAULT_MODEL],
        metavar="NAME|FILE",
        help="what users may choose from, as uss-separate takes it; the first is chosen at first",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument(
        "--port", type=at_least(0), default=7860, help="0 takes any port that is free"
    )
    parser.add_argument(
        "--share",
        nargs="?",
        const="",
        metavar="WORD",
        help="also make an address on the internet, through a server of Gradio's, that lasts a "
        f"week; WORD must be {SHARE_WORD}: these can use the page, and this machine with it",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    number = parser.add_argument_group("limits")
    number.add_argument(
        "--max-minutes",
        type=_positive,
        default=limits.minutes,
        metavar="N",
        help="of a recording, in stereo at 48 kHz; less of more channels or a higher rate",
    )
    number.add_argument(
        "--max-megabytes",
        type=at_least(1),
        default=limits.megabytes,
        metavar="N",
        help="of an uploaded file",
    )
    number.add_argument(
        "--max-stems", type=at_least(1), default=limits.stems, metavar="N", help="of one request"
    )
    number.add_argument(
        "--keep-minutes",
        type=_positive,
        default=limits.keep_minutes,
        metavar="N",
        help="how long files are kept after their last use; all are deleted when the server ends",
    )
    number.add_argument(
        "--max-waiting",
        type=at_least(1),
        default=limits.waiting,
        metavar="N",
        help="jobs that wait for their turn; further ones are refused",
    )
    add_runtime_arguments(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    _check_share(arguments.share)
    if importlib.util.find_spec("gradio") is None:
        raise InputError("the page needs the package gradio; pip install 'uss-pipeline[web]'")
    with importing():
        from pipelines.web.serving import WebOptions, served

    options = WebOptions(
        models=_models(arguments),
        host=arguments.host,
        port=arguments.port,
        share=arguments.share is not None,
        limits=Limits(
            minutes=arguments.max_minutes,
            megabytes=arguments.max_megabytes,
            stems=arguments.max_stems,
            keep_minutes=arguments.keep_minutes,
            waiting=arguments.max_waiting,
        ),
        open_browser=arguments.open,
    )
    with served(options) as url:
        say(f"the page is {url}; Ctrl-C ends it and deletes all files")
        if options.share or not _is_loopback(options.host):
            say("others can reach it: whoever does can make this machine work")
        threading.Event().wait()
    return 0


def _check_share(word: str | None) -> None:
    """Refuse a public address that somebody did not ask for in full knowledge.

    Raises:
        ValueError: saying what it does, and how to ask for it.
    """
    if word is not None and word != SHARE_WORD:
        raise UsageError(
            "--share lets anyone on the internet who has the link use the page, and sends their "
            "recordings and stems through a server of Gradio's; if that is what you want, write "
            f"--share {SHARE_WORD}"
        )


def _models(arguments: argparse.Namespace) -> Mapping[str, ModelOptions]:
    """Call the models as users see them: files by their names."""
    named: dict[str, ModelOptions] = {}
    for model in arguments.model:
        path = Path(model)
        name = path.stem if path.suffix else model
        if name in named:
            raise UsageError(f"two models are called {name}; name each once, or rename a file")
        named[name] = ModelOptions(
            model=model, device=arguments.device, precision=arguments.precision
        )
    return named


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time; give more than 0")
    return value
