"""Agents that learn reach a known optimum, from each of three seeds; a broken update does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents import off_policy, pqn, tabular_q
from recsim_env.agent import WorldSpec, agent_class
from recsim_env.env import RecVectorEnv
from recsim_env.simulator import Options
from tests.agents.learning import BOOTSTRAPPING, WORLD, engagement, trained
from tests.worlds import LEVELS, MEAL, SNACK, TinyWorld, tiny_optimum, tiny_policy_value


def test_the_myopic_policy_is_far_from_the_optimum() -> None:
    assert tiny_policy_value(WORLD, [SNACK] * LEVELS) < 0.6 * tiny_optimum(WORLD)
    assert tiny_policy_value(WORLD, [MEAL] * LEVELS) < 0.95 * tiny_optimum(WORLD)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", list(BOOTSTRAPPING))
def test_reaches_the_optimum_of_the_tiny_world(name: str, seed: int) -> None:
    assert engagement(trained(name, seed, BOOTSTRAPPING[name])) >= 0.95 * tiny_optimum(WORLD)


@pytest.mark.parametrize("name", list(BOOTSTRAPPING))
def test_without_a_future_it_stays_myopic(name: str) -> None:
    assert engagement(trained(name, 0, BOOTSTRAPPING[name], gamma=0.0)) < 0.6 * tiny_optimum(WORLD)


@pytest.mark.parametrize("name", list(BOOTSTRAPPING))
def test_bootstraps_where_a_session_was_cut(name: str) -> None:
    """Sessions of one step: only who values what follows the cut learns to be patient."""
    cut = TinyWorld(horizon=1)
    assert engagement(trained(name, 0, BOOTSTRAPPING[name], cut)) >= 0.95 * tiny_optimum(WORLD)


def test_a_tabular_update_that_ignores_termination_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: bootstrap from the next session's state."""
    learn = tabular_q.learn
    monkeypatch.setattr(tabular_q, "learn", lambda *a: learn(*a[:10], np.zeros_like(a[10]), *a[11:]))
    assert engagement(trained("tabular_q", 0, BOOTSTRAPPING["tabular_q"])) < 0.95 * tiny_optimum(WORLD)


def test_a_dqn_that_ignores_termination_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: bootstrap from the next session's state."""
    n_step = off_policy.n_step
    monkeypatch.setattr(
        off_policy, "n_step", lambda r, terminated, ended, g: n_step(r, np.zeros_like(terminated), ended, g)
    )
    assert engagement(trained("dqn", 0, BOOTSTRAPPING["dqn"])) < 0.95 * tiny_optimum(WORLD)


def test_a_pqn_that_ignores_termination_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: go on into the next session's state."""
    returns = pqn.lambda_returns
    monkeypatch.setattr(pqn, "lambda_returns", lambda r, v, over, ended, *a: returns(r, v, over & False, ended, *a))
    assert engagement(trained("pqn", 0, BOOTSTRAPPING["pqn"])) < 0.95 * tiny_optimum(WORLD)


def test_a_pqn_that_does_not_bootstrap_at_a_cut_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a cut session counts as over."""
    returns = pqn.lambda_returns
    monkeypatch.setattr(pqn, "lambda_returns", lambda r, v, over, ended, *a: returns(r, v, ended, ended, *a))
    cut = TinyWorld(horizon=1)
    assert engagement(trained("pqn", 0, BOOTSTRAPPING["pqn"], cut)) < 0.95 * tiny_optimum(WORLD)


@pytest.mark.parametrize("name", ["dqn", "pqn", "reinforce", "actor_critic", "slate_q"])
def test_totals_are_seen_as_means_too(name: str) -> None:
    """Means stay of one size as a session grows; sums outgrow the scales that were found at random."""
    kind = agent_class(name)
    with_totals, without = (
        kind(config, spec_of(kind, config)) for config in (kind.Config(), kind.Config(totals=False))
    )
    sums = with_totals.spec.observation_space["totals"].shape[0]
    assert with_totals.features.user_width - without.features.user_width == sums + sums - 1


def spec_of(kind: Any, config: Any) -> WorldSpec:
    """What it is told of the tiny world."""
    return WorldSpec.of(RecVectorEnv(WORLD, 2, Options(**kind.options(config))))
