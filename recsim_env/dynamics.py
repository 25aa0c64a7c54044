"""How users and catalogues change: satiation, drift, boredom, fatigue, budget, return time, trends, new items.

Plain functions that verbs call, compiled with them. Vectors are fields of the user; a row of a table is passed as
(table, row), since a view of it would cost more than the work. A mixture of kinds of users is
`user.kind = rng.categorical(self.shares)` with the shares and what the kinds differ in as arrays of `tables()`.
"""

from __future__ import annotations

import math
from typing import Any


def fade(levels: Any, share: float) -> None:
    """Take a share of each level away: satiation or memory that passes with a step."""
    for k in range(len(levels)):
        levels[k] *= 1.0 - share


def sate(levels: Any, features: Any, row: int, amount: float) -> None:
    """Add `amount` for each unit of an item's features (items, K) to the levels (K,): more of the same tires."""
    for k in range(len(levels)):
        levels[k] += amount * features[row, k]


def mean_level(levels: Any, shares: Any, row: int) -> float:
    """The levels (K,) weighted by an item's shares (items, K), which sum to 1."""
    total = 0.0
    for k in range(len(levels)):
        total += levels[k] * shares[row, k]
    return total


def dot(vector: Any, features: Any, row: int) -> float:
    """How well a taste (K,) matches an item's features (items, K)."""
    total = 0.0
    for k in range(len(vector)):
        total += vector[k] * features[row, k]
    return total


def length(vector: Any) -> float:
    """The Euclidean length."""
    total = 0.0
    for k in range(len(vector)):
        total += vector[k] * vector[k]
    return math.sqrt(total)


def normalise(vector: Any) -> None:
    """Scale to length 1; zeros stay."""
    size = length(vector)
    if size > 0.0:
        for k in range(len(vector)):
            vector[k] /= size


def drift_toward(taste: Any, features: Any, row: int, share: float, scale: float) -> None:
    """Move a taste (K,) a share of the way toward `scale` times an item's features (items, K)."""
    for k in range(len(taste)):
        taste[k] += share * (scale * features[row, k] - taste[k])


def count_recent(counts: Any, kinds: Any, steps: Any, since: int) -> None:
    """Write into `counts` (K,) how often each kind is among the last clicks, those of step `since` or later.

    `kinds` and `steps` (W,) are the ring; an empty place holds the kind -1. More than a few and users are bored.
    """
    for kind in range(len(counts)):
        counts[kind] = 0.0
    for k in range(len(kinds)):
        if kinds[k] >= 0 and steps[k] >= since:
            counts[kinds[k]] += 1.0


def fatigue(steps: float, rate: float) -> float:
    """What is left of the willingness to click after so many steps: exp(-rate * steps)."""
    return math.exp(-rate * steps)


def spend(budget: float, cost: float, refill: float) -> float:
    """A budget after something that costs, and brings back `refill` of its cost."""
    return budget + cost * (refill - 1.0)


def days_away(satisfaction: float, shortest: float, longest: float, rng: Any) -> float:
    """The days until a user returns, exponential; its mean falls from `longest` to `shortest` geometrically as
    satisfaction rises from 0 to 1. (Kapoor et al., 2014, on return time as the measure of engagement.)
    """
    mean = longest * (shortest / longest) ** satisfaction
    return -mean * math.log(1.0 - rng.uniform())


def trend(clock: float, phase: float, period: float, size: float) -> float:
    """What fashion adds to an item's appeal at a time: a wave of this size and period, from an item's own phase."""
    return size * math.sin(2.0 * math.pi * (clock / period + phase))


def released(count: int, at_first: int, clock: int, every: int) -> int:
    """How many of `count` items are out: `at_first` at time 0 and one more each `every` steps (0: all, always)."""
    if every == 0:
        return count
    return min(count, at_first + clock // every)
