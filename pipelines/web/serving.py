"""The server of the page."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.model_options import ModelOptions
from pipelines.web.limits import Limits
from pipelines.web.service import Service
from pipelines.web.shelf import Shelf
from uss.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """How the page is served.

    Attributes:
        models: by the names that users choose from; the first is the default.
        host: address that the server listens at.
        port: 0 for any that is free.
        share: also make a public address, through Gradio's server.
        limits: of each job.
        open_browser: open the page.
    """

    models: Mapping[str, ModelOptions]
    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    limits: Limits = field(default_factory=Limits)
    open_browser: bool = False


@contextmanager
def served(options: WebOptions) -> Iterator[str]:
    """Serve the page in the block; all files are deleted after it.

    The default model is loaded first, so that a wrong name is known before anybody comes.

    Yields:
        The address.

    Raises:
        OSError, ValueError: if the model cannot be loaded, or the port is taken.
    """
    port = _free_port(options.host, options.port)
    root = Path(tempfile.mkdtemp(prefix="uss-web-"))
    # Gradio reads these when it is imported, when a page is made, and when it starts.
    os.environ.update(GRADIO_TEMP_DIR=str(root), GRADIO_ANALYTICS_ENABLED="False")
    shelf = Shelf(root, 60.0 * options.limits.keep_minutes)
    service = Service(options.models, options.limits, shelf)
    with shelf.sweeping(), service.worker:
        service.load(service.default_model)
        from pipelines.web.page import ASSETS, make_page, page_style

        page = make_page(service)
        # What is in users' recordings is no matter of the server's log.
        loggers = [logging.getLogger(name) for name in ("httpx", "httpcore", "uss")]
        levels = [each.level for each in loggers]
        try:
            for each in loggers:
                each.setLevel(logging.ERROR)
            _, url, shared = page.launch(
                server_name=options.host,
                server_port=port,
                share=options.share,
                inbrowser=options.open_browser,
                prevent_thread_lock=True,
                quiet=True,
                max_file_size=f"{options.limits.megabytes}mb",
                allowed_paths=[str(ASSETS)],
                footer_links=["api"],
                ssr_mode=False,
                pwa=False,
                enable_monitoring=False,
                **page_style(),
            )
            yield shared or url
        finally:
            page.close(verbose=False)
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)


def _free_port(host: str, port: int) -> int:
    """Find a port that is free, if any will do; see that the one is that was named.

    Raises:
        ValueError: if it is taken, or the address is not this machine's.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            # As servers do: a port is free as soon as the server before has ended.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            return int(trial.getsockname()[1])
    except OSError as error:
        raise InputError(
            f"nobody can listen at port {port} of {host} ({error.strerror or error}); give another "
            "with --port, where 0 takes any that is free"
        ) from error
