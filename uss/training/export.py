"""Exporting a training run as a model bundle."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.loading import load_tagger, weight_hash
from uss.checkpoints.published import DEFAULT_MODEL
from uss.conditions.class_queries import SEQUENCE_SPACES, TEXT_SPACES
from uss.conditions.class_words import DEFAULT_TEMPLATE, check_template
from uss.conditions.embedding import EmbeddingEncoder
from uss.conditions.encoders import is_speech_space
from uss.core.errors import InputError
from uss.data.clip_datamodule import ClipDataModule
from uss.data.datamodule import ShardDataModule
from uss.models import BACKBONES, SeparatorNetwork, stems_of_space
from uss.taggers import LABEL_SPACES
from uss.training.module import SeparationTask
from uss.training.query_conditions import learned_queries

logger = logging.getLogger(__name__)

_ANCHORS_PER_QUERY = 100


class BundleExport(pl.Callback):
    """Writes tagger, separator and class queries into one file when training has ended.

    Args:
        path: the ``.safetensors`` file.
        tagger: name or file of the tagger that goes into the bundle; its embeddings must be the
            conditions the separator was trained with.
        licence: of the weights, as an SPDX expression.
        half: store weight matrices as float16.
        template: the words in which classes are asked for, of separators that take text.
    """

    def __init__(
        self,
        path: str = "bundle.safetensors",
        tagger: str = DEFAULT_MODEL,
        licence: str = "unknown",
        half: bool = False,
        template: str = DEFAULT_TEMPLATE,
    ) -> None:
        check_template(template)
        self.template = template
        self.path = Path(path)
        self.tagger_name = tagger
        self.licence = licence
        self.half = half

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find out before the training, not after it, whether the export will work."""
        self.tagger = load_tagger(self.tagger_name)
        assert isinstance(pl_module, SeparationTask)
        model = pl_module.model
        if BACKBONES.get(type(model).__name__) is not type(model):
            raise InputError(
                f"a bundle cannot hold a {type(model).__name__}; it holds {', '.join(BACKBONES)}"
            )
        assert isinstance(model, SeparatorNetwork)
        space, made_here = model.condition_space, EmbeddingEncoder(self.tagger).space
        if pl_module.query_net is not None:
            # A net that only hears needs nothing of the tagger's.
            space = pl_module.query_net.stored_space
        if stems_of_space(space) is not None:
            logger.info("the bundle will separate blindly (uss-separate --blind)")
        elif is_speech_space(space) or space in TEXT_SPACES:
            logger.info(
                "the bundle will separate by class; no tagger makes its conditions, %s", space
            )
        elif space not in (*LABEL_SPACES, made_here):
            raise InputError(
                f"the separator's conditions are of {space!r}, the tagger {self.tagger_name!r} "
                f"makes {made_here!r}; name the tagger they come from (--export.tagger)"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the bundle."""
        if not trainer.is_global_zero or trainer.interrupted:
            return
        data: ShardDataModule | ClipDataModule = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, SeparationTask)
        separator = pl_module.model
        queries = None if isinstance(data, ClipDataModule) else data.class_queries
        if queries is not None and queries.space in SEQUENCE_SPACES:
            # Of two classes there is no mean: whoever separates reads their names himself.
            queries = None
        if pl_module.query_net is not None:
            assert isinstance(data, ShardDataModule)
            queries = learned_queries(
                pl_module.query_net,
                data.reader,
                max_per_class=_ANCHORS_PER_QUERY,
                device=pl_module.device,
            )
        provenance: dict[str, Any] = {
            "steps": trainer.global_step,
            **data.described(),
            "separator_hash": weight_hash(separator),
            "validation": {
                name: round(float(value), 3)
                for name, value in trainer.callback_metrics.items()
                if name.startswith("validation/")
            },
        }
        bundle = Bundle(
            tagger=self.tagger,
            separator=separator,
            class_queries=queries,
            licence=self.licence,
            provenance=provenance,
            query_net=pl_module.query_net,
            template=self.template,
        )
        save_bundle(self.path, bundle, half=self.half)
