"""The browser demo, served from a folder of its own and used as a person does."""

import base64
import functools
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.browser import Browser, find_browser

DEMO = Path(__file__).resolve().parent.parent / "web-demo"
_RUNTIME = DEMO / "node_modules" / "onnxruntime-web"
_IDLE = "!document.getElementById('file').disabled"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


def skip_without_browser() -> str:
    """Return the browser's path; skip where it, or what the page loads, is not there."""
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium")
    if not _RUNTIME.is_dir():
        pytest.skip("onnxruntime-web is not there; run npm ci in web-demo")
    return program


@contextmanager
def served(folder: Path, model: Path | None) -> Iterator[str]:
    """Serve the demo with a model from an empty folder; yields its address."""
    for name in ("index.html", "src", "node_modules"):
        (folder / name).symlink_to((DEMO / name).resolve())
    if model is not None:
        (folder / "model").symlink_to(model)
    handler = functools.partial(_Quiet, directory=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Page:
    """The page in a browser."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        browser.open(url)

    def wait(self) -> str:
        """Wait until the page does nothing, and return what it says."""
        self.browser.wait_for(f"{_IDLE} || document.querySelector('#status.error') !== null")
        return str(self.browser.evaluate("document.getElementById('status').textContent"))

    def choose(self, path: Path) -> str:
        """Choose a file, as in the dialogue of the system; returns what the page says then."""
        root = self.browser.call("DOM.getDocument")["root"]["nodeId"]
        found = self.browser.call("DOM.querySelector", nodeId=root, selector="#file")
        self.browser.call("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(path)])
        return self.wait()

    def found(self) -> list[str]:
        """The names of the sounds that it lists."""
        names = "[...document.querySelectorAll('#found input')].map(each => each.value)"
        return list(self.browser.evaluate(names))

    def stems(self) -> dict[str, np.ndarray]:
        """Fetch what the links give, by the name of the file without its ending: (T,) each."""
        links = self.browser.evaluate(
            "[...document.querySelectorAll('#stems a')].map(each => [each.download, each.href])"
        )
        return {name.removesuffix(".wav"): self._fetched(url) for name, url in links}

    def _fetched(self, url: str) -> np.ndarray:
        encoded = self.browser.evaluate(
            f"fetch({url!r}).then(answer => answer.blob()).then(blob => new Promise(resolve => {{"
            " const reader = new FileReader();"
            " reader.onload = () => resolve(reader.result.split(',')[1]);"
            " reader.readAsDataURL(blob); }))"
        )
        samples, _ = soundfile.read(io.BytesIO(base64.b64decode(encoded)), dtype="float32")
        return np.asarray(samples)


@contextmanager
def opened(tmp_path: Path, model: Path | None) -> Iterator[Page]:
    """Open the demo in a browser."""
    program = skip_without_browser()
    site, profile = tmp_path / "site", tmp_path / "profile"
    site.mkdir()
    profile.mkdir()
    with (
        served(site, model) as url,
        Browser(program, profile, timeout_seconds=300.0) as browser,
    ):
        yield Page(browser, url)


def distance_db(given: np.ndarray, expected: np.ndarray, reference: np.ndarray) -> float:
    """The energy of a difference against that of a recording, in dB."""
    error = np.square(given - expected).sum() / np.square(reference).sum()
    return float(10.0 * np.log10(max(error, 1e-20)))
