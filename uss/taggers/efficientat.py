"""EfficientAT taggers: MobileNetV3 on log-mel images (Schmid et al., ICASSP 2023).

One family at several widths; ``mn04_as`` (width 0.4, mAP 0.432) and ``mn10_as`` (width 1.0) are
published, the student inside the embedded default has the same shape. The entry names are the
published ones, so files load strictly.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.core.state_dicts import COUNTERS, check_entries
from uss.hearing.mel import LogMel
from uss.hearing.mobilenet import TIME_STRIDE, feature_channels, folded, mobilenet_features
from uss.taggers.base import NUM_CLASSES, TaggerNetwork, TaggerOutput

_CLASSIFIER_CHANNELS = 1280


class EfficientAT(TaggerNetwork):
    """The tagger: log-mel image, MobileNetV3 features, two-layer classifier.

    Args:
        width: scales every channel count; 0.4 for ``mn04_as``, 1.0 for ``mn10_as``.
        name: what reports call this tagger.
        dropout: before the last layer, in training only.

    Attributes:
        constants: see ``uss.core.state_dicts.load_entries``.

    Raises:
        ValueError: if the width is not positive.
    """

    sample_rate = LogMel.sample_rate
    frames_per_second = LogMel.sample_rate / LogMel.hop_length / TIME_STRIDE
    head = "classifier"
    # In bfloat16 embeddings of mn04_as are off by a twentieth to a tenth of their length.
    needs_float32 = True
    constants = (COUNTERS,)
    not_kept = frozenset({"dropout"})

    def __init__(self, width: float = 0.4, name: str = "efficientat", dropout: float = 0.2) -> None:
        super().__init__()
        if not width > 0.0:
            raise InputError(f"width must be positive, not {width}")
        self.name = name
        self.width = width
        self.logmel = LogMel()
        self.features = mobilenet_features(width)
        self.embedding_size = feature_channels(width)[-1]
        hidden = round(_CLASSIFIER_CHANNELS * width)
        # The published file numbers these layers after a pooling and a flattening.
        self.classifier = nn.Sequential(
            OrderedDict(
                [
                    ("2", nn.Linear(self.embedding_size, hidden)),
                    ("3", nn.Hardswish()),
                    ("4", nn.Dropout(dropout)),
                    ("5", nn.Linear(hidden, NUM_CLASSES)),
                ]
            )
        )

    @classmethod
    def from_state_dict(
        cls, state: Mapping[str, Tensor], name: str, source: str | None = None
    ) -> EfficientAT:
        """Build the network whose width the entries show, and load them strictly.

        Args:
            state: entry name -> tensor.
            name: what reports call the tagger.
            source: what an error calls the file; the name, if none is given.

        Raises:
            ValueError: if entries are missing, unknown or of another shape; it names them.
        """
        key = "classifier.2.weight"
        weight = state.get(key)
        source = source or name
        if not isinstance(weight, Tensor) or weight.dim() != 2 or not weight.shape[0]:
            raise InputError(
                f"{source} is not an EfficientAT state dict: it has no matrix {key!r}; it is "
                "damaged or of another model, download it again"
            )
        model = cls(width=weight.shape[0] / _CLASSIFIER_CHANNELS, name=name)
        check_entries(model, state, source, cls.constants)
        # With the counters of batches, which load_entries leaves out: weight hashes count them.
        own = {entry: value for entry, value in state.items() if entry in model.state_dict()}
        model.load_state_dict(own, strict=True)
        return model.eval()

    def for_inference(self) -> EfficientAT:
        """Copy the network as it runs fastest; see ``uss.hearing.mobilenet.folded``."""
        copied = copy.deepcopy(self)
        copied.features = folded(self.features)
        return copied

    def feature_map(self, logmel: Tensor) -> Tensor:
        """Run the convolutions.

        Args:
            logmel: (B, 128, F) image from ``self.logmel``.

        Returns:
            (B, F', H), averaged over frequency, 3.125 frames per second.
        """
        image: Tensor = self.features(logmel[:, None])
        return image.mean(dim=2).transpose(1, 2)

    def forward(self, waveform: Tensor) -> TaggerOutput:
        """Tag waveforms; see ``uss.taggers.base.Tagger``.

        Args:
            waveform: (B, T) float32 in [-1, 1] at 32 kHz; less than 1 s is zero-padded to 1 s.
        """
        return self.hear(self.logmel(at_least_a_second(waveform)))

    def hear(self, logmel: Tensor) -> TaggerOutput:
        """Tag (B, 128, F) images from ``self.logmel``.

        Framewise probabilities are the clip classifier applied to each time step of the last
        feature map instead of to their mean.
        """
        steps = self.feature_map(logmel)
        embedding = steps.mean(dim=1)
        return TaggerOutput(
            clipwise=torch.sigmoid(self.classifier(embedding)),
            framewise=torch.sigmoid(self.classifier(steps)),
            embedding=embedding,
        )


def at_least_a_second(waveform: Tensor) -> Tensor:
    """Zero-pad (B, T) waveforms at 32 kHz that are shorter than 1 s."""
    return F.pad(waveform, (0, max(0, LogMel.sample_rate - waveform.shape[-1])))
