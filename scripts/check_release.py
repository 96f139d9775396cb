"""Go through everything that a release needs, and say of each point whether it holds.

    python scripts/check_release.py            # all, more than an hour
    python scripts/check_release.py --quick    # what needs no build

Points that cannot be tried here, for want of a container engine for example, are named as left out.
Exit status 1 if one does not hold. What people still do by hand is in docs/releasing.md.
"""

from __future__ import annotations

import argparse
import configparser
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_CHECKOUT = Path(__file__).resolve().parent.parent
_VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
_ENTRY = re.compile(r"^## \[(?P<version>.+?)\] - (?P<date>.+)$", re.MULTILINE)
_LOCKED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^ ]+)", re.MULTILINE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_IMAGE_EXTRAS = ("text",)
_WHEEL_HOLDS = ("uss/weights/default.safetensors", "uss/weights/text.safetensors", "uss/py.typed")
_MAX_WHEEL_BYTES = 40_000_000


class NotHereError(Exception):
    """A point cannot be tried on this machine."""


class BrokenError(Exception):
    """A point does not hold."""


class Point(NamedTuple):
    """Something that a release needs.

    Attributes:
        name: of it.
        check: raises ``BrokenError`` or ``NotHereError``, each with the reason.
        is_quick: whether nothing is built.
    """

    name: str
    check: Callable[[Path], None]
    is_quick: bool = True


def version_of(checkout: Path) -> str:
    """Read the version from its one place."""
    found = _VERSION.search((checkout / "uss/__init__.py").read_text(encoding="utf-8"))
    if found is None:
        raise BrokenError("uss/__init__.py has no __version__")
    return found[1]


def check_versions(checkout: Path) -> None:
    """The changelog's newest entry and the citation are of this version, and dated alike."""
    version = version_of(checkout)
    entry = _ENTRY.search((checkout / "CHANGELOG.md").read_text(encoding="utf-8"))
    if entry is None or entry["version"] != version:
        raise BrokenError(f"CHANGELOG.md does not begin with version {version}")
    if not _DATE.fullmatch(entry["date"]):
        raise BrokenError(f"CHANGELOG.md dates version {version} '{entry['date']}'; give it a date")
    citation = yaml.safe_load((checkout / "CITATION.cff").read_text(encoding="utf-8"))
    if citation["version"] != version:
        raise BrokenError(f"CITATION.cff is of version {citation['version']}, not {version}")
    if str(citation.get("date-released")) != entry["date"]:
        raise BrokenError(f"CITATION.cff needs date-released: {entry['date']}")


def check_lock(checkout: Path) -> None:
    """What the package asks for is locked, in versions that it allows."""
    text = (checkout / "requirements.lock").read_text(encoding="utf-8")
    locked = {canonicalize_name(m["name"]): m["version"] for m in _LOCKED.finditer(text)}
    setup = configparser.ConfigParser()
    setup.read(checkout / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"].splitlines()
    for extra in _IMAGE_EXTRAS:
        lines += setup["options.extras_require"][extra].splitlines()
    for line in filter(None, lines):
        wanted = Requirement(line)
        name = canonicalize_name(wanted.name)
        if name == "torch":
            continue
        if name not in locked or not wanted.specifier.contains(locked[name]):
            raise BrokenError(
                f"requirements.lock has no {wanted}; run scripts/lock_requirements.py"
            )


def check_tree(checkout: Path) -> None:
    """All is committed, and the version has no tag yet."""
    if _output(checkout, "git", "status", "--porcelain"):
        raise BrokenError("there are changes that are not committed")
    tag = f"v{version_of(checkout)}"
    if _output(checkout, "git", "tag", "--list", tag):
        raise BrokenError(f"the tag {tag} is there already; raise the version")


def check_ci(checkout: Path) -> None:
    """All tests, checks, quality and the wheel away from the checkout, from nothing."""
    _run(checkout, "env", "USS_LONG_TESTS=1", ".ci/run")


def check_site(checkout: Path) -> None:
    """The documentation builds without a warning."""
    _run(checkout, "make", "site")


def check_packages(checkout: Path) -> None:
    """Source archive and wheel hold what they should, and their descriptions can be shown."""
    with tempfile.TemporaryDirectory() as folder:
        _run(checkout, sys.executable, "-m", "build", "--outdir", folder)
        (wheel,), (source,) = Path(folder).glob("*.whl"), Path(folder).glob("*.tar.gz")
        names = zipfile.ZipFile(wheel).namelist()
        missing = [name for name in _WHEEL_HOLDS if name not in names]
        if missing:
            raise BrokenError(f"the wheel lacks {', '.join(missing)}")
        if any(name.startswith("tests/") for name in names):
            raise BrokenError("the wheel holds the tests")
        if wheel.stat().st_size > _MAX_WHEEL_BYTES:
            raise BrokenError(f"the wheel has {wheel.stat().st_size / 1e6:.0f} MB")
        with tarfile.open(source) as archive:
            if not any(name.endswith("/LICENSE") for name in archive.getnames()):
                raise BrokenError("the source archive lacks LICENSE")
        _run(checkout, sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(source))


def check_image(checkout: Path) -> None:
    """The container image builds, and separates the demo scene as a user without a name."""
    engine = next(filter(None, map(shutil.which, ("docker", "podman"))), None)
    if engine is None or subprocess.run([engine, "info"], capture_output=True).returncode:
        raise NotHereError("no container engine runs here")
    _run(checkout, engine, "build", "--tag", "uss", ".")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        data.chmod(0o777)
        shutil.copy(checkout / "demo/scene.flac", data)
        mount = ("--rm", "--user", "4321:4321", "--volume", f"{data}:/data")
        _run(checkout, engine, "run", *mount, "uss", "scene.flac", "--level", "1")
        if not (data / "separated/scene/detections.json").is_file():
            raise BrokenError("the image wrote no result")


POINTS = (
    Point("version, changelog and citation agree", check_versions),
    Point("requirements.lock fits setup.cfg", check_lock),
    Point("everything is committed, and the tag is free", check_tree),
    Point("the documentation builds", check_site, is_quick=False),
    Point("source archive and wheel", check_packages, is_quick=False),
    Point("container image", check_image, is_quick=False),
    Point(".ci/run", check_ci, is_quick=False),
)


def go_through(points: Sequence[Point], checkout: Path) -> int:
    """Try all points, print a line on each, and return how many do not hold."""
    num_broken = 0
    for point in points:
        try:
            point.check(checkout)
            print(f"holds      {point.name}", flush=True)
        except NotHereError as reason:
            print(f"left out   {point.name}: {reason}", flush=True)
        except BrokenError as reason:
            num_broken += 1
            print(f"BROKEN     {point.name}: {reason}", flush=True)
    return num_broken


def _run(checkout: Path, *words: str) -> None:
    if subprocess.run(words, cwd=checkout).returncode:
        raise BrokenError(f"{' '.join(words)} failed; see above")


def _output(checkout: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=checkout, capture_output=True, text=True)
    if done.returncode:
        raise BrokenError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="only what needs no build")
    quick = parser.parse_args(words).quick
    points = [point for point in POINTS if point.is_quick or not quick]
    num_broken = go_through(points, _CHECKOUT)
    print(f"{num_broken} of {len(points)} points do not hold")
    return 1 if num_broken else 0


if __name__ == "__main__":
    sys.exit(main())
