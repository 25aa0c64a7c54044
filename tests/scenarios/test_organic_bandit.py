"""The organic bandit: chain, walk, views and clicks against what they must be, each with a planted mistake."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsim_env.errors import InvalidParameter
from recsim_env.registration import make_vector_env
from recsim_env.streams import STREAM
from scenarios.organic_bandit import OrganicBandit, click_rate, swapped
from tests.planted import planted

World = type[OrganicBandit]
Check = Callable[[World], bool]


class Shopper:
    """One user, and the verbs as plain Python."""

    def __init__(self, world: World, **parameters: Any) -> None:
        scenario = world(**parameters)
        self.world, self.me = world, scenario.compiled_self
        self.user = np.zeros(1, scenario.user_dtype)[0]
        self.items = np.zeros(scenario.num_candidates, scenario.item_dtype)
        self.dtype = scenario.response_dtype
        self.rng = np.zeros(1, STREAM)[0]
        self.rng.rekey(21, 0)
        self.steps = 0
        world.offer(self.me, self.user, self.items, self.rng)

    def arrive(self) -> None:
        self.user.views[:] = 0.0
        self.world.arrive(self.me, self.user, self.rng)

    def step(self, *clicked: bool) -> None:
        """Time passes after a slate of advertisements, each clicked or not; without any, after one not clicked."""
        places = clicked or (False,)
        responses = np.zeros(len(places), self.dtype)
        responses["clicked"] = places
        self.world.evolve(self.me, self.user, self.items, np.arange(len(places)), responses, self.rng)

    def clicks(self, *slate: int) -> np.ndarray:
        """(S,) whether each place of the next step's slate is clicked."""
        self.steps += 1
        self.rng.rekey(21, self.steps)
        responses = np.zeros(len(slate), self.dtype)
        places = np.array(slate)
        self.world.respond(self.me, self.user, self.items, places, responses, np.zeros(len(slate)), self.rng)
        return np.asarray(responses["clicked"])

    def appeals(self) -> np.ndarray:
        return np.array([self.world.appeal(self.me, self.user, item) for item in self.items])


def near(sample: Any, mean: float) -> bool:
    """Whether the mean lies within four standard errors."""
    values = np.asarray(sample, float)
    return bool(abs(values.mean() - mean) < 4 * values.std() / math.sqrt(len(values)))


def logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def rates(x: np.ndarray) -> np.ndarray:
    """The paper's click function, written again."""
    return logistic(5.0 * logistic(2.0 * logistic(0.3 * x) - 2.0) - 6.0)


# -- checks ----------------------------------------------------------------------------------------------


def click_rates_follow_taste(world: World) -> bool:
    """What oracles see is f(beta omega + mu) for each product, between 0.45 % and 2.93 %."""
    shopper = Shopper(world, num_candidates=30)
    for _ in range(20):
        shopper.arrive()
        x = shopper.me.organic_vectors @ shopper.user.taste + shopper.me.organic_popularity
        appeals = shopper.appeals()
        if not np.allclose(appeals, rates(x), rtol=1e-9) or appeals.min() < 0.0044 or appeals.max() > 0.0294:
            return False
    return True


def clicks_come_at_their_rates(world: World) -> bool:
    """Of the most and of the least liked product, alone and below each other, over 8,000 slates."""
    shopper, n = Shopper(world), 8000
    shopper.user.taste[:] = 1.0, -1.0, 0.5, 0.0, 1.0
    liked = rates(shopper.me.organic_vectors @ shopper.user.taste + shopper.me.organic_popularity)
    least, most = int(liked.argmin()), int(liked.argmax())
    both = np.array([shopper.clicks(least, most) for _ in range(n)])
    alone = np.array([shopper.clicks(most) for _ in range(n)])
    return near(both[:, 0], liked[least]) and near(both[:, 1], liked[most]) and near(alone[:, 0], liked[most])


def views_follow_taste(world: World) -> bool:
    """With a taste that stays: the softmax of Gamma omega + mu over all views of 250 browsing phases."""
    shopper = Shopper(world, drift_sd=0.0, popularity_sd=1.0)
    shopper.user.taste[:] = 0.5, -0.5, 0.3, 0.0, -0.4
    views = np.zeros(10)
    for _ in range(250):
        shopper.step(True)
        views += shopper.user.views
    weights = np.exp(shopper.me.organic_vectors @ shopper.user.taste + shopper.me.organic_popularity)
    expected = weights / weights.sum()
    off = (views / views.sum() - expected) / np.sqrt(expected * (1 - expected) / views.sum())
    return bool(np.abs(off).max() < 4)


def taste_walks(world: World) -> bool:
    """A browsing phase of v views moves taste by v steps of 0.1 around where it was; advertisements do not move it."""
    shopper, steps, jumps = Shopper(world, num_candidates=2), [], []
    shopper.user.taste[:] = 2.0, -2.0, 1.0, 0.0, 3.0
    for _ in range(300):
        before = shopper.user.taste.copy()
        shopper.step(True)
        steps.append((shopper.user.taste - before) / (0.1 * math.sqrt(shopper.user.views.sum())))
        before = shopper.user.taste.copy()
        shopper.step()
        if not shopper.user.views.any():
            jumps.append(np.abs(shopper.user.taste - before).max())
    walked = np.concatenate(steps)
    return near(walked, 0.0) and near(walked**2, 1.0) and max(jumps) == 0.0 and np.abs(walked).max() < 6.0


def phases_have_their_lengths(world: World) -> bool:
    """A phase lasts 1 / (chance that it ends) views or steps, and ends with leaving in that share of all ends."""
    chain = {"organic_to_bandit": 0.25, "organic_to_leave": 0.15, "bandit_to_organic": 0.1, "bandit_to_leave": 0.05}
    shopper = Shopper(world, num_candidates=2, factors=1, **chain)
    views, gone, lengths, left = [], [], [], []
    for _ in range(500):
        shopper.user.gone = 0
        shopper.step(True)
        views.append(shopper.user.views.sum())
        gone.append(shopper.user.gone)
        shopper.user.gone, steps, browsed = 0, 0, False
        while not (shopper.user.gone or browsed):
            shopper.step()
            steps, browsed = steps + 1, bool(shopper.user.views.any())
        lengths.append(steps)
        left.append(not browsed)
    return near(views, 1 / 0.4) and near(gone, 0.15 / 0.4) and near(lengths, 1 / 0.15) and near(left, 0.05 / 0.15)


def a_click_is_followed_by_browsing(world: World) -> bool:
    shopper = Shopper(world, bandit_to_organic=0.0, bandit_to_leave=1.0, organic_to_leave=0.0)
    for clicked in [(True,), (False, True), (True, False), (True, True)] * 10:
        shopper.step(*clicked)
        if shopper.user.gone or not shopper.user.views.any():
            return False
        shopper.step()
        if not shopper.user.gone or shopper.user.views.any():
            return False
        shopper.user.gone = 0
    return True


def who_arrives_can_be_shown_something(world: World) -> bool:
    """Has viewed something (in this life only), and has not left; tastes are standard normal before the walk."""
    shopper, views, tastes = Shopper(world, num_candidates=2, organic_to_leave=0.6, drift_sd=0.0), [], []
    for _ in range(500):
        shopper.arrive()
        views.append(shopper.user.views.sum())
        tastes.append(shopper.user.taste.copy())
        if shopper.user.gone or views[-1] < 1.0:
            return False
    walked = np.concatenate(tastes)
    return near(views, 1 / 0.85) and near(walked, 0.0) and near(walked**2, 1.0)


CHECKS: list[Check] = [
    click_rates_follow_taste,
    clicks_come_at_their_rates,
    views_follow_taste,
    taste_walks,
    phases_have_their_lengths,
    a_click_is_followed_by_browsing,
    who_arrives_can_be_shown_something,
]
PLANTED = [
    (click_rates_follow_taste, "logistic(0.3 * x)", "logistic(-0.3 * x)"),
    (click_rates_follow_taste, "- 6.0)", "+ 6.0)"),
    (click_rates_follow_taste, "+ self.bandit_popularity", "- self.bandit_popularity"),
    (clicks_come_at_their_rates, "+ self.bandit_popularity", "- self.bandit_popularity"),
    (clicks_come_at_their_rates, "user, items[slate[place]].id)", "user, items[slate[0]].id)"),
    (views_follow_taste, "+ self.organic_popularity", "- self.organic_popularity"),
    (views_follow_taste, "logit = dot(", "logit = -dot("),
    (views_follow_taste, "best, largest = product, logit - math.log(waiting)", "best, largest = product, logit"),
    (taste_walks, "rng.normal(user.taste[k], self", "rng.normal(-user.taste[k], self"),
    (taste_walks, "            drift(self, user, rng)\n            browse", "            browse"),
    (taste_walks, "            return\n        drift(self, user, rng)\n", "            return\n"),
    (phases_have_their_lengths, "self.organic_to_bandit + self", "self.organic_to_bandit - self"),
    (phases_have_their_lengths, "1 if luck < self.organic_to_leave", "1 if luck > self.organic_to_leave"),
    (phases_have_their_lengths, "luck >= 1.0 - self.bandit_to_leave", "luck < 1.0 - self.bandit_to_leave"),
    (phases_have_their_lengths, "luck < self.bandit_to_organic", "luck > self.bandit_to_organic"),
    (a_click_is_followed_by_browsing, "clicked_any(responses) or", "not clicked_any(responses) or"),
    (a_click_is_followed_by_browsing, "if responses[place].clicked == 1.0", "if responses[0].clicked == 1.0"),
    (who_arrives_can_be_shown_something, "while user.gone == 1:", "while user.gone == 0:"),
    (who_arrives_can_be_shown_something, "            fade(user.views, 1.0)\n", ""),
]


@pytest.mark.parametrize("holds", CHECKS)
def test_the_world_keeps_its_equations(holds: Check) -> None:
    assert holds(OrganicBandit)


@pytest.mark.parametrize(("holds", "right", "wrong"), PLANTED)
def test_a_planted_mistake_is_found(holds: Check, right: str, wrong: str, tmp_path: Path) -> None:
    assert not holds(planted(OrganicBandit, tmp_path, right, wrong))


# -- the click function, the shop and what is seen ---------------------------------------------------------


def test_the_click_function_rises_between_its_bounds() -> None:
    x = np.r_[-1e6, -1000.0, np.linspace(-30, 30, 241), 1000.0, 1e6]
    y = np.array([click_rate(float(value)) for value in x])
    assert (np.diff(y) >= 0).all()
    assert y[0] == pytest.approx(logistic(5 * logistic(-2.0) - 6), rel=1e-9) == pytest.approx(0.0045, abs=5e-5)
    assert y[-1] == pytest.approx(logistic(-3.5), rel=1e-9) == pytest.approx(0.0293, abs=5e-5)
    assert np.allclose(y[2:-2], rates(x[2:-2]))


def test_the_shop_belongs_to_its_own_seed() -> None:
    one, same, other = (OrganicBandit(world_seed=seed).tables() for seed in (3, 3, 4))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not any(np.allclose(one[name], other[name]) for name in one)
    many = OrganicBandit(num_candidates=2000).tables()
    assert abs(many["organic_popularity"].std() - 3.0) < 4 * 3 / math.sqrt(4000)
    assert abs(many["organic_vectors"].std() - 1.0) < 4 / math.sqrt(20_000)


@pytest.mark.parametrize("flips", [0, 1, 4, 5])
def test_swaps_pair_the_most_alike_and_are_for_advertisements_only(flips: int) -> None:
    plain, scenario = OrganicBandit(world_seed=8), OrganicBandit(world_seed=8, number_of_flips=flips)
    tables, vectors = scenario.tables(), plain.tables()["organic_vectors"]
    order = swapped(vectors, flips)
    assert (order != np.arange(10)).sum() == 2 * flips
    assert np.array_equal(order[order], np.arange(10))
    for name in ("vectors", "popularity"):
        assert np.array_equal(tables[f"organic_{name}"], plain.tables()[f"organic_{name}"])
        assert np.array_equal(tables[f"bandit_{name}"], tables[f"organic_{name}"][order])
    alike = vectors @ vectors.T - np.diag(np.full(10, np.inf))
    if flips:
        one, other = np.unravel_index(alike.argmax(), alike.shape)
        assert order[one] == other


def test_views_are_seen_and_clipped_into_their_range() -> None:
    env = make_vector_env("organic_bandit", 4, jit=False)
    observation, _ = env.reset(seed=1)
    state = env.unwrapped.simulator.state
    assert np.array_equal(observation["user"], state.users["views"])
    assert (observation["user"].sum(axis=1) >= 1).all()
    assert np.array_equal(observation["candidate_ids"], np.tile(np.arange(10), (4, 1)))
    endless = make_vector_env("organic_bandit", 2, jit=False, organic_to_bandit=0.001, organic_to_leave=0.0)
    observation, _ = endless.reset(seed=1)
    assert endless.observation_space.contains(observation)
    assert endless.unwrapped.simulator.state.users["views"].max() > observation["user"].max() == 100.0


@pytest.mark.parametrize("forgetting", [1.0, 0.25, 0.0])
def test_the_observation_keeps_of_earlier_views_what_it_does_not_forget(forgetting: float) -> None:
    shopper = Shopper(OrganicBandit, forgetting=forgetting, bandit_to_organic=0.0)
    shopper.arrive()
    before = shopper.user.views.copy()
    shopper.step()
    assert np.allclose(shopper.user.views, before * (1.0 - forgetting))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"slate_size": 11}, r"slate_size must be at most num_candidates \(10\), not 11"),
        ({"number_of_flips": 6}, r"number_of_flips must be at most the pairs of num_candidates \(5\), not 6"),
        ({"organic_to_bandit": 0.0}, r"organic_to_bandit must lie in \[0.001, 1\], not 0.0"),
        ({"organic_to_leave": 0.8}, "organic_to_bandit and organic_to_leave must sum to at most 1, not 1.05"),
        ({"bandit_to_organic": 1.0}, "bandit_to_organic and bandit_to_leave must sum to at most 1, not 1.01"),
    ],
)
def test_what_makes_no_world_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidParameter, match=f"OrganicBandit.{said}"):
        OrganicBandit(**wrong)


def test_popularity_moves_with_a_swap_only_where_it_is_said_to() -> None:
    released, described = (OrganicBandit(number_of_flips=4, flip_popularity=flip).tables() for flip in (True, False))
    assert np.array_equal(released["bandit_vectors"], described["bandit_vectors"])
    assert np.array_equal(described["bandit_popularity"], described["organic_popularity"])
    assert not np.array_equal(released["bandit_popularity"], released["organic_popularity"])
