import csv
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from ontology import load_ontology
from uss.benchmarks.class_names import class_mids, class_of_caption


def test_every_mid_has_a_class_at_or_below_it() -> None:
    text = resources.files("uss.benchmarks").joinpath("classes.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert len({(row["benchmark"], row["class"]) for row in rows}) == len(rows)
    ontology = load_ontology()
    for row in rows:
        for mid in row["mids"].split(";") if row["mids"] else ():
            assert mid in ontology.nodes, row
            assert ontology.class_indexes(mid), row
    counts = Counter(row["benchmark"] for row in rows)
    assert (counts["esc50"], counts["fsdkaggle2018"]) == (50, 41)


def test_classes_have_the_mids_of_their_sound() -> None:
    assert class_mids("esc50")["dog"] == ("/m/0bt9lr",)
    assert class_mids("esc50")["washing_machine"] == ()
    assert class_mids("musdb18")["bass"] == ("/m/018vs", "/m/02fsn")


def test_captions_mean_classes() -> None:
    assert class_of_caption("the sound of washing machine", "esc50") == "washing_machine"
    assert class_of_caption("The sound of hi-hat", "fsdkaggle2018") == "Hi-hat"
    assert class_of_caption("chirping birds", "esc50") == "chirping_birds"
    with pytest.raises(ValueError, match="'the sound of music' means no class of esc50"):
        class_of_caption("the sound of music", "esc50")


def test_every_caption_of_the_published_lists_is_known(shared: Path) -> None:
    captions: dict[str, set[str]] = {"esc50": set(), "fsdkaggle2018": set()}
    for name, benchmark, columns in (
        ("audiosep_esc50_eval.csv", "esc50", ("caption",)),
        ("clapsep_esc_eval.csv", "esc50", ("positive_caption", "negative_caption")),
        ("clapsep_fsd_eval.csv", "fsdkaggle2018", ("positive_caption", "negative_caption")),
    ):
        with (shared / "lists" / name).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                captions[benchmark].update(row[column] for column in columns)
    for benchmark, names in captions.items():
        assert {class_of_caption(name, benchmark) for name in names} == set(class_mids(benchmark))
