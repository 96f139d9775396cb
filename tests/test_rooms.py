"""The house: every package has its place in the layers contract, and modules stay small."""

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("ontology", "uss", "pipelines")
MAX_MODULE_LINES = 300
MAX_CLASS_LINES = 200
SHARED_NAMES = {"__init__", "base"}
"""Modules that several rooms have: ``base`` holds what all networks of its room share."""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def layers() -> list[str]:
    """The packages of the layers contract; Python 3.10 cannot parse TOML itself."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (block,) = re.findall(
        r'^type = "layers"\nlayers = \[\n(.*?)^\]', text, re.MULTILINE | re.DOTALL
    )
    return [name.strip() for line in re.findall(r'"(.+?)"', block) for name in line.split("|")]


def test_every_package_of_uss_has_its_layer() -> None:
    packages = {f"uss.{path.parent.name}" for path in (ROOT / "uss").glob("*/__init__.py")}
    assert {name for name in layers() if name.startswith("uss.")} == packages
    assert len(layers()) == len(set(layers()))


def test_every_module_of_uss_lies_in_a_package() -> None:
    assert [path.name for path in (ROOT / "uss").glob("*.py")] == ["__init__.py"]
    outside = [path for path in modules("uss") if not (path.parent / "__init__.py").is_file()]
    assert outside == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_long(package: str) -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules(package)
    }
    assert {name: count for name, count in lines.items() if count > MAX_MODULE_LINES} == {}


def classes(path: Path) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each class, decorators included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            assert node.end_lineno is not None
            first = min([node.lineno, *(part.lineno for part in node.decorator_list)])
            yield node.name, node.end_lineno - first + 1


@pytest.mark.parametrize("package", PACKAGES)
def test_no_class_is_long(package: str) -> None:
    long = {
        f"{path.relative_to(ROOT)}: {name}": count
        for path in modules(package)
        for name, count in classes(path)
        if count > MAX_CLASS_LINES
    }
    assert long == {}


def test_a_modules_name_tells_which_one_is_meant() -> None:
    counts = Counter(path.stem for path in modules("uss"))
    assert {name for name, count in counts.items() if count > 1} <= SHARED_NAMES


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The modules and their contracts, away from the checkout."""
    pytest.importorskip("importlinter")
    folder = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        for path in modules(package):
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint_imports(folder: Path) -> "subprocess.CompletedProcess[str]":
    code = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60
    )


def test_all_imports_go_downward(copied: Path) -> None:
    done = lint_imports(copied)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("uss/core/upward.py", "uss.audio"),
        ("uss/models/sideways.py", "uss.taggers"),
        ("ontology/upward.py", "uss.core"),
        ("uss/separation/training.py", "pytorch_lightning"),
        ("uss/mining/storage.py", "h5py"),
        ("uss/models/runtimes.py", "onnxruntime"),
    ],
)
def test_an_import_that_goes_elsewhere_is_named(copied: Path, module: str, imported: str) -> None:
    added = copied / module
    assert not added.exists()
    added.write_text(f"import {imported}\n")
    try:
        done = lint_imports(copied)
    finally:
        added.unlink()
    assert done.returncode != 0
    importer = module.removesuffix(".py").replace("/", ".")
    assert f"{importer} -> {imported}" in done.stdout


def imported_rooms(room: Path) -> set[str]:
    """The other rooms whose modules a room imports, wherever in its files."""
    found: set[str] = set()
    for path in room.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            found |= {name.split(".")[1] for name in names if name.startswith("uss.")}
    return found - {room.name}


def documented_rooms() -> dict[str, set[str]]:
    """The table of docs/architecture.md: room to what it imports beside ``core``."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \|(.*)\|$", text, re.MULTILINE)
    return {room: set(re.findall(r"`(\w+)`", imports)) for room, imports in rows}


def test_the_document_says_what_each_room_imports() -> None:
    rooms = {path.parent.name: path.parent for path in (ROOT / "uss").glob("*/__init__.py")}
    documented = documented_rooms()
    assert documented.keys() == rooms.keys()
    for name, folder in rooms.items():
        assert imported_rooms(folder) - {"core"} == documented[name], name
