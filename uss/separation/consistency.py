"""From a separator's estimates of a segment to stems that agree with each other.

Estimates are made one by one, so they neither add up to the mixture nor know of each other. Both is
mended per time-frequency bin, on spectra of the estimates, so that any separator will do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uss.core.arrays import Float32

_N_FFT = 2048
_HOP_LENGTH = 512
_TINY = 1e-20


@dataclass(frozen=True)
class Family:
    """Stems that shall add up to something.

    Attributes:
        parent: the stem they add up to; None for the mixture.
        children: the stems.
    """

    parent: int | None
    children: tuple[int, ...]


@dataclass(frozen=True)
class Combination:
    """How the estimates of a segment become its stems.

    Attributes:
        sources: the query whose estimate each stem starts from, by its number.
        families: made to add up (mixture consistency, Wisdom et al. 2019, weighted by energy), in
            this order, parents before their children.
        negatives: queries whose sound must be in no stem.
        are_shared_out: the estimates have shared out their bins already, with the negatives, so
            that nothing need be taken from them.
    """

    sources: tuple[int, ...]
    families: Sequence[Family] = ()
    negatives: Sequence[int] = ()
    are_shared_out: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether stems are the estimates as they are."""
        return not self.families and (self.are_shared_out or not self.negatives)

    def __call__(self, mixture: Float32, estimates: Mapping[int, Float32]) -> dict[int, Float32]:
        """Combine the estimates of one segment.

        Args:
            mixture: (C, S) the segment.
            estimates: (C, S) by query, of those that are active.

        Returns:
            (C, S) by stem, of those whose query is active.
        """
        stems = {
            stem: estimates[source]
            for stem, source in enumerate(self.sources)
            if source in estimates
        }
        if self.is_plain or not stems:
            return stems
        spectra = {stem: _spectrum(estimate) for stem, estimate in stems.items()}
        total = _spectrum(mixture)
        unwanted = [_spectrum(estimates[row]) for row in self.negatives if row in estimates]
        if unwanted:
            if not self.are_shared_out:
                spectra = {stem: suppress(each, unwanted) for stem, each in spectra.items()}
            total = total - sum(unwanted)
        for family in self.families:
            children = [child for child in family.children if child in spectra]
            parent = total if family.parent is None else spectra.get(family.parent)
            if children and parent is not None:
                shared = share_remainder(parent, [spectra[child] for child in children])
                spectra.update(zip(children, shared, strict=True))
        return {stem: _samples(each, mixture.shape[1]) for stem, each in spectra.items()}


def suppress(spectrum: Tensor, unwanted: Sequence[Tensor]) -> Tensor:
    """Take from a stem what rather belongs to unwanted sounds, by energy per bin (Wiener).

    Args:
        spectrum: (C, bins, F) complex.
        unwanted: the same of each sound.

    Returns:
        (C, bins, F) complex.
    """
    wanted = _energy(spectrum)
    other = torch.stack([_energy(each) for each in unwanted]).sum(dim=0)
    return spectrum * (wanted / (wanted + other + _TINY))


def share_remainder(total: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
    """Share out what parts lack to their total, by energy per bin; then they add up to it.

    Args:
        total: (C, bins, F) complex.
        parts: the same each; where all are silent they get equal shares.
    """
    stacked = torch.stack(list(parts))
    energy = _energy(stacked) + _TINY
    remainder = total - stacked.sum(dim=0)
    return list(stacked + remainder * (energy / energy.sum(dim=0)))


def _energy(spectrum: Tensor) -> Tensor:
    return torch.view_as_real(spectrum).square().sum(dim=-1)


def _spectrum(waveform: Float32) -> Tensor:
    return torch.stft(
        torch.from_numpy(np.ascontiguousarray(waveform)),
        _N_FFT,
        _HOP_LENGTH,
        window=torch.hann_window(_N_FFT),
        pad_mode="constant",
        return_complex=True,
    )


def _samples(spectrum: Tensor, num_samples: int) -> Float32:
    samples: Float32 = torch.istft(
        spectrum, _N_FFT, _HOP_LENGTH, window=torch.hann_window(_N_FFT), length=num_samples
    ).numpy()
    return samples
