"""The report's players, in a browser."""

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.browser import Browser
from tests.uss.results.conftest import WriteFolder
from tests.uss.results.report_examples import AWKWARD
from uss.results.result import SeparationResult

TIME = "Number(document.getElementById('position').value)"
HEARD = "document.getElementById('heard').textContent"


def row(name: str) -> str:
    return f"li[data-name={name}]"


def audio(name: str) -> str:
    return f"document.querySelector('{row(name)} audio')"


def is_playing(name: str) -> str:
    return (
        f"!{audio(name)}.paused && {audio(name)}.error === null && {audio(name)}.currentTime > 0.1"
    )


def pressed(name: str, what: str) -> str:
    return f"document.querySelector('{row(name)} .{what}').ariaPressed === 'true'"


def test_stems_play_in_a_browser_one_at_a_time(
    two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser
) -> None:
    browser.open(write_folder(two_levels).as_uri())
    assert browser.evaluate(f"document.querySelector('{row('Music')} h3').innerText") == "Music"
    browser.click(f"{row('Music')} .play")
    browser.wait_for(is_playing("Music"))
    assert browser.evaluate(f"document.querySelector('{row('Music')} .play').ariaLabel") == (
        "Pause Music"
    )
    browser.click(f"{row('Dog')} .play")
    browser.wait_for(is_playing("Dog"))
    assert browser.evaluate(f"{audio('Music')}.paused")
    browser.click(f"{row('Dog')} .play")
    browser.wait_for("document.querySelectorAll('li.playing').length === 0")
    assert browser.evaluate("document.querySelectorAll('audio').length") == 6
    assert all(url.startswith(("file://", "data:")) for url in browser.requests)
    files = {url for url in browser.requests if url.startswith("file:")}
    assert {Path(unquote(urlsplit(url).path)).name for url in files} >= {
        "report.html",
        "Music.wav",
        "Dog.flac",
    }
    assert browser.errors == []


def test_awkward_names_play_too(
    two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser
) -> None:
    browser.open(write_folder(two_levels).as_uri())
    browser.click("#stem-2 .play")
    browser.wait_for("document.querySelector('#stem-2 audio').currentTime > 0.1")
    assert browser.evaluate("document.querySelector('#stem-2 h3').innerText") == AWKWARD
    assert browser.evaluate(HEARD) == f"queries: {AWKWARD}"
    assert browser.errors == []


def test_a_folder_plays_together_and_stays_so(
    two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser
) -> None:
    browser.open(write_folder(two_levels).as_uri())
    browser.click("[data-group=level1] .all")
    both = "[...document.querySelectorAll('[data-group=level1] audio')]"
    browser.wait_for(f"{both}.every((audio) => !audio.paused && audio.currentTime > 0.2)")
    # A hundredth of a second is kept to; a busy machine may take a while until it is reached.
    apart = f"Math.abs({both}[0].currentTime - {both}[1].currentTime)"
    browser.wait_for(f"{apart} < 0.02")
    assert browser.evaluate(HEARD) == "level1: all"
    # One slips, as if its file had been slow.
    browser.evaluate(f"{both}[1].currentTime += 0.4")
    browser.wait_for(f"{apart} < 0.02 && !{both}[1].seeking && !{both}[1].paused")
    browser.wait_for("document.querySelectorAll('li.playing').length === 0")
    assert browser.evaluate(f"Math.abs({TIME} - 4) < 0.01")
    assert browser.errors == []


def test_what_has_ended_begins_anew_with_others(
    two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser
) -> None:
    browser.open(write_folder(two_levels).as_uri())
    browser.click(f"{row('Music')} .play")
    browser.wait_for(is_playing("Music"))
    browser.press("ArrowRight", 39)
    browser.wait_for("document.querySelectorAll('li.playing').length === 0")
    assert browser.evaluate(TIME) == 4.0
    browser.click("[data-group=level1] .all")
    browser.wait_for(is_playing("Music"))
    browser.wait_for("!document.querySelector('#residual-level1 audio').paused")
    assert browser.evaluate(TIME) < 4.0
    assert browser.errors == []


def test_where_nothing_is_heard_the_time_goes_on(
    two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser
) -> None:
    browser.open(write_folder(two_levels).as_uri())
    browser.click("#stem-0 .mute")
    browser.click("#residual-level1 .mute")
    browser.click("#play")
    browser.wait_for(f"{TIME} > 0.3")
    assert browser.evaluate("[...document.querySelectorAll('audio')].every((a) => a.paused)")
    browser.click("#stem-0 .mute")
    browser.wait_for(is_playing("Music"))
    assert browser.evaluate(f"{audio('Music')}.currentTime") > 0.3


def test_solo_mute_and_level(
    two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser
) -> None:
    browser.open(write_folder(two_levels).as_uri())
    browser.click("#residual-level3 .mute")
    assert browser.evaluate(HEARD) == "level3: Dog"
    browser.click("#play")
    browser.wait_for(is_playing("Dog"))
    residual = "document.querySelector('#residual-level3 audio')"
    assert browser.evaluate(f"{residual}.paused")
    browser.click("#residual-level3 .mute")
    browser.wait_for(f"!{residual}.paused && {residual}.currentTime > 0.1")
    browser.click(f"{row('Dog')} .solo")
    browser.wait_for(f"{residual}.paused && !{audio('Dog')}.paused")
    assert browser.evaluate(pressed("Dog", "solo"))
    level = "document.querySelector('#stem-1 .level')"
    changed = "new Event('input', {bubbles: true})"
    browser.evaluate(f"{level}.value = 30, {level}.dispatchEvent({changed})")
    assert browser.evaluate(f"{audio('Dog')}.volume") == 0.3
    browser.click("#hear-all")
    assert browser.evaluate(HEARD) == "level3: all"
    assert browser.errors == []


def test_times_and_pictures_seek(
    two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser
) -> None:
    browser.open(write_folder(two_levels).as_uri())
    browser.click(f"{row('Dog')} button[data-start='2.25']")
    browser.wait_for(is_playing("Dog"))
    assert 2.2 < browser.evaluate(f"{audio('Dog')}.currentTime") < 4.0
    browser.click("#play")
    browser.click(f"{row('Dog')} .spectrogram")
    assert abs(browser.evaluate(TIME) - 2.0) < 0.1
    browser.click("#position")
    browser.press("Home", 36)
    browser.wait_for(f"{TIME} === 0")
    # Between the two times the lane is empty: the middle is a place, the first quarter a time.
    browser.click(f"{row('Music')} .lane")
    assert abs(browser.evaluate(TIME) - 2.0) < 0.1
    assert browser.evaluate(f"{audio('Music')}.paused")
    assert browser.errors == []


def test_a_time_in_the_lane_plays_from_its_beginning(
    two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser
) -> None:
    events = (replace(two_levels.stems[0].events[0], onset_seconds=1.0, offset_seconds=3.0),)
    music = replace(two_levels.stems[0], events=events)
    browser.open(write_folder(replace(two_levels, stems=(music,))).as_uri())
    browser.click(f"{row('Music')} .lane")
    browser.wait_for(is_playing("Music"))
    assert 1.0 <= browser.evaluate(f"{audio('Music')}.currentTime") < 2.0


def test_keys(two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser) -> None:
    path = write_folder(two_levels)
    browser.open(path.as_uri())
    # Every key that does something is told of on the page.
    script, page = path.read_text("utf-8").split("const KEYS = ")[1], path.read_text("utf-8")
    for key in re.findall(r'^    "?([snmp0+ -]|\w+)"?: \(\) =>', script, re.MULTILINE):
        arrow = {"ArrowLeft": "&larr;", "ArrowRight": "&rarr;", "ArrowUp": "&uarr;"}
        shown = {**arrow, "ArrowDown": "&darr;", " ": "space"}.get(key, key)
        assert f"<kbd>{shown}</kbd>" in page, key
    chosen = "document.querySelector('[aria-current]').id"
    browser.press("ArrowRight", 39)
    assert browser.evaluate(TIME) == 4.0
    browser.press("ArrowLeft", 37)
    assert browser.evaluate(TIME) == 0.0
    browser.press("ArrowDown", 40)
    assert browser.evaluate(chosen) == "stem-0"
    browser.press("ArrowDown", 40)
    browser.press("ArrowDown", 40)
    assert browser.evaluate(chosen) == "stem-1"
    browser.press("n", 78)
    assert browser.evaluate(TIME) == 2.25
    browser.press("p", 80)
    assert browser.evaluate(TIME) == 0.0
    browser.press("2", 50)
    assert browser.evaluate(HEARD) == "level3: residual"
    browser.press("m", 77)
    assert browser.evaluate(HEARD) == "level3: nothing"
    browser.press("0", 48)
    browser.press("ArrowUp", 38)
    browser.press("s", 83)
    browser.press("-", 189)
    assert browser.evaluate(HEARD) == "level3: Dog"
    assert browser.evaluate(f"{audio('Dog')}.volume") == 0.9
    browser.press(" ", 32)
    browser.wait_for(is_playing("Dog"))
    browser.press(" ", 32)
    browser.wait_for(f"{audio('Dog')}.paused")
    browser.evaluate("document.getElementById('use-keys').checked = false")
    browser.press("0", 48)
    assert browser.evaluate(HEARD) == "level3: Dog"
    assert browser.errors == []


def test_what_has_the_focus_keeps_its_keys(
    two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser
) -> None:
    browser.open(write_folder(two_levels).as_uri())
    browser.evaluate("document.querySelector('#stem-0 .level').focus()")
    browser.press("ArrowLeft", 37)
    browser.wait_for(f"{audio('Music')}.volume === 0.99")
    assert browser.evaluate(TIME) == 0.0
    browser.press("m", 77)
    assert not browser.evaluate(pressed("Music", "mute"))
    browser.press("1", 49)
    assert browser.evaluate(HEARD) == "level1: Music"


def test_a_missing_file_is_said_at_its_stem(
    two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser
) -> None:
    path = write_folder(two_levels)
    (path.parent / "level3" / "Dog.flac").unlink()
    browser.open(path.as_uri())
    browser.click(f"{row('Dog')} .play")
    browser.wait_for(f"document.querySelector('{row('Dog')}').innerText.includes('cannot play')")
    browser.click(f"{row('Music')} .play")
    browser.wait_for(is_playing("Music"))


def test_nothing_is_wider_than_a_phone(
    two_levels: SeparationResult, write_folder: WriteFolder, browser: Browser
) -> None:
    browser.emulate(390, 844)
    browser.open(write_folder(two_levels).as_uri())
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    # The picture lies beneath what is said of it, not beside it.
    boxes = "[...document.querySelector('#stem-0').children].map((e) => e.getBoundingClientRect())"
    assert browser.evaluate(f"{boxes}[1].top >= {boxes}[0].bottom")
    assert browser.evaluate("document.getElementById('position').offsetWidth") > 250
