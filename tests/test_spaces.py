"""What is put on Hugging Face Spaces fits the package that it installs."""

import configparser
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import uss

ROOT = Path(__file__).resolve().parents[1]
SPACE = ROOT / "spaces"


@pytest.fixture(scope="module")
def package() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def pinned() -> dict[str, Requirement]:
    lines = (SPACE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    parsed = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    return {canonicalize_name(each.name): each for each in parsed}


def version_of(requirement: Requirement) -> str:
    (one,) = requirement.specifier
    assert one.operator == "==", f"{requirement} is not pinned"
    return one.version


def wanted_by(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]


def test_all_that_the_package_needs_is_pinned_in_a_version_that_it_takes(
    package: configparser.ConfigParser, pinned: dict[str, Requirement]
) -> None:
    needed = wanted_by(package["options"]["install_requires"])
    needed += wanted_by(package["options.extras_require"]["web"])
    assert len(needed) > 20
    for each in needed:
        version = version_of(pinned[canonicalize_name(each.name)])
        assert each.specifier.contains(version), f"{each}, and {version} is pinned"
    assert len(pinned) == len(needed) + 1


def test_the_package_is_this_one(
    package: configparser.ConfigParser, pinned: dict[str, Requirement]
) -> None:
    own = pinned[package["metadata"]["name"]]
    assert version_of(own) == uss.__version__
    assert own.extras == {"web"}


def test_the_header_says_what_spaces_read(pinned: dict[str, Requirement]) -> None:
    text = (SPACE / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["sdk"] == "gradio"
    assert header["sdk_version"] == version_of(pinned["gradio"])
    assert (SPACE / header["app_file"]).is_file()
    assert len(header["short_description"]) <= 60
    assert str(header["python_version"]) == "3.11"


def test_the_app_serves_the_page() -> None:
    """As Spaces start it, from its folder, but at a port that is free."""
    pytest.importorskip("gradio", reason="needs the extra 'web'")
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", "0"],
        cwd=SPACE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.match(r"the page is http://[\w.]+:(\d+)/", process.stdout.readline())
        assert found is not None
        # Everybody can reach it, and it says so.
        assert "others can reach it" in process.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/", timeout=60) as answer:
            page = answer.read().decode()
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert "Up to 5 minutes and 100 MB" in page
