"""HTML of the page: whatever people call their files, it stays text."""

from pathlib import Path

import pytest

from pipelines.web.jobs import Update
from pipelines.web.markup import clock, escaped, event_bars, file_url
from pipelines.web.messages import failure_html, failure_line, progress_html
from pipelines.web.players import Player
from pipelines.web.records import Heard, Sound
from pipelines.web.timeline import timeline_html
from uss.core.errors import InputError

HOSTILE = "<img src=x onerror=alert(1)>{{value}}${1+1}`\"'\udcff"


def test_names_are_text_in_html_and_in_templates() -> None:
    text = escaped(HOSTILE)
    assert not set('<>{}$`"') & set(text)
    player = Player(Path("/s/a.wav"), 8_000, 1, 16_000, (0, 255))
    sounds = (Sound(HOSTILE, "/m/1", 2, 0.5, ((0.5, 1.0),)), Sound("Dog", "/m/2", 3, 0.9, ()))
    page = timeline_html(Heard("t", HOSTILE, "m", player, sounds), 2)
    assert "<img" not in page and "${" not in page and "{{" not in page
    assert "Dog" not in page and "50\N{NO-BREAK SPACE}%" in page
    assert page.count('class="row"') == 1


def test_nothing_found_says_what_to_do() -> None:
    player = Player(Path("/s/a.wav"), 8_000, 1, 0, ())
    assert "Ask for it by name" in timeline_html(Heard("t", "a", "m", player, ()), 2)


def test_addresses_are_relative_to_the_page() -> None:
    assert file_url(Path("/s/a b#1%.wav")) == "gradio_api/file=/s/a%20b%231%25.wav"


def test_events_lie_where_they_are_heard() -> None:
    assert '<rect x="250.0" y="0" height="10" width="500.0"/>' in event_bars([(0.5, 1.5)], 2.0)
    # What is too short to be seen is drawn all the same.
    assert 'width="3.0"' in event_bars([(0.5, 0.5001)], 100.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0:00.0"), (59.96, "1:00.0"), (61.2, "1:01.2")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_progress_is_a_bar_with_a_name() -> None:
    page = progress_html(Update("separating", 0.5))
    assert 'role="status"' in page and 'value="50"' in page and "Separating: 50 %" in page
    assert "value" not in progress_html(Update("reading"))


def test_failures_name_files_as_their_owner_does(caplog: pytest.LogCaptureFixture) -> None:
    error = InputError("/srv/x1/Tok-1/recording/a b.wav is empty; /etc/b too")
    assert failure_line(error, Path("/srv/x1")) == "a b.wav is empty; /etc/b too"
    assert caplog.records == []
    line = failure_line(IndexError("oh"), Path("/srv/x1"))
    assert line == "a fault of this program, IndexError: oh"
    assert "a job failed" in caplog.text
    assert 'role="alert"' in failure_html(line)
