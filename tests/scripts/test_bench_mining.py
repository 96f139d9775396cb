"""The benchmark of mining, on one clip: too little to say anything of speed."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch

SCRIPTS = Path(__file__).parents[2] / "scripts"
RATE = 32_000


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    # panns-inference wants a class list in the home folder.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.delitem(sys.modules, "bench_mining", raising=False)
    return importlib.import_module("bench_mining")


def test_it_compares_mining_with_the_published_way(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "dog.wav", 0.1 * rng.standard_normal(2 * RATE), RATE)
    manifest = tmp_path / "clips.csv"
    manifest.write_text("clip_id,path,mids\ndog,dog.wav,/m/0bt9lr\n", encoding="utf-8")
    options = ["--clips", "1", "--only", "mn04_as", "--workers", "1"]
    with torch.random.fork_rng():
        assert script.main([str(manifest), "--audio-root", str(tmp_path), *options]) == 0
    printed = capsys.readouterr().out
    rows = {
        cells[0].strip(): [cell.strip() for cell in cells]
        for cells in (line.split("|")[1:-1] for line in printed.splitlines() if "| fp32 |" in line)
    }
    assert rows.keys() == {"mn04_as", "published: CNN14 twice"}
    assert float(rows["mn04_as"][2]) > 0.0
    assert float(rows["published: CNN14 twice"][-1]) == 1.0
