"""Choc and kale: what an item does to memory and satisfaction, each against a planted sign error."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsim_env.registration import find_world
from recsim_env.streams import STREAM
from scenarios.long_term_satisfaction import LongTermSatisfaction
from tests.planted import planted

World = type[LongTermSatisfaction]
Check = Callable[[World], bool]


class Eater:
    """One user, and the verbs as plain Python."""

    def __init__(self, world: World, exposure: float = 0.0, **parameters: Any) -> None:
        scenario = world(num_candidates=2, **parameters)
        self.world, self.me = world, scenario.compiled_self
        self.user = np.zeros(1, scenario.user_dtype)[0]
        self.items = np.zeros(2, scenario.item_dtype)
        self.responses = np.zeros(2, scenario.response_dtype)
        self.rng = np.zeros(1, STREAM)[0]
        self.rng.rekey(7, 0)
        self.user.exposure = exposure

    def eat(self, clickbait: float) -> float:
        """The user's exposure after an item; the second place holds the opposite, which nobody looks at."""
        self.items[0].clickbait, self.items[1].clickbait = clickbait, 1.0 - clickbait
        self.world.evolve(self.me, self.user, self.items, np.arange(2), self.responses, self.rng)
        return float(self.user.exposure)

    def engagement(self, clickbait: float) -> float:
        self.items[0].clickbait, self.items[1].clickbait = clickbait, 1.0 - clickbait
        slate, scratch = np.arange(2), np.zeros(2)
        self.world.respond(self.me, self.user, self.items, slate, self.responses, scratch, self.rng)
        return float(self.responses[0].engagement)


CASES = [(e, x, m) for e in (-6.0, -0.4, 0.0, 3.0) for x in (0.0, 0.3, 0.5, 1.0) for m in (0.0, 0.7, 0.95)]


def exposure_follows_its_equation(world: World) -> bool:
    return all(
        math.isclose(
            Eater(world, e, memory=m, innovation_sd=0.0).eat(x), m * e - 2.0 * (x - 0.5), rel_tol=1e-12, abs_tol=1e-12
        )
        for e, x, m in CASES
    )


def a_diet_leads_to_its_fixed_point(world: World) -> bool:
    """Always the same item: exposure goes to -2 (x - 1/2) / (1 - memory), from wherever it was."""
    for exposure, clickbait, memory in CASES:
        eater = Eater(world, exposure, memory=memory, innovation_sd=0.0)
        for _ in range(math.ceil(20 / (1.0 - memory))):
            eater.eat(clickbait)
        if abs(eater.user.exposure + 2.0 * (clickbait - 0.5) / (1.0 - memory)) > 1e-5:
            return False
    return True


def engagement_is_lognormal_by_satisfaction(world: World) -> bool:
    """log engagement = (5 x + 4 (1 - x)) logistic(sensitivity * exposure), without noise."""
    for exposure, clickbait, _ in CASES:
        eater = Eater(world, exposure, sensitivity=0.2, engagement_sd=0.0)
        expected = (4.0 + clickbait) / (1.0 + math.exp(-0.2 * exposure))
        if not math.isclose(math.log(eater.engagement(clickbait)), expected, rel_tol=1e-9):
            return False
        if not math.isclose(world.appeal(eater.me, eater.user, eater.items[0]), expected, rel_tol=1e-9):
            return False
    return True


def noise_has_its_size(world: World) -> bool:
    """Of the exposure (0.05) and of log engagement (1), within four standard errors of 2,000 draws."""
    eater, n = Eater(world, memory=0.0), 2000
    exposures = np.array([eater.eat(0.5) for _ in range(n)])
    eater.user.exposure = 0.0
    logs = np.log([eater.engagement(0.5) for _ in range(n)])
    return all(
        abs(sample.mean() - mean) < 4 * sd / math.sqrt(n) and abs(sample.std() / sd - 1) < 4 / math.sqrt(2 * n)
        for sample, mean, sd in ((exposures, 0.0, 0.05), (logs, 2.25, 1.0))
    )


def people_start_evenly_spread(world: World) -> bool:
    """Exposure on arrival is uniform, with the width 1 / (1 - memory) and the middle 0."""
    eater, starts = Eater(world, memory=0.9), []
    for _ in range(1000):
        world.arrive(eater.me, eater.user, eater.rng)
        starts.append(float(eater.user.exposure) / 10.0 + 0.5)
    ranks = (np.arange(1000) + 0.5) / 1000
    return bool(np.abs(np.sort(starts) - ranks).max() < 1.95 / math.sqrt(1000))  # Kolmogorov-Smirnov, 0.1 %


CHECKS: list[Check] = [
    exposure_follows_its_equation,
    a_diet_leads_to_its_fixed_point,
    engagement_is_lognormal_by_satisfaction,
    noise_has_its_size,
    people_start_evenly_spread,
]
PLANTED = [
    (exposure_follows_its_equation, "self.memory * user.exposure - 2.0", "-self.memory * user.exposure - 2.0"),
    (exposure_follows_its_equation, "user.exposure - 2.0 *", "user.exposure + 2.0 *"),
    (exposure_follows_its_equation, "(items[slate[0]].clickbait - 0.5)", "(items[slate[1]].clickbait - 0.5)"),
    (a_diet_leads_to_its_fixed_point, "self.memory * user.exposure - 2.0", "-self.memory * user.exposure - 2.0"),
    (a_diet_leads_to_its_fixed_point, "user.exposure - 2.0 *", "user.exposure + 2.0 *"),
    (engagement_is_lognormal_by_satisfaction, "-self.sensitivity * user", "self.sensitivity * user"),
    (engagement_is_lognormal_by_satisfaction, "* (1.0 - clickbait)", "* (1.0 + clickbait)"),
    (noise_has_its_size, "+ noise", "+ 2.0 * noise"),
    (noise_has_its_size, "lognormal(mean, self", "lognormal(mean, 0.5 * self"),
    (people_start_evenly_spread, "/ (1.0 - self.memory)", "/ (1.0 + self.memory)"),
]


@pytest.mark.parametrize("holds", CHECKS)
def test_the_world_keeps_its_equations(holds: Check) -> None:
    assert holds(LongTermSatisfaction)


@pytest.mark.parametrize(("holds", "right", "wrong"), PLANTED)
def test_a_planted_mistake_is_found(holds: Check, right: str, wrong: str, tmp_path: Path) -> None:
    assert not holds(planted(LongTermSatisfaction, tmp_path, right, wrong))


def test_a_session_has_its_length() -> None:
    eater = Eater(LongTermSatisfaction, session_steps=3)
    over = []
    for _ in range(3):
        eater.eat(0.5)
        over.append(LongTermSatisfaction.left(eater.me, eater.user))
    assert over == [False, False, True]


@pytest.mark.parametrize(("preset", "patience_pays"), [("hard", True), ("harvest", True), ("", False)])
def test_greed_loses_in_the_presets_only(preset: str, patience_pays: bool) -> None:
    """60 items of pure clickbait or of none, from a neutral start, by the mean of the log-normal."""
    world = find_world("long_term_satisfaction" + (f":{preset}" if preset else "")).make()
    totals = []
    for clickbait in (1.0, 0.0):
        parameters = {"memory": world.memory, "sensitivity": world.sensitivity}
        eater = Eater(LongTermSatisfaction, **parameters, engagement_sd=0.0, innovation_sd=0.0)
        total = 0.0
        for _ in range(world.session_steps):
            total += eater.engagement(clickbait)
            eater.eat(clickbait)
        totals.append(total)
    assert (totals[1] > totals[0]) == patience_pays
