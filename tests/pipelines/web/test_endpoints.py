"""The endpoints of the page, called as other programs call them (gradio_client)."""

import json
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.pipelines.web.conftest import loudness

gradio_client = pytest.importorskip("gradio_client", reason="needs the extra 'web'")
AppError = pytest.importorskip("gradio_client.exceptions").AppError


@pytest.fixture(scope="module")
def client(url: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("downloads")
    return gradio_client.Client(url, verbose=False, download_files=str(folder))


@pytest.fixture(scope="module")
def heard(client: Any, short_scene: Path) -> dict[str, Any]:
    found: dict[str, Any] = client.predict(
        gradio_client.handle_file(short_scene), api_name="/detect"
    )
    return found


def test_endpoints_have_names(client: Any) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {"/models", "/detect", "/separate"}
    assert client.predict(api_name="/models") == ["default"]


def test_detect_says_what_is_heard_when(heard: dict[str, Any]) -> None:
    assert heard["state"] == "done"
    assert heard["duration_seconds"] == pytest.approx(5.0)
    by_name = {each["name"]: each for each in heard["sounds"] if each["level"] == 2}
    assert {"Human voice", "Alarm"} <= set(by_name)
    (start, end), *_ = by_name["Human voice"]["events"]
    # A man speaks from 0.1 to 3.4 s.
    assert 0.0 <= start < 0.5 and 3.0 < end < 4.5


def test_separate_gives_stems_that_add_up_and_an_archive(
    client: Any, heard: dict[str, Any], short_scene: Path
) -> None:
    made = client.predict(
        heard["recording"],
        ["Alarm"],
        labels=["audacity"],
        sessions=["reaper"],
        api_name="/separate",
    )
    alarm, residual = made["stems"]
    assert (alarm["name"], residual["is_residual"]) == ("Alarm", True)
    total = sum(soundfile.read(each["file"])[0] for each in made["stems"])
    np.testing.assert_allclose(total, soundfile.read(short_scene)[0], atol=1e-6)
    assert loudness(Path(alarm["file"])) > 0.01
    assert {Path(file).name for file in made["files"]} >= {"scene.labels.txt", "scene.rpp"}
    with zipfile.ZipFile(made["archive"]) as archive:
        assert "scene/queries/Alarm.flac" in archive.namelist()


def test_separate_takes_words_and_marked_seconds(client: Any, heard: dict[str, Any]) -> None:
    made = client.predict(
        heard["recording"],
        texts=["a man speaks"],
        spans=["ring@2.8-3.8"],
        api_name="/separate",
    )
    assert [each["name"] for each in made["stems"]] == ["a man speaks", "ring", "residual"]


def test_progress_comes_before_the_result(client: Any, heard: dict[str, Any]) -> None:
    job = client.submit(heard["recording"], ["Speech"], api_name="/separate")
    job.result()
    states = [each["state"] for each in job.outputs()]
    assert states[-1] == "done" and len(states) > 1
    assert set(states[:-1]) <= {
        "waiting",
        "loading the model",
        "listening",
        "separating",
        "preparing the players",
        "packing",
    }


def test_what_is_no_recording_is_refused_in_words(client: Any, text_file: Path) -> None:
    with pytest.raises(AppError, match=r"^notes\.txt has no audio track; name a file"):
        client.predict(gradio_client.handle_file(text_file), api_name="/detect")


def test_wrong_wishes_are_refused_in_words(client: Any, heard: dict[str, Any]) -> None:
    token = heard["recording"]
    for arguments, message in [
        (("unknown", ["Dog"]), "upload it again"),
        ((token, ["Dogg"]), 'unknown class "Dogg"; did you mean'),
        ((token, ["Dog", "Cat", "Bird", "Pig", "Horse"]), "5 stems are asked for"),
        ((token, ["Dog"], [], [], ["xyzzy"] * 100), "more than 100 things"),
    ]:
        with pytest.raises(AppError, match=message):
            client.predict(*arguments, api_name="/separate")


def events_of(url: str, endpoint: str, *arguments: object) -> str:
    """Call an endpoint without the client, which would upload the files that are named."""
    data = json.dumps({"data": arguments}).encode()
    address = f"{url.rstrip('/')}/gradio_api/call/{endpoint}"
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{address}/{event}", timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("recording", ["/etc/passwd", {"path": "/etc/passwd"}, {"path": "../x"}, 7])
def test_files_of_the_server_cannot_be_named(url: str, recording: object) -> None:
    if isinstance(recording, dict):
        recording = {**recording, "meta": {"_type": "gradio.FileData"}}
    events = events_of(url, "detect", recording)
    assert "event: error" in events and "root:" not in events


def test_other_files_are_not_served(url: str) -> None:
    for path in ("/etc/passwd", f"{Path(__file__)}"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{url.rstrip('/')}/gradio_api/file={path}", timeout=30)


def test_a_job_can_be_cancelled_and_the_next_one_runs(client: Any, heard: dict[str, Any]) -> None:
    job = client.submit(heard["recording"], ["Alarm", "Speech"], api_name="/separate")
    end = time.monotonic() + 30.0
    while not job.outputs():
        assert time.monotonic() < end
        time.sleep(0.02)
    job.cancel()
    made = client.predict(heard["recording"], ["Speech"], api_name="/separate")
    assert [each["name"] for each in made["stems"]] == ["Speech", "residual"]
    assert all(each["state"] != "done" for each in job.outputs())


def test_too_large_an_upload_is_refused(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    soundfile.write(path, np.zeros(3_200_000), 32_000)
    with pytest.raises(Exception, match="exceeds the maximum file size"):
        client.predict(gradio_client.handle_file(path), api_name="/detect")
