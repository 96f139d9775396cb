"""What every audio tagger offers: the protocol the pipeline is written against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from uss.core.hyperparameters import Rebuildable

NUM_CLASSES = 527
PROBABILITY_SPACE = "audioset-527"
"""The condition space whose vectors are a tagger's clipwise probabilities."""
ONE_HOT_SPACE = "audioset-527-one-hot"
"""The condition space whose vectors are the labels of a clip, 0 or 1 (section 3.4.1)."""
LABEL_SPACES = (PROBABILITY_SPACE, ONE_HOT_SPACE)
"""The condition spaces whose dimensions are the classes."""

ArchitectureSource = Literal["file", "file name", "choice", "assumption"]
"""What told the class of a loaded network: what the file holds; where that fits two classes, what
the file is called, or the user; or nothing."""


class TaggerOutput(NamedTuple):
    """What a tagger finds in a batch of waveforms.

    Attributes:
        clipwise: (B, K) probabilities that each class sounds anywhere in the waveform.
        framewise: (B, F, K) probabilities per frame; frame ``f`` is centred at
            ``f / frames_per_second`` seconds.
        embedding: (B, H) the vector before the classifier.
    """

    clipwise: Tensor
    framewise: Tensor
    embedding: Tensor


@runtime_checkable
class Tagger(Protocol):
    """Detects the K = 527 AudioSet classes, in the order of ``ontology/classes.csv``.

    Attributes:
        name: a short name for reports and shard attributes.
        sample_rate: of the waveforms it takes, in Hz.
        frames_per_second: of the framewise output.
        embedding_size: H of the embedding.
    """

    name: str
    sample_rate: int
    frames_per_second: float
    embedding_size: int

    def __call__(self, waveform: Tensor) -> TaggerOutput:
        """Tag waveforms.

        Args:
            waveform: (B, T) float32 in [-1, 1] at ``sample_rate``; any T, zero-padded inside
                where the network needs more.
        """
        ...


class TaggerNetwork(Rebuildable, nn.Module):
    """A ``Tagger`` with weights that files and bundles can hold.

    Attributes:
        name, sample_rate, frames_per_second, embedding_size: see ``Tagger``.
        head: path of the submodule that makes logits of the embedding.
        needs_float32: whether bfloat16 blurs what it hears.
        architecture_from: what told that the file it was loaded from is of this class.
    """

    name: str
    sample_rate: int
    frames_per_second: float
    embedding_size: int
    head: str
    needs_float32: bool = False
    architecture_from: ArchitectureSource = "file"
    __call__: Callable[..., TaggerOutput]

    def for_inference(self) -> TaggerNetwork:
        """Give a network, in evaluation mode, as it runs fastest; it differs by rounding at most.

        What is trained, stored or identified by its weights is the original.
        """
        return self
