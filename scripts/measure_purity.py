"""Measure what purity buys: equal trainings with and without, on clips made impure on purpose.

    python scripts/measure_purity.py AUDIO WORK [--clips 2000] [--impure 0.5] [--steps 3000]

AUDIO holds clips.csv with a column split, and its clips. Of the training clips a share gets a clip
of foreign classes added to it, at a level drawn from 0 to -10 dB, and keeps its own labels alone,
as weak labels do; the rest stay as they are. Both kinds are mined as one manifest, and so are the
validation clips, clean. Then the same model is trained from the same seed with each of several
ways to use purity, and validated on the same pairs of clean anchors.

WORK gets clips, shards, runs and ``results.json``. What is there already is not made again, so a
run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.stats import rankdata

from ontology import load_ontology
from uss.audio import read_mono, write_audio
from uss.checkpoints.bundle import load_bundle
from uss.core.errors import INPUT_ERRORS, InputError
from uss.data.manifest import Clip, read_manifest
from uss.mining.job import MiningJob, mine_manifest
from uss.mining.miner import MiningSettings
from uss.mining.networks import NetworkNames
from uss.shards import ShardReader

_SAMPLE_RATE = 32_000
_MAX_SECONDS = 10.0
_MARK = "impure-"
_WAYS: Mapping[str, Mapping[str, Any]] = {
    "without": {},
    "drawn by purity": {"purity_weight": 1.0},
    "drawn by its square": {"purity_weight": 2.0},
    # Of every class, so that all are still known and the validation pairs the same.
    "the purest of each class": {"keep_top": "half"},
}


def make_clips(audio: Path, folder: Path, num_clips: int, share: float, seed: int) -> Path:
    """Write the training clips, some of them made impure, and their manifest."""
    manifest = folder / "train.csv"
    if manifest.exists():
        return manifest
    rng = np.random.default_rng(seed)
    clips = read_manifest(audio / "clips.csv", "train")
    families = [_family(clip) for clip in clips]
    usable = [k for k in range(len(clips)) if families[k]]
    chosen = rng.permutation(usable)[:num_clips].tolist()
    rows = []
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    for k in chosen:
        waveform = _read(audio, clips[k])
        clip_id = clips[k].clip_id
        if rng.random() < share:
            waveform = _spoilt(waveform, _foreign(k, usable, families, rng), audio, clips, rng)
            clip_id = _MARK + clip_id
        path = f"clips/{len(rows):06d}.wav"
        write_audio(folder / path, waveform[None], _SAMPLE_RATE, "PCM_16")
        group = clips[k].group or clips[k].clip_id
        rows.append([clip_id, path, ";".join(clips[k].mids), group])
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "mids", "group"])
        writer.writerows(rows)
    return manifest


def _family(clip: Clip) -> set[str]:
    """The labels, and all nodes above and below them."""
    ontology = load_ontology()
    nodes = [ontology.nodes[mid] for mid in clip.mids if mid in ontology.nodes]
    above = {node.mid for each in nodes for node in ontology.ancestors(each)}
    below = {node.mid for each in nodes for node in ontology.descendants(each)}
    return {node.mid for node in nodes} | above | below


def _foreign(
    k: int, usable: Sequence[int], families: Sequence[set[str]], rng: np.random.Generator
) -> int:
    """Draw a clip that shares no class with a given one, nor one above or below."""
    for _ in range(1000):
        other = int(rng.choice(usable))
        if not families[k] & families[other]:
            return other
    raise InputError("found no clip of foreign classes; use clips of more classes")


def _read(audio: Path, clip: Clip) -> np.ndarray:
    return read_mono(audio / clip.path, _SAMPLE_RATE)[: round(_MAX_SECONDS * _SAMPLE_RATE)]


def _spoilt(
    waveform: np.ndarray, other: int, audio: Path, clips: Sequence[Clip], rng: np.random.Generator
) -> np.ndarray:
    """Add a foreign clip, repeated over the whole length, at 0 to -10 dB."""
    foreign = np.resize(_read(audio, clips[other]), len(waveform))
    level = 10.0 ** (rng.uniform(-10.0, 0.0) / 20.0)
    rms = [float(np.sqrt(np.square(each).mean())) for each in (waveform, foreign)]
    mixed = waveform + level * rms[0] / max(rms[1], 1e-6) * foreign
    return (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)


def mine(manifest: Path, root: Path, output: Path, tagger: str, split: str | None) -> None:
    """Mine a manifest, for its most specific labels."""
    settings = MiningSettings(labels="specific")
    mine_manifest(
        MiningJob(
            manifest, root, output, split=split, settings=settings, networks=NetworkNames(tagger)
        )
    )


def describe_purity(shards: Path) -> dict[str, float]:
    """Say how well purity tells clips that were made impure from the others."""
    with ShardReader(shards) as reader:
        impure = np.array([name.startswith(_MARK) for name in reader.clip_id])
        purity = reader.purity
        num_classes = len(np.unique(reader.class_index))
    rank = rankdata(purity)
    clean, spoilt = int((~impure).sum()), int(impure.sum())
    wins = rank[~impure].sum() - clean * (clean + 1) / 2
    return {
        "clean anchors": clean,
        "impure anchors": spoilt,
        "mean purity, clean": float(purity[~impure].mean()),
        "mean purity, impure": float(purity[impure].mean()),
        "a clean anchor is purer than an impure one": float(wins / max(1, clean * spoilt)),
        "half the anchors of a mean class": max(1, round(len(purity) / num_classes / 2)),
    }


def train(
    work: Path, name: str, purity: Mapping[str, Any], arguments: argparse.Namespace
) -> dict[str, float]:
    """Train one model, and return what its validation says at the end."""
    from pipelines.train import main as train_main

    root = work / "runs" / name.replace(" ", "-")
    bundle = root / "bundle.safetensors"
    if not bundle.exists():
        recipe = root / "recipe.yaml"
        root.mkdir(parents=True, exist_ok=True)
        recipe.write_text(yaml.safe_dump(_recipe(work, purity, root, arguments)))
        status = train_main(["--config", str(recipe), "--ckpt_path", "last"])
        if status:
            raise InputError(f"the training {name!r} ended with status {status}")
    provenance = load_bundle(bundle).provenance
    return {key: float(value) for key, value in provenance["validation"].items()}


def _recipe(
    work: Path, purity: Mapping[str, Any], root: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """The house's small separator and the paper's way of mixing."""
    with ShardReader(work / "shards/train") as reader:
        ((space, size),) = reader.settings.spaces.items()
    return {
        "seed_everything": arguments.seed,
        "trainer": {
            "default_root_dir": str(root),
            "accelerator": "auto",
            "devices": 1,
            "precision": arguments.precision,
            "max_steps": arguments.steps,
            "gradient_clip_val": 2.0,
            "val_check_interval": arguments.steps,
            "check_val_every_n_epoch": None,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 20,
            "enable_progress_bar": False,
        },
        "model": {
            "model": {
                "class_path": "uss.models.ResUNet",
                "init_args": {
                    "condition_space": space,
                    "condition_size": size,
                    "channels": arguments.channels,
                },
            },
            "learning_rate": 1e-3,
            "warm_up_steps": min(100, arguments.steps // 10),
            "decay": "cosine",
        },
        "data": {
            "shards": str(work / "shards/train"),
            "validation_shards": str(work / "shards/validation"),
            "condition_space": space,
            "batch_size": arguments.batch_size,
            "class_average_probability": 0.5,
            "num_validation_mixtures": arguments.validation_mixtures,
            **purity,
        },
        "checkpoint": {"every_n_train_steps": max(1, arguments.steps // 10)},
        "export": {"tagger": arguments.tagger, "licence": "unknown"},
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("audio", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--clips", type=int, default=2000, help="to train on")
    parser.add_argument("--impure", type=float, default=0.5, help="share that is made impure")
    parser.add_argument("--steps", type=int, default=3000, help="of each training")
    parser.add_argument("--ways", nargs="+", choices=list(_WAYS), default=list(_WAYS))
    parser.add_argument("--tagger", default="default", help="mines, and makes the conditions")
    parser.add_argument("--channels", type=int, nargs="+", default=[16, 32, 64, 128, 192, 192])
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--validation-mixtures", type=int, default=200)
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    try:
        results = measure(arguments)
    except INPUT_ERRORS as error:
        print(f"measure_purity: {error}", file=sys.stderr)
        return 2
    print_table(results)
    return 0


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Make clips, mine and train what is not there yet; write ``results.json`` after each run."""
    audio, work = arguments.audio, arguments.work
    manifest = make_clips(audio, work, arguments.clips, arguments.impure, arguments.seed)
    mine(manifest, work, work / "shards/train", arguments.tagger, None)
    mine(audio / "clips.csv", audio, work / "shards/validation", arguments.tagger, "validation")
    purity = describe_purity(work / "shards/train")
    for name, value in purity.items():
        print(f"{value:10.3f}  {name}", flush=True)
    results: dict[str, Any] = {"purity": purity, "steps": arguments.steps, "ways": {}}
    for way in arguments.ways:
        options = {
            key: purity["half the anchors of a mean class"] if value == "half" else value
            for key, value in _WAYS[way].items()
        }
        results["ways"][way] = train(work, way, options, arguments)
        (work / "results.json").write_text(json.dumps(results, indent=1))
    return results


def print_table(results: Mapping[str, Any]) -> None:
    """Print the last validation of every way, as a table for the documents."""
    metrics = ("SDRi oracle", "SI-SDRi oracle", "SDRi class average", "SI-SDRi class average")
    print("| anchors | " + " | ".join(metrics) + " |")
    print("|---|" + "---:|" * len(metrics))
    for way, found in results["ways"].items():
        values = (found.get(f"validation/{name}", float("nan")) for name in metrics)
        print(f"| {way} | " + " | ".join(f"{value:.2f}" for value in values) + " |")


if __name__ == "__main__":
    sys.exit(main())
