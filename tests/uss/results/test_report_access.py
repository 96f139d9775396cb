"""Whether everybody can use a report: axe-core's rules, in a browser."""

from dataclasses import replace
from pathlib import Path

import pytest

from ontology import Ontology
from tests.browser import Browser
from tests.npm_packages import npm_file
from tests.uss.results.conftest import WriteFolder
from tests.uss.results.report_examples import detected, make_result, make_stem
from uss.interchange.hand_over import Event
from uss.metrics.tagger_score import TaggerScore
from uss.results.result import SeparationResult
from uss.results.stem_scores import StemCandidate

AXE = "axe-core@4.10.3"


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return npm_file(tmp_path_factory.mktemp("axe"), AXE, "axe.min.js")


@pytest.fixture
def everything(ontology: Ontology) -> SeparationResult:
    """A result with all that a report can show of a stem."""
    score = TaggerScore(0.9, 0.6, 0.72)
    candidates = (
        StemCandidate("default", None, None, kept=False),
        StemCandidate("hive", 3, score, kept=True),
    )
    dog = make_stem(ontology, "Dog", 3, "level3/Dog.wav")
    many = tuple(Event(row / 25.0, row / 25.0 + 0.02, 0.5) for row in range(100))
    music = make_stem(ontology, "Music", 1, "level1/Music.wav")
    return make_result(
        replace(music, events=many),
        replace(dog, generated=True, score=score, candidates=candidates),
    )


def violations(browser: Browser, axe: str) -> list[str]:
    """What axe finds wrong: rules of WCAG 2.1 A and AA, and its own best practices."""
    browser.evaluate(axe + "; null")
    found = browser.evaluate(
        "axe.run().then(({violations, passes}) => ({passes: passes.length,"
        " violations: violations.map((rule) => rule.id + ': ' + rule.help + ' '"
        " + rule.nodes.map((node) => node.html.slice(0, 100)).join(' | '))}))"
    )
    assert found["passes"] > 15
    lines: list[str] = found["violations"]
    return lines


def test_it_finds_what_is_wrong(tmp_path: Path, browser: Browser, axe: str) -> None:
    (tmp_path / "poor.html").write_text(
        "<html><body><main><h1>A</h1><button></button><p style='color: #ccc'>pale</p></main>"
        "<table><tr><th scope='col'>x</th><td>1</td></tr></table><a href='#x'>x</a></body></html>"
    )
    browser.open((tmp_path / "poor.html").as_uri())
    browser.evaluate(axe + "; null")
    ids = browser.evaluate("axe.run().then((r) => r.violations.map((rule) => rule.id))")
    assert {"color-contrast", "button-name"} <= set(ids)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1300, 390])
def test_a_report_has_contrast_and_labels(
    width: int,
    dark: bool,
    everything: SeparationResult,
    write_folder: WriteFolder,
    browser: Browser,
    axe: str,
) -> None:
    browser.emulate(width, 900, dark=dark)
    browser.open(write_folder(everything).as_uri())
    assert violations(browser, axe) == []
    # What is open, pressed and chosen too.
    browser.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    browser.click("#stem-1 .solo")
    browser.click("#stem-0 .mute")
    assert violations(browser, axe) == []


def test_so_has_one_of_detections(
    everything: SeparationResult, write_folder: WriteFolder, browser: Browser, axe: str
) -> None:
    found = replace(everything, stems=tuple(map(detected, everything.stems)), residuals={})
    browser.emulate(390, 844)
    browser.open(write_folder(found).as_uri())
    browser.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    assert violations(browser, axe) == []
    assert browser.evaluate("document.querySelectorAll('button').length") == 0
