"""Wrappers: flat observations, slates as one number, scores to a slate, and the interaction budget."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorWrapper

from recsim_env.env import Observation
from recsim_env.errors import BudgetSpent, InvalidAction, InvalidParameter

SLATES_AT_MOST = 1_000_000


def flat_space(space: spaces.Dict) -> spaces.Box:
    """The box of all keys side by side, in the space's order."""
    boxes = [box for box in space.values() if isinstance(box, spaces.Box)]
    low, high = (np.concatenate([getattr(box, side).ravel() for box in boxes]) for side in ("low", "high"))
    return spaces.Box(low, high, dtype=np.float32)


def flatten(space: spaces.Dict, observation: Observation, dims: int) -> np.ndarray:
    """All keys side by side in the space's order, in one row (dims=0: of one user; dims=1: of each of n users)."""
    parts = [observation[name] for name in space]
    return np.concatenate([part.reshape(*part.shape[:dims], -1) for part in parts], axis=-1)


class FlatObservation(gymnasium.ObservationWrapper[np.ndarray, Any, Observation]):
    """Observations as one (width,) float32 vector: the keys side by side, in the space's order."""

    def __init__(self, env: gymnasium.Env[Observation, Any]) -> None:
        super().__init__(env)
        assert isinstance(env.observation_space, spaces.Dict)
        self.parts: spaces.Dict = env.observation_space
        self.observation_space = flat_space(self.parts)

    def observation(self, observation: Observation) -> np.ndarray:
        return flatten(self.parts, observation, 0)


def slate_of_number(number: int, count: int, places: int) -> np.ndarray:
    """(places,): slate number `number` among the ordered slates without repeats (a factorial number system)."""
    left, slate = list(range(count)), np.empty(places, np.int64)
    for place in range(places):
        rest = math.perm(count - place - 1, places - place - 1)
        slate[place] = left.pop(number // rest)
        number %= rest
    return slate


class DiscreteSlates(gymnasium.ActionWrapper[Any, Any, Any]):
    """Slates as one `Discrete` number: each ordered slate without repeats is an action.

    Raises:
        InvalidParameter: there are more than a million slates.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        scenario = env.unwrapped.scenario  # type: ignore[attr-defined]
        self.count, self.places = scenario.num_candidates, scenario.slate_size
        slates = math.perm(self.count, self.places)
        if slates > SLATES_AT_MOST:
            raise InvalidParameter(
                f"DiscreteSlates allows {SLATES_AT_MOST} slates at most, and {self.places} of {self.count} candidates "
                f"make {slates}; use fewer candidates, a shorter slate, or ScoresToSlate"
            )
        self.action_space = spaces.Discrete(slates)

    def action(self, action: Any) -> np.ndarray:
        number = np.asarray(action)
        if number.shape != () or number.dtype.kind not in "iu" or not 0 <= number < self.action_space.n:  # type: ignore[attr-defined]
            slates = self.action_space.n  # type: ignore[attr-defined]
            raise InvalidAction(f"an action is one whole number from 0 to {slates - 1}, not {action!r}")
        return slate_of_number(int(number), self.count, self.places)


class ScoresToSlate(gymnasium.ActionWrapper[Any, Any, Any]):
    """Actions are scores (C,) from -1 to 1; the highest, best first, make the slate. Masked candidates come last."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        scenario = env.unwrapped.scenario  # type: ignore[attr-defined]
        self.places = scenario.slate_size
        self.action_space = spaces.Box(-1.0, 1.0, (scenario.num_candidates,), np.float32)

    def action(self, action: Any) -> Any:
        scores = np.asarray(action)
        if scores.shape != self.action_space.shape or scores.dtype.kind not in "fiu" or np.isnan(scores).any():
            raise InvalidAction(f"an action is {self.action_space.shape} scores without NaN, not {action!r}")
        try:
            allowed = self.get_wrapper_attr("action_masks")()[: len(scores)]
        except KeyError:  # every candidate is allowed in this world
            allowed = np.ones(len(scores), bool)
        slate = np.argsort(np.where(allowed, -scores, np.inf), kind="stable")[: self.places]
        return slate if self.places > 1 else slate[0]


class InteractionBudget(VectorWrapper):
    """At most `steps` user-steps; each step of n users costs n.

    Attributes:
        spent: the user-steps so far.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], steps: int) -> None:
        super().__init__(env)
        if steps < 0:
            raise InvalidParameter(f"an interaction budget must be 0 user-steps or more, not {steps}")
        self.budget, self.spent = steps, 0

    def step(self, actions: Any) -> Any:
        """As the environment's; raises `BudgetSpent` before a step that would exceed the budget."""
        if self.spent + self.num_envs > self.budget:
            raise BudgetSpent(
                f"a step of {self.num_envs} users would exceed the budget of {self.budget} user-steps "
                f"({self.spent} spent)"
            )
        result = self.env.step(actions)
        self.spent += self.num_envs
        return result
