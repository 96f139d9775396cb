import json
from pathlib import Path
from typing import Any

import pytest

from tests.uss.evaluation.conftest import SaveTone, make_separator
from uss.core.errors import InputError
from uss.evaluation.lists.list_job import ListJob, ListJobSettings
from uss.separation.separator import Separator


@pytest.fixture
def settings(save_tone: SaveTone, tmp_path: Path) -> ListJobSettings:
    """Two mixtures of a low and a high tone, of a known class and of an unknown one."""
    low, high = save_tone("low.wav", 500.0), save_tone("high.wav", 8_000.0)
    path = tmp_path / "list.csv"
    path.write_text(f"target,interferer,class\n{low},{high},Dog\n{high},{low},Din\n")
    return ListJobSettings(
        path=path, audio_root=tmp_path, output=tmp_path / "out", overlap=0.0, model_name="bands"
    )


def test_a_job_writes_what_it_returns_and_tells_how_far_it_is(
    settings: ListJobSettings, separator: Separator
) -> None:
    calls: list[tuple[int, int]] = []
    content = ListJob(settings).run(separator, lambda *counts: calls.append(counts))
    assert calls == [(0, 2), (1, 2), (2, 2)]
    written = json.loads((settings.output / "results.json").read_text())
    assert written["mean"] == content["mean"] and content["mean"]["SI-SDRi"] > 15.0
    assert content["model"]["name"] == "bands" and content["list"] == str(settings.path)
    # The class that the model does not know is measured with the oracle alone.
    num = {name: content["outputs"][name]["num"]["SDR"] for name in ("oracle", "class-average")}
    assert num == {"oracle": 2, "class-average": 1}
    assert not (settings.output / "results.jsonl.part").exists()


def test_a_stopped_job_goes_on(
    settings: ListJobSettings, separator: Separator, tmp_path: Path
) -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise StopError

    with pytest.raises(StopError):
        ListJob(settings).run(separator, stop)
    assert not (settings.output / "results.json").exists()
    calls: list[tuple[int, int]] = []
    ListJob(settings).run(separator, lambda *counts: calls.append(counts))
    assert calls == [(1, 2), (2, 2)]


def test_a_model_without_class_queries_is_asked_with_the_oracle_alone(
    settings: ListJobSettings,
) -> None:
    separator = make_separator()
    separator.class_queries = None
    outputs: dict[str, Any] = ListJob(settings).run(separator)["outputs"]
    assert "oracle" in outputs and "class-average" not in outputs


def test_a_list_is_read_before_there_is_a_model(settings: ListJobSettings) -> None:
    settings.path.write_text("target\nlow.wav\n")
    with pytest.raises(InputError, match="row 2: it names neither mixture nor interferer"):
        ListJob(settings)
