"""What a result says it depends on."""

import hashlib
from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.uss.evaluation.conftest import Bands, BandTagger, make_separator
from uss.checkpoints.bundle import Bundle
from uss.conditions.class_queries import ClassQueries
from uss.conditions.queries import AudioQuery
from uss.core.runtime import Runtime
from uss.results.file_settings import FileSettings
from uss.results.request import request_hash
from uss.results.run_settings import describe_run
from uss.results.stem_writer import OutputFormat
from uss.separation.plan import Wanted
from uss.separation.pretrained import ModelNames
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES

RUNTIME = Runtime(torch.device("cpu"), torch.float32)


def settings(**wanted: object) -> FileSettings:
    return FileSettings(wanted=Wanted(**wanted))  # type: ignore[arg-type]


def with_own_thresholds(values: np.ndarray) -> Separator:
    queries = ClassQueries("bands-2", (74, 81), np.eye(2, dtype=np.float32))
    bundle = Bundle(
        BandTagger(),
        Bands(),
        queries,
        values.astype(np.float32),
        provenance={"thresholds": {"scenes": "calibration.csv", "num_scenes": 3}},
    )
    return Separator(bundle, runtime=RUNTIME, names=ModelNames("mine.safetensors"))


def test_thresholds_per_class_say_where_they_come_from() -> None:
    values = np.linspace(0.1, 0.9, NUM_CLASSES, dtype=np.float32)
    described = describe_run(with_own_thresholds(values), settings())
    assert described.threshold is None
    assert described.thresholds is not None
    assert described.thresholds.model == "mine.safetensors"
    assert described.thresholds.sha256 == hashlib.sha256(values.tobytes()).hexdigest()[:16]
    assert described.thresholds.calibration == {"scenes": "calibration.csv", "num_scenes": 3}


def test_other_thresholds_have_another_hash() -> None:
    values = np.linspace(0.1, 0.9, NUM_CLASSES, dtype=np.float32)
    first, second = (
        describe_run(with_own_thresholds(each), settings()).thresholds
        for each in (values, np.where(np.arange(NUM_CLASSES) == 74, 0.5, values))
    )
    assert first is not None and second is not None
    assert first.sha256 != second.sha256


@pytest.mark.parametrize("threshold", [0.0, 0.3])
def test_one_threshold_for_all_is_written_itself(threshold: float) -> None:
    values = np.linspace(0.1, 0.9, NUM_CLASSES, dtype=np.float32)
    described = describe_run(with_own_thresholds(values), settings(threshold=threshold))
    assert (described.threshold, described.thresholds) == (threshold, None)
    assert describe_run(make_separator(), settings()).threshold == 0.2


def test_what_told_the_taggers_architecture_is_noted() -> None:
    """A Cnn14 and its detecting sister have the same entries, so one may have been assumed."""
    separator = make_separator()
    described = describe_run(separator, settings())
    assert described.tagger_architecture == "BandTagger"
    assert described.tagger_architecture_from == "file"
    separator.tagger.architecture_from = "assumption"
    assert describe_run(separator, settings()) == replace(
        described, tagger_architecture_from="assumption"
    )


def test_names_are_those_the_models_were_loaded_by(tmp_path: Path) -> None:
    loaded = Separator.from_pretrained("default", device="cpu", precision="fp32")
    described = describe_run(loaded, settings(without=[loaded.class_query("Dog")]))
    assert (described.model, described.class_queries) == ("default", None)
    assert described.without == ["Dog"]
    assert described.precision == "float32"
    assert describe_run(make_separator(), settings()).model is None


def test_the_request_is_told_by_all_that_results_depend_on() -> None:
    """Each of these makes other stems, or others of a name."""
    dog, cat = make_separator().class_query("Dog"), make_separator().class_query("Cat")
    vector, heard = np.ones(2, np.float32), np.ones(NUM_CLASSES, np.float32)
    changes = [
        {},
        {"levels": [1]},
        {"levels": [1, 2]},
        {"queries": [dog]},
        {"queries": [cat]},
        {"queries": [dog, cat]},
        {"without": [dog]},
        {"threshold": 0.3},
        {"queries": [AudioQuery("call", "bands-2", vector, heard)]},
        {"queries": [AudioQuery("call", "bands-2", 2.0 * vector, heard)]},
        {"queries": [AudioQuery("call", "bands-2", vector, 0.5 * heard)]},
    ]
    hashes = {describe_run(make_separator(), settings(**each)).request_hash for each in changes}
    assert len(hashes) == len(changes)
    for each in changes[:8]:
        again = describe_run(make_separator(), settings(**each)).request_hash
        assert again in hashes
    format_, mux = (
        replace(settings(), output_format=OutputFormat("flac", "PCM_24")),
        replace(settings(), mux=True),
    )
    hashes |= {describe_run(make_separator(), each).request_hash for each in (format_, mux)}
    assert len(hashes) == len(changes) + 2


def test_other_class_queries_in_a_file_of_that_name_are_another_request() -> None:
    separator = make_separator()
    before = describe_run(separator, settings())
    assert separator.class_queries is not None
    separator.class_queries = replace(
        separator.class_queries, vectors=separator.class_queries.vectors + 1.0
    )
    after = describe_run(separator, settings())
    assert before.request_hash != after.request_hash
    assert replace(after, request_hash=before.request_hash) == before


def test_an_option_at_its_default_changes_no_hash() -> None:
    @dataclass(frozen=True)
    class Before:
        level: int

    after = make_dataclass("Before", [("level", int), ("new", bool, field(default=False))])
    assert request_hash(Before(2)) == request_hash(after(2)) != request_hash(after(2, True))
    assert request_hash(Before(2)) != request_hash(Before(3))


def test_what_cannot_be_hashed_is_a_fault() -> None:
    with pytest.raises(TypeError, match="object cannot be hashed"):
        request_hash([object()])
