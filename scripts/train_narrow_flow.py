"""Train a narrow FlowSep end to end on a few classes, and say what came of it.

    python scripts/train_narrow_flow.py AUDIO -o runs/narrow

AUDIO holds clips.csv and its clips. Clips of a few classes are mined into shards of 1.28 s; then
autoencoder, vocoder and flow are trained in turn by their recipes, at the smallest widths and asked
with the embedded tagger's vectors. The folder then holds bundles, ``curve.csv`` and ``curve.png``.
Prints how far from the targets' log-mels, in dB, validation stems are, and what they do as guides.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from ontology import load_ontology
from pipelines import mine_anchors, train
from uss.checkpoints.bundle import load_bundle
from uss.checkpoints.loading import load_tagger
from uss.conditions.embedding import EmbeddingEncoder
from uss.core.errors import INPUT_ERRORS, InputError
from uss.core.pictures import own_style
from uss.data.datamodule import ShardDataModule
from uss.data.validation_mixtures import ValidationMixtures
from uss.metrics import sdr_improvement
from uss.models import FlowSep
from uss.models.flowsep.level_fitting import fitted_gain, guided
from uss.models.flowsep.magnitude_mel import levelled

CLASSES = ("Cough", "Rain", "Bird", "Dog", "Baby cry, infant cry", "Speech")
SECONDS = 1.28
_DB_PER_NEPER = 20.0 / np.log(10.0)
_CLIPS = {"train": 24, "validation": 6}
_POINTS = 10
_CURVES = {
    "flowsep_vae": {"train/mel": "error of log-mels (nepers)"},
    "flowsep_vocoder": {"train/mel": "error of log-mels (nepers)"},
    "flowsep": {
        "train/loss": "squared error of velocities",
        "validation/error oracle": "validation, asked for the target",
        "validation/error asked for the other": "validation, asked for the other",
    },
}
_LEARNING: dict[str, dict[str, Any]] = {
    "flowsep_vae": {"batch_size": 2, "learning_rate": 1e-3, "precision": "bf16-mixed"},
    "flowsep_vocoder": {"batch_size": 2, "learning_rate": 1e-3, "precision": "32-true"},
    "flowsep": {"batch_size": 4, "learning_rate": 5e-4, "precision": "32-true"},
}


def choose_clips(audio: Path, manifest: Path, seed: int = 0) -> None:
    """Write a manifest of some clips of the classes, so many of each.

    Raises:
        OSError, ValueError: if clips.csv cannot be read, or lacks clips of a class.
    """
    ontology = load_ontology()
    mids = {name: ontology.find(name).mid for name in CLASSES}
    with (audio / "clips.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rng = np.random.default_rng(seed)
    chosen: dict[str, dict[str, str]] = {}
    for split, most in _CLIPS.items():
        for name, mid in mids.items():
            held = [r for r in rows if r["split"] == split and mid in r["mids"].split(";")]
            if not held:
                raise InputError(f"{audio}/clips.csv has no {split} clips of {name}; name another")
            for place in rng.permutation(len(held))[:most]:
                chosen[held[place]["clip_id"]] = held[place]
    columns = [each for each in ("clip_id", "path", "mids", "split", "group") if each in rows[0]]
    with manifest.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(chosen.values())


def mine(audio: Path, output: Path) -> None:
    """Mine the chosen clips; folders that are there are left alone."""
    manifest = output / "clips.csv"
    choose_clips(audio, manifest)
    for split in _CLIPS:
        words = [manifest, "--audio-root", audio, "--split", split, "--labels", "specific"]
        words += ["--segment-seconds", SECONDS, "--anchors-per-clip", "2", "--device", "cpu"]
        status = mine_anchors.main([str(w) for w in (*words, "-o", output / "shards" / split)])
        if status:
            raise InputError(f"mining the {split} clips ended with status {status}")


def train_part(recipe: str, steps: int, output: Path, init_from: Path | None) -> Path:
    """Train one part by its recipe, narrow; gives its bundle.

    Raises:
        ValueError: if the training ends with an error, which it has printed.
    """
    learning = _LEARNING[recipe]
    sizes = {"unet_base": 32, "vae_base": 32, "vocoder_channels": 64, "num_tokens": 1}
    encoder = EmbeddingEncoder(load_tagger())
    asked = {"condition_space": encoder.space, "condition_size": encoder.size}
    objective = {"init_args": {"excerpt_seconds": 0.32}} if recipe == "flowsep_vocoder" else {}
    root, validation = output / recipe, str(output / "shards" / "validation")
    content: dict[str, Any] = {
        "base": recipe,
        "mining": None,
        "trainer": {
            "default_root_dir": str(root),
            "accelerator": "cpu",
            "precision": learning["precision"],
            "max_steps": steps,
            "gradient_clip_val": 1.0,
            "log_every_n_steps": 1,
            "val_check_interval": max(1, steps // 5),
            "check_val_every_n_epoch": None,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "callbacks": [
                {
                    "class_path": "pytorch_lightning.callbacks.EMAWeightAveraging",
                    "init_args": {"decay": 0.98},
                }
            ],
            "logger": {
                "class_path": "pytorch_lightning.loggers.CSVLogger",
                "init_args": {"save_dir": str(root), "name": "", "version": ""},
            },
        },
        "model": {
            "model": {
                "class_path": "uss.models.FlowSep",
                "init_args": {**sizes, **asked, "segment_seconds": SECONDS},
            },
            "objective": objective,
            "learning_rate": learning["learning_rate"],
            "warm_up_steps": 20,
            "decay": "cosine",
            "init_from": None if init_from is None else str(init_from),
        },
        "data": {
            "shards": str(output / "shards" / "train"),
            "validation_shards": validation if recipe == "flowsep" else None,
            "condition_space": encoder.space,
            "batch_size": learning["batch_size"],
            "class_average_probability": 0.5 if recipe == "flowsep" else 0.0,
            "augmentation": "match-energy",
            "num_validation_mixtures": 12,
        },
        "checkpoint": {"every_n_train_steps": steps},
    }
    file = output / f"{recipe}.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    status = train.main(["--config", str(file)])
    if status:
        raise InputError(f"training {recipe} ended with status {status}")
    return root / "bundle.safetensors"


def read_curves(output: Path) -> list[tuple[str, str, int, float]]:
    """Read what was logged: recipe, figure, step, value; of every step, means of several."""
    found = []
    for recipe, figures in _CURVES.items():
        with (output / recipe / "metrics.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for figure in figures:
            logged = [(int(r["step"]) + 1, float(r[figure])) for r in rows if r.get(figure)]
            size = max(1, len(logged) // _POINTS)
            for first in range(0, len(logged) - size + 1, size):
                steps, values = zip(*logged[first : first + size], strict=True)
                found.append((recipe, figure, steps[-1], round(float(np.mean(values)), 4)))
    return found


def write_curves(output: Path) -> None:
    """Write the curves as a table and as a picture."""
    curves = read_curves(output)
    with (output / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["recipe", "figure", "step", "value"])
        table.writerows(curves)
    with own_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure((11.0, 3.0), layout="constrained")
        FigureCanvasAgg(figure)
        for place, (recipe, figures) in enumerate(_CURVES.items(), start=1):
            axes = figure.add_subplot(1, len(_CURVES), place, title=recipe, xlabel="step")
            for name, label in figures.items():
                points = [(step, value) for *key, step, value in curves if key == [recipe, name]]
                axes.plot(*zip(*points, strict=True), label=label)
            axes.legend(fontsize=6)
        figure.savefig(output / "curve.png", dpi=120)


@torch.inference_mode()
def measure(model: FlowSep, mixtures: ValidationMixtures, num_steps: int) -> dict[str, list[float]]:
    """Score stems of validation mixtures; row name -> a number for each."""
    channels, bins = model.latent_shape
    scores: dict[str, list[float]] = {}
    for index in range(len(mixtures)):
        item = mixtures[index]
        whole, gain = levelled(item.mixture)
        target = item.target * gain[:, None]
        wanted = model.mel(target)
        shape = (3, 1, channels, whole.shape[1] // model.latent_samples, bins)
        rng = np.random.default_rng(index)
        first, second, start = torch.from_numpy(rng.standard_normal(shape, np.float32))
        own = model.first_stage_model.decode(model.latent(target, second) / model.scale_factor)
        row = {"mixture, dB": model.mel(whole), "autoencoder of the target, dB": own[:, 0]}
        heard = model.latent(whole, first)
        for said, condition in (("target", item.average), ("other", item.other)):
            drawn = model.draw(heard, condition[None], start, num_steps)
            mel = model.first_stage_model.decode(drawn / model.scale_factor)[:, 0]
            row[f"asked for the {said}, dB"] = mel
            stem = model.decode(drawn)
            stem = stem * fitted_gain(stem, whole)[:, None]
            improved = sdr_improvement(target, guided(stem, whole), whole)
            scores.setdefault(f"asked for the {said}, as a guide: SDRi", []).append(float(improved))
        for name, mel in row.items():
            scores.setdefault(name, []).append(_distance(mel, wanted))
    return scores


def _distance(mel: Tensor, wanted: Tensor) -> float:
    return float((mel - wanted).abs().mean()) * float(_DB_PER_NEPER)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("audio", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--vae-steps", type=int, default=600)
    parser.add_argument("--vocoder-steps", type=int, default=400)
    parser.add_argument("--flow-steps", type=int, default=900)
    parser.add_argument("--mixtures", type=int, default=24, help="to measure with (24)")
    parser.add_argument("--steps", type=int, default=10, help="from noise to a stem (10)")
    arguments = parser.parse_args(argv)
    output: Path = arguments.output
    try:
        output.mkdir(parents=True, exist_ok=True)
        mine(arguments.audio, output)
        bundle = train_part("flowsep_vae", arguments.vae_steps, output, None)
        bundle = train_part("flowsep_vocoder", arguments.vocoder_steps, output, bundle)
        bundle = train_part("flowsep", arguments.flow_steps, output, bundle)
        write_curves(output)
        model = load_bundle(bundle).separator
        assert isinstance(model, FlowSep)
        data = ShardDataModule(
            str(output / "shards" / "train"),
            model.condition_space,
            str(output / "shards" / "validation"),
            batch_size=4,
            sample_rate=16_000,
            num_validation_mixtures=arguments.mixtures,
        )
        data.setup("fit")
        assert data.validation is not None
        scores = measure(model, data.validation, arguments.steps)
    except INPUT_ERRORS as error:
        print(f"train_narrow_flow: {error}", file=sys.stderr)
        return 2
    for name, each in sorted(scores.items()):
        print(f"{name:40} {np.mean(each):6.2f}")
    print(f"{'CPU seconds':40} {time.process_time():6.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
