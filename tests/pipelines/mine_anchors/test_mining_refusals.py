"""Bad input is told in one line."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.mine_anchors import main
from tests.pipelines.mine_anchors.mined import GOOD_ROWS, assert_refused, write_manifest

BAD_INPUT: dict[str, tuple[dict[str, Any], str]] = {
    "no such manifest": ({"manifest": "nowhere.csv"}, "nowhere.csv"),
    "manifest without mids": ({"columns": "clip_id,path"}, "mids"),
    "manifest without ids": ({"columns": "path,mids"}, "clip_id"),
    "manifest that is audio": ({"manifest": "audio/dog.wav"}, "is not a CSV file"),
    "empty manifest": ({"columns": ""}, "is not a CSV file"),
    "manifest without rows": ({"columns": "clip_id,path,mids"}, "has no rows"),
    "no such audio root": ({"root": "nowhere"}, "--audio-root"),
    "audio root is a file": ({"root": "audio/dog.wav"}, "--audio-root"),
    "no such tagger": ({"options": ("--tagger", "nowhere.safetensors")}, "check the path"),
    "no such encoder": ({"options": ("--encoder", "nowhere.pt")}, "nowhere.pt"),
    "tagger that is audio": ({"options": ("--tagger", "audio/dog.wav")}, "audio/dog.wav"),
    "no such split": ({"options": ("--split", "x")}, "split"),
    "segments too short": ({"options": ("--segment-seconds", "0.1")}, "0.5 to 10"),
    "segments of no length": ({"options": ("--segment-seconds", "nan")}, "0.5 to 10"),
    "unknown strategy": ({"options": ("--strategy", "random")}, "in-clip-random"),
    "one anchor to mix with itself": (
        {"options": ("--strategy", "in-clip-random", "--anchors-per-clip", "1")},
        "choose 2 or more",
    ),
    "negative seed": ({"options": ("--seed", "-1")}, "0 or more"),
    "no anchors": ({"options": ("--anchors-per-clip", "0")}, "1 or more"),
    "shards of nothing": ({"options": ("--shard-size", "0")}, "1 or more"),
    "half a worker": ({"options": ("--workers", "0.5")}, "whole number"),
    "half precision": ({"options": ("--precision", "fp16")}, "bf16"),
    "a tagger that bf16 blurs": ({"options": ("--precision", "bf16")}, "choose auto or fp32"),
    "a share of no cluster": ({"options": ("--cpus-per-worker", "2")}, "name one by --ray"),
    "less than no GPU": ({"options": ("--ray", "local", "--gpus-per-worker", "-1")}, "0 to 64"),
    "one and a half GPUs": (
        {"options": ("--ray", "local", "--gpus-per-worker", "1.5")},
        "a fraction or a whole number",
    ),
    "unknown option": ({"options": ("--shards", "3")}, "--help"),
    "abbreviated option": ({"options": ("--seg", "3")}, "--help"),
}


def bad_command(folder: Path, tagger: Path, case: Mapping[str, Any]) -> list[str]:
    manifest = folder / case.get("manifest", "manifest.csv")
    if "columns" in case:
        manifest.write_text(f"{case['columns']}\n" if case["columns"] else "")
    elif "manifest" not in case:
        write_manifest(manifest, GOOD_ROWS)
    command = [str(manifest), "--audio-root", str(folder / case.get("root", "audio"))]
    options = [str(folder / o) if (folder / o).exists() else o for o in case.get("options", ())]
    return [*command, "-o", str(folder / "shards"), "--tagger", str(tagger), *options]


@pytest.mark.parametrize("name", BAD_INPUT)
@pytest.mark.usefixtures("audio")
def test_bad_input_is_one_line_and_status_2(
    tmp_path: Path, tagger_file: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    case, remedy = BAD_INPUT[name]
    assert_refused(main(bad_command(tmp_path, tagger_file, case)), capsys, remedy)
    assert not (tmp_path / "shards").exists()


@pytest.mark.usefixtures("audio")
def test_bad_input_is_one_line_in_the_shell(
    tmp_path: Path, tagger_file: Path, run_command: Callable[..., Any]
) -> None:
    case, remedy = BAD_INPUT["no such manifest"]
    done = run_command("pipelines.mine_anchors", *bad_command(tmp_path, tagger_file, case))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert remedy in done.stderr
