"""How close an estimate is to its reference, and how well sounds are detected."""

from uss.metrics.ratios import is_alone, sdr, sdr_improvement, si_sdr, si_sdr_improvement

__all__ = ["is_alone", "sdr", "sdr_improvement", "si_sdr", "si_sdr_improvement"]
