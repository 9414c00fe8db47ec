"""Interval: how sure a mean is when items of one cluster (a video) are not independent of each other.

The clustered standard error with the factor C/(C-1) for C clusters, and 1.96 of it to each side. One cluster says
nothing about the next, so that its error is unknown (None), never 0.

Source: Miller, Adding Error Bars to Evals (arXiv 2411.00640), appendix A; the factor as in inspect_ai.
"""

from collections.abc import Hashable, Sequence
from math import fsum, sqrt
from statistics import NormalDist
from typing import NamedTuple

_NORMAL = NormalDist()
_WIDTH = _NORMAL.inv_cdf(0.975)


class Interval(NamedTuple):
    """A mean of `n` values in `clusters` clusters, with its error and its 95 % interval, in the values' own unit."""

    mean: float
    n: int
    clusters: int
    stderr: float | None
    ci95: tuple[float, float] | None


class Paired(NamedTuple):
    """How far a second run is above a first one on the same items. `p` is two-sided: how often chance alone would
    part two equal runs as far; None, like the interval, with fewer than two clusters."""

    first: float
    second: float
    difference: Interval
    p: float | None


def clustered(values: Sequence[float], clusters: Sequence[Hashable]) -> Interval:
    """The mean of values, with the cluster of each.

    Raises:
        ValueError: no values, or not one cluster for each.
    """
    if not values:
        raise ValueError("a mean of no values")
    mean = fsum(values) / len(values)
    sums: dict[Hashable, float] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
    if len(sums) < 2:
        return Interval(mean, len(values), len(sums), None, None)
    variance = fsum(total**2 for total in sums.values()) * len(sums) / (len(sums) - 1)
    stderr = sqrt(variance) / len(values)
    return Interval(mean, len(values), len(sums), stderr, (mean - _WIDTH * stderr, mean + _WIDTH * stderr))


def paired(first: Sequence[float], second: Sequence[float], clusters: Sequence[Hashable]) -> Paired:
    """Compare two runs item by item: what each scored on the same item stands at the same place.

    Raises:
        ValueError: no values, or not as many of one as of the others.
    """
    difference = clustered([b - a for a, b in zip(first, second, strict=True)], clusters)
    return Paired(fsum(first) / len(first), fsum(second) / len(second), difference, _chance(difference))


def _chance(difference: Interval) -> float | None:
    if difference.stderr is None:
        return None
    if difference.mean == 0:
        return 1.0
    if difference.stderr < 1e-12:  # the same in every cluster: as likely as so many tosses of a coin that agree
        return 2.0 ** (1 - difference.clusters)
    return 2 * _NORMAL.cdf(-abs(difference.mean) / difference.stderr)
