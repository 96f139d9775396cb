"""The LightningDataModule of captioned mixtures, of anchors, or of both in turn."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ontology import load_ontology
from uss.checkpoints.loading import load_class_queries
from uss.checkpoints.text_loading import load_text_encoder
from uss.conditions.class_queries import SEQUENCE_SPACES, TEXT_SPACES, ClassQueries
from uss.conditions.class_words import DEFAULT_TEMPLATE, check_template
from uss.conditions.meant_conditions import ByEncoder, ByMeaning, Remembered, Wording
from uss.conditions.text_checks import shown
from uss.conditions.text_towers import TextTower
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.data.asked_with import AskedWith
from uss.data.batch_loading import check_accumulation
from uss.data.captioned_clips import CaptionedClip, read_captioned
from uss.data.captioned_mixing import CaptionedBatches, CaptionedMixing
from uss.data.datamodule import ShardDataModule
from uss.data.interleaving import Interleaved
from uss.data.named_anchors import NamedRows, named_queries
from uss.data.set_checks import check_format
from uss.shards import Rows, ShardReader
from uss.taggers import PROBABILITY_SPACE

_LOOKED_AT = 100


class CaptionedDataModule(ShardDataModule):
    """A ``ShardDataModule`` that can also mix captioned clips, with or without anchors beside them.

    Args:
        condition_space: of the separator's conditions.
        shards: folder or URL of the anchors; None for captioned clips alone.
        captions: which clips, and how they are mixed; None for anchors alone.
        anchor_ratio: how many of the batches are of anchors, evenly in turn, where there are both.
        template: what anchors are asked with, by the name of their class, where conditions hold a
            text word by word; see ``class_words``.
        options: see ``ShardDataModule``.

    Raises:
        ValueError: if there is neither, the ratio is none, or the template names no class.
    """

    def __init__(
        self,
        condition_space: str,
        shards: str | None = None,
        captions: CaptionedMixing | None = None,
        anchor_ratio: float = 0.5,
        template: str = DEFAULT_TEMPLATE,
        **options: Any,
    ) -> None:
        super().__init__(shards=shards or "", condition_space=condition_space, **options)
        if not 0.0 <= anchor_ratio <= 1.0:
            raise InputError(f"anchor_ratio {anchor_ratio} is not in [0, 1]")
        if captions is None and not shards:
            raise InputError(
                "there is nothing to train on; set data.shards, or data.captions.manifest"
            )
        check_template(template)
        self.captions = captions
        self.anchor_ratio = anchor_ratio
        self.template = template

    def setup(self, stage: str) -> None:
        """Open the shards, read the manifest, and see that its words can be asked with."""
        check_accumulation(self.trainer, self.steps_per_epoch)
        if self.shards:
            super().setup(stage)
        if self.captions is None:
            return
        if not self.shards:
            self.class_queries = _queries_of(self.captions, self.condition_space)
        self.clips = read_captioned(
            self.captions.manifest, self.captions.audio_root, load_ontology(), self.captions.split
        )
        captioned = self._captioned_batches(self.captions)
        if self.shards:
            self.training = Interleaved(self.training, captioned, self.anchor_ratio)
        else:
            self.training = captioned
            self.validation = self.validation_mixtures()

    def asked_with(self) -> AskedWith:
        """Open what anchors are asked with: what is stored, else, word by word, classes' names.

        Raises:
            ValueError: if several are to be asked for at once, of which words know nothing.
        """
        is_stored = self.condition_space in self.reader.spaces
        if is_stored or self.condition_space not in SEQUENCE_SPACES:
            return super().asked_with()
        if self.num_sources != 2 or self.joint is not None:
            raise InputError(
                "a text that is read word by word asks for one anchor; set data.num_sources to 2, "
                "and data.joint to null"
            )
        queries = named_queries(self.reader, self.text_encoder, self.template)
        return AskedWith(NamedRows(self.reader.class_index, queries), None, queries)

    def validation_conditions(self, reader: ShardReader) -> Rows:
        """Open what validation anchors are asked with; see ``asked_with``."""
        if self.condition_space not in SEQUENCE_SPACES or self.class_queries is None:
            return super().validation_conditions(reader)
        return NamedRows(reader.class_index, self.class_queries)

    @cached_property
    def text_encoder(self) -> TextTower:
        """What reads the words that the separator is asked with, on the device.

        Raises:
            FileNotFoundError, OSError, ValueError: if it cannot be had, or is of another space.
        """
        assert self.trainer is not None
        named = None if self.captions is None else self.captions.text_encoder
        encoder = _text_encoder(named or TEXT_SPACES[self.condition_space], self.condition_space)
        encoder.network.to(self.trainer.strategy.root_device)
        return encoder

    def check_format(self, sample_rate: int, segment_seconds: float) -> None:
        """Refuse anchors that the model cannot take; captioned clips are brought to its rate."""
        if self.shards:
            super().check_format(sample_rate, segment_seconds)
        elif self.validation is not None:
            check_format(self.validation.reader, sample_rate, segment_seconds)

    def sample_conditions(self) -> Float32:
        """Give (N, H) some of the conditions: of anchors, else of classes."""
        if self.shards:
            return super().sample_conditions()
        if self.class_queries is not None:
            return self.class_queries.vectors
        captions = [clip.caption for clip in self.clips[:_LOOKED_AT]]
        return self.wording.words(captions).conditions

    def sample_waveforms(self) -> Float32:
        """Give (N, T) some of the anchors; captioned clips are not listened to.

        Raises:
            ValueError: if there are no anchors.
        """
        if not self.shards:
            raise InputError("the objective learns from anchors; set data.shards")
        return super().sample_waveforms()

    def described(self) -> dict[str, Any]:
        """Say what was trained on."""
        told = super().described() if self.shards else {}
        if self.captions is not None:
            told |= {"captioned clips": len(self.clips)}
        return told

    def _wording(self, mixing: CaptionedMixing) -> Wording:
        """Choose what makes conditions of words."""
        space = self.condition_space
        if space in TEXT_SPACES or mixing.text_encoder is not None:
            return Remembered(ByEncoder(self.text_encoder, self.text_encoder.size))
        return Remembered(ByMeaning(None if space == PROBABILITY_SPACE else self.class_queries))

    def _captioned_batches(self, mixing: CaptionedMixing) -> CaptionedBatches:
        assert self.trainer is not None
        model: Any = self.trainer.lightning_module.model
        self.wording = self._wording(mixing)
        _check_understood(self.clips, self.wording, mixing.manifest)
        seconds = model.segment_seconds if mixing.seconds is None else mixing.seconds
        return CaptionedBatches(
            self.clips,
            mixing,
            self.wording,
            sample_rate=model.sample_rate,
            num_samples=round(seconds * model.sample_rate),
            batch_size=self.batch_size,
            seed=self.seed,
            place=self.place(),
        )


def _queries_of(mixing: CaptionedMixing, space: str) -> ClassQueries | None:
    """Class queries of a model, for a space in which words are classes; None in others.

    Raises:
        FileNotFoundError, OSError, ValueError: if there are none in this space.
    """
    if space == PROBABILITY_SPACE or space in TEXT_SPACES:
        return None
    queries = load_class_queries(mixing.queries)
    if queries.space != space:
        raise InputError(
            f"the class queries of {mixing.queries!r} are of {queries.space!r}, the separator "
            f"takes {space!r}; name a model of that space (data.captions.queries), or set "
            "data.shards"
        )
    return queries


def _text_encoder(name: str, space: str) -> TextTower:
    encoder = load_text_encoder(name, space=space)
    if encoder.space != space:
        raise InputError(
            f"the text encoder {name!r} is of {encoder.space!r}, the separator takes {space!r}; "
            "name one of that space (data.captions.text_encoder)"
        )
    return encoder


def _check_understood(clips: list[CaptionedClip], wording: Wording, manifest: str) -> None:
    """Refuse captions of which none says anything; training would change nothing.

    Raises:
        ValueError: if none of the first hundred is understood.
    """
    some = clips[:_LOOKED_AT]
    said = ((clip.caption, *clip.phrases) for clip in some)
    if not any(wording.words(texts).is_understood.any() for texts in said):
        raise InputError(
            f"{manifest}: none of its first {len(some)} captions is understood, such as "
            f"{shown(some[0].caption)}; captions are in English and name sounds, or set "
            "data.captions.text_encoder"
        )
