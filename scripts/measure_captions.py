"""Measure what captions buy: equal trainings with anchors, with captioned mixtures, and with both.

    python scripts/measure_captions.py AUDIO WORK --captions CAPTIONS.csv --minutes 40
    python scripts/measure_captions.py AUDIO WORK --steps 2000 --before "mixit=mixit.yaml@0.5" \
        --row "MixIT, then anchors=after_mixit.yaml@0.5"

AUDIO holds clips.csv with a column split, and its clips. Its training clips are mined for anchors,
and mixed by twos into recordings with captions (``captioned_mixtures.py``). Then the same model is
trained from the same seed in each of several ways, for as many steps or minutes, and evaluated on
one list of pairs of validation clips, asked with the target's own condition, with the average of
its class, and with its name in words.

A row of one's own is a recipe, in which ${WORK} and ${AUDIO} stand for the folders; its share of
the budget follows @. Rows are trained in turn, and before them what --before names, which is not
evaluated; so one may start from what another has left in ${WORK}/runs/NAME. WORK gets mixtures,
shards, runs and ``results.json``. What is there already is not made again, and a training that was
stopped goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import yaml
from captioned_mixtures import captions_of_classes, make_mixtures

from ontology import load_ontology
from pipelines.evaluate.command import main as evaluate
from pipelines.prepare import main as prepare
from pipelines.recipes import read_recipe
from uss.checkpoints.loading import load_class_queries
from uss.core.errors import INPUT_ERRORS, InputError
from uss.core.files import written_whole
from uss.mining.job import MiningJob, mine_manifest
from uss.mining.miner import MiningSettings
from uss.mining.networks import NetworkNames

_UNJUDGED = {"init_args": {"judge": None, "consistency_weight": 0.0, "contrast_weight": 0.0}}
_MASKED = {"init_args": {"contrast": {"mask_duplicates": True, "symmetric": True}}}
_ALONE = {"init_args": {"supervised_weight": 1.0}}
_ROWS: Mapping[str, Mapping[str, Any]] = {
    "anchors only": {"data": {"captions": None}, "model": {"objective": _ALONE}},
    "mixtures only, unsupervised": {"data": {"shards": None}, "model": {"objective": _UNJUDGED}},
    "mixtures and our judge": {"data": {"shards": None}},
    "mixtures and our judge, contrast masked and symmetric": {
        "data": {"shards": None},
        "model": {"objective": _MASKED},
    },
    "semi-supervised": {},
}
_CONDITIONS = ("oracle", "class-average", "text")
_PROBED_STEPS = (4, 12)


class Row(NamedTuple):
    """A way to train.

    Attributes:
        name: of the row.
        recipe: what differs from the script's own recipe, or a whole one.
        share: of the budget.
    """

    name: str
    recipe: Mapping[str, Any]
    share: float = 1.0


def row_of(text: str) -> Row:
    """Read ``NAME=RECIPE.yaml`` or ``NAME=RECIPE.yaml@SHARE``."""
    name, equals, rest = text.partition("=")
    file, _, share = rest.partition("@")
    if not name or not equals or not file:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=RECIPE.yaml or NAME=FILE@SHARE")
    return Row(name, {"base": file}, float(share or 1.0))


def mine(audio: Path, work: Path, split: str, tagger: str) -> None:
    """Mine anchors of a split, for its most specific labels."""
    settings = MiningSettings(labels="specific")
    manifest, output = audio / "clips.csv", work / "shards" / split
    networks = NetworkNames(tagger)
    mine_manifest(
        MiningJob(manifest, audio, output, split=split, settings=settings, networks=networks)
    )


def known_classes(work: Path) -> set[str]:
    """Mids of the classes that both the anchors and the default model have queries for."""
    (file,) = (work / "shards/train").glob("queries-[!a]*.safetensors")
    known = [set(load_class_queries(each).class_indexes) for each in (file, "default")]
    classes = load_ontology().classes
    return {classes[index].mid for index in set.intersection(*known) if index < len(classes)}


def make_list(audio: Path, work: Path, per_class: int, seed: int) -> Path:
    """Draw pairs of validation clips, whose captions are the names of their classes.

    Only classes stay in it that every model is asked for.
    """
    path = work / "validation.csv"
    if path.exists():
        return path
    drawn = work / "drawn.csv"
    drawn.unlink(missing_ok=True)
    words = ["clips", audio, "-o", drawn, "--split", "validation"]
    words += ["--per-class", per_class, "--seed", seed]
    if prepare([str(word) for word in words]) != 0:
        raise InputError(f"no list could be drawn of {audio}; see above")
    with drawn.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known = known_classes(work)
    rows = [row for row in rows if set(row["mids"].split(";")) & known]
    if not rows:
        raise InputError(f"no validation class of {audio} is known from its training clips")
    for row in rows:
        row["caption"] = row["class"].lower()
    with written_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def recipe_of(row: Row, audio: Path, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Write a row's recipe out, with the settings that all rows share."""
    root = work / "runs" / row.name
    if "base" in row.recipe:
        text = Path(row.recipe["base"]).read_text(encoding="utf-8")
        own = root / "own.yaml"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(Template(text).safe_substitute(WORK=work, AUDIO=audio), encoding="utf-8")
        recipe = read_recipe(own)
    else:
        anchors = {"shards": str(work / "shards/train")}
        captions = {"manifest": str(work / "captions.csv"), "audio_root": str(work)}
        recipe = _united(read_recipe(arguments.recipe), {"data": {**anchors, "captions": captions}})
        recipe = _united(recipe, row.recipe)
    shared = {
        "seed_everything": arguments.seed,
        "trainer": {"default_root_dir": str(root), "enable_progress_bar": False},
        "checkpoint": {"every_n_train_steps": 50},
    }
    return _united(recipe, shared)


def _united(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    united = dict(base)
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(united.get(key), Mapping)
        united[key] = _united(united[key], value) if both else value
    return united


def train(row: Row, audio: Path, work: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Train a row to the end of its budget; returns its steps, and seconds a step if measured."""
    root = work / "runs" / row.name
    recipe = recipe_of(row, audio, work, arguments)
    plan = root / "budget.json"
    if not plan.exists():
        root.mkdir(parents=True, exist_ok=True)
        budget: dict[str, float] = {"steps": round(row.share * (arguments.steps or 0))}
        if arguments.steps is None:
            seconds = _seconds_a_step(recipe, root)
            steps = max(1, round(row.share * arguments.minutes * 60.0 / seconds))
            budget = {"steps": steps, "seconds a step": round(seconds, 3)}
        plan.write_text(json.dumps(budget))
    budget = json.loads(plan.read_text())
    if not (root / "bundle.safetensors").exists():
        recipe["trainer"]["max_steps"] = int(budget["steps"])
        _run(recipe, root / "recipe.yaml")
    return budget


def _seconds_a_step(recipe: Mapping[str, Any], root: Path) -> float:
    """Processor time of a short training less a shorter one, so that starting does not count.

    Processor time, because other work on the machine, or a pause, would cost a row its steps.
    """
    seconds = []
    for steps in _PROBED_STEPS:
        trainer = {"default_root_dir": str(root / "probe"), "max_steps": steps}
        before = os.times()
        _run(_united(recipe, {"trainer": trainer}), root / "probe.yaml", resumes=False)
        after = os.times()
        spent = after.children_user - before.children_user
        seconds.append(spent + after.children_system - before.children_system)
    difference = _PROBED_STEPS[1] - _PROBED_STEPS[0]
    return max(1e-3, (seconds[1] - seconds[0]) / difference)


def _run(recipe: Mapping[str, Any], path: Path, resumes: bool = True) -> None:
    path.write_text(yaml.safe_dump(dict(recipe)), encoding="utf-8")
    command = [sys.executable, "-m", "pipelines.train", "--config", str(path)]
    command += ["--ckpt_path", "last"] if resumes else []
    status = subprocess.run(command, check=False).returncode
    if status:
        raise InputError(f"the training of {path} ended with status {status}; see above")


def measure_row(row: Row, audio: Path, work: Path, validation: Path) -> dict[str, float | None]:
    """Evaluate what a row has trained: mean SI-SDRi by kind of condition, in decibels."""
    root = work / "runs" / row.name
    output = root / "evaluation"
    words = [validation, "--model", root / "bundle.safetensors", "--audio-root", audio]
    words += ["-o", output, "--condition", *_CONDITIONS, "--precision", "fp32"]
    if not (output / "results.json").exists() and evaluate([str(word) for word in words]) != 0:
        raise InputError(f"the evaluation of {row.name!r} failed; see above")
    outputs = json.loads((output / "results.json").read_text())["outputs"]
    return {kind: outputs[kind]["mean"]["SI-SDRi"] for kind in _CONDITIONS}


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Make the table of the documents."""
    lines = [
        "| training | steps | " + " | ".join(f"SI-SDRi {kind}" for kind in _CONDITIONS) + " |",
        "|---|---:|" + "---:|" * len(_CONDITIONS),
    ]
    for name, found in results.items():
        values = ["-" if found[kind] is None else f"{found[kind]:.2f}" for kind in _CONDITIONS]
        lines.append(f"| {name} | {found['steps']} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Make, mine and train what is not there yet; write ``results.json`` after each row."""
    audio, work = arguments.audio.resolve(), arguments.work.resolve()
    captions = captions_of_classes(arguments.captions)
    make_mixtures(audio, work, captions, arguments.mixtures, arguments.seed)
    mine(audio, work, "train", arguments.tagger)
    validation = make_list(audio, work, arguments.per_class, arguments.seed)
    rows = [Row(name, _ROWS[name]) for name in arguments.rows] + (arguments.row or [])
    for row in arguments.before or []:
        train(row, audio, work, arguments)
    results: dict[str, dict[str, Any]] = {}
    for row in rows:
        budget = train(row, audio, work, arguments)
        results[row.name] = budget | measure_row(row, audio, work, validation)
        with written_whole(work / "results.json") as part:
            part.write_text(json.dumps(results, indent=1), encoding="utf-8")
    return results


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("audio", type=Path)
    parser.add_argument("work", type=Path)
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--steps", type=int, help="of each training")
    budget.add_argument(
        "--minutes", type=float, help="of processor time, each; a few steps tell how many fit"
    )
    parser.add_argument("--captions", type=Path, help="CSV: caption, mids, split")
    parser.add_argument("--mixtures", type=int, default=2000, help="captioned ones, to train on")
    parser.add_argument("--per-class", type=int, default=10, help="validation pairs")
    parser.add_argument("--rows", nargs="*", choices=list(_ROWS), default=list(_ROWS))
    parser.add_argument("--row", action="append", type=row_of, help="NAME=RECIPE.yaml[@SHARE]")
    parser.add_argument("--before", action="append", type=row_of, help="likewise, not evaluated")
    parser.add_argument("--recipe", default="bimodal", help="what the rows vary")
    parser.add_argument("--tagger", default="default", help="mines, and makes the conditions")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    try:
        results = measure(arguments)
    except INPUT_ERRORS as error:
        print(f"measure_captions: {error}", file=sys.stderr)
        return 2
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
