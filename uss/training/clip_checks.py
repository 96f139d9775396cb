"""Whether clips without labels, model and objective fit together."""

from __future__ import annotations

from uss.conditions.query_nets import QueryNet
from uss.core.errors import InputError
from uss.data.clip_datamodule import ClipDataModule
from uss.models import BlindUNet, SeparationModel
from uss.training.mixit import MixIT
from uss.training.objectives import Objective


def check_clips(
    model: SeparationModel, objective: Objective, query_net: QueryNet | None, data: ClipDataModule
) -> None:
    """Refuse to train on clips what needs to be asked for something.

    Raises:
        ValueError: naming what does not fit.
    """
    if not isinstance(model, BlindUNet) or not isinstance(objective, MixIT):
        raise InputError(
            "clips without labels (data.manifest) train a uss.models.BlindUNet with "
            f"uss.training.mixit.MixIT, not a {type(model).__name__} with "
            f"{type(objective).__name__}; set both, or name data.shards instead"
        )
    if query_net is not None:
        raise InputError("nothing is asked of a blind separator; leave out model.query_net")
    wanted, given = (
        (model.sample_rate, model.segment_seconds),
        (
            data.sample_rate,
            data.segment_seconds,
        ),
    )
    if given != wanted:
        raise InputError(
            f"the model takes {wanted[1]} s at {wanted[0]} Hz, the data gives {given[1]} s at "
            f"{given[0]} Hz; set data.segment_seconds and data.sample_rate to the model's"
        )
