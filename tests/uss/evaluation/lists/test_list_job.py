import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.uss.evaluation.conftest import SaveTone, make_separator
from uss.core.errors import InputError
from uss.evaluation.lists.embedders import TaggerEmbedder
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


class TestSetsAndTheirNetworks:
    METRICS = ("si-sdr", "lsd", "tagger-score", "embedding-error", "fad", "kad")

    @pytest.fixture
    def with_sets(
        self, settings: ListJobSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> ListJobSettings:
        monkeypatch.setenv("USS_CACHE", str(tmp_path / "cache"))
        text = settings.path.read_text().replace("Din", "Cat")
        settings.path.write_text(text)
        return replace(settings, metrics=self.METRICS)

    def test_perfect_stems_beat_the_mixture_in_all_of_them(
        self, with_sets: ListJobSettings, separator: Separator, tmp_path: Path
    ) -> None:
        content = ListJob(with_sets).run(separator)
        assert (
            content["sets"] == json.loads((with_sets.output / "results.json").read_text())["sets"]
        )
        oracle, mixture = (content["outputs"][name]["mean"] for name in ("oracle", "mixture"))
        assert oracle["tagger F1"] > 0.99 > 0.7 > mixture["tagger F1"]
        assert mixture["tagger precision"] == pytest.approx(0.5, abs=0.02)
        assert mixture["tagger recall"] == pytest.approx(1.0)
        assert content["outputs"]["oracle, swapped"]["mean"]["tagger F1"] < 0.01
        assert oracle["LSD"] < mixture["LSD"]
        assert oracle["embedding error"] == pytest.approx(0.0, abs=0.02)
        # Halves of two bands instead of one: a right angle's half.
        assert mixture["embedding error"] == pytest.approx(0.5**0.5, abs=0.02)
        sets = content["sets"]
        assert (sets["references"], sets["num_references"], sets["dimensions"]) == ("targets", 2, 2)
        assert sets["outputs"]["oracle"]["FAD"] < 0.01 < sets["outputs"]["mixture"]["FAD"]
        (note,) = sets["notes"]
        assert "FAD of 2 embeddings in 2 dimensions" in note

    def test_a_stopped_job_has_the_sets_of_a_whole_one(
        self, with_sets: ListJobSettings, separator: Separator, tmp_path: Path
    ) -> None:
        class StopError(Exception):
            pass

        def stop(done: int, total: int) -> None:
            if done == 1:
                raise StopError

        with pytest.raises(StopError):
            ListJob(with_sets).run(separator, stop)
        resumed = ListJob(with_sets).run(separator)
        whole = ListJob(replace(with_sets, output=tmp_path / "whole")).run(separator)
        assert resumed["sets"] == whole["sets"]
        # Nothing is left to do, and the sets are still there.
        assert ListJob(with_sets).run(separator)["sets"] == whole["sets"]

    def test_targets_are_embedded_once_for_all_models(
        self,
        with_sets: ListJobSettings,
        separator: Separator,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        embedded: list[int] = []
        whole = TaggerEmbedder.embed

        def embed(self: TaggerEmbedder, *sound: Any) -> Any:
            embedded.append(1)
            return whole(self, *sound)

        monkeypatch.setattr(TaggerEmbedder, "embed", embed)
        ListJob(with_sets).run(separator)
        first = len(embedded)
        content = ListJob(replace(with_sets, output=tmp_path / "again")).run(separator)
        assert len(embedded) == 2 * first - content["num_mixtures"]

    def test_a_folder_of_references_takes_the_targets_place(
        self, with_sets: ListJobSettings, separator: Separator, save_tone: SaveTone, tmp_path: Path
    ) -> None:
        for number in range(3):
            save_tone(f"others/{number}.wav", 400.0 + 2_000.0 * number)
        asked = replace(with_sets, references=tmp_path / "others")
        content = ListJob(asked).run(separator)
        assert content["sets"]["num_references"] == 3
        assert content["sets"]["references"] == str(tmp_path / "others")
        assert content["outputs"]["oracle"]["mean"]["embedding error"] < 0.02

    def test_sets_alone_need_no_other_score(
        self, with_sets: ListJobSettings, separator: Separator
    ) -> None:
        content = ListJob(replace(with_sets, metrics=("kad",))).run(separator)
        assert content["mean"] == {} and content["sets"]["outputs"]["oracle"]["KAD"] is not None

    def test_rows_without_a_class_are_refused_before_the_work(
        self, with_sets: ListJobSettings, separator: Separator
    ) -> None:
        text = with_sets.path.read_text().replace("Dog", "").replace("Cat", "")
        with_sets.path.write_text(text)
        with pytest.raises(InputError, match=r"row 2: it names no class, which --metrics tagger"):
            ListJob(with_sets).run(separator)
        assert not with_sets.output.exists() or not any(with_sets.output.iterdir())
