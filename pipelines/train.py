"""``uss-train``: train a separator from shards, by the conventions of LightningCLI."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from pipelines.cli import BAD_INPUT, one_line
from uss.data.datamodule import ShardDataModule
from uss.training.export import BundleExport
from uss.training.module import SeparationTask

logger = logging.getLogger(__name__)

_PROGRAM = "uss-train"


class TrainCLI(LightningCLI):
    """Adds checkpoints, the export and ``--ckpt_path`` to Lightning's own options."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Put checkpoints and bundle into ``trainer.default_root_dir``."""
        parser.add_argument(
            "--ckpt_path", default=None, help="checkpoint to go on from: a file, or last"
        )
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(BundleExport, "export")
        parser.set_defaults(
            {
                # Each process draws its own batches; Lightning must not split them again.
                "trainer.use_distributed_sampler": False,
                "checkpoint.save_last": True,
                "checkpoint.every_n_train_steps": 500,
                "checkpoint.filename": "step{step}",
                "checkpoint.auto_insert_metric_name": False,
            }
        )
        parser.link_arguments(
            "trainer.default_root_dir", "checkpoint.dirpath", compute_fn=_in_root("checkpoints")
        )
        parser.link_arguments(
            "trainer.default_root_dir", "export.path", compute_fn=_in_root("bundle.safetensors")
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        cli = TrainCLI(
            SeparationTask,
            ShardDataModule,
            run=False,
            args=None if argv is None else list(argv),
            seed_everything_default=0,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={"prog": _PROGRAM, "exit_on_error": False},
            trainer_defaults={"callbacks": [LearningRateMonitor()]},
        )
        checkpoint = _checkpoint(cli)
        cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=checkpoint, weights_only=True)
    except (ArgumentError, argparse.ArgumentError, ValueError, OSError) as error:
        print(f"{_PROGRAM}: {one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    return 0


def _checkpoint(cli: TrainCLI) -> str | None:
    """Resolve ``last`` to the newest checkpoint of this root; a fresh run where there is none."""
    wanted: str | None = cli.config.ckpt_path
    if wanted is None:
        return None
    if wanted == "last":
        last = Path(cli.config.checkpoint.dirpath) / "last.ckpt"
        if not last.is_file():
            logger.info("%s does not exist yet; starting from the beginning", last)
            return None
        return str(last)
    if not Path(wanted).is_file():
        raise FileNotFoundError(f"{wanted}: no such checkpoint; name a file, or last")
    return wanted


def _in_root(name: str) -> Any:
    def path(root: str | None) -> str:
        return str(Path(root or ".") / name)

    return path


if __name__ == "__main__":
    sys.exit(main())
