import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))
fuzz_audio = importlib.import_module("fuzz_audio")


@pytest.mark.slow
@pytest.mark.parametrize("num_files", [33, pytest.param(100, marks=pytest.mark.long)])
def test_damaged_files_end_with_a_result_or_one_line(bundle_file: Path, num_files: int) -> None:
    """The formats take turns; there are eleven."""
    assert fuzz_audio.fuzz(range(num_files), seed=1, model=str(bundle_file)) == []
