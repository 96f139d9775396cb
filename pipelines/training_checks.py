"""What ``uss-train`` refuses before it begins: options, data and checkpoints that do not fit."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning.cli import LightningCLI

from pipelines.recipes import MiningRecipe
from uss.core.errors import InputError
from uss.data.captioned_datamodule import CaptionedDataModule
from uss.data.sharing import Place
from uss.models import MaskModel
from uss.models.masking import MaskNetwork
from uss.shards import set_settings
from uss.training.module import SeparationTask

_PURE_HALVES = {"16-true": torch.float16, "bf16-true": torch.bfloat16}


def check_together(cli: LightningCLI) -> None:
    """Refuse options that do not go together, and data that is not what the recipe wants.

    Raises:
        ValueError: saying what to change.
    """
    _check_precision(cli)
    _check_length(cli)
    _check_shards(cli)
    _check_sharing(cli)


def _check_precision(cli: LightningCLI) -> None:
    """Refuse a precision in which the device has no Fourier transform, which masks need."""
    precision = str(cli.trainer.precision)
    dtype = _PURE_HALVES.get(precision)
    if dtype is None or not isinstance(cli.model.model, MaskModel):
        return
    device = cli.trainer.strategy.root_device
    try:
        torch.fft.rfft(torch.zeros(1024, dtype=dtype, device=device))
    except RuntimeError as error:
        raise InputError(
            f"--trainer.precision {precision}: there are no spectrograms of {dtype} on a "
            f"{device.type}; use bf16-mixed, 16-mixed or 32-true"
        ) from error


def _check_length(cli: LightningCLI) -> None:
    """Refuse windows that do not overlap, and mixtures too short for a single one."""
    model = cli.model.model
    if not isinstance(model, MaskNetwork):
        return
    if model.hop_length >= model.n_fft:
        raise InputError(
            f"hop_length {model.hop_length}, n_fft {model.n_fft}: windows do not overlap, and no "
            "waveform could be made of them again; choose a smaller hop_length"
        )
    captions = getattr(cli.datamodule, "captions", None)
    own = None if captions is None else captions.seconds
    for seconds in (model.segment_seconds, own):
        if seconds is not None and round(seconds * model.sample_rate) <= model.n_fft // 2:
            raise InputError(
                f"mixtures of {seconds} s are too short for windows of n_fft {model.n_fft} at "
                f"{model.sample_rate} Hz; choose more than "
                f"{model.n_fft / 2 / model.sample_rate:.3f} s"
            )


def _check_shards(cli: LightningCLI) -> None:
    """Refuse shards that were not mined as the recipe says."""
    mining: MiningRecipe | None = cli.config_init.mining
    data = cli.datamodule
    if not isinstance(data, CaptionedDataModule):
        return
    settings = set_settings(data.shards) if mining is not None and data.shards else None
    if mining is not None and settings is not None:
        mining.check({"tagger": settings.tagger, **settings.mining}, data.shards)


def _check_sharing(cli: LightningCLI) -> None:
    """Refuse batches that processes cannot share, before there are several of these.

    Also what would take batches away from them once more.
    """
    Place(0, cli.trainer.world_size).share(cli.datamodule.batch_size)
    if cli.config.trainer.use_distributed_sampler:
        raise InputError(
            "trainer.use_distributed_sampler true would split the batches once more, which the "
            "processes share already; leave it out"
        )


def check_checkpoint(path: str, model: SeparationTask) -> None:
    """Refuse what is no checkpoint of this model before the training starts.

    Raises:
        ValueError: naming the first entry that does not fit.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        state = checkpoint["state_dict"]
    # The unpickler raises whatever the bytes of a file that is none lead it to.
    except Exception as error:
        raise InputError(f"{path} is no checkpoint of uss-train; name another, or last") from error
    expected = {name: value.shape for name, value in model.state_dict().items()}
    given = {name: value.shape for name, value in state.items()}
    for name in sorted(expected.keys() | given.keys()):
        if expected.get(name) != given.get(name):
            raise InputError(
                f"{path} is of another model: {name} has shape {given.get(name)} there, "
                f"{expected.get(name)} here; use the configuration it was trained with"
            )
    for optimiser in checkpoint.get("optimizer_states", [])[:1]:
        _check_optimiser(path, optimiser["param_groups"], model.optimiser)
        sizes = [len(group["params"]) for group in optimiser["param_groups"]]
        if sizes != [len(group["params"]) for group in model.parameter_groups()]:
            old = len(sizes) == 1
            raise InputError(
                f"{path} was trained with{'' if old else 'out'} weight decay of norms and biases; "
                f"go on with --model.decay_norms_and_biases {str(old).lower()}"
            )


def _check_optimiser(path: str, groups: list[dict[str, Any]], optimiser: str) -> None:
    """Refuse another optimiser: loading would let that of the checkpoint go on unseen."""
    # Older releases of PyTorch do not say.
    told = [
        group["decoupled_weight_decay"] for group in groups if "decoupled_weight_decay" in group
    ]
    trained = "adamw" if all(told) else "adam"
    if told and trained != optimiser:
        raise InputError(
            f"{path} was trained with {trained}; go on with --model.optimiser {trained}"
        )
