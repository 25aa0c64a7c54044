"""Interest evolution: how interests drift, what a video costs and brings back, each against a planted sign error."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsim_env.streams import STREAM
from scenarios.interest_evolution import InterestEvolution
from tests.planted import planted

World = type[InterestEvolution]
Check = Callable[[World], bool]
TOPIC = 1  # of what is clicked here
INTERESTS = (-1.0, -0.7, -0.2, 0.0, 0.4, 0.9, 1.0)


class Viewer:
    """One user with a slate of two, and the verbs as plain Python."""

    def __init__(self, world: World, **parameters: Any) -> None:
        scenario = world(num_topics=4, num_candidates=2, slate_size=2, **parameters)
        self.world, self.me = world, scenario.compiled_self
        self.user = np.zeros(1, scenario.user_dtype)[0]
        self.items = np.zeros(2, scenario.item_dtype)
        self.dtype = scenario.response_dtype
        self.rng = np.zeros(1, STREAM)[0]
        self.rng.rekey(11, 0)

    def watch(self, interest: float, budget: float = 50.0, quality: float = 0.0, place: int = 0) -> None:
        """Start with this interest in each topic and this budget, and watch the whole video at a place of the slate."""
        self.user.interests[:] = interest
        self.user.budget = budget
        responses = np.zeros(2, self.dtype)
        responses[place].clicked = 1.0
        responses[place].minutes = min(budget, 4.0)
        responses[place].quality, responses[1 - place].quality = quality, 7.0
        responses[place].topic, responses[1 - place].topic = TOPIC, TOPIC + 1
        self.world.evolve(self.me, self.user, self.items, np.arange(2), responses, self.rng)

    def skip(self, budget: float) -> None:
        """Click nothing."""
        self.user.interests[:] = 0.5
        self.user.budget = budget
        self.world.evolve(self.me, self.user, self.items, np.arange(2), np.zeros(2, self.dtype), self.rng)


def step_of(interest: float) -> float:
    return 0.3 * (1.0 - abs(interest)) * (1.0 - interest)


def an_interest_moves_by_its_step(world: World) -> bool:
    """Up or down by alpha (1 - u) within [-1, 1], and in no other topic."""
    viewer = Viewer(world)
    for interest in INTERESTS:
        for place in (0, 1) * 10:
            viewer.watch(interest, place=place)
            moved = viewer.user.interests[TOPIC] - interest
            others = np.delete(viewer.user.interests, TOPIC)
            if not math.isclose(abs(moved), step_of(interest), abs_tol=1e-12) or (others != interest).any():
                return False
    return True


def an_interest_leans_to_where_it_is(world: World) -> bool:
    """It moves up with probability (u + 1) / 2: within four standard errors of 1,000 videos an interest."""
    viewer, n = Viewer(world), 1000
    for interest in (-0.8, -0.3, 0.0, 0.5, 0.8):
        ups = 0
        for _ in range(n):
            viewer.watch(interest)
            ups += viewer.user.interests[TOPIC] > interest
        likely = (interest + 1.0) / 2.0
        if abs(ups / n - likely) > 4 * math.sqrt(likely * (1 - likely) / n):
            return False
    return True


def interests_stay_in_range(world: World) -> bool:
    """Also where a step is as long as it can be."""
    viewer = Viewer(world, drift=1.0)
    for interest in np.linspace(-1.0, 1.0, 41):
        for _ in range(10):
            viewer.watch(float(interest))
            if abs(viewer.user.interests[TOPIC]) > 1.0:
                return False
    return True


def a_video_costs_its_minutes_and_quality_brings_some_back(world: World) -> bool:
    viewer = Viewer(world)
    for budget in (0.5, 4.0, 150.0):
        for quality in (-3.0, -0.5, 0.0, 1.0, 3.0):
            for place in (0, 1):
                viewer.watch(0.2, budget, quality, place)
                watched = min(budget, 4.0)
                if not math.isclose(
                    viewer.user.budget, budget - watched + 0.9 / 3.4 * watched * quality, abs_tol=1e-12
                ):
                    return False
    return True


def no_click_costs_half_a_minute(world: World) -> bool:
    viewer = Viewer(world)
    viewer.skip(20.0)
    return bool(viewer.user.budget == 19.5 and (viewer.user.interests == 0.5).all())


def the_user_leaves_without_budget(world: World) -> bool:
    viewer, over = Viewer(world), []
    for budget in (-0.1, 0.0, 0.1):
        viewer.user.budget = budget
        over.append(bool(world.left(viewer.me, viewer.user)))
    return over == [True, True, False]


CHECKS: list[Check] = [
    an_interest_moves_by_its_step,
    an_interest_leans_to_where_it_is,
    interests_stay_in_range,
    a_video_costs_its_minutes_and_quality_brings_some_back,
    no_click_costs_half_a_minute,
    the_user_leaves_without_budget,
]
PLANTED = [
    (an_interest_moves_by_its_step, "(1.0 - abs(interest))", "(1.0 + abs(interest))"),
    (an_interest_moves_by_its_step, "* (1.0 - interest)", "* (1.0 + interest)"),
    (an_interest_moves_by_its_step, "user.interests[topic] = shift(", "user.interests[0] = shift("),
    (an_interest_leans_to_where_it_is, "rng.uniform() >= (interest", "rng.uniform() < (interest"),
    (an_interest_leans_to_where_it_is, "(interest + 1.0) / 2.0", "(1.0 - interest) / 2.0"),
    (interests_stay_in_range, "min(1.0, max(-1.0, interest + move))", "interest + move"),
    (a_video_costs_its_minutes_and_quality_brings_some_back, "self.refill * responses", "-self.refill * responses"),
    (a_video_costs_its_minutes_and_quality_brings_some_back, "user.budget, minutes,", "user.budget, -minutes,"),
    (a_video_costs_its_minutes_and_quality_brings_some_back, "responses[place].quality)\n", "responses[0].quality)\n"),
    (no_click_costs_half_a_minute, "user.budget -= self", "user.budget += self"),
    (the_user_leaves_without_budget, "user.budget <= 0.0", "user.budget >= 0.0"),
]


@pytest.mark.parametrize("holds", CHECKS)
def test_the_world_keeps_its_equations(holds: Check) -> None:
    assert holds(InterestEvolution)


@pytest.mark.parametrize(("holds", "right", "wrong"), PLANTED)
def test_a_planted_mistake_is_found(holds: Check, right: str, wrong: str, tmp_path: Path) -> None:
    assert not holds(planted(InterestEvolution, tmp_path, right, wrong))
