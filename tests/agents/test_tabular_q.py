"""Tables: each update by its arithmetic and by what it converges to, and each way to make states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.states import ExactStates, QuantileBins
from agents.tabular_q import TabularQ, Update, learn
from recsim_env.agent import NoLog, WorldSpec
from recsim_env.agent_checks import check_agent
from recsim_env.env import RecVectorEnv
from recsim_env.errors import AgentError
from recsim_env.fields import Field
from recsim_env.simulator import Options
from recsim_env.wrappers import InteractionBudget
from tests.agents.learning import WORLD, Case, engagement, trained
from tests.worlds import LEVELS, WORTH, TinyWorld, tiny_optimum

NEXT = np.array([[1.0, 3.0, 2.0], [5.0, 0.0, 7.0]])  # values of the next state's three kinds, by the two tables
REWARD, EPSILON, ALPHA, GAMMA = 0.5, 0.3, 0.1, 0.9


def updated(
    rule: Update, *, slate: int = 1, terminated: bool = False, allowed: tuple[bool, ...] = (True,) * 3
) -> float:
    """The value of kind 0 in state 0, from 1.0, after one update."""
    tables = 2 if rule == Update.DOUBLE_Q else 1
    q = np.stack([np.ones((tables, 3)), NEXT[:tables]], axis=1)
    shown, offered = np.arange(slate)[None], np.arange(3)[None]
    one, following = np.zeros(1, np.int64), np.ones(1, np.int64)
    learn(
        q, np.zeros_like(q), one, one, shown, np.array([REWARD]), following, offered, np.array([allowed]),
        shown, np.array([terminated]), int(rule), EPSILON, ALPHA, 0.0, GAMMA,
    )  # fmt: skip
    return float(q[0, 0, 0])


def moved(future: float) -> float:
    """From 1.0 toward what the next state is worth."""
    return 1.0 + ALPHA * (REWARD + GAMMA * future - 1.0)


@pytest.mark.parametrize(
    ("rule", "future"),
    [
        (Update.Q_LEARNING, 3.0),  # the best
        (Update.SARSA, 1.0),  # kind 0 is shown next
        (Update.EXPECTED_SARSA, 0.7 * 3.0 + 0.3 * 2.0),  # the best, or any of three
        (Update.DOUBLE_Q, 0.0),  # the best by the first table, kind 1, by the second
    ],
)
def test_one_update_is_what_its_formula_says(rule: Update, future: float) -> None:
    assert updated(rule) == pytest.approx(moved(future))
    assert updated(rule, terminated=True) == pytest.approx(moved(0.0))


def test_a_slate_is_worth_the_mean_of_its_items() -> None:
    assert updated(Update.Q_LEARNING, slate=2) == pytest.approx(moved(2.5))
    assert updated(Update.SARSA, slate=2) == pytest.approx(moved(2.0))


def test_a_masked_candidate_is_worth_nothing_next() -> None:
    allowed = (True, False, True)
    assert updated(Update.Q_LEARNING, allowed=allowed) == pytest.approx(moved(2.0))
    assert updated(Update.EXPECTED_SARSA, allowed=allowed) == pytest.approx(moved(0.7 * 2.0 + 0.3 * 1.5))


def exact(gamma: float, epsilon: float) -> np.ndarray:
    """(levels, 2) values of a snack and a meal, for who goes on with the best policy that errs with epsilon."""
    values = np.zeros((LEVELS, 2))
    for _ in range(2000):
        soft = (1.0 - epsilon) * values.max(axis=1) + epsilon * values.mean(axis=1)
        later = np.c_[np.r_[0.0, soft[:-1]], np.r_[soft[1:], soft[-1]]]
        values = np.array(WORTH) + gamma * (1.0 - WORLD.leave) * later
    return values


def learnt(agent: Any) -> np.ndarray:
    """(levels, 2) its values."""
    candidates = np.broadcast_to(np.eye(2, dtype=np.float32), (LEVELS, 2, 2))
    return np.asarray(agent.scores({"user": np.eye(LEVELS, dtype=np.float32), "candidates": candidates}))


@pytest.mark.parametrize(
    ("update", "epsilon"), [("q_learning", 0.0), ("double_q", 0.0), ("sarsa", 0.5), ("expected_sarsa", 0.5)]
)
def test_learns_the_values_of_the_policy_that_its_update_means(update: str, epsilon: float) -> None:
    """All play half of the slates at random; (expected) SARSA's values know that, those of Q-learning do not."""
    found = learnt(trained("tabular_q", 0, Case(60_000, {"update": update, "epsilon": 0.5, "gamma": 0.8})))
    own, other = exact(0.8, epsilon), exact(0.8, 0.5 - epsilon)
    assert np.abs(found - own).mean() < 0.25 * np.abs(found - other).mean()


@pytest.mark.parametrize("update", ["expected_sarsa", "double_q"])
@pytest.mark.parametrize("discretise", ["quantiles", "scenario"])
def test_reaches_the_optimum_however_it_is_set(update: str, discretise: str) -> None:
    settings = {"update": update, "discretise": discretise, "epsilon": 0.01}
    assert engagement(trained("tabular_q", 0, Case(60_000, settings))) >= 0.95 * tiny_optimum(WORLD)


@pytest.mark.parametrize("update", ["sarsa", "expected_sarsa", "double_q"])
@pytest.mark.parametrize("discretise", ["quantiles", "scenario"])
def test_keeps_the_contract_however_it_is_set(update: str, discretise: str) -> None:
    check_agent(TabularQ, TinyWorld(), config=TabularQ.Config(update=update, discretise=discretise), steps=2048)


def test_sarsa_values_what_follows_a_cut_by_the_policy() -> None:
    """Sessions of one step: no next slate is shown, so one is drawn."""
    agent = trained("tabular_q", 0, Case(60_000, {"update": "sarsa", "epsilon": 0.01}), TinyWorld(horizon=1))
    assert engagement(agent) >= 0.95 * tiny_optimum(WORLD)


def test_bins_hold_equally_many_rows() -> None:
    rows, bins = np.random.default_rng(0).normal(size=(9000, 2)).astype(np.float32), QuantileBins(3)
    bins.fit(rows, np.random.default_rng(0))
    assert len(bins) == 9
    assert np.abs(np.bincount(bins(rows), minlength=9) - 1000).max() < 150  # 5 standard deviations
    assert bins(np.array([[-9, -9], [9, 9]], np.float32)).tolist() == [0, 8]


def test_a_column_of_few_values_has_a_bin_for_each() -> None:
    bins = QuantileBins(10)
    bins.fit(np.repeat([[0.0, 5.0], [1.0, 5.0]], 50, axis=0), np.random.default_rng(0))
    assert bins.sizes.tolist() == [2, 1]
    assert bins(np.array([[0.0, 5.0], [1.0, 5.0]])).tolist() == [0, 1]


def test_too_many_bins_are_refused() -> None:
    with pytest.raises(AgentError, match="20 observed columns in up to 2 bins make 1048576 states"):
        QuantileBins(2).fit(np.random.default_rng(0).normal(size=(100, 20)), np.random.default_rng(0))


def test_exact_states_are_the_combinations_of_categories() -> None:
    states = ExactStates()
    states.declare([Field("mood", categories=3), Field("likes", shape=2, categories=2)])
    assert len(states) == 12
    rows = np.concatenate([np.eye(3)[[0, 2]], np.eye(2)[[0, 1]], np.eye(2)[[1, 1]]], axis=1)
    assert states(rows).tolist() == [1, 11]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ([Field("mood", categories=3), Field("taste", low=0, high=1)], "'taste' is a number"),
        ([], "nothing is seen of users"),
        ([Field("likes", shape=20, categories=2)], "make 1048576 states"),
    ],
)
def test_exact_states_that_cannot_be_had_are_refused(fields: list[Field], told: str) -> None:
    with pytest.raises(AgentError, match=told):
        ExactStates().declare(fields)


def test_exact_states_and_totals_are_refused() -> None:
    config = TabularQ.Config(discretise="scenario", totals=True)
    envs = RecVectorEnv(TinyWorld(), config.users, Options(totals=True))
    envs.reset(seed=0)
    with pytest.raises(AgentError, match="cannot hold the totals"):
        TabularQ(config, WorldSpec.of(envs)).train(InteractionBudget(envs, 9999), 9999, NoLog())
