"""The worlds' own planners: exact where they say so, at their reference figures, and above ranking by appeal."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest

from agents.patient_oracle import PatientOracle, PatientOracleConfig
from benchmark.evaluation import evaluate
from recsim_env.agent import WorldSpec
from recsim_env.env import RecVectorEnv
from recsim_env.errors import ScenarioError
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.streams import Purpose
from scenarios import bored_planner, evolution_planner, satisfaction_planner
from scenarios.evolution_planner import best_cascade, best_ratio
from scenarios.long_term_satisfaction import LongTermSatisfaction
from tests.worlds import TinyWorld


def engagement(scenario: Scenario, users: int) -> tuple[float, float]:
    """The mean of the planner's sessions, and its standard error."""
    envs = RecVectorEnv(scenario, 1, Options(observe="full", totals=True))
    planner = PatientOracle(PatientOracleConfig(), WorldSpec.of(envs))
    table: pd.DataFrame = evaluate(planner, scenario, users=users, seed=5, purpose=Purpose.TEST).table
    return float(table["engagement"].mean()), float(table["engagement"].std() / math.sqrt(users))


def distance(scenario: Scenario, users: int, figure: float, error: float) -> float:
    """From a reference figure, in combined standard errors."""
    mean, own = engagement(scenario, users)
    return (mean - figure) / math.hypot(own, error)


# -- interest_evolution -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "figure", "error"), [(3, 274.8, 0.45), (1, 291.3, 0.8)], ids=["slates of 3", "slates of 1"]
)
def test_the_plan_of_interest_evolution_reaches_its_figure(size: int, figure: float, error: float) -> None:
    assert abs(distance(find_world("interest_evolution").make(slate_size=size), 500, figure, error)) < 3.0


@pytest.mark.parametrize(("choice", "appeal"), [("proportional", 168.0), ("cascade", 93.0)])
def test_other_choice_models_have_a_plan(choice: str, appeal: float) -> None:
    mean, error = engagement(find_world("interest_evolution").make(choice=choice), 150)
    assert mean > 1.15 * appeal + 3 * error


def test_a_plan_at_no_price_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the budget is worth nothing, so that the plan is greedy (about 167)."""
    monkeypatch.setattr(evolution_planner, "PRICE", 0.0)
    mean, error = engagement(find_world("interest_evolution").make(), 200)
    assert mean < 175 + 3 * error


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((20, 6)), rng.normal(0.0, 3.0, (20, 6)), rng.normal(-1.0, 1.0, 20)


@pytest.mark.parametrize("size", [1, 3, 6])
def test_the_best_slate_of_a_choice_is_the_best_of_all(size: int) -> None:
    weights, worth, nothing = problem(size)
    found = best_ratio(weights, worth, 0.5, nothing, size)

    def value(user: int, slate: tuple[int, ...]) -> float:
        w, v = weights[user, list(slate)], worth[user, list(slate)]
        return float((w @ v + 0.5 * nothing[user]) / (w.sum() + 0.5))

    for user in range(20):
        best = max(value(user, slate) for slate in combinations(range(6), size))
        assert math.isclose(value(user, tuple(found[user])), best, rel_tol=1e-9)


@pytest.mark.parametrize("size", [1, 3, 4])
def test_the_best_slate_of_a_cascade_is_the_best_of_all(size: int) -> None:
    likely, worth, nothing = problem(size)
    found = best_cascade(likely, worth, nothing, size)

    def value(user: int, slate: tuple[int, ...]) -> float:
        total, left = 0.0, 1.0
        for c in slate:
            total += left * likely[user, c] * worth[user, c]
            left *= 1.0 - likely[user, c]
        return float(total + left * nothing[user])

    for user in range(20):
        best = max(value(user, slate) for slate in permutations(range(6), size))
        assert math.isclose(value(user, tuple(found[user])), best, rel_tol=1e-9)
        assert len(set(found[user])) == size


# -- long_term_satisfaction -------------------------------------------------------------------------------

FIGURES = [("", 1136.0, 1.6), (":hard", 1630.1, 2.1), (":harvest", 5530.0, 3.0)]


@pytest.mark.parametrize(("preset", "figure", "error"), FIGURES)
def test_the_values_of_long_term_satisfaction_are_the_optimum(preset: str, figure: float, error: float) -> None:
    """At the start, where exposure is uniform."""
    world = find_world(f"long_term_satisfaction{preset}").make()
    starts = (np.linspace(0.0, 1.0, 1001) - 0.5) / (1.0 - world.memory)
    expected = np.interp(starts, world.future.exposure, world.future.later[world.session_steps]).mean()
    assert abs(expected - figure) < 3.0 * error


@pytest.mark.parametrize(("preset", "figure", "error"), FIGURES)
def test_the_plan_of_long_term_satisfaction_reaches_its_values(preset: str, figure: float, error: float) -> None:
    assert abs(distance(find_world(f"long_term_satisfaction{preset}").make(), 500, figure, error)) < 3.0


def test_one_step_is_worth_the_best_item_on_offer() -> None:
    """Value iteration's first step against 20,000 offers that are drawn."""
    world = LongTermSatisfaction(num_candidates=5, sensitivity=0.3)
    offers = np.random.default_rng(0).random((20_000, 5))
    exact = satisfaction_planner.engagement(world, np.array(1.0), offers.max(axis=1)).mean()
    assert math.isclose(np.interp(1.0, world.future.exposure, world.future.later[1]), exact, rel_tol=2e-3)


def test_a_plan_that_forgets_what_follows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: only the next item counts, which is greed (510)."""
    world = find_world("long_term_satisfaction:hard").make()
    later = np.zeros_like(world.future.later)
    monkeypatch.setitem(world.__dict__, "future", satisfaction_planner.Values(world.future.exposure, later))
    assert distance(world, 200, 1630.1, 2.1) < -20.0


# -- boredom ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "figure", "error"),
    [("slate", 413.0, 13.0), ("slate_influence", 272.0, 6.0), ("slate_uncertain", 301.0, 3.0)],
)
def test_the_plan_of_boredom_reaches_its_figure(preset: str, figure: float, error: float) -> None:
    """Of a rule that sees all and never lets a topic reach the threshold."""
    assert distance(find_world(f"boredom:{preset}").make(), 50, figure, error) > -3.0


@pytest.mark.parametrize(("preset", "appeal"), [("rerank_bored", 14.14), ("single_influence", 50.63)])
def test_the_plan_of_boredom_beats_appeal(preset: str, appeal: float) -> None:
    mean, error = engagement(find_world(f"boredom:{preset}").make(), 60)
    assert mean > 1.1 * appeal + 3 * error


def test_where_nothing_bores_the_plan_is_the_ranking() -> None:
    mean, error = engagement(find_world("boredom:rerank_static").make(), 200)
    assert abs(mean - 21.38) < 3 * math.hypot(error, 0.3)  # of the published items, and these are drawn


@pytest.mark.parametrize("changes", [{"boredom_type": "loss_of_interest"}, {"click_model": "mix_pbm"}])
def test_other_kinds_of_boredom_have_a_plan(changes: dict[str, str]) -> None:
    """Above ranking by appeal (100 candidates, 60 users of the default world)."""
    world = find_world("boredom").make(**changes)
    mean, error = engagement(world, 40)
    assert mean > 150 + 3 * error


def test_no_topic_is_wanted_so_often_that_relevance_is_divided() -> None:
    world = find_world("boredom").make(diversity_penalty=3.0, same_topic=2)
    envs = RecVectorEnv(world, 40, Options(observe="full"))
    observation, _ = envs.reset(seed=1)
    slates = world.plan(observation)
    ids = np.take_along_axis(observation["candidate_ids"].astype(int), slates, axis=1)
    wanted = np.take_along_axis(observation["appeal"], slates, axis=1) > 0.0  # what is not wanted only fills places
    topics = world.compiled_self.main_topic[ids][:, :, None] == np.arange(world.num_topics)
    assert (topics & wanted[..., None]).sum(axis=1).max() == 1


def test_a_plan_that_does_not_mind_boredom_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: boredom costs nothing (about 146)."""
    monkeypatch.setattr(bored_planner, "boredom_price", lambda self, users, offer: np.zeros(offer.count.shape))
    assert distance(find_world("boredom:slate").make(), 20, 413.0, 13.0) < -5.0


def test_a_world_without_a_plan_says_so() -> None:
    assert not TinyWorld.overrides("plan")
    with pytest.raises(ScenarioError, match="TinyWorld defines no plan"):
        TinyWorld().plan({})
