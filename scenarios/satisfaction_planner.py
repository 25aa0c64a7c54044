"""What to show in `long_term_satisfaction`: dynamic programming on exposure and the steps that are left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scenarios.long_term_satisfaction import LongTermSatisfaction

POINTS = 401  # of exposure
LEVELS = 201  # of clickbait
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)  # of the exposure's noise


@dataclass(frozen=True)
class Values:
    """What is still to come, on a grid.

    Attributes:
        exposure: (P,) evenly spaced.
        later: (H + 1, P) expected engagement of the last h steps, before the candidates are seen.
    """

    exposure: np.ndarray
    later: np.ndarray


def engagement(self: LongTermSatisfaction, exposure: np.ndarray, clickbait: np.ndarray) -> np.ndarray:
    """The mean engagement with an item: that of the lognormal."""
    satisfaction = 1.0 / (1.0 + np.exp(-np.clip(self.sensitivity * exposure, -500.0, 500.0)))
    mean = (self.choc_mean * clickbait + self.kale_mean * (1.0 - clickbait)) * satisfaction
    values: np.ndarray = np.exp(mean + 0.5 * self.engagement_sd**2)
    return values


def moved(self: LongTermSatisfaction, exposure: np.ndarray, clickbait: np.ndarray) -> np.ndarray:
    """The exposure after an item, without its noise."""
    return self.memory * exposure - 2.0 * (clickbait - 0.5)


def worth(
    self: LongTermSatisfaction, values: Values, left: int, exposure: np.ndarray, clickbait: np.ndarray
) -> np.ndarray:
    """Expected engagement of an item and of what follows it, with `left` steps left, the item's among them."""
    after = moved(self, exposure, clickbait)
    total = engagement(self, exposure, clickbait)
    for node, weight in zip(NODES, WEIGHTS / WEIGHTS.sum(), strict=True):
        total += weight * np.interp(after + self.innovation_sd * node, values.exposure, values.later[left - 1])
    return total


def solve(self: LongTermSatisfaction) -> Values:
    """Value iteration from the session's end; each step, the best of the candidates that happen to be on offer."""
    reach = 1.0 / (1.0 - self.memory) + 10.0 * self.innovation_sd
    values = Values(np.linspace(-reach, reach, POINTS), np.zeros((self.session_steps + 1, POINTS)))
    clickbait = (np.arange(LEVELS) + 0.5) / LEVELS
    best = np.diff((np.arange(LEVELS + 1) / LEVELS) ** self.num_candidates)  # chance to be the highest, by rank
    for left in range(1, self.session_steps + 1):
        ranked = np.sort(worth(self, values, left, values.exposure[:, None], clickbait), axis=1)
        values.later[left] = ranked @ best
    return values
