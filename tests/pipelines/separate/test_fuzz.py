import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))
fuzz_audio = importlib.import_module("fuzz_audio")


@pytest.mark.slow
def test_damaged_files_end_with_a_result_or_one_line(bundle_file: Path) -> None:
    assert fuzz_audio.fuzz(range(100), seed=1, model=str(bundle_file)) == []
