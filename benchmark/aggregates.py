"""Statistics over several worlds: agents by their normalised scores, an array (seeds, worlds) each.

Scores of different worlds share a scale, where 0 is `random` and 1 the reference. What is resampled are seeds within
each world, never users: a mean over users drops nobody, and a trimmed mean over users would drop the most engaged.

Agarwal et al. (2021), Deep reinforcement learning at the edge of the statistical precipice, arXiv:2108.13264.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from benchmark.statistics import CONFIDENCE

DRAWS = 2000  # of the bootstrap
Statistic = Callable[..., float]


def interquartile_mean(scores: np.ndarray) -> float:
    """The mean of the middle half of all scores (seeds, worlds): a quarter of them is cut off at each end."""
    return float(stats.trim_mean(scores, 0.25, axis=None))


def probability_of_improvement(scores: np.ndarray, other: np.ndarray) -> float:
    """How likely a run scores more than another agent's in the same world, mean over worlds; a tie counts half.

    Both are (seeds, worlds); seeds may differ in number. In each world it is Mann and Whitney's U over its largest.
    """
    one, two = scores[:, None], other[None]
    return float(((one > two) + 0.5 * (one == two)).mean())


def bootstrap_interval(
    statistic: Statistic, samples: Sequence[np.ndarray], rng: np.random.Generator, draws: int = DRAWS
) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic of one or more agents' scores, each (seeds, worlds).

    Stratified: in each draw and world, as many seeds are drawn with replacement as there are. With few seeds it is too
    narrow (see docs/statistics.md for its measured coverage); `interval` of a world's seeds is not.
    """
    drawn = [statistic(*(resampled(scores, rng) for scores in samples)) for _ in range(draws)]
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(drawn, [tail, 100.0 - tail])
    return float(low), float(high)


def resampled(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scores (seeds, worlds) of as many seeds, drawn in each world by itself."""
    return np.take_along_axis(scores, rng.integers(len(scores), size=scores.shape), axis=0)
