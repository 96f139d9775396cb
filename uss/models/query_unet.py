"""A UNet that looks at a mixture once, however many sources are asked for.

The trunk does not know the queries. It gives maps at full resolution, and each query a weight for
every map: its mask is the sigmoid of the weighted sum (CLIPSep's way, Dong et al. 2023). So that a
query's weights depend on what is there to choose from, it attends to the trunk's bottleneck and to
what a tagger hears in the mixture. A query costs a hundredth of the trunk.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.models.competition import CompetitionRules
from uss.models.ear import Ear, JoinEar, Joined, Tokens
from uss.models.folding import change_biases
from uss.models.map_queries import Encoded, MapQueries
from uss.models.masking import fold_bins, power_below_top, relative_log_magnitude
from uss.models.stages import StagedNetwork, check_stages

_EAR_STAGES = (3, 5)


class QueryUNet(StagedNetwork, MapQueries):
    """An unconditioned trunk, and queries that weight its maps.

    Masks are real, between 0 and 1, so stems keep the mixture's phases.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        channels: of each encoder stage; every stage halves time and frequency, the last time only.
        fold: bins per position; must divide ``n_fft // 2``.
        num_maps: how many maps a query weights.
        query_size: D, of queries and of what they attend to.
        num_layers: how often they attend.
        num_heads: of each attention; must divide ``query_size``.
        ear_width: of the tagger whose feature maps join in, at the stages of 1/8 and 1/32 of the
            positions; None does without.
        ear: name or file of the tagger that the ear is taken from when training begins.
        n_fft: also the window's length.
        hop_length: between frames, in samples.
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.
        joint: see ``SeparatorNetwork``.
        joint_sharpness, joint_rest: of its ``CompetitionRules``; they are found after the training
            (``scripts/search_competition.py``), which knows nothing of them.

    Raises:
        ValueError: if the bins cannot be folded and halved that often, or sizes do not fit.
    """

    not_kept = frozenset({"ear"})

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        channels: Sequence[int] = (16, 32, 64, 128, 192, 192),
        fold: int = 4,
        num_maps: int = 24,
        query_size: int = 192,
        num_layers: int = 2,
        num_heads: int = 6,
        ear_width: float | None = 0.4,
        ear: str | None = None,
        n_fft: int = 2048,
        hop_length: int = 1024,
        sample_rate: int = 32_000,
        segment_seconds: float = 2.0,
        joint: bool = True,
        joint_sharpness: float = 1.0,
        joint_rest: float = 1.0,
    ) -> None:
        super().__init__(n_fft, hop_length)
        channels = tuple(channels)
        check_stages(channels, fold, n_fft, hop_length)
        if ear_width is not None and len(channels) <= max(_EAR_STAGES):
            raise InputError(
                f"an ear joins the fourth and sixth of the stages, this has {len(channels)}; use "
                "more channels, or ear_width null"
            )
        self.condition_space = condition_space
        self.condition_size = condition_size
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        if min(joint_sharpness, joint_rest) <= 0.0:
            raise InputError(
                f"joint_sharpness {joint_sharpness}, joint_rest {joint_rest}: both must be positive"
            )
        self.joint = joint
        self.competition = CompetitionRules(joint_sharpness, joint_rest)
        self.ear_from = ear
        self.num_maps = num_maps

        self.add_stages(channels, num_maps, fold=fold, n_fft=n_fft)
        self.shift_sizes = self.bias_sizes()
        # Norms have shifts of their own; these are what the norms' shifts are folded into.
        self.shifts = nn.Parameter(torch.zeros(sum(self.shift_sizes)))

        positions = n_fft // 2 // fold
        self.tokens = Tokens(channels[-1], positions >> (len(channels) - 1), query_size)
        self.ear = None if ear_width is None else Ear(ear_width)
        if self.ear is not None:
            self.join_ear = JoinEar(
                self.ear.channels,
                [channels[stage] for stage in _EAR_STAGES],
                [positions >> stage for stage in _EAR_STAGES],
                query_size,
                sample_rate,
            )
        self.add_queries(num_maps, query_size, num_layers, num_heads)

    @property
    def has_ear(self) -> bool:
        """See ``PortableNetwork``."""
        return self.ear is not None

    def for_inference(self, dtype: torch.dtype) -> QueryUNet:
        """Return a copy with folded norms and convolutions in ``dtype``; see ``folding``."""
        model = super().for_inference(dtype)
        change_biases(model.shifts.data, model.fold_stages(dtype))
        return model

    def transformed(self, spectrogram: Tensor) -> tuple[Tensor, ...]:
        """Give powers, and what the ear looks at; see ``PortableNetwork``."""
        power = power_below_top(spectrogram)
        if self.ear is None:
            return (power,)
        with torch.no_grad():
            return power, self.ear.image(self.heard_waveform(spectrogram))

    def encode_transformed(self, power: Tensor, ear_image: Tensor | None = None) -> Encoded:
        """Run the trunk.

        Args:
            power: (B, n_fft // 2, F).
            ear_image: (B, 128, F'), where there is an ear.

        Returns:
            (B, num_maps, fold, n_fft // 2 // fold, F) maps, and (B, M, D) that queries attend to.
        """
        frames = power.shape[-1]
        image = fold_bins(self.bin_norm(relative_log_magnitude(power)), self.fold)
        num_columns = frames + -frames % self.time_stride
        image, memory = self._trunk(image, self._joined(ear_image, frames, num_columns))
        maps = self.after_conv(image)[..., :frames].contiguous()
        return maps.unflatten(1, (self.num_maps, self.fold)), memory

    def start_ear(self, tagger: nn.Module) -> None:
        """Take the ear's weights from an EfficientAT tagger.

        Raises:
            ValueError: if the tagger is none, or of another width.
        """
        assert self.ear is not None
        features = getattr(tagger, "features", None)
        own = self.ear.features.state_dict()
        given = {} if features is None else features.state_dict()
        if {name: value.shape for name, value in own.items()} != {
            name: value.shape for name, value in given.items()
        }:
            raise InputError(
                f"{self.ear_from} is no EfficientAT tagger of the ear's width; name another, or "
                "set ear_width to its"
            )
        self.ear.features.load_state_dict(given)

    def _joined(self, ear_image: Tensor | None, frames: int, num_columns: int) -> Joined | None:
        if ear_image is None:
            return None
        assert self.ear is not None
        joined: Joined = self.join_ear(self.ear(ear_image), num_columns, frames / num_columns)
        return joined

    def _trunk(self, image: Tensor, joined: Joined | None) -> tuple[Tensor, Tensor]:
        """Return the last image, and what queries attend to."""
        biases = self.shifts[None, :, None, None].split(self.shift_sizes, dim=1)
        joining = None if joined is None else dict(zip(_EAR_STAGES, joined[:2], strict=True))
        image, remaining = self.descend(image, biases, joining)
        memory = self.tokens(image)
        if joined is not None:
            memory = torch.cat([memory, joined.tokens], dim=1)
        return self.ascend(image, remaining), memory
