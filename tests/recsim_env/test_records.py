"""Records read back from a full observation are those of the simulator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recsim_env.errors import ScenarioError
from recsim_env.fields import Field
from recsim_env.records import items_in, users_in
from recsim_env.registration import find_world
from recsim_env.scenario import Items, Rng, Scenario, User
from recsim_env.simulator import Options, Simulator
from tests.made_up import write_movielens
from tests.worlds import TinyWorld, data_free_scenarios


def read_back(scenario: Scenario, steps: int = 6, jit: bool = True) -> None:
    """Compare after some steps with random slates, on users whose fields lie in their ranges."""
    simulator = Simulator(scenario, 8, Options(observe="full", jit=jit), autoreset=True)
    rows, rng = simulator.reset(3), np.random.default_rng(0)
    for _ in range(steps):
        slates = rng.random((8, scenario.num_candidates)).argsort(axis=1)[:, : scenario.slate_size]
        rows, _, _ = simulator.step(np.ascontiguousarray(slates))
    observation = simulator.layout.split(rows)
    same(users_in(scenario, observation), simulator.state.users, scenario.user_fields())
    same(items_in(scenario, observation), simulator.state.items, scenario.item_fields())


def same(found: np.ndarray, real: np.ndarray, fields: list[Field]) -> None:
    for field in fields:
        clipped = real[field.name] if field.categories else np.clip(real[field.name], field.low, field.high)
        if field.whole:
            np.testing.assert_array_equal(found[field.name], clipped, field.name)
        else:
            np.testing.assert_array_equal(found[field.name], clipped.astype(np.float32), field.name)


@pytest.mark.parametrize("name", data_free_scenarios())
def test_the_records_of_every_world_are_read_back(name: str) -> None:
    read_back(find_world(name).make(), jit=False, steps=2)


def test_records_with_ids_of_users_are_read_back(tmp_path: Path) -> None:
    read_back(find_world("movielens").make(data=str(write_movielens(tmp_path)), factors=4, not_again=10), jit=False)


class Odd(Scenario):
    """Several categories in one field, a mask, and hidden and seen fields that take turns."""

    def user_fields(self) -> list[Field]:
        return [
            Field("hidden", shape=2, low=-1, high=1),
            Field("kinds", shape=3, categories=4, seen=True),
            Field("id", low=0, high=99, integer=True, seen=True),
            Field("count", low=-5, high=5, integer=True),
            Field("mood", low=0, high=1, seen=True),
        ]

    def item_fields(self) -> list[Field]:
        return [
            Field("allowed", integer=True, low=0, high=1, seen=True),
            Field("secret", categories=3),
            Field("charm", low=0, high=1, seen=True),
        ]

    def arrive(self, user: User, rng: Rng) -> None:
        for k in range(2):
            user.hidden[k] = 2.0 * rng.uniform() - 1.0
        for k in range(3):
            user.kinds[k] = rng.integer(4)
        user.id = rng.integer(100)
        user.count = rng.integer(11) - 5
        user.mood = rng.uniform()

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].allowed = rng.integer(2)
            items[position].secret = rng.integer(3)
            items[position].charm = rng.uniform()

    def respond(self, user, items, slate, responses, scratch, rng) -> None:  # type: ignore[no-untyped-def]
        responses[0].clicked = 1.0


def test_all_kinds_of_fields_are_read_back() -> None:
    read_back(Odd(), jit=False)


def test_an_observation_without_the_hidden_state_is_refused() -> None:
    world = TinyWorld()
    simulator = Simulator(world, 2, Options(jit=False), autoreset=True)
    with pytest.raises(ScenarioError, match='observe="full"'):
        users_in(world, simulator.layout.split(simulator.reset(0)))
