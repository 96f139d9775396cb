"""PANNs: convolutional networks on log-mel images (Kong et al., TASLP 2020).

``Cnn14`` and ``Cnn14DecisionLevelMax`` are those of the package ``panns-inference``; ``Cnn6`` and
``Cnn10``, which it leaves out, are written here. Published files of all four load strictly.

In training mode SpecAugment drops stripes of the log-mel image, and dropout runs after every block
and around the first linear layer, so embeddings come with dropout too.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.state_dicts import COUNTERS, load_entries
from uss.hearing.mel import PannsLogMel, SpecAugment
from uss.taggers.base import NUM_CLASSES, TaggerNetwork, TaggerOutput
from uss.taggers.panns_library import panns_models, without_transforms

if TYPE_CHECKING:
    from typing_extensions import Self

_CHANNELS = (64, 128, 256, 512)
_BLOCK_DROPOUT = 0.2
_HEAD_DROPOUT = 0.5
# Several threads may run one network; each finds here what its own call let pass.
_seen = threading.local()


def _see(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    """Keep what a watched layer took and gave."""
    _seen.tensors = (inputs[0], output)


class _Panns(TaggerNetwork):
    """What the four have in common.

    Attributes:
        constants: see ``uss.core.state_dicts.load_entries``.
    """

    sample_rate = PannsLogMel.sample_rate
    constants = (*PannsLogMel.constants, COUNTERS)
    _stride: int  # log-mel frames per time step of the last feature map

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], source: str) -> Self:
        """Load a published state dict strictly; the network comes in evaluation mode.

        Args:
            state: entry name -> tensor, without a prefix (what the files hold under ``model``).
            source: what an error calls the file.

        Raises:
            ValueError: if entries are missing, unknown or misshapen; it names them.
        """
        model = cls()
        load_entries(model._published, state, source, cls.constants)
        return model.eval()

    @property
    def _published(self) -> nn.Module:
        """The module whose entries have the published names."""
        return self

    def _padded(self, waveform: Tensor) -> Tensor:
        """Zero-pad (B, T) to one time step, in training to the widest stripe dropped."""
        frames = max(self._stride, SpecAugment.max_frames) if self.training else self._stride
        missing = (frames - 1) * PannsLogMel.hop_length - waveform.shape[-1]
        return F.pad(waveform, (0, missing)) if missing > 0 else waveform

    def _within(self, framewise: Tensor, waveform: Tensor) -> Tensor:
        """Keep the frames centred within the waveform: F = floor(seconds * rate) + 1."""
        last = int(waveform.shape[-1] * self.frames_per_second) // self.sample_rate
        return framewise[:, : last + 1]


class _LibraryCnn14(_Panns):
    """A network of ``panns_inference.models``; ``network`` has the published entry names."""

    embedding_size = 2048
    head = "network.fc_audioset"
    _stride = 32
    _class_name: str
    _watched: str

    def __init__(self) -> None:
        super().__init__()
        models = panns_models()
        # The library fills its kernels in a way that fails on the meta device.
        with torch.device("cpu"):
            network = getattr(models, self._class_name)(
                sample_rate=self.sample_rate,
                window_size=PannsLogMel.n_fft,
                hop_size=PannsLogMel.hop_length,
                mel_bins=PannsLogMel.num_bands,
                fmin=PannsLogMel.min_hz,
                fmax=PannsLogMel.max_hz,
                classes_num=NUM_CLASSES,
            )
        assert isinstance(network, nn.Module)
        self.network = without_transforms(network).to(torch.get_default_device())
        self.network.get_submodule(self._watched).register_forward_hook(_see)

    @property
    def _published(self) -> nn.Module:
        return self.network

    def _run(self, waveform: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Run the network; return what it gives, and what its watched layer took and gave."""
        outputs = self.network(self._padded(waveform))
        return outputs, *_seen.__dict__.pop("tensors")


class Cnn14(_LibraryCnn14):
    """CNN14, the tagger behind the published separators' conditions (80 M parameters).

    Clip probabilities and embedding are the library's own. It has no framewise output: the clip
    head (maximum plus mean over time, two linear layers) is applied to each time step of the last
    feature map alone, of which both maximum and mean are the step itself.
    """

    name = "cnn14"
    frames_per_second = 100 / _LibraryCnn14._stride
    _class_name = "Cnn14"
    _watched = "conv_block6"

    def forward(self, waveform: Tensor) -> TaggerOutput:
        """Tag waveforms; see ``uss.taggers.base.Tagger``.

        Args:
            waveform: (B, T) float32 in [-1, 1] at 32 kHz; less than 0.31 s is zero-padded.
        """
        outputs, _, feature_map = self._run(waveform)
        framewise = _clip_head_per_step(feature_map, self.network)
        return TaggerOutput(
            clipwise=outputs["clipwise_output"],
            framewise=self._within(framewise, waveform),
            embedding=outputs["embedding"],
        )


class Cnn14DecisionLevelMax(_LibraryCnn14):
    """CNN14 trained for sound event detection: a clip's probability is its loudest step's.

    Clip and framewise probabilities are the library's own: 100 frames per second, constant over
    0.32 s. It has no embedding: that is the mean over time of what the last layer takes.
    """

    name = "cnn14-decision-level-max"
    frames_per_second = 100.0
    _class_name = "Cnn14_DecisionLevelMax"
    _watched = "fc_audioset"

    def forward(self, waveform: Tensor) -> TaggerOutput:
        """Tag waveforms; see ``uss.taggers.base.Tagger``.

        Args:
            waveform: (B, T) float32 in [-1, 1] at 32 kHz; less than 0.31 s is zero-padded.
        """
        outputs, hidden, _ = self._run(waveform)
        return TaggerOutput(
            clipwise=outputs["clipwise_output"],
            framewise=self._within(outputs["framewise_output"], waveform),
            embedding=hidden.mean(dim=1),
        )


class _SmallCnn(_Panns):
    """CNN14's front end and head around four blocks; framewise output as ``Cnn14``'s."""

    embedding_size = _CHANNELS[-1]
    head = "fc_audioset"
    _stride = 2 ** len(_CHANNELS)
    frames_per_second = 100 / _stride
    _kernel: int
    _block_layers: int

    def __init__(self) -> None:
        super().__init__()
        self.logmel = PannsLogMel()
        self.bn0 = nn.BatchNorm1d(PannsLogMel.num_bands)
        self.augment = SpecAugment()
        for i, channels in enumerate(_CHANNELS):
            block = _Block(_CHANNELS[i - 1] if i else 1, channels, self._kernel, self._block_layers)
            self.add_module(f"conv_block{i + 1}", block)
        self.fc1 = nn.Linear(self.embedding_size, self.embedding_size)
        self.fc_audioset = nn.Linear(self.embedding_size, NUM_CLASSES)

    def forward(self, waveform: Tensor) -> TaggerOutput:
        """Tag waveforms; see ``uss.taggers.base.Tagger``.

        Args:
            waveform: (B, T) float32 in [-1, 1] at 32 kHz; less than 0.15 s is zero-padded.
        """
        image = self.augment(self.bn0(self.logmel(self._padded(waveform))))
        feature_map = image.transpose(1, 2)[:, None]
        for i in range(len(_CHANNELS)):
            feature_map = self.get_submodule(f"conv_block{i + 1}")(feature_map)
            feature_map = F.dropout(feature_map, _BLOCK_DROPOUT, self.training)
        steps = feature_map.mean(dim=3)
        pooled = F.dropout(steps.amax(dim=2) + steps.mean(dim=2), _HEAD_DROPOUT, self.training)
        hidden = F.relu(self.fc1(pooled))
        return TaggerOutput(
            clipwise=torch.sigmoid(self.fc_audioset(hidden)),
            framewise=self._within(_clip_head_per_step(feature_map, self), waveform),
            embedding=F.dropout(hidden, _HEAD_DROPOUT, self.training),
        )


class Cnn6(_SmallCnn):
    """CNN6: one 5x5 convolution per block (4.8 M parameters)."""

    name = "cnn6"
    _kernel = 5
    _block_layers = 1


class Cnn10(_SmallCnn):
    """CNN10: two 3x3 convolutions per block (5.2 M parameters)."""

    name = "cnn10"
    _kernel = 3
    _block_layers = 2


class _Block(nn.Module):
    """Convolutions with batch norm and ReLU, then pooling that halves time and frequency."""

    def __init__(self, in_channels: int, channels: int, kernel: int, num_layers: int) -> None:
        super().__init__()
        self.num_layers = num_layers
        for i in range(1, num_layers + 1):
            layer = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False)
            self.add_module(f"conv{i}", layer)
            self.add_module(f"bn{i}", nn.BatchNorm2d(channels))
            in_channels = channels

    def forward(self, image: Tensor) -> Tensor:
        for i in range(1, self.num_layers + 1):
            convolved = self.get_submodule(f"conv{i}")(image)
            image = F.relu(self.get_submodule(f"bn{i}")(convolved))
        return F.avg_pool2d(image, 2)


def _clip_head_per_step(feature_map: Tensor, head: nn.Module) -> Tensor:
    """Classify each time step of a feature map as if it were the whole clip.

    Step k covers the log-mel frames from k * stride on, so frame k of the tagger's rate lies where
    step k - 1 ends and step k begins: it gets the mean of both, at the ends the outer step.

    Args:
        feature_map: (B, H, S, bands).
        head: has the layers ``fc1`` and ``fc_audioset``.

    Returns:
        (B, S + 1, K) probabilities.
    """
    fc1, fc_audioset = head.get_submodule("fc1"), head.get_submodule("fc_audioset")
    steps = feature_map.mean(dim=3).transpose(1, 2)
    probability: Tensor = torch.sigmoid(fc_audioset(F.relu(fc1(2.0 * steps))))
    before = torch.cat([probability[:, :1], probability], dim=1)
    after = torch.cat([probability, probability[:, -1:]], dim=1)
    return (before + after) / 2.0
