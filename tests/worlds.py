"""What tests share: the registered worlds that need no data, and the smallest world with a known optimum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recsim_env import Field, Scenario, param
from recsim_env.parameters import hints
from recsim_env.registration import gymnasium_id, load_class, preset_files, registered
from recsim_env.scenario import Item, Items, Responses, Rng, Scratch, Slate, User

LEVELS = 5
SNACK, MEAL = 0, 1
WORTH = (1.0, 0.3)  # a snack, a meal


def data_free_scenarios() -> list[str]:
    """The names of the registered scenarios that need no data: those without a text parameter `data`."""
    return [name for name in registered() if hints(load_class(name)).get("data") not in (str, str | None)]


def data_free_worlds() -> list[str]:
    """The same, each followed by its presets, as `name:preset`."""
    return [
        w for name in data_free_scenarios() for w in (name, *(f"{name}:{p}" for p in preset_files(load_class(name))))
    ]


def data_free_ids() -> list[str]:
    return [gymnasium_id(registered()[name]) for name in data_free_scenarios()]


@dataclass(frozen=True)
class TinyWorld(Scenario):
    """Snacks please and wear a user out; meals please less and build up. Patience pays."""

    num_candidates: int = param(2, "a snack and a meal, always in this order", low=2, high=2)
    slate_size: int = param(1, "items shown at a step", low=1, high=1)
    leave: float = param(0.05, "chance to leave at a step", low=0.001, high=1)

    label = "worth"

    def user_fields(self) -> Sequence[Field]:
        return [Field("level", categories=LEVELS, seen=True), Field("gone", integer=True, low=0, high=1)]

    def item_fields(self) -> Sequence[Field]:
        return [Field("kind", categories=2, seen=True)]

    def response_fields(self) -> Sequence[Field]:
        return [Field("clicked", low=0, high=1, seen=True), Field("worth", low=0, high=1, seen=True)]

    def arrive(self, user: User, rng: Rng) -> None:
        user.level = rng.integer(LEVELS)

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].kind = position

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        responses[0].clicked = 1.0
        responses[0].worth = WORTH[items[slate[0]].kind]

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        change = 2 * items[slate[0]].kind - 1
        if user.level + change < 0 or rng.uniform() < self.leave:
            user.gone = 1
        user.level = min(max(user.level + change, 0), LEVELS - 1)

    def reward(self, user: User, responses: Responses) -> float:
        return responses[0].worth

    def left(self, user: User) -> bool:
        return user.gone == 1

    def appeal(self, user: User, item: Item) -> float:
        return WORTH[item.kind]


@dataclass(frozen=True)
class GrowingWorld(TinyWorld):
    """Its rewards grow with the level, until they cannot be squared at the highest."""

    def arrive(self, user: User, rng: Rng) -> None:
        user.level = rng.integer(2)

    def reward(self, user: User, responses: Responses) -> float:
        return float(10.0 ** (50.0 * user.level))


def tiny_value(world: TinyWorld, choose: Callable[[np.ndarray], np.ndarray]) -> float:
    """Expected engagement; `choose` picks each level's value from those of a snack and of a meal, (levels, 2)."""
    values, stay = np.zeros(LEVELS), 1.0 - world.leave
    for _ in range(int(40 / world.leave)):  # what is left of a session then is e^-40
        later = np.c_[np.r_[0.0, values[:-1]], np.r_[values[1:], values[-1]]]
        values = choose(WORTH + stay * later)
    return float(values.mean())


def tiny_optimum(world: TinyWorld) -> float:
    """The expected engagement of the best policy (value iteration; sessions are cut only by chance)."""
    return tiny_value(world, lambda both: both.max(axis=1))


def tiny_policy_value(world: TinyWorld, policy: Sequence[int]) -> float:
    """The expected engagement of a policy that shows `policy[level]`."""
    return tiny_value(world, lambda both: both[np.arange(LEVELS), list(policy)])
