"""Distances between sets of embeddings: FAD and KAD, for sounds that no reference aligns with.

Both are 0 for equal distributions. FAD takes them for Gaussian, and is biased where there are few
embeddings; KAD assumes nothing and is unbiased, so that it may be slightly negative.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist, pdist

from uss.core.arrays import Float64, Floats

KAD_SCALE = 100.0
"""By which kadtk multiplies what it prints."""

# As in kadtk, so that embeddings that are all alike have a kernel too.
_EPSILON = 1e-8
# 32 MiB of float64.
_BLOCK_VALUES = 2**22


def frechet_distance(reference: Floats, other: Floats) -> float:
    """Fréchet audio distance (Kilgour et al. 2019), of Gaussians with unbiased covariances.

    |m - n|² + tr(C + D - 2 sqrt(C D)). The trace of the root is the sum of the singular values of
    the product of both sets' triangular factors, so that covariances are never squared and may be
    singular, as they are where there are fewer embeddings than dimensions.

    Args:
        reference: (N, H) embeddings.
        other: (M, H).

    Returns:
        0 or more; NaN where one of them holds fewer than two.

    Raises:
        ValueError: if they differ in H.
    """
    _check_sizes(reference, other)
    if min(len(reference), len(other)) < 2:
        return float("nan")
    one, two = _root(reference), _root(other)
    means = reference.mean(axis=0, dtype=np.float64) - other.mean(axis=0, dtype=np.float64)
    shared = np.linalg.svd(one @ two.T, compute_uv=False).sum()
    distance = means @ means + np.square(one).sum() + np.square(two).sum() - 2.0 * shared
    return max(0.0, float(distance))


def kernel_distance(reference: Floats, other: Floats, bandwidth: float | None = None) -> float:
    """Kernel audio distance (Chung et al. 2025): 100 times the unbiased squared MMD.

    The kernel is exp(-d² / (2 b²)).

    Args:
        reference: (N, H) embeddings.
        other: (M, H).
        bandwidth: b; None for the median distance of the reference's, as the paper and kadtk's
            repository have it (its release 1.1.0 takes the median of the other set).

    Returns:
        NaN where one of them holds fewer than two.

    Raises:
        ValueError: if they differ in H.
    """
    _check_sizes(reference, other)
    if min(len(reference), len(other)) < 2:
        return float("nan")
    width = median_distance(reference) if bandwidth is None else bandwidth
    gamma = 1.0 / (2.0 * width**2 + _EPSILON)
    within = _mean_of_pairs(reference, gamma) + _mean_of_pairs(other, gamma)
    across = _kernel_sum(reference, other, gamma) / (len(reference) * len(other))
    return KAD_SCALE * (within - 2.0 * across)


def median_distance(embeddings: Floats) -> float:
    """Median distance of two of (N, H) embeddings, N at least 2.

    Of an even number of distances it is the lower one of the middle, as torch has it, and so kadtk.
    """
    distances = pdist(embeddings.astype(np.float64))
    middle = (len(distances) - 1) // 2
    return float(np.partition(distances, middle)[middle])


def embedding_error(reference: Floats, other: Floats) -> float:
    """Distance of embeddings, relative to the length of the reference's.

    Args:
        reference: (W, H) of the true source's windows, one after another.
        other: (W, H) of the estimate's.

    Returns:
        0 or more; NaN where the reference is zero.

    Raises:
        ValueError: if the shapes differ.
    """
    if reference.shape != other.shape:
        raise ValueError(
            f"embeddings of shapes {reference.shape} and {other.shape}; give pairs of windows"
        )
    length = float(np.linalg.norm(reference.astype(np.float64)))
    error = float(np.linalg.norm(reference.astype(np.float64) - other))
    return error / length if length > 0.0 else float("nan")


def _root(embeddings: Floats) -> Float64:
    """(min(N, H), H) whose product with itself, transposed first, is the covariance."""
    values = embeddings.astype(np.float64)
    # numpy's other way of calling it gives both factors, and its stubs know only that.
    factor: Float64 = np.asarray(np.linalg.qr(values - values.mean(axis=0), mode="r"))
    root: Float64 = factor / np.sqrt(len(values) - 1)
    return root


def _mean_of_pairs(embeddings: Floats, gamma: float) -> float:
    """Mean kernel of two different embeddings."""
    num = len(embeddings)
    # That of each with itself is 1.
    return (_kernel_sum(embeddings, embeddings, gamma) - num) / (num * (num - 1))


def _kernel_sum(one: Floats, other: Floats, gamma: float) -> float:
    """Sum of the kernel over all pairs."""
    rows = max(1, _BLOCK_VALUES // len(other))
    blocks = (one[start : start + rows] for start in range(0, len(one), rows))
    return float(sum(np.exp(-gamma * cdist(each, other, "sqeuclidean")).sum() for each in blocks))


def _check_sizes(reference: Floats, other: Floats) -> None:
    shapes = reference.shape, other.shape
    if reference.ndim != 2 or other.ndim != 2 or shapes[0][1] != shapes[1][1]:
        raise ValueError(
            f"sets of embeddings of shapes {shapes[0]} and {shapes[1]}; give (N, H) and (M, H)"
        )
