"""A browser without a window, driven over its DevTools pipe."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

# Moved up first, as one of the two given may be the other's goal.
_LAUNCH = """
import fcntl, os, sys
given = [fcntl.fcntl(int(pipe), fcntl.F_DUPFD_CLOEXEC, 5) for pipe in sys.argv[1:3]]
os.dup2(given[0], 3)
os.dup2(given[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One page of a headless Chromium; use it in a ``with`` block.

    Attributes:
        requests: every URL that the page asked for.
        errors: messages on the console above the level of a note, and uncaught exceptions.

    Args:
        program: the browser.
        profile: an empty folder.
        width, height: of the window, in pixels.
        timeout_seconds: for each answer.
        options: further words of the browser's command line.
    """

    def __init__(
        self,
        program: str,
        profile: Path,
        width: int = 1_280,
        height: int = 900,
        timeout_seconds: float = 30.0,
        options: Sequence[str] = (),
    ) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._timeout_seconds = timeout_seconds
        self._next_id = 0
        self._buffer = b""
        self._session: str | None = None
        arguments = [
            "--headless",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-gpu",
            # Containers often give /dev/shm no more than 64 MB.
            "--disable-dev-shm-usage",
            *options,
            "about:blank",
        ]
        if os.geteuid() == 0:
            arguments.insert(0, "--no-sandbox")
        self._process, self._output, self._input = _start([program, *arguments])

    def __enter__(self) -> "Browser":
        try:
            self._attach()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError, RuntimeError, TimeoutError):
            self._session = None
            self.call("Browser.close")
        self._close()

    def open(self, url: str) -> None:
        """Load a page and wait until it is complete."""
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Return when a JavaScript expression has become true."""
        end = time.monotonic() + self._timeout_seconds
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} was not true in {self._timeout_seconds} s")
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Press and release the mouse in the middle of an element, once it has come to rest."""
        x, y = self.evaluate(
            "(async () => {"
            f" const element = document.querySelector({json.dumps(selector)});"
            " const middle = () => {"
            "  element.scrollIntoView({block: 'center', behavior: 'instant'});"
            "  const box = element.getBoundingClientRect();"
            "  return [box.x + box.width / 2, box.y + box.height / 2]; };"
            " for (let before = middle();;) {"
            "  await new Promise((done) => setTimeout(done, 100));"
            "  const now = middle();"
            "  if (now[0] === before[0] && now[1] === before[1]) return now;"
            "  before = now; } })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, code: int) -> None:
        """Press and release a key, given its name and its Windows virtual key code."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    def emulate(self, width: int, height: int, *, dark: bool = False) -> None:
        """Show the page at a size in pixels, to somebody who prefers dark pages or light ones."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self) -> bytes:
        """Return a PNG of the whole page."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        self._next_id += 1
        message = {"id": self._next_id, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._input, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self._next_id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)
        raise RuntimeError(f"{method}: the browser ended")

    def _attach(self) -> None:
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def _messages(self) -> Iterator[dict[str, Any]]:
        end = time.monotonic() + self._timeout_seconds
        while True:
            while b"\0" not in self._buffer:
                ready, _, _ = select.select(
                    [self._output], [], [], max(0.0, end - time.monotonic())
                )
                if not ready:
                    raise TimeoutError(f"no answer in {self._timeout_seconds} s")
                received = os.read(self._output, 1 << 16)
                if not received:
                    return
                self._buffer += received
            text, self._buffer = self._buffer.split(b"\0", 1)
            yield json.loads(text)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Runtime.exceptionThrown":
                self.errors.append(str(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning"):
                self.errors.append(str(parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                self.errors.append(parameters["entry"]["text"])

    def _close(self) -> None:
        os.close(self._input)
        os.close(self._output)
        try:
            self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _start(command: list[str]) -> tuple[subprocess.Popen[bytes], int, int]:
    """Start a program that reads from descriptor 3 and writes to 4.

    Returns:
        The process, the descriptor to read from and the one to write to.
    """
    its_input, our_input = os.pipe()
    our_output, its_output = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(its_input), str(its_output), *command],
            pass_fds=(its_input, its_output),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    finally:
        os.close(its_input)
        os.close(its_output)
    return process, our_output, our_input
