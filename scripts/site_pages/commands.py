"""Reference pages of the commands, made of their parsers."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout, suppress

from pipelines.evaluate.command import evaluate_parser
from pipelines.export_onnx import export_parser
from pipelines.mine_anchors import mine_anchors_parser
from pipelines.models import models_parser
from pipelines.prepare import prepare_parser
from pipelines.separate.parser import separate_parser
from pipelines.train import main as train_main
from pipelines.web.command import web_parser


def command_pages() -> Mapping[str, str]:
    """Return the Markdown of each command's page, by the command's name."""
    parsers = (
        separate_parser(),
        mine_anchors_parser(),
        evaluate_parser(),
        prepare_parser(),
        models_parser(),
        export_parser(),
        web_parser(),
    )
    pages = {parser.prog: _page(parser) for parser in parsers}
    pages["uss-train"] = _train_page()
    return pages


def _page(parser: argparse.ArgumentParser) -> str:
    return "\n".join([f"# {parser.prog}", "", *_described(parser, level=2)]) + "\n"


def _train_page() -> str:
    """``uss-train`` has the keys of everything that it builds: its help is shown as it is."""
    printed = io.StringIO()
    with redirect_stdout(printed), suppress(SystemExit):
        train_main(["--help"])
    return f"# uss-train\n\n```text\n{printed.getvalue()}\n```\n"


def _described(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    """Describe a command: its purpose, how it is called, its options, its sub-commands."""
    yield _escaped(parser.description or "")
    yield ""
    yield "```text"
    yield parser.format_usage().removeprefix("usage: ").rstrip()
    yield "```"
    yield ""
    for group in parser._action_groups:
        shown = [
            action
            for action in group._group_actions
            if action.help != argparse.SUPPRESS
            and not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
        ]
        if shown:
            yield "| " + ("option" if shown[0].option_strings else "argument") + " | |"
            yield "|---|---|"
            yield from (f"| {_written(action)} | {_help(parser, action)} |" for action in shown)
            yield ""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield f"{'#' * level} {command.prog}"
                yield ""
                yield from _described(command, level + 1)


def _written(action: argparse.Action) -> str:
    """How an option is written, with what follows it."""
    values = argparse.HelpFormatter("")._format_args(action, _metavar(action))
    names = [f"{name} {values}".strip() for name in action.option_strings] or [values]
    return "<br>".join(f"`{name}`" for name in names)


def _metavar(action: argparse.Action) -> str:
    if action.option_strings:
        return action.dest.upper()
    return action.dest


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return _escaped(parser._get_formatter()._expand_help(action) if action.help else "")


def _escaped(text: str) -> str:
    """Keep Markdown from reading stars, brackets and bars of a help text."""
    for character in "\\|*_<>[]{}":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
