"""Take the pictures that the documentation shows, in a Chromium without a window.

The web page is served from a process of its own and used as a person would; the report and the
timeline are those of the example scene:

    python scripts/take_pictures.py

Pictures are WebP, at most 200 KB each. ``PICTURES`` names them; what takes one gets the browser and
leaves it showing what is to be seen.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))

from scripts.load_web import served  # noqa: E402
from tests.browser import Browser, find_browser  # noqa: E402
from uss import separate_file  # noqa: E402

_FOLDER = _ROOT / "docs" / "pictures"
_MAX_BYTES = 200_000
_QUALITIES = (90, 80, 70, 60, 50)
_HEIGHT = 900


def web(browser: Browser) -> int | None:
    """Show the web page with the example heard and separated, while it plays."""
    with served() as (url, _):
        browser.open(f"{url}?__theme=light")
        browser.wait_for("document.querySelectorAll('button[role=tab]').length === 3")
        browser.evaluate("document.querySelectorAll('button[role=tab]')[2].click()")
        browser.wait_for("(document.querySelector('#example')?.offsetParent ?? null) !== null")
        # It is shown before it listens to clicks.
        time.sleep(2.0)
        browser.click("#example")
        browser.wait_for("document.querySelectorAll('#timeline .row[data-name]').length > 1")
        browser.click("#separate")
        browser.wait_for("document.querySelectorAll('#mixer .strip').length > 1")
        browser.click("#mixer .play")
        browser.wait_for("document.querySelector('#mixer .position').value > 3.2")
        browser.click("#mixer .play")
    return None


def report(browser: Browser) -> int | None:
    """Show the report of the example scene, down to its last stem."""
    with _separated() as folder:
        browser.open((folder / "report.html").as_uri())
        browser.wait_for("document.querySelectorAll('audio').length > 1")
        browser.wait_for("[...document.images].every(each => each.complete)")
        # The player stays at the window's lower edge.
        last = "document.querySelector('section.group').getBoundingClientRect().bottom"
        height = int(browser.evaluate(last)) + 90
        browser.emulate(browser.evaluate("window.innerWidth"), height)
    return height


def timeline(browser: Browser) -> int | None:
    """Show the timeline of the example scene, as wide as the window."""
    with _separated() as folder:
        page = folder / "timeline.html"
        page.write_text(
            "<body style='margin: 0'><img src='timeline.png' style='width: 100%'></body>"
        )
        browser.open(page.as_uri())
        browser.wait_for("document.querySelector('img').naturalWidth > 0")
        height = browser.evaluate("document.querySelector('img').clientHeight")
        browser.emulate(browser.evaluate("window.innerWidth"), int(height))
    return None


@contextmanager
def _separated() -> Iterator[Path]:
    """Separate the example scene; gives its folder."""
    with tempfile.TemporaryDirectory() as parent:
        separate_file(_ROOT / "demo" / "scene.flac", parent, levels=[2])
        yield Path(parent) / "scene"


PICTURES: Mapping[str, Callable[[Browser], int | None]] = {
    "web": web,
    "report": report,
    "timeline": timeline,
}
"""What each picture shows, by the name of its file.

Each returns how many pixels of the page count, from its top, or None for all.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Take pictures; the status is 2 where there is no browser."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; all if none is given"
    )
    parser.add_argument("--width", type=int, default=1_300, help="of the window, in pixels")
    parser.add_argument("-o", "--output", type=Path, default=_FOLDER)
    arguments = parser.parse_args(argv)
    unknown = sorted(set(arguments.names) - PICTURES.keys())
    if unknown:
        parser.error(f"no picture {', '.join(unknown)}; choose of {', '.join(PICTURES)}")
    program = find_browser()
    if program is None:
        print("there is no Chromium here; install it", file=sys.stderr)
        return 2
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or PICTURES:
        with (
            tempfile.TemporaryDirectory() as profile,
            Browser(program, Path(profile), arguments.width, _HEIGHT, 180.0) as browser,
        ):
            height = PICTURES[name](browser)
            target = arguments.output / f"{name}.webp"
            _write(browser.screenshot(), height, target)
        print(f"{target}: {target.stat().st_size} bytes")
    return 0


def _write(png: bytes, height: int | None, path: Path) -> None:
    """Write a picture, or its upper part, as well as fits into its bytes.

    Raises:
        ValueError: if it does not fit.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture = picture.crop((0, 0, picture.width, height or picture.height))
    for quality in _QUALITIES:
        written = io.BytesIO()
        picture.save(written, "webp", quality=quality, method=6)
        if written.tell() <= _MAX_BYTES:
            path.write_bytes(written.getvalue())
            return
    raise ValueError(f"{path.name} is larger than {_MAX_BYTES} bytes; take less of the page")


if __name__ == "__main__":
    sys.exit(main())
