"""From 20,000 sessions of random slates the worlds' parameters are found again, from other values as starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.behaviour import ready_agent
from benchmark.first_sessions import first_sessions_of
from recsim_env.fitting import Fit, fit
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "ml-latest-small.zip"
SESSIONS = 20_000


def refitted(scenario: str, given: dict[str, Any], truth: dict[str, float], seed: int) -> tuple[Scenario, Fit]:
    """The world as given, fitted to a log of the same world with the true values."""
    world = find_world(scenario).make(**given)
    policy = ready_agent(scenario, given, "random", {}, 0)
    log = first_sessions_of(replace(world, **truth), policy, {}, SESSIONS, seed)  # type: ignore[arg-type]
    return world, fit(world, log, seed=seed, draws=10)


def errors(found: Fit, truth: dict[str, float]) -> dict[str, float]:
    """Relative errors by parameter."""
    values = {e.name: e.value for e in found.estimates}
    return {name: abs(values[name] / true - 1.0) for name, true in truth.items()}


def test_boredom_is_found_again_from_its_preset() -> None:
    truth = {"offset": 0.4, "slope": 8.0, "gamma": 0.8, "threshold": 3}
    _, found = refitted("boredom:rerank_bored", {}, truth, seed=11)
    off = errors(found, truth)
    assert off.pop("threshold") == 0.0
    assert max(off.values()) < 0.05
    assert all(line.reproduced for line in found.lines)


@pytest.mark.skipif(not REAL.exists(), reason=f"needs the MovieLens data at {REAL}")
def test_movielens_is_found_again_from_its_defaults() -> None:
    truth = {"slope": 4.0, "fame": 0.8, "no_click_logit": 0.5, "satiation": 0.3}
    world, found = refitted("movielens", {"data": str(REAL)}, truth, seed=11)
    off = errors(found, truth)
    assert off.pop("satiation") < 0.1
    assert max(off.values()) < 0.05
    assert errors(found, {"fade": world.fade, "drift": world.drift})["drift"] < 0.15
    assert all(line.reproduced for line in found.lines)
