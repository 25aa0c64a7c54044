"""Going on from a snapshot: exactly as if never stopped, or into a future of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from recsim_env import snapshot as module
from recsim_env.env import RecEnv, RecVectorEnv
from recsim_env.errors import InvalidParameter
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.snapshot import KEPT, imagined
from recsim_env.wrappers import InteractionBudget
from scenarios.interest_evolution import InterestEvolution
from tests.worlds import TinyWorld, data_free_worlds

USERS, STEPS = 6, 12
WORLD = InterestEvolution()
Run = list[dict[str, np.ndarray]]


def envs_of(scenario: Scenario, users: int = USERS, **options: Any) -> RecVectorEnv:
    """Some users of a world after some steps."""
    envs = RecVectorEnv(scenario, users, Options(**{"history": 2, "totals": True, "jit": False, **options}))
    envs.reset(seed=3)
    return envs


def go_on(envs: RecVectorEnv, steps: int, seed: int = 0) -> Run:
    """Random slates, and all that comes of them; every user is shown the same."""
    rng, world, told = np.random.default_rng(seed), envs.scenario, []
    for _ in range(steps):
        slate = rng.random(world.num_candidates).argsort()[: world.slate_size]
        observation, rewards, terminated, truncated, info = envs.step(np.tile(slate, (envs.num_envs, 1)))
        state = {name: getattr(envs.simulator.state, name).copy() for name in KEPT}
        seen = {name: values.copy() for name, values in observation.items()}
        told.append({**state, **seen, "rewards": rewards, "ended": terminated | truncated, "clicked": info["clicked"]})
    return told


def same(one: Run, other: Run) -> bool:
    return all(a[name].tobytes() == b[name].tobytes() for a, b in zip(one, other, strict=True) for name in a)


def rewards_of(run: Run) -> np.ndarray:
    """(steps, n)."""
    return np.array([step["rewards"] for step in run])


@pytest.mark.parametrize("name", data_free_worlds())
def test_going_on_is_as_if_never_stopped(name: str) -> None:
    envs = envs_of(find_world(name).make(), users=2)
    go_on(envs, 2)
    saved = envs.snapshot()
    real = go_on(envs, 3, seed=1)
    envs.restore(saved)
    assert same(go_on(envs, 3, seed=1), real)


def test_going_on_is_exact_over_sessions_with_late_rewards_and_noise() -> None:
    """In another environment, whose users had another seed, and over many ends of sessions."""
    world = InterestEvolution(minutes=10.0, reward_delay=3, noise=0.1, horizon=9)
    envs = envs_of(world)
    go_on(envs, 4)
    saved, real = envs.snapshot(), go_on(envs, 20, seed=1)
    assert sum(step["ended"].sum() for step in real) > USERS
    other = envs_of(world)
    other.reset(seed=99)
    seen = other.restore(saved)
    assert all(np.array_equal(values, real_) for values, real_ in zip(seen.values(), split(envs, saved), strict=True))
    assert same(go_on(other, 20, seed=1), real)


def split(envs: RecVectorEnv, saved: module.Snapshot) -> list[np.ndarray]:
    return list(envs.simulator.layout.split(saved.rows).values())


def a_planner_cannot_peek(world: Scenario = WORLD) -> bool:
    """The same luck gives the same future, another luck another one, and none is the real one."""
    envs = envs_of(world)
    go_on(envs, 3)
    saved = envs.snapshot()
    runs = [go_on(envs, STEPS, seed=1)]
    for luck in (0, 0, 1):
        envs.restore(saved, luck)
        assert envs.simulator.state.items.tobytes() == saved.state["items"].tobytes()
        runs.append(go_on(envs, STEPS, seed=1))
    real, one, again, other = runs
    assert same(one, again)
    pairs = [(real, one), (real, other), (one, other)]
    return all((rewards_of(a) != rewards_of(b)).any(axis=0).all() for a, b in pairs)


def test_a_planner_cannot_peek() -> None:
    assert a_planner_cannot_peek()


def test_next_sessions_are_imagined_too() -> None:
    """The user's key is replaced, not only the session's: who comes next is drawn anew."""
    envs = envs_of(TinyWorld(horizon=1), users=40)
    saved = envs.snapshot()
    real = go_on(envs, 1)[0]["users"]
    envs.restore(saved, luck=5)
    assert (go_on(envs, 1)[0]["users"] != real).any()


@pytest.mark.parametrize(
    "broken",
    [
        lambda lives, luck: None,  # nothing is drawn anew: a planner peeks
        lambda lives, luck: module.imagined_keys(lives["key"], np.full(len(lives), luck)),  # and thrown away
    ],
)
def test_luck_that_is_not_drawn_anew_is_found(broken: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "change_luck", broken)
    assert not a_planner_cannot_peek()


def test_a_luck_that_makes_no_difference_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the number is ignored, so that all imagined futures are one."""
    change = module.change_luck
    monkeypatch.setattr(module, "change_luck", lambda lives, luck: change(lives, 0))
    assert not a_planner_cannot_peek()


def test_users_taken_twice_part_with_different_luck_only() -> None:
    envs = envs_of(WORLD)
    go_on(envs, 3)
    saved = envs.snapshot().take([2, 2, 2, 5])
    assert len(saved) == 4
    copies = envs_of(WORLD, users=4)
    copies.restore(saved)
    run = rewards_of(go_on(copies, STEPS))
    assert np.array_equal(run[:, 0], run[:, 1])
    copies.restore(saved, luck=np.array([7, 7, 8, 7]))
    run = rewards_of(go_on(copies, STEPS))
    assert np.array_equal(run[:, 0], run[:, 1])
    assert (run[:, 0] != run[:, 2]).any()


def test_users_are_put_over_others() -> None:
    envs = envs_of(WORLD)
    early = envs.snapshot()
    go_on(envs, 3)
    late = envs.snapshot()
    late.put([0, 3], early.take([0, 3]))
    assert late.state["lives"]["step"].tolist() == [0, 3, 3, 0, 3, 3]
    assert np.array_equal(late.rows[[0, 3]], early.rows[[0, 3]])


def test_a_snapshot_stays_as_it_is() -> None:
    envs = envs_of(WORLD)
    saved = envs.snapshot()
    before = {name: array.tobytes() for name, array in saved.state.items()}
    rows = saved.rows.copy()
    envs.restore(saved, luck=1)["user"][:] = 0.5
    go_on(envs, 3)
    assert {name: array.tobytes() for name, array in saved.state.items()} == before
    assert np.array_equal(saved.rows, rows)


def test_users_put_together_from_records_live_on() -> None:
    envs = envs_of(WORLD)
    go_on(envs, 3)
    state = envs.snapshot().state
    copies = envs_of(WORLD)
    copies.restore(imagined(WORLD, copies.options, state["users"], state["items"], state["lives"]["step"]), luck=1)
    assert copies.simulator.state.users.tobytes() == state["users"].tobytes()
    assert copies.simulator.state.lives["step"].tolist() == [3] * USERS
    assert rewards_of(go_on(copies, STEPS)).any()


def test_one_user_goes_on_alone() -> None:
    env = RecEnv(WORLD, Options(jit=False))
    with pytest.raises(ResetNeeded, match="reset"):
        env.snapshot()
    env.reset(seed=3)
    env.step(np.arange(3))
    saved = env.snapshot()
    real = [env.step(np.arange(3))[1] for _ in range(STEPS)]
    env.restore(saved)
    assert [env.step(np.arange(3))[1] for _ in range(STEPS)] == real
    env.restore(saved, luck=4)
    assert [env.step(np.arange(3))[1] for _ in range(STEPS)] != real


def test_wrappers_pass_through() -> None:
    envs = InteractionBudget(envs_of(WORLD), 100)
    saved = envs.unwrapped.snapshot()  # type: ignore[attr-defined]
    assert envs.unwrapped.restore(saved, luck=2).keys() == envs.unwrapped.restore(saved).keys()  # type: ignore[attr-defined]


def test_nothing_to_go_on_from_before_a_session() -> None:
    with pytest.raises(ResetNeeded, match="reset"):
        RecVectorEnv(WORLD, 2, Options(jit=False)).snapshot()


@pytest.mark.parametrize(
    ("envs", "message"),
    [
        (lambda: envs_of(TinyWorld()), "snapshot is of InterestEvolution.* and this environment of TinyWorld"),
        (lambda: envs_of(dataclasses.replace(WORLD, minutes=100.0)), "minutes=200.0.* and this environment of .*100.0"),
        (lambda: envs_of(WORLD, users=5), "the snapshot holds 6 users, and this environment 5"),
        (lambda: envs_of(WORLD, history=3), "taken with history=2, and this environment has 3"),
        (lambda: envs_of(WORLD, observe="full"), "taken with observe='partial', and this environment has 'full'"),
    ],
)
def test_a_snapshot_of_something_else_is_refused(envs: Callable[[], RecVectorEnv], message: str) -> None:
    saved = envs_of(WORLD).snapshot()
    with pytest.raises(InvalidParameter, match=message):
        envs().restore(saved)


@pytest.mark.parametrize("luck", [-1, 0.5, True, [1, 2]])
def test_a_luck_that_is_no_whole_number_is_refused(luck: Any) -> None:
    envs = envs_of(WORLD)
    with pytest.raises(InvalidParameter, match="luck must be None, a whole number from 0, or one for each of 6 users"):
        envs.restore(envs.snapshot(), luck)
