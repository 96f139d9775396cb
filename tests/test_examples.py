import os
import subprocess
import sys
from pathlib import Path

import soundfile

import uss

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def test_the_example_separates_the_demo_scene(tmp_path: Path) -> None:
    script, scene = ROOT / "examples" / "separate_in_python.py", ROOT / "demo" / "scene.flac"
    done = subprocess.run(
        [sys.executable, script, scene],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("Human voice: 0.") for line in lines)
    error = float(lines[-1].split()[-1])
    assert error <= 1e-6
    written, original = soundfile.info(tmp_path / "loudest.wav"), soundfile.info(scene)
    assert (written.frames, written.samplerate) == (original.frames, original.samplerate)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, uss; print(uss.__version__, {'torch', 'numpy', 'av'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    assert done.stdout.split() == [uss.__version__, "set()"]
