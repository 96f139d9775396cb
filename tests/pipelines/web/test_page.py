"""The page in a browser, as its users see it."""

import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, find_browser

pytest.importorskip("gradio", reason="needs the extra 'web'")

PLAYING = "document.querySelector('#mixer meter').value > 0.003"
NAMES = "[...document.querySelectorAll('#mixer .strip')].map(each => each.dataset.name)"


@pytest.fixture(scope="module")
def browser(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium here")
    profile = tmp_path_factory.mktemp("profile")
    # A microphone that hears a beep every second.
    options = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with Browser(program, profile, 1_300, timeout_seconds=90.0, options=options) as page:
        yield page


@pytest.fixture
def page(browser: Browser, url: str) -> Browser:
    browser.requests.clear()
    browser.errors.clear()
    browser.open(url)
    browser.wait_for("document.querySelector('#upload input[type=file]') !== null")
    return browser


def give(page: Browser, path: Path) -> None:
    """Choose a file, as in the dialogue that the browser opens."""
    document = page.call("DOM.getDocument")["root"]["nodeId"]
    found = page.call("DOM.querySelector", nodeId=document, selector="#upload input[type=file]")
    page.call("DOM.setFileInputFiles", files=[str(path)], nodeId=found["nodeId"])


def choose_only(page: Browser, name: str) -> None:
    """Leave one of the classes found ticked."""
    page.evaluate(
        "[...document.querySelectorAll('#found label')].forEach(label => {"
        f" const wanted = label.innerText.trim().startsWith({json.dumps(name)});"
        " const box = label.querySelector('input');"
        " if (box.checked !== wanted) box.click(); })"
    )
    page.wait_for("document.querySelectorAll('#found input:checked').length === 1")


def own_errors(page: Browser) -> list[str]:
    """What the console says, but for what Gradio's client says whenever a stream has ended."""
    return [each for each in page.errors if "Method not implemented." not in each]


def open_tab(page: Browser, name: str) -> None:
    """Open one of the ways to give a recording."""
    tab = (
        "[...document.querySelectorAll('button[role=tab]')]"
        f".find(tab => tab.innerText.includes({json.dumps(name)}))"
    )
    page.wait_for(f"!!{tab}")
    page.evaluate(f"{tab}.click()")
    # What is in it is shown before it listens to clicks.
    time.sleep(1.5)


def text_of(selector: str) -> str:
    return f"(document.querySelector({json.dumps(selector)})?.innerText ?? '')"


def is_shown(selector: str) -> str:
    return f"(document.querySelector({json.dumps(selector)})?.offsetParent ?? null) !== null"


def test_from_upload_to_stems_that_are_heard_and_taken_away(
    page: Browser, short_scene: Path, tmp_path: Path
) -> None:
    give(page, short_scene)
    page.wait_for("document.querySelectorAll('#timeline .row[data-name]').length >= 2")
    rows = page.evaluate(
        "[...document.querySelectorAll('#timeline .row[data-name]')]"
        ".map(row => [row.dataset.name, row.querySelectorAll('rect').length])"
    )
    assert {"Human voice", "Alarm"} <= {name for name, _ in rows}
    assert all(count >= 1 for _, count in rows)
    choose_only(page, "Alarm")
    page.click("#separate")
    page.wait_for("document.querySelectorAll('#mixer .strip').length > 0")
    assert page.evaluate(NAMES) == ["Alarm", "Residual", "The recording"]

    page.click("#mixer .play")
    page.wait_for(PLAYING)
    page.click("#mixer .strip[data-name=Alarm] .solo")
    page.wait_for("document.querySelectorAll('#mixer .unheard').length === 2")
    page.wait_for(PLAYING)
    page.click("#mixer .strip[data-name=Alarm] .mute")
    page.click("#mixer .strip[data-name=Alarm] .solo")
    page.click("#mixer .strip[data-name=Residual] .mute")
    # All three are muted.
    page.wait_for("document.querySelector('#mixer meter').value < 0.0003")
    page.click("#mixer .play")
    assert page.evaluate("document.querySelector('#mixer .play').ariaLabel") == "Play"

    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.click("#archive")
    downloaded, end = tmp_path / "scene.zip", time.monotonic() + 30.0
    while not downloaded.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    with zipfile.ZipFile(downloaded) as archive:
        assert archive.testzip() is None
        assert "scene/queries/Alarm.flac" in archive.namelist()
    assert own_errors(page) == []
    assert all(
        address.startswith(("http://127.0.0.1:", "data:", "blob:")) for address in page.requests
    )


def test_stems_play_as_loud_as_the_recording_and_stay_in_step(
    page: Browser, short_scene: Path
) -> None:
    """With the recording turned round, stems and residual cancel it: none is late by a sample."""
    give(page, short_scene)
    page.wait_for("document.querySelectorAll('#timeline .row[data-name]').length >= 2")
    choose_only(page, "Alarm")
    page.click("#separate")
    page.wait_for("document.querySelectorAll('#mixer .strip').length > 0")
    differences = page.evaluate(
        """(async () => {
          const rows = [...document.querySelectorAll('#mixer .strip')];
          const sounds = await Promise.all(rows.map(async (row) => {
            const bytes = await (await fetch(row.dataset.url)).arrayBuffer();
            return new Int16Array(bytes, Number(row.dataset.header));
          }));
          const mixture = sounds.pop();
          let most = 0;
          for (let index = 0; index < mixture.length; index++) {
            const sum = sounds.reduce((total, sound) => total + sound[index], 0);
            most = Math.max(most, Math.abs(sum - mixture[index]));
          }
          return [most, mixture.length];
        })()"""
    )
    # Each is rounded by half a step.
    assert differences[0] <= 2 and differences[1] == 160_000
    page.click("#mixer .play")
    page.wait_for("document.querySelector('#mixer .position').value > 0.5")
    page.evaluate(
        "(() => { const bar = document.querySelector('#mixer .position'); bar.value = 4.5;"
        " bar.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    page.wait_for(f"{text_of('#mixer .time')}.startsWith('0:04')")
    # At the end it stops by itself.
    page.wait_for("document.querySelector('#mixer .play').ariaLabel === 'Play'")
    assert own_errors(page) == []


def test_a_file_that_is_no_recording_is_refused_in_words(page: Browser, text_file: Path) -> None:
    give(page, text_file)
    page.wait_for("document.querySelector('#status-find [role=alert]') !== null")
    said = page.evaluate(text_of("#status-find"))
    assert said == "notes.txt has no audio track; name a file with sound"
    assert not page.evaluate(is_shown("#timeline"))


def test_a_job_is_cancelled(page: Browser) -> None:
    open_tab(page, "Example")
    page.wait_for(is_shown("#example"))
    page.click("#example")
    page.wait_for("document.querySelectorAll('#timeline .row[data-name]').length >= 2")
    page.click("#separate")
    page.wait_for(is_shown("#cancel-separate"))
    page.click("#cancel-separate")
    page.wait_for(f"{text_of('#status-separate')} === 'Cancelled.'")
    time.sleep(1.0)
    assert page.evaluate(text_of("#status-separate")) == "Cancelled."
    assert not page.evaluate(is_shown("#cancel-separate"))
    assert not page.evaluate(is_shown("#mixer"))
    # The page goes on: the next one is made.
    choose_only(page, "Alarm")
    page.click("#separate")
    page.wait_for("document.querySelectorAll('#mixer .strip').length === 3")


def test_seconds_are_marked_by_dragging(page: Browser, short_scene: Path) -> None:
    give(page, short_scene)
    page.wait_for("document.querySelector('#timeline [data-lane=wave]') !== null")
    left, top, width = page.evaluate(
        "(() => { const lane = document.querySelector('#timeline [data-lane=wave]');"
        " lane.scrollIntoView({block: 'center'}); const box = lane.getBoundingClientRect();"
        " return [box.x, box.y + box.height / 2, box.width]; })()"
    )
    for kind, place in (("mousePressed", 0.2), ("mouseMoved", 0.4), ("mouseReleased", 0.6)):
        page.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=left + place * width,
            y=top,
            button="left",
            buttons=1,
            clickCount=1,
        )
    written = "document.querySelector('#span textarea, #span input').value"
    page.wait_for(f"{written} !== ''")
    start, end = (float(each.rpartition(":")[2]) for each in page.evaluate(written).split("-"))
    assert start == pytest.approx(1.0, abs=0.05) and end == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("width", [390, 1_300])
def test_nothing_is_wider_than_the_window(page: Browser, width: int, short_scene: Path) -> None:
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=width < 500,
    )
    try:
        give(page, short_scene)
        page.wait_for("document.querySelectorAll('#timeline .row[data-name]').length >= 2")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        narrow = page.evaluate(
            "[...document.querySelectorAll('#timeline .lane')].map(lane => lane.clientWidth)"
        )
        assert min(narrow) > 250
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")


def test_what_is_recorded_is_heard(page: Browser) -> None:
    open_tab(page, "Record")
    page.wait_for(is_shown(".record-button"))
    page.click(".record-button")
    page.wait_for(is_shown(".stop-button"))
    time.sleep(1.5)
    page.click(".stop-button")
    page.wait_for("document.querySelector('#timeline .timeline') !== null")
    assert float(page.evaluate("document.querySelector('.timeline').dataset.seconds")) > 0.5
