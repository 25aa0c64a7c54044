"""The parts of behaviour against their closed forms. Each check is a function, which a planted bug must fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from recsim_env.dynamics import (
    count_recent,
    days_away,
    dot,
    drift_toward,
    fade,
    fatigue,
    length,
    mean_level,
    normalise,
    released,
    sate,
    spend,
    trend,
)
from recsim_env.link import JIT, link
from recsim_env.streams import STREAM, Stream

FEATURES = np.array([[0.5, 0.0, 0.5, 0.0], [0.1, 0.2, 0.3, 0.4]])
TASTE = np.array([0.3, -0.7, 0.2, 0.9])
Part = Callable[..., Any]


def stream() -> Stream:
    rng: Stream = np.zeros(1, STREAM)[0]
    rng.rekey(5, 0)
    return rng


def close(a: Any, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=1e-12, atol=1e-12))


# -- vectors -------------------------------------------------------------------------------------------


def fades_geometrically(part: Part) -> bool:
    levels = np.array([4.0, 0.0, 1.0])
    for _ in range(5):
        part(levels, 0.25)
    return close(levels, np.array([4.0, 0.0, 1.0]) * 0.75**5)


def sates_by_the_features(part: Part) -> bool:
    levels = np.ones(4)
    part(levels, FEATURES, 1, 2.0)
    return close(levels, 1.0 + 2.0 * FEATURES[1])


def weighs_by_the_row(part: Part) -> bool:
    return all(close(part(TASTE, FEATURES, row), TASTE @ FEATURES[row]) for row in (0, 1))


def is_euclidean(part: Part) -> bool:
    return close(part(np.array([3.0, -4.0])), 5.0) and part(np.zeros(3)) == 0.0


def keeps_direction_at_length_1(part: Part) -> bool:
    vector, zeros = TASTE.copy(), np.zeros(3)
    part(vector), part(zeros)
    return close(vector, TASTE / np.linalg.norm(TASTE)) and not zeros.any()


def gap_shrinks_by_the_share(part: Part) -> bool:
    """What is left of the way to `scale` times the features is (1 - share) of it, in the same direction."""
    taste = TASTE.copy()
    for _ in range(3):
        part(taste, FEATURES, 1, 0.2, 1.5)
    return close(taste - 1.5 * FEATURES[1], 0.8**3 * (TASTE - 1.5 * FEATURES[1]))


# -- counts, clocks and budgets ------------------------------------------------------------------------


def counts_the_recent_of_each_kind(part: Part) -> bool:
    kinds, steps, counts = np.array([2, 2, 1, -1, 2]), np.array([3, 7, 8, 0, 5]), np.ones(3)
    expected = {0: [0, 1, 3], 5: [0, 1, 2], 6: [0, 1, 1], 8: [0, 1, 0], 9: [0, 0, 0]}
    for since, wanted in expected.items():
        part(counts, kinds, steps, since)
        if counts.tolist() != wanted:
            return False
    return True


def halves_and_halves_again(part: Part) -> bool:
    rate = math.log(2.0) / 10.0
    return close([part(steps, rate) for steps in (0, 10, 20)], [1.0, 0.5, 0.25]) and part(1000.0, 0.0) == 1.0


def costs_what_is_not_refilled(part: Part) -> bool:
    return part(10.0, 4.0, 0.0) == 6.0 and part(10.0, 4.0, 1.0) == 10.0 and part(10.0, 4.0, 1.5) == 12.0


def waves(part: Part) -> bool:
    """A quarter of a period after its phase it is highest, a half later lowest; over a period it adds nothing."""
    heights = [part(10.0 * quarter, 0.0, 40.0, 3.0) for quarter in range(4)]
    ahead = part(0.0, 0.25, 40.0, 3.0)
    whole = sum(part(float(t), 0.1, 40.0, 3.0) for t in range(40))
    return close(heights, [0.0, 3.0, 0.0, -3.0]) and close(ahead, 3.0) and abs(whole) < 1e-9


def releases_one_each_few_steps(part: Part) -> bool:
    counts = [part(10, 4, clock, 3) for clock in range(30)]
    return counts == [min(10, 4 + clock // 3) for clock in range(30)] and part(10, 4, 0, 0) == part(10, 4, 99, 0) == 10


def returns_sooner_when_satisfied(part: Part) -> bool:
    """Exponential, with a mean from 16 days at satisfaction 0 to 1 day at 1, and 4 days halfway."""
    rng = stream()
    for satisfaction, mean in ((0.0, 16.0), (0.5, 4.0), (1.0, 1.0)):
        days = [part(satisfaction, 1.0, 16.0, rng) for _ in range(4000)]
        if min(days) < 0.0 or stats.kstest(days, "expon", args=(0.0, mean)).pvalue < 1e-3:
            return False
    return True


# -- planted bugs --------------------------------------------------------------------------------------


def keep_the_share(levels: np.ndarray, share: float) -> None:
    levels *= share


def fade_by_an_amount(levels: np.ndarray, share: float) -> None:
    levels -= share


def refresh(levels: np.ndarray, features: np.ndarray, row: int, amount: float) -> None:
    levels -= amount * features[row]


def sate_all_alike(levels: np.ndarray, features: np.ndarray, row: int, amount: float) -> None:
    levels += amount * features[row].mean()


def first_row(vector: np.ndarray, features: np.ndarray, row: int) -> float:
    return float(vector @ features[0])


def length_of_sizes(vector: np.ndarray) -> float:
    return float(np.abs(vector).sum())


def scale_to_sum_1(vector: np.ndarray) -> None:
    vector /= max(1e-9, np.abs(vector).sum())


def drift_away(taste: np.ndarray, features: np.ndarray, row: int, share: float, scale: float) -> None:
    taste -= share * (scale * features[row] - taste)


def drift_unscaled(taste: np.ndarray, features: np.ndarray, row: int, share: float, scale: float) -> None:
    taste += share * (features[row] - taste)


def count_on(counts: np.ndarray, kinds: np.ndarray, steps: np.ndarray, since: int) -> None:
    counts += np.bincount(kinds[(steps >= since) & (kinds >= 0)], minlength=len(counts))


def count_after(counts: np.ndarray, kinds: np.ndarray, steps: np.ndarray, since: int) -> None:
    count_recent(counts, kinds, steps, since + 1)


PLANTED: list[tuple[Callable[[Part], bool], Part, Part]] = [
    (fades_geometrically, fade, keep_the_share),
    (fades_geometrically, fade, fade_by_an_amount),
    (sates_by_the_features, sate, refresh),
    (sates_by_the_features, sate, sate_all_alike),
    (weighs_by_the_row, dot, first_row),
    (weighs_by_the_row, mean_level, first_row),
    (is_euclidean, length, length_of_sizes),
    (keeps_direction_at_length_1, normalise, scale_to_sum_1),
    (gap_shrinks_by_the_share, drift_toward, drift_away),
    (gap_shrinks_by_the_share, drift_toward, drift_unscaled),
    (counts_the_recent_of_each_kind, count_recent, count_on),
    (counts_the_recent_of_each_kind, count_recent, count_after),
    (halves_and_halves_again, fatigue, lambda steps, rate: fatigue(-steps, rate)),
    (halves_and_halves_again, fatigue, lambda steps, rate: max(0.0, 1.0 - rate * steps)),
    (costs_what_is_not_refilled, spend, lambda budget, cost, refill: spend(budget, -cost, refill)),
    (costs_what_is_not_refilled, spend, lambda budget, cost, refill: budget - cost + refill),
    (waves, trend, lambda clock, phase, period, size: trend(-clock, phase, period, size)),
    (waves, trend, lambda clock, phase, period, size: trend(clock, 0.0, period, size)),
    (releases_one_each_few_steps, released, lambda n, first, clock, every: released(10**6, first, clock, every)),
    (releases_one_each_few_steps, released, lambda n, first, clock, every: released(n, first, clock + 1, every)),
    (returns_sooner_when_satisfied, days_away, lambda s, low, high, rng: days_away(1.0 - s, low, high, rng)),
    (returns_sooner_when_satisfied, days_away, lambda s, low, high, rng: high + (low - high) * s),
]


@pytest.mark.parametrize(
    ("holds", "part", "broken"), PLANTED, ids=[f"{h.__name__}-{i}" for i, (h, _, _) in enumerate(PLANTED)]
)
def test_closed_form_holds_and_a_planted_bug_is_caught(holds: Callable[[Part], bool], part: Part, broken: Part) -> None:
    assert holds(part)
    assert not holds(broken)


# -- compiled ------------------------------------------------------------------------------------------


def all_parts(vector: Any, features: Any, counts: Any, kinds: Any, steps: Any, rng: Any) -> tuple[float, ...]:
    """Every part once, the vectors changed in place."""
    sate(vector, features, 1, 0.7)
    fade(vector, 0.3)
    drift_toward(vector, features, 0, 0.2, 1.5)
    normalise(vector)
    count_recent(counts, kinds, steps, 4)
    clock = int(counts[2])
    return (
        dot(vector, features, 0),
        mean_level(vector, features, 1),
        length(vector),
        fatigue(clock, 0.1),
        spend(3.0, 1.0, rng.uniform()),
        days_away(rng.uniform(), 1.0, 16.0, rng),
        trend(rng.uniform(), 0.3, 7.0, 2.0),
        float(released(10, 4, clock, 1)),
    )


def test_compiled_parts_are_plain_ones() -> None:
    compiled, (rng, other) = link(all_parts, JIT), np.zeros(2, STREAM)
    rng.rekey(5, 1), other.rekey(5, 1)
    counts, kinds, steps = np.ones(3), np.array([2, 2, 1]), np.array([3, 7, 8])
    plain, fast = TASTE.copy(), TASTE.copy()
    for _ in range(200):
        assert compiled(fast, FEATURES, counts, kinds, steps, other) == all_parts(
            plain, FEATURES, counts, kinds, steps, rng
        )
        assert fast.tobytes() == plain.tobytes()
