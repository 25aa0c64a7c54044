"""Choice models against their closed forms. The check is a function, and models with a planted bug must fail it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from recsim_env.choice import (
    cascade,
    examined,
    examined_from_both_ends,
    exponential_cascade,
    multinomial_logit,
    position_based,
    proportional,
    threshold,
    weighted_choice,
)
from recsim_env.link import JIT, link
from recsim_env.streams import STREAM, Stream

DRAWS = 20_000
SCORES = [0.4, -0.3, 1.1]
ATTRACTIVE = [0.5, 0.25, 0.75]
Model = Callable[[np.ndarray, Any], int]  # scores, rng -> place or -1


def stream(counter: int = 0) -> Stream:
    rng: Stream = np.zeros(1, STREAM)[0]
    rng.rekey(5, counter)
    return rng


def shares(model: Model, expected: Sequence[float], scores: Sequence[float] = SCORES) -> bool:
    """Whether the model chooses "nothing", place 0, place 1, … as often as `expected` says."""
    rng, counts = stream(), np.zeros(len(expected))
    for _ in range(DRAWS):
        counts[model(np.array(scores), rng) + 1] += 1
    possible = np.array(expected) > 0
    if counts[~possible].any():
        return False
    return bool(stats.chisquare(counts[possible], DRAWS * np.array(expected)[possible]).pvalue > 1e-3)


def normalised(weights: Sequence[float]) -> list[float]:
    return [w / sum(weights) for w in weights]


def cascade_shares(clicks: Sequence[float]) -> list[float]:
    """Nothing, then each place: clicked where no place above was."""
    reached = np.cumprod([1.0, *(1.0 - c for c in clicks)])
    return [reached[-1], *(r * c for r, c in zip(reached, clicks, strict=False))]


LOGIT = normalised([math.exp(0.5), *map(math.exp, SCORES)])
PROPORTIONAL = normalised([2.0, 1.4, 0.7, 2.1])
CASCADE = cascade_shares([0.8 * a for a in ATTRACTIVE])
EXPONENTIAL_CASCADE = cascade_shares([0.8 * 0.3 * math.exp(s) for s in SCORES])


def test_multinomial_logit_is_a_softmax_with_a_logit_for_nothing() -> None:
    assert shares(lambda scores, rng: multinomial_logit(scores, 0.5, rng), LOGIT)


def test_proportional_weighs_scores_and_nothing() -> None:
    assert shares(lambda scores, rng: proportional(scores, 1.0, 2.0, rng), PROPORTIONAL)


def test_cascade_clicks_the_first_place_that_pleases() -> None:
    assert shares(lambda attractive, rng: cascade(attractive, 0.8, rng), CASCADE, scores=ATTRACTIVE)


def test_exponential_cascade_is_attracted_by_the_exponential_of_the_score() -> None:
    assert shares(lambda scores, rng: exponential_cascade(scores, 0.8, 0.3, rng), EXPONENTIAL_CASCADE)


def chooses_the_best_or_nothing(model: Callable[[np.ndarray, float], int]) -> bool:
    """The highest score, the upper one of equals, and nothing where none reaches what is asked for."""
    cases = [([0.4, 1.1, -0.3], 0.3, 1), ([0.4, 1.1], 1.2, -1), ([2.0, 2.0, 1.0], 2.0, 0), ([-1.0], -2.0, 0)]
    return all(model(np.array(scores), least) == place for scores, least, place in cases)


def threshold_that_must_be_exceeded(scores: np.ndarray, least: float) -> int:
    return int(scores.argmax()) if scores.max() > least else -1


def threshold_that_takes_the_first_good_enough(scores: np.ndarray, least: float) -> int:
    return next((i for i, s in enumerate(scores) if s >= least), -1)


def test_threshold_takes_the_best_place_where_it_is_good_enough() -> None:
    assert chooses_the_best_or_nothing(threshold)
    assert not chooses_the_best_or_nothing(threshold_that_must_be_exceeded)
    assert not chooses_the_best_or_nothing(lambda scores, least: len(scores) - 1 - threshold(scores[::-1], least))
    assert not chooses_the_best_or_nothing(lambda scores, least: threshold(scores, -math.inf))
    assert not chooses_the_best_or_nothing(threshold_that_takes_the_first_good_enough)


def test_weighted_choice_is_proportional_to_its_weights() -> None:
    assert shares(lambda w, rng: weighted_choice(w, 1.5, rng), [0.3, 0.4, 0.0, 0.3], scores=[2.0, 0.0, 1.5])


@pytest.mark.parametrize("place", [0, 1, 3])
def test_position_based_clicks_fade_by_gamma_a_place(place: int) -> None:
    p = 0.8 * 0.6**place
    assert shares(lambda scores, rng: int(position_based(0.8, place, 0.6, rng)) - 1, [1 - p, p])
    assert not shares(lambda scores, rng: int(position_based(0.8, place + 1, 0.6, rng)) - 1, [1 - p, p])


@pytest.mark.parametrize("gamma", [0.0, 0.6, 1.0])
def test_examination_fades_from_one_end_or_from_both(gamma: float) -> None:
    top = [examined(place, gamma) for place in range(5)]
    assert top == pytest.approx([gamma**place for place in range(5)])
    both = [examined_from_both_ends(place, 5, gamma) for place in range(5)]
    assert both == pytest.approx([(a + b) / 2 for a, b in zip(top, reversed(top), strict=True)])
    assert both == both[::-1]
    assert examined_from_both_ends(0, 1, gamma) == 1.0


# -- planted bugs: each would pass a test of "is it sometimes clicked" -----------------------------------


def logit_without_nothing(scores: np.ndarray, rng: Any) -> int:
    return weighted_choice(np.exp(scores - scores.max()), 0.0, rng)


def logit_whose_nothing_is_not_shifted(scores: np.ndarray, rng: Any) -> int:
    return weighted_choice(np.exp(scores - scores.max()), math.exp(0.5), rng)


def proportional_without_offset(scores: np.ndarray, rng: Any) -> int:
    return proportional(scores, 0.0, 2.0, rng)


def cascade_from_the_bottom(scores: np.ndarray, rng: Any) -> int:
    place = exponential_cascade(scores[::-1], 0.8, 0.3, rng)
    return place if place < 0 else len(scores) - 1 - place


def cascade_with_one_draw(scores: np.ndarray, rng: Any) -> int:
    """The same number is compared with each place's probability."""
    number = rng.uniform()
    return next((i for i, s in enumerate(scores) if number < 0.24 * math.exp(s)), -1)


def cascade_of_plain_scores(scores: np.ndarray, rng: Any) -> int:
    return cascade(scores, 0.24, rng)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (logit_without_nothing, LOGIT),
        (logit_whose_nothing_is_not_shifted, LOGIT),
        (proportional_without_offset, PROPORTIONAL),
        (cascade_from_the_bottom, EXPONENTIAL_CASCADE),
        (cascade_with_one_draw, EXPONENTIAL_CASCADE),
        (cascade_of_plain_scores, EXPONENTIAL_CASCADE),
    ],
)
def test_a_planted_bug_is_caught(broken: Model, expected: list[float]) -> None:
    assert not shares(broken, expected)


# -- extremes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "no_click", "certain"),
    [
        ([1e6, 0.0, -1e6], 0.0, 0),
        ([-1e6, -1e6, -1e6], 0.0, -1),
        ([-1e6, -2e6, -1.1e6], -3e6, 0),
        ([800.0, 900.0, 800.0], -800.0, 1),
        ([0.0, 0.0, 0.0], 1e300, -1),
        ([0.0, -math.inf, -math.inf], -math.inf, 0),
    ],
)
def test_extreme_logits_do_not_overflow(scores: list[float], no_click: float, certain: int) -> None:
    rng = stream()
    assert {multinomial_logit(np.array(scores), no_click, rng) for _ in range(200)} == {certain}


def test_large_equal_logits_are_equally_likely() -> None:
    assert shares(lambda scores, rng: multinomial_logit(scores, 1e6, rng), [0.25] * 4, scores=[1e6] * 3)


def test_negative_weights_of_proportional_count_as_none() -> None:
    assert shares(lambda s, rng: proportional(s, 1.0, 1.0, rng), [0.5, 0.0, 0.5, 0.0], scores=[-5.0, 0.0, -1.0])


def test_nothing_is_chosen_where_nothing_has_weight() -> None:
    assert proportional(np.array([-2.0, -3.0]), 1.0, 0.0, stream()) == -1


def test_a_cascade_whose_clicks_are_certain_ends_at_the_top() -> None:
    rng = stream()
    assert {cascade(np.array([1.0, 1.0]), 1.0, rng) for _ in range(200)} == {0}
    assert {exponential_cascade(np.array([9.0, 9.0]), 1.0, 1.0, rng) for _ in range(200)} == {0}


def all_models(scores: Any, rng: Any) -> tuple[int, int, int, int, int, bool, bool]:
    return (
        multinomial_logit(scores.copy(), 0.5, rng),
        proportional(scores.copy(), 1.0, 2.0, rng),
        cascade(scores, 0.8, rng),
        exponential_cascade(scores.copy(), 0.8, 0.3, rng),
        threshold(scores, 1.0),
        position_based(0.8, 2, 0.6, rng),
        rng.uniform() < 0.8 * examined_from_both_ends(2, 6, 0.6),
    )


def test_compiled_choices_are_plain_ones() -> None:
    compiled, scores = link(all_models, JIT), np.array(SCORES)
    rng, other = np.zeros(2, STREAM)
    rng.rekey(5, 1)
    other.rekey(5, 1)
    for _ in range(500):
        assert compiled(scores, other) == all_models(scores, rng)
