"""The documentation site builds without a warning, has every page, and fetches nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_FETCHED = re.compile(r"<(?:script|img|iframe|audio|video|source)\b[^>]*\bsrc=\"(?:https?:)?//")
_STYLES = re.compile(
    r"<link\b[^>]*\brel=\"(?:stylesheet|preload|preconnect)\"[^>]*href=\"https?://"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="needs the extra 'docs'")
    pytest.importorskip("mkdocstrings", reason="needs the extra 'docs'")
    folder = tmp_path_factory.mktemp("site")
    # Strict, by mkdocs.yml: a link or an anchor that leads nowhere ends it.
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_has_every_document(site: Path) -> None:
    wanted = {path.stem for path in (ROOT / "docs").glob("*.md")}
    written = {path.stem for path in site.glob("*.html")}
    assert wanted <= written
    navigation = (site / "index.html").read_text(encoding="utf-8")
    for name in wanted:
        assert f'href="{name}.html"' in navigation, f"{name} is not in the navigation"


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("uss-separate", "--level N [N ...]"),
        ("uss-mine-anchors", "--anchors-per-clip ANCHORS_PER_CLIP"),
        ("uss-train", "--data.shards"),
        ("uss-evaluate", "--keep-going"),
        ("uss-prepare", "uss-prepare esc50"),
        ("uss-models", "--licences"),
        ("uss-export-onnx", "--opset N"),
        ("uss-web", "--keep-minutes"),
    ],
)
def test_reference_has_the_options_of_the_parsers(site: Path, command: str, option: str) -> None:
    assert option in (site / f"reference/{command}.html").read_text(encoding="utf-8")


def test_reference_of_python_has_docstrings(site: Path) -> None:
    page = (site / "reference/python.html").read_text(encoding="utf-8")
    for name in ("Separator.from_pretrained", "separate_file", "AudioFile"):
        assert name in page


def test_links_to_files_of_the_repository_lead_to_them(site: Path) -> None:
    assert (site / "repository/quality/mixtures.csv").is_file()
    assert "labelled-clips.csv" in (site / "repository/data_manifests.txt").read_text()


def test_fetches_nothing_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not _FETCHED.search(text), path
        assert not _STYLES.search(text), path
