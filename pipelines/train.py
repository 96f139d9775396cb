"""``uss-train``: train a separator from shards, by the conventions of LightningCLI."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from jsonargparse import ArgumentError
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import LightningDataModule
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from pipelines.cli import reported
from pipelines.recipes import MiningRecipe, read_recipe
from pipelines.training_checks import check_checkpoint, check_together
from uss.core.errors import InputError, one_line
from uss.data.captioned_datamodule import CaptionedDataModule
from uss.data.clip_datamodule import ClipDataModule
from uss.training.export import BundleExport
from uss.training.module import SeparationTask
from uss.training.whole_checkpoints import WholeCheckpoints

logger = logging.getLogger(__name__)

_PROGRAM = "uss-train"
_DESCRIPTION = (
    "Train a separator from shards, or from clips without labels (MixIT). --config takes a YAML "
    "file or the name of a recipe inside the package (docs/recipes.md); any key of it can be set "
    "on the command line. --debug shows where an error comes from."
)
_SLURM_JOB = "SLURM_JOB_ID"
_CONFIG_OPTIONS = ("--config", "-c")
_CONFIGURATION_ERRORS = (
    ArgumentError,
    argparse.ArgumentError,
    MisconfigurationException,
    ModuleNotFoundError,
    # Constructors of Lightning's check their arguments so.
    ValueError,
)


class TrainCLI(LightningCLI):
    """Adds checkpoints, the export and ``--ckpt_path`` to Lightning's own options."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Put checkpoints and bundle into ``trainer.default_root_dir``."""
        parser.add_argument(
            "--ckpt_path", default=None, help="checkpoint to go on from: a file, or last"
        )
        parser.add_argument(
            "--mining",
            type=Optional[MiningRecipe],  # noqa: UP045 - jsonargparse evaluates it on 3.10 as well
            default=None,
            help="how the shards must have been mined; uss-mine-anchors --recipe reads it",
        )
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(BundleExport, "export")
        parser.set_defaults(
            {
                # Each process reads its share of a batch; Lightning must not split them again.
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
    # The arguments are the command line's own, with the recipes filled in.
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    words = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    with reported(_PROGRAM, debug, _CONFIGURATION_ERRORS) as configuring:
        arguments = _with_recipes(words)
        cli = TrainCLI(
            SeparationTask,
            _data_class(arguments),
            run=False,
            args=arguments,
            seed_everything_default=0,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={
                "prog": _PROGRAM,
                "description": _DESCRIPTION,
                "exit_on_error": False,
                "allow_abbrev": False,
            },
            trainer_defaults={"callbacks": [LearningRateMonitor()]},
        )
    if configuring.status:
        return configuring.status
    with reported(_PROGRAM, debug, (MisconfigurationException,)) as training:
        check_together(cli)
        checkpoint = _checkpoint(cli)
        if type(cli.trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            cli.trainer.strategy.checkpoint_io = WholeCheckpoints()
        # Lightning does not know that the sampler continues from the global step.
        warnings.filterwarnings("ignore", message=".*dataloader is not resumable.*")
        # Nor that a recipe may have no validation mixtures.
        warnings.filterwarnings("ignore", message="Total length of `list` across ranks is zero")
        # Nor that every process measures the same mixtures, all of them.
        warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
        _fit(cli, checkpoint)
    return training.status


def _fit(cli: TrainCLI, checkpoint: str | None) -> None:
    """Train; an interruption, which Lightning answers by leaving, is raised again.

    Raises:
        KeyboardInterrupt: if the training was interrupted.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and _SLURM_JOB in os.environ:
        # Slurm sends it before it queues the job anew, which Lightning sees to.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:
        if not cli.trainer.interrupted:
            raise
    except ValueError as error:
        # So Lightning refuses options that do not go together, which it finds out only now.
        if _raised_by_lightning(error):
            raise InputError(one_line(error)) from error
        raise
    finally:
        # Lightning leaves later interruptions ignored.
        if is_main:
            for number, handler in handlers.items():
                if handler is not None:  # one that Python did not set
                    signal.signal(number, handler)
    # Some versions of Lightning return.
    if cli.trainer.interrupted:
        raise KeyboardInterrupt("--ckpt_path last goes on after the last checkpoint")


def _raised_by_lightning(error: BaseException) -> bool:
    """Whether an error was raised in Lightning's own code, not in what that has called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return module.startswith(("pytorch_lightning.", "lightning_fabric."))


def _with_recipes(argv: Sequence[str]) -> list[str]:
    """Replace what follows ``--config`` or ``-c`` by that recipe, merged with its bases."""
    arguments: list[str] = []
    for argument in argv:
        option, _, value = argument.partition("=")
        if option in _CONFIG_OPTIONS and value:
            arguments += [option, json.dumps(read_recipe(value))]
        elif arguments and arguments[-1] in _CONFIG_OPTIONS:
            arguments.append(json.dumps(read_recipe(argument)))
        else:
            arguments.append(argument)
    return arguments


def _data_class(arguments: Sequence[str]) -> type[LightningDataModule]:
    """Choose what gives the batches: clips where a manifest is configured, else shards."""
    for option, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if option in _CONFIG_OPTIONS and "manifest" in (json.loads(value).get("data") or {}):
            return ClipDataModule
        if option.partition("=")[0] == "--data.manifest":
            return ClipDataModule
    return CaptionedDataModule


def _checkpoint(cli: TrainCLI) -> str | None:
    """Resolve ``last`` to the newest checkpoint of this root; a fresh run where there is none."""
    wanted: str | None = cli.config.ckpt_path
    if wanted is None:
        return None
    if wanted == "last":
        folder = Path(cli.config.checkpoint.dirpath)
        # A run that neither began nor went on from last.ckpt leaves it alone, and writes last-v1.
        saved = sorted(folder.glob("last*.ckpt"), key=lambda path: path.stat().st_mtime_ns)
        if not saved:
            logger.info("%s does not exist yet; starting from the beginning", folder / "last.ckpt")
            return None
        wanted = str(saved[-1])
    if not Path(wanted).is_file():
        raise FileNotFoundError(f"{wanted}: no such checkpoint; name a file, or last")
    check_checkpoint(wanted, cli.model)
    return wanted


def _in_root(name: str) -> Any:
    def path(root: str | None) -> str:
        return str(Path(root or ".") / name)

    return path


if __name__ == "__main__":
    sys.exit(main())
