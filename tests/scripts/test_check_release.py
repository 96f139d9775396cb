import importlib
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import uss

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
check_release = importlib.import_module("check_release")
lock_requirements = importlib.import_module("lock_requirements")

FILES = ("CHANGELOG.md", "CITATION.cff", "requirements.lock", "setup.cfg", "uss/__init__.py")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a release is told by, dated."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    replace(tmp_path / "CHANGELOG.md", f"## [{uss.__version__}] - unreleased", dated("2030-01-02"))
    with (tmp_path / "CITATION.cff").open("a") as file:
        file.write("date-released: 2030-01-02\n")
    return tmp_path


def dated(date: str) -> str:
    return f"## [{uss.__version__}] - {date}"


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} no longer holds {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_release_holds(checkout: Path) -> None:
    check_release.check_versions(checkout)
    check_release.check_lock(checkout)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("uss/__init__.py", f'"{uss.__version__}"', '"9.9.9"', "does not begin with version 9.9.9"),
        ("CHANGELOG.md", dated("2030-01-02"), dated("unreleased"), "give it a date"),
        ("CHANGELOG.md", dated("2030-01-02"), dated("2030-01-03"), "date-released: 2030-01-03"),
        ("CITATION.cff", f"version: {uss.__version__}", "version: 0.0.1", "is of version 0.0.1"),
    ],
)
def test_versions_that_differ_are_named(
    checkout: Path, name: str, old: str, new: str, message: str
) -> None:
    replace(checkout / name, old, new)
    with pytest.raises(check_release.BrokenError, match=message):
        check_release.check_versions(checkout)


def test_a_requirement_that_the_lock_does_not_allow_is_named(checkout: Path) -> None:
    replace(checkout / "setup.cfg", "    scipy>=", "    scipy>=999.")
    with pytest.raises(check_release.BrokenError, match="has no scipy>=999"):
        check_release.check_lock(checkout)
    replace(checkout / "setup.cfg", "    scipy>=999.", "    nowhere-to-be-found\n    scipy>=")
    with pytest.raises(check_release.BrokenError, match="has no nowhere-to-be-found"):
        check_release.check_lock(checkout)


def test_what_is_not_committed_or_tagged_already_is_named(checkout: Path) -> None:
    def git(*words: str) -> None:
        names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *names, *words], cwd=checkout, check=True, capture_output=True)

    git("init")
    with pytest.raises(check_release.BrokenError, match="not committed"):
        check_release.check_tree(checkout)
    git("add", ".")
    git("commit", "-m", "all")
    check_release.check_tree(checkout)
    git("tag", f"v{uss.__version__}")
    with pytest.raises(check_release.BrokenError, match="raise the version"):
        check_release.check_tree(checkout)


def test_points_are_told_apart(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def left_out(_: Path) -> None:
        raise check_release.NotHereError("no engine")

    def broken(_: Path) -> None:
        raise check_release.BrokenError("too old")

    points = [
        check_release.Point("one", check_release.check_versions),
        check_release.Point("two", left_out),
        check_release.Point("three", broken),
    ]
    assert check_release.go_through(points, checkout) == 1
    assert capsys.readouterr().out.splitlines() == [
        "holds      one",
        "left out   two: no engine",
        "BROKEN     three: too old",
    ]


def test_the_package_and_the_citation_have_the_version_of_the_code() -> None:
    assert version("uss-pipeline") == uss.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == uss.__version__


def test_torch_and_cuda_are_not_locked() -> None:
    compiled = (
        "a==1 \\\n    --hash=sha256:0\ntorch==2 \\\n    --hash=sha256:1\nnvidia-x==3 ; b \\\n"
    )
    compiled += "    --hash=sha256:2\ntorchlibrosa==4 \\\n    --hash=sha256:3\n"
    kept = "a==1 \\\n    --hash=sha256:0\ntorchlibrosa==4 \\\n    --hash=sha256:3\n"
    assert lock_requirements.without_torch(compiled) == kept


def test_the_image_is_made_of_what_is_there() -> None:
    recipe = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in sent
    for line in sent:
        if line.startswith("!"):
            assert (ROOT / line[1:]).exists(), (
                f".dockerignore lets {line[1:]} in, which is not there"
            )
    assert "requirements.lock" in recipe and "USER uss" in recipe
    assert "torch==2.13.0" in recipe and "torch==2.13.0" in (ROOT / "Makefile").read_text()
