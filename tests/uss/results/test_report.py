from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ontology import Ontology, load_ontology
from tests.uss.results.conftest import WriteFolder
from tests.uss.results.report_examples import AWKWARD, Page, detected, make_result, make_stem
from uss.conditions.text_queries import MeantClass
from uss.interchange.hand_over import Event
from uss.metrics.tagger_score import TaggerScore
from uss.results.report import write_report
from uss.results.result import RunSettings, SeparationResult
from uss.results.stem_scores import StemCandidate
from uss.results.understood import ExcludedSound

HOSTILE = "</title><script>alert(1)</script>"
FIRST, SECOND = "0:00\N{EN DASH}0:01.5", "0:02.2\N{EN DASH}0:04"


def test_links_are_relative_and_lead_to_the_files(
    two_levels: SeparationResult, write_folder: WriteFolder
) -> None:
    path = write_folder(two_levels)
    page = Page(path)
    ids = {found["id"] for _, found in page.elements if "id" in found}
    reached = set()
    for link in page.links:
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc) in {("", ""), ("data", "")}
        if parts.path and not parts.scheme:
            assert (path.parent / unquote(parts.path)).is_file(), link
            reached.add(unquote(parts.path))
        assert not parts.fragment or parts.fragment in ids
    files = {str(file.relative_to(path.parent)) for file in path.parent.rglob("*.*")}
    assert reached == files - {"report.html"}


def test_every_stem_and_residual_has_a_player_and_a_download(
    two_levels: SeparationResult, write_folder: WriteFolder
) -> None:
    page = Page(write_folder(two_levels))
    assert len(page.all("audio", preload="none")) == 6
    assert len(page.all("a", download="")) == 6
    assert len(page.all("button", **{"aria-label": "Play Dog"})) == 1
    assert len(page.all("button", **{"aria-label": "Play residual"})) == 3


def test_a_row_says_what_is_known_about_a_stem(
    two_levels: SeparationResult, write_folder: WriteFolder
) -> None:
    page = Page(write_folder(two_levels))
    for text in ("Dog", "0.90", "\N{MINUS SIGN}20.0 dBFS", FIRST, SECOND, "Dog.flac"):
        assert text in page.text
    assert page.text.count("silent") == 3
    assert "4 s · 8000 Hz · stereo · 3 stems" in page.text
    assert page.text[page.text.index("overlap") :][:2] == ["overlap", "0.25"]
    assert page.text[page.text.index("threshold") :][:2] == ["threshold", "default"]


def test_scores_and_choices_are_told(
    two_levels: SeparationResult, write_folder: WriteFolder
) -> None:
    good, poor = TaggerScore(0.9, 0.6, 0.72), TaggerScore(0.2, 0.2, 0.2)
    music, dog, query = two_levels.stems
    chosen = (
        StemCandidate("default", None, poor, kept=False),
        StemCandidate("<hive>", 3, good, kept=True),
    )
    seeds = (StemCandidate("hive", 0, None, kept=True), StemCandidate("hive", 1, None, kept=False))
    stems = (replace(music, score=good, candidates=chosen), dog, replace(query, candidates=seeds))
    path = write_folder(replace(two_levels, stems=stems))
    page = Page(path)
    assert "0.72" in page.text and "<hive>, seed 3: best of 2 (0.20, 0.72)" in page.text
    assert "seed 0: best of 2 (-, -)" in page.text
    assert page.all("dd", title="precision 0.90, recall 0.60")
    # Folders without any score have no column for them.
    assert page.text.count("Tagger F1") == 1
    told = "candidates" in page.text
    settings = RunSettings(model="default", candidates=2, candidate_models={"hive": "ab"})
    write_report(path, replace(two_levels, settings=settings), load_ontology())
    assert not told and "candidates" in Page(path).text


def test_no_name_is_taken_for_markup(ontology: Ontology, tmp_path: Path) -> None:
    stem = make_stem(ontology, "Dog", None, f"queries/{HOSTILE}.wav".replace("</", "<"))
    result = make_result(replace(stem, name=HOSTILE, mid=None), replace(stem, name='" x="'))
    settings = RunSettings(model=HOSTILE, class_queries=HOSTILE, without=[HOSTILE])
    result = replace(result, input=HOSTILE, settings=settings)
    path = tmp_path / "report.html"
    write_report(path, result, ontology)
    page = Page(path)
    assert len(page.all("script")) == 1
    assert path.read_text().count(HOSTILE) == 0
    assert page.text.count(HOSTILE) == 5
    assert not [found for _, found in page.elements if "x" in found]
    assert page.all("li", **{"data-name": '" x="'})


def test_a_name_that_is_no_unicode_does_not_stop_the_page(
    ontology: Ontology, tmp_path: Path
) -> None:
    stem = make_stem(ontology, "Dog", None, "queries/\udcff.wav")
    path = tmp_path / "report.html"
    write_report(path, replace(make_result(stem), input="\udcff.wav"), ontology)
    assert "queries/%FF.wav" in Page(path).links


def test_the_tree_holds_what_was_found_under_its_ancestors(
    two_levels: SeparationResult, write_folder: WriteFolder
) -> None:
    text = " ".join(Page(write_folder(two_levels)).text)
    assert (
        "Animal (level 1) Domestic animals, pets (level 2) Dog 0.90 (level 3) Music 0.90 (level 1)"
        f" Asked for by audio {AWKWARD} 0.90"
    ) in text


def test_a_class_with_two_parents_stands_under_both(tmp_path: Path) -> None:
    graph = load_ontology("graph")
    node = next(node for node in graph.nodes.values() if len(node.parents) == 2)
    path = tmp_path / "report.html"
    write_report(path, make_result(make_stem(graph, node.mid, None, None)), graph)
    assert len(Page(path).all("a", href="#stem-0")) == 2


def test_a_class_found_at_two_levels_stands_once_in_the_tree(
    ontology: Ontology, tmp_path: Path
) -> None:
    dog = make_stem(ontology, "Dog", 3, None)
    path = tmp_path / "report.html"
    write_report(path, make_result(dog, replace(dog, level=None, probability=0.95)), ontology)
    assert [found["href"] for found in Page(path).all("a", **{"class": "found"})] == ["#stem-0"]
    assert "0.95 (level 3)" in Page(path).text


def test_detections_alone_have_a_table_and_a_tree_but_no_player(
    two_levels: SeparationResult, ontology: Ontology, tmp_path: Path
) -> None:
    stems = tuple(map(detected, two_levels.stems))
    path = tmp_path / "report.html"
    write_report(path, replace(two_levels, stems=stems, residuals={}), ontology)
    page = Page(path)
    assert not page.all("audio") and not page.all("button") and not page.all("a", download="")
    assert not [text for text in page.text if "dBFS" in text or text in ("silent", "Listen")]
    for text in ("level1", "level3", "queries", FIRST, "3 detections", "Dog"):
        assert any(text in line for line in page.text)


def test_nothing_found_is_said(ontology: Ontology, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", make_result(), ontology)
    assert Page(tmp_path / "report.html").text.count("Nothing was found.") == 2


def test_long_lists_of_intervals_are_folded(ontology: Ontology, tmp_path: Path) -> None:
    events = tuple(Event(4.0 * row, 4.0 * row + 2.0, 0.9) for row in range(2_000))
    stem = replace(make_stem(ontology, "Dog", 3, "level3/Dog.wav"), events=events)
    path = tmp_path / "report.html"
    write_report(path, replace(make_result(stem), duration_seconds=8_000.0), ontology)
    page = Page(path)
    assert len([found for found in page.all("details") if "class" not in found]) == 1
    assert "2000 intervals, 1:06:40 in all" in page.text
    assert "2:13:16\N{EN DASH}2:13:18" in page.text
    assert path.stat().st_size < 200_000


def test_what_is_kept_out_is_said(tmp_path: Path, ontology: Ontology) -> None:
    stem = replace(
        make_stem(ontology, "Dog", None, "queries/xyzzy.wav"),
        name="xyzzy",
        mid=None,
        text="xyzzy",
        probability=None,
        probabilities=None,
    )
    wind = ExcludedSound("a <breeze>", (MeantClass(283, "/m/03m9d0z", "Wind", 1.0),))
    path = tmp_path / "report.html"
    write_report(path, replace(make_result(stem), excluded=(wind,)), ontology)
    page = path.read_text("utf-8")
    assert "Kept out of all stems" in page and "a &lt;breeze&gt; (Wind)" in page
    assert "None" not in page.partition("Settings")[0]
    write_report(path, make_result(stem), ontology)
    assert "Kept out of all stems" not in path.read_text("utf-8")
