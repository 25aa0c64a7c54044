"""`filter_bubble`: drift, boredom, new items, fashion, kinds of users, measures, and that greed loses.

Properties are functions; for each a bug is planted in the world's own code that it must catch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recsim_env.dynamics import drift_toward, fatigue, mean_level, sate, trend
from recsim_env.errors import InvalidParameter
from recsim_env.simulator import Options, Simulator
from recsim_env.streams import STREAM
from scenarios.drifting_user import Kind
from scenarios.filter_bubble import FilterBubble, spread

PLAIN = {"breadth": 0.0, "trend_size": 0.0}  # an item is its topic alone, and nothing is in fashion


class Consumer:
    """One user, and the verbs as plain Python."""

    def __init__(self, kind: Kind = Kind.LOYAL, luck: int = 0, **changes: Any) -> None:
        self.scenario = FilterBubble(**changes)
        self.me = self.scenario.compiled_self
        self.user = np.zeros(1, self.scenario.user_dtype)[0]
        self.items = np.zeros(self.scenario.num_candidates, self.scenario.item_dtype)
        self.rng = np.zeros(1, STREAM)[0]
        self.rng.rekey(7, luck)
        FilterBubble.arrive(self.me, self.user, self.rng)
        self.user.kind = kind

    def see(self, *shown: int, clicked: int | None = None) -> float:
        """Live through a slate of these items; what it changes of patience."""
        responses = np.zeros(len(shown), self.scenario.response_dtype)
        for place, item in enumerate(shown):
            self.items[place].id = item
            responses[place].clicked = float(item == clicked)
        before = float(self.user.patience)
        FilterBubble.evolve(self.me, self.user, self.items, np.arange(len(shown)), responses, self.rng)
        return float(self.user.patience) - before

    def appeal(self, item: int) -> float:
        self.items[0].id = item
        return FilterBubble.appeal(self.me, self.user, self.items[0])

    def offer(self) -> list[int]:
        FilterBubble.offer(self.me, self.user, self.items, self.rng)
        return self.items["id"].tolist()


# -- drift ---------------------------------------------------------------------------------------------


def interests_turn_toward_what_is_seen() -> bool:
    """Curious users' more than loyal ones', and chosen items more than shown ones; the length stays 1."""
    turned = {}
    for kind in Kind:
        for clicked in (3, None):
            consumer = Consumer(kind)
            before = float(consumer.user.interests @ consumer.me.features[3])
            consumer.see(3, clicked=clicked)
            turned[kind, clicked] = float(consumer.user.interests @ consumer.me.features[3]) - before
            if not np.isclose(np.linalg.norm(consumer.user.interests), 1.0):
                return False
    order = [turned[Kind.CURIOUS, 3], turned[Kind.LOYAL, 3], turned[Kind.LOYAL, None], 0.0]
    return order == sorted(order, reverse=True) and turned[Kind.CURIOUS, 3] > turned[Kind.CURIOUS, None] > 0.0


def always_the_same_makes_it_the_only_interest() -> bool:
    consumer = Consumer(Kind.CURIOUS, **PLAIN)
    for _ in range(60):
        consumer.see(3, clicked=3)
    return bool(consumer.user.interests[3] > 0.99)


# -- boredom -------------------------------------------------------------------------------------------


def more_of_the_same_costs_more() -> bool:
    """After n items of a topic the next costs boredom * (1 - (1 - forget)**n), and one of another topic nothing."""
    for kind, boredom in ((Kind.LOYAL, 0.5), (Kind.CURIOUS, 1.5)):
        consumer = Consumer(kind, **PLAIN)
        costs = [consumer.see(3, clicked=3) for _ in range(20)]
        if not np.allclose(costs, [-boredom * (1 - 0.95**n) for n in range(20)]):
            return False
        if consumer.see(4, clicked=4) != 0.0 or consumer.see(3) != -0.5:
            return False
    return True


def the_diet_is_a_moving_mean() -> bool:
    consumer, expected = Consumer(), np.zeros(8)
    for step in range(30):
        item = (7 * step) % 200
        consumer.see(item, clicked=item)
        expected = 0.95 * expected + 0.05 * consumer.me.features[item] ** 2
    counted = consumer.user.consumed.sum() == pytest.approx(30.0)
    return counted and np.allclose(consumer.user.diet, expected) and consumer.user.diet.sum() <= 1.0


# -- what is on offer, in fashion, and chosen ----------------------------------------------------------


def new_items_come_while_the_session_runs() -> bool:
    """100 items are out first and one more each 2 steps; none twice in an offer; each that is out is offered."""
    consumer = Consumer()
    for steps, out in ((0, 100), (1, 100), (2, 101), (60, 130), (1000, 200)):
        consumer.user.steps = steps
        offers = [consumer.offer() for _ in range(100)]
        if any(len(set(offer)) < 20 for offer in offers) or {i for offer in offers for i in offer} != set(range(out)):
            return False
    return set(Consumer(release_every=0, num_items=20).offer()) == set(range(20))


def fashions_are_waves() -> bool:
    """Each item's from its own phase; a match adds 6 to the logit."""
    consumer = Consumer(trend_size=2.0)
    for steps in (0, 13, 50, 100):
        consumer.user.steps = steps
        for item in (0, 5):
            match = consumer.user.interests @ consumer.me.features[item]
            wave = 2.0 * math.sin(2 * math.pi * (steps / 100.0 + consumer.me.phases[item]))
            if consumer.appeal(item) != pytest.approx(6.0 * match + wave):
                return False
    return True


def users_tire() -> bool:
    """Of those who would choose, exp(-0.02 * steps) still do."""
    consumer = Consumer(tiring=0.02, no_click_logit=-100.0)
    consumer.offer()
    for steps in (0, 50):
        consumer.user.steps, clicks = steps, 0.0
        for _ in range(1000):
            responses = np.zeros(3, consumer.scenario.response_dtype)
            arguments = (consumer.items, np.arange(3), responses, np.zeros(3), consumer.rng)
            FilterBubble.respond(consumer.me, consumer.user, *arguments)
            clicks += responses["clicked"].sum()
        if abs(clicks / 1000 - math.exp(-0.02 * steps)) > 0.07:  # 4.5 standard errors
            return False
    return True


# -- planted bugs --------------------------------------------------------------------------------------


def drift_away(taste: Any, features: Any, row: int, share: float, scale: float) -> None:
    drift_toward(taste, features, row, -share, scale)


def keep_the_diet(levels: Any, share: float) -> None:
    """Nothing is forgotten."""


PLANTED: list[tuple[Callable[[], bool], str, Callable[..., Any]]] = [
    (interests_turn_toward_what_is_seen, "scenarios.drifting_user.drift_toward", drift_away),
    (interests_turn_toward_what_is_seen, "scenarios.drifting_user.normalise", lambda vector: None),
    (always_the_same_makes_it_the_only_interest, "scenarios.drifting_user.drift_toward", drift_away),
    (more_of_the_same_costs_more, "scenarios.drifting_user.mean_level", lambda *given: -mean_level(*given)),
    (more_of_the_same_costs_more, "scenarios.drifting_user.mean_level", lambda *given: 1.0 - mean_level(*given)),
    (more_of_the_same_costs_more, "scenarios.drifting_user.fade", keep_the_diet),
    (the_diet_is_a_moving_mean, "scenarios.drifting_user.fade", keep_the_diet),
    (
        the_diet_is_a_moving_mean,
        "scenarios.drifting_user.sate",
        lambda levels, shares, row, amount: sate(levels, shares, row, -amount),
    ),
    (
        new_items_come_while_the_session_runs,
        "scenarios.filter_bubble.released",
        lambda count, first, clock, every: count,
    ),
    (
        new_items_come_while_the_session_runs,
        "scenarios.filter_bubble.released",
        lambda count, first, clock, every: max(20, first - clock // max(1, every)),
    ),
    (new_items_come_while_the_session_runs, "scenarios.filter_bubble.is_offered", lambda *given: False),
    (fashions_are_waves, "scenarios.drifting_user.trend", lambda *given: -trend(*given)),
    (fashions_are_waves, "scenarios.drifting_user.trend", lambda clock, phase, *rest: trend(clock, 0.0, *rest)),
    (users_tire, "scenarios.filter_bubble.fatigue", lambda steps, rate: 1.0 - fatigue(steps, rate)),
    (users_tire, "scenarios.filter_bubble.fatigue", lambda steps, rate: fatigue(-steps, rate)),
]


@pytest.mark.parametrize("holds", list(dict.fromkeys(holds for holds, _, _ in PLANTED)), ids=lambda h: h.__name__)
def test_property(holds: Callable[[], bool]) -> None:
    assert holds()


@pytest.mark.parametrize(
    ("holds", "where", "broken"), PLANTED, ids=[f"{h.__name__}-{w.rpartition('.')[2]}" for h, w, _ in PLANTED]
)
def test_a_planted_bug_is_caught(
    monkeypatch: pytest.MonkeyPatch, holds: Callable[[], bool], where: str, broken: Callable[..., Any]
) -> None:
    monkeypatch.setattr(where, broken)
    assert not holds()


# -- who comes, and what the world is made of ----------------------------------------------------------


def test_kinds_of_users_come_by_their_share() -> None:
    scenario = FilterBubble(curious=0.25)
    user, rng = np.zeros(1, scenario.user_dtype)[0], np.zeros(1, STREAM)[0]
    kinds = []
    for luck in range(1000):
        rng.rekey(3, luck)
        FilterBubble.arrive(scenario.compiled_self, user, rng)
        kinds.append(int(user.kind))
    assert abs(np.mean(kinds) - 0.25) < 0.055  # 4 standard errors
    assert all(Consumer(luck=luck, curious=0.0).user.interests.min() > 0.0 for luck in range(5))


def test_the_catalogue_is_drawn_by_the_worlds_own_seed() -> None:
    one, again, other = (FilterBubble(world_seed=seed).catalogue_features for seed in (0, 0, 1))
    assert one is not None
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.shape == (200, 8)
    assert np.linalg.norm(one, axis=1) == pytest.approx(1.0, abs=1e-6)
    assert (one.argmax(axis=1) == np.arange(200) % 8).all()


@pytest.mark.parametrize("changes", [{"num_items": 10, "released_first": 10}, {"released_first": 19}])
def test_more_candidates_than_items_that_are_out_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter, match=r"num_candidates must be at most the items that are out at first"):
        FilterBubble(**changes)


# -- measures ------------------------------------------------------------------------------------------


def people(consumed: Any, now: Any, before: Any) -> np.ndarray:
    users = np.zeros(len(now), FilterBubble(num_topics=4).user_dtype)
    users["consumed"], users["interests"], users["interests_at_first"] = consumed, now, before
    return users


def measured(users: np.ndarray) -> dict[str, list[float]]:
    return {name: list(values) for name, values in FilterBubble(num_topics=4).measures(users).items()}


def test_diversity_runs_from_one_topic_to_all_alike() -> None:
    consumed = [[9, 0, 0, 0], [5, 5, 5, 5], [3, 3, 0, 0], [0, 0, 0, 0]]
    assert measured(people(consumed, np.eye(4), np.eye(4)))["diversity"] == pytest.approx([0.0, 1.0, 0.5, 0.0])


def test_distance_is_from_where_the_interests_started() -> None:
    now = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    before = np.array([[1.0, 0, 0, 0], [1, 0, 0, 0]])
    assert measured(people(0.0, now, before))["distance"] == pytest.approx([0.0, math.sqrt(2.0)])


def test_polarisation_is_above_0_where_users_move_apart_and_below_where_they_become_alike() -> None:
    apart, alike = np.eye(4), np.full((4, 4), 0.5)
    assert np.mean(measured(people(0.0, apart, alike))["polarisation"]) == pytest.approx(0.75)
    assert np.mean(measured(people(0.0, alike, apart))["polarisation"]) == pytest.approx(-0.75)
    assert measured(people(0.0, apart, apart))["polarisation"] == [0.0] * 4
    assert spread(apart).mean() == pytest.approx(apart.var(axis=0).sum())


# -- the question of the world -------------------------------------------------------------------------


def lives(scenario: FilterBubble, weight: float, users: int = 200) -> dict[str, float]:
    """Means over first sessions of showing the most appealing less `weight` times the likeness to the recent diet."""
    simulator = Simulator(scenario, users, Options(observe="full"), autoreset=False)
    rows, engagement, steps = simulator.reset(11), np.zeros(users), np.zeros(users)
    ended, playing = np.zeros(users, scenario.user_dtype), np.ones(users, bool)
    while playing.any():
        seen = simulator.layout.split(rows)
        topics = simulator.me.topics[seen["candidate_ids"].astype(int)]
        scores = seen["appeal"] - weight * np.einsum("nk,nck->nc", seen["user"], topics)
        rows, results, _ = simulator.step(np.ascontiguousarray(np.argsort(-scores, axis=1)[:, :3]))
        over = (results["terminated"] | results["truncated"]) & playing
        ended[over], engagement[over] = simulator.state.users[over], results["engagement"][over]
        steps[over] = results["length"][over]
        playing &= ~over
    measures = {name: float(values.mean()) for name, values in scenario.measures(ended).items()}
    return {"engagement": engagement.mean(), "clicks": engagement.sum() / steps.sum(), **measures}


def greed_narrows_and_loses(**changes: Any) -> bool:
    """More clicks a step, fewer in all, from a narrower diet, and users who move apart."""
    greedy, varied = (lives(FilterBubble(horizon=150, **changes), weight) for weight in (0.0, 15.0))
    return (
        greedy["clicks"] > 1.1 * varied["clicks"]
        and varied["engagement"] > 1.2 * greedy["engagement"]
        and varied["diversity"] > 0.9 > 0.6 > greedy["diversity"]
        and greedy["polarisation"] > 0.1 > -0.1 > varied["polarisation"]
    )


def test_who_maximises_the_next_click_narrows_consumption_and_loses() -> None:
    assert greed_narrows_and_loses()
    assert not greed_narrows_and_loses(loyal_boredom=0.0, curious_boredom=0.0)  # nobody minds a narrow diet
