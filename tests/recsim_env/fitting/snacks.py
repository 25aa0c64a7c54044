"""A world with a hidden taste that is used up, small enough to be fitted in a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.random_slates import RandomSlates
from recsim_env import Field, RecVectorEnv, Scenario, param
from recsim_env.agent import AgentConfig, WorldSpec
from recsim_env.logs import Interactions, collect
from recsim_env.scenario import Items, Responses, Rng, Scratch, Slate, User
from recsim_env.simulator import Options

KINDS = 3


@dataclass(frozen=True)
class Snacks(Scenario):
    """A user likes one kind of snack, until they had enough of it."""

    num_candidates: int = param(6, "snacks on offer", low=1, high=100)
    slate_size: int = param(2, "snacks shown", low=1, high=100)
    steps: int = param(8, "steps of a session", low=1, high=100)
    liked: float = param(0.5, "how likely the liked kind is clicked", low=0, high=1, fit=(0.05, 0.95))
    other: float = param(0.2, "how likely another kind is", low=0, high=1, fit=(0.02, 0.6))
    enough: int = param(4, "clicks on the liked kind that are enough", low=1, high=100, fit=(1, 6))
    idle: float = param(0.5, "nothing that matters", low=0, high=1)

    def user_fields(self) -> Sequence[Field]:
        return [
            Field("steps", low=0, high=100, integer=True, seen=True),
            Field("taste", categories=KINDS),
            Field("had", low=0, integer=True),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [Field("kind", categories=KINDS, seen=True)]

    def arrive(self, user: User, rng: Rng) -> None:
        user.taste = rng.integer(KINDS)

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].kind = rng.integer(KINDS)

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            likely = self.other
            if items[slate[place]].kind == user.taste and user.had < self.enough:
                likely = self.liked
            if rng.uniform() < likely:
                responses[place].clicked = 1.0

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.steps += 1
        for place in range(len(slate)):
            if responses[place].clicked == 1.0 and items[slate[place]].kind == user.taste:
                user.had += 1

    def left(self, user: User) -> bool:
        return bool(user.steps >= self.steps)


class FirstOnes:
    """Shows the first candidates."""

    def act(self, observation: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        users = len(next(iter(observation.values())))
        return np.tile(np.arange(2), (users, 1))

    def propensities(self, observation: dict[str, np.ndarray], slates: np.ndarray) -> np.ndarray:
        return np.ones(slates.shape)


def logged(
    world: Scenario, users: int, steps: int, seed: int = 7, policy: FirstOnes | None = None, **options: object
) -> Interactions:
    """`steps` steps of so many users; random slates where no policy is given."""
    envs = RecVectorEnv(world, users, Options(**options))  # type: ignore[arg-type]
    observation, _ = envs.reset(seed=seed)
    chosen = policy or RandomSlates(AgentConfig(), WorldSpec.of(envs))
    return collect(envs, chosen, users * steps, np.random.default_rng(seed), observation)
