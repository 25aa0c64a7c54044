"""Wrappers: flat observations of one user and of many, slates as one number, scores to a slate, the interaction budget.

Those of one user keep what they were made with, so that `gymnasium.make(env.spec)` makes them again.
"""

from __future__ import annotations

import itertools
import math
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from recsim_env.env import Observation
from recsim_env.errors import BudgetSpent, InvalidAction, InvalidParameter

SLATES_AT_MOST = 1_000_000


def keys_of(space: spaces.Space[Any]) -> spaces.Dict:
    """`space`, which must be of observations by key.

    Raises:
        InvalidParameter: it is not, as that of an environment whose observations are flat already.
    """
    if not isinstance(space, spaces.Dict):
        raise InvalidParameter(f"flat observations are made of a Dict of keys, and these are {space}")
    return space


def flat_space(space: spaces.Dict) -> spaces.Box:
    """The box of all keys side by side, in the space's order."""
    boxes = [box for box in space.values() if isinstance(box, spaces.Box)]
    low, high = (np.concatenate([getattr(box, side).ravel() for box in boxes]) for side in ("low", "high"))
    return spaces.Box(low, high, dtype=np.float32)


def flatten(space: spaces.Dict, observation: Observation, dims: int) -> np.ndarray:
    """All keys side by side in the space's order, in one row (dims=0: of one user; dims=1: of each of n users)."""
    parts = [observation[name] for name in space]
    return np.concatenate([part.reshape(*part.shape[:dims], -1) for part in parts], axis=-1)


class FlatObservation(gymnasium.ObservationWrapper[np.ndarray, Any, Observation], RecordConstructorArgs):
    """Observations as one (width,) float32 vector: the keys side by side, in the space's order.

    Raises:
        InvalidParameter: they are flat already.
    """

    def __init__(self, env: gymnasium.Env[Observation, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.ObservationWrapper.__init__(self, env)
        self.parts = keys_of(env.observation_space)
        self.observation_space = flat_space(self.parts)

    def observation(self, observation: Observation) -> np.ndarray:
        return flatten(self.parts, observation, 0)


def attribute_of(envs: VectorEnv[Any, Any, Any], name: str) -> Any:
    """The attribute of the outermost wrapper that has it, or of the environment; Gymnasium's do not pass theirs on."""
    while isinstance(envs, VectorWrapper) and not hasattr(envs, name):
        envs = envs.env
    return getattr(envs, name)


class RecVectorWrapper(VectorWrapper):
    """A vector wrapper that tells of `RecVectorEnv` what others ask a vector environment for."""

    @property
    def autoreset_mode(self) -> AutoresetMode:
        mode: AutoresetMode = self.metadata["autoreset_mode"]
        return mode

    def action_masks(self) -> np.ndarray:
        """As `RecVectorEnv.action_masks`."""
        masks: np.ndarray = attribute_of(self.env, "action_masks")()
        return masks


class FlatVectorObservation(RecVectorWrapper):
    """`FlatObservation` for many users: (n, width) float32 rows, and each of `final_obs` (width,).

    Raises:
        InvalidParameter: they are flat already.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self.parts = keys_of(env.single_observation_space)
        self.single_observation_space = flat_space(self.parts)

    # Built when asked for, as that of the users.
    @cached_property
    def observation_space(self) -> spaces.Space[Any]:  # type: ignore[override]
        return batch_space(self.single_observation_space, self.num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        return flatten(self.parts, observation, 1), info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        observation, rewards, terminated, truncated, info = self.env.step(actions)
        if "final_obs" in info:
            last = np.empty(self.num_envs, object)  # None everywhere
            for i in np.flatnonzero(info["_final_obs"]):
                last[i] = flatten(self.parts, info["final_obs"][i], 0)
            info = {**info, "final_obs": last}
        return flatten(self.parts, observation, 1), rewards, terminated, truncated, info


def slate_of_number(number: int, count: int, places: int) -> np.ndarray:
    """(places,): slate number `number` among the ordered slates without repeats (a factorial number system)."""
    left, slate = list(range(count)), np.empty(places, np.int64)
    for place in range(places):
        rest = math.perm(count - place - 1, places - place - 1)
        slate[place] = left.pop(number // rest)
        number %= rest
    return slate


class DiscreteSlates(gymnasium.ActionWrapper[Any, Any, Any], RecordConstructorArgs):
    """Slates as one `Discrete` number: each ordered slate without repeats is an action.

    Raises:
        InvalidParameter: there are more than a million slates.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.ActionWrapper.__init__(self, env)
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

    @cached_property
    def table(self) -> np.ndarray:
        """(slates, S): the slate of each number."""
        slates = itertools.permutations(range(self.count), self.places)
        return np.fromiter(slates, (np.int32, (self.places,)), math.perm(self.count, self.places))

    def action_masks(self) -> np.ndarray:
        """(slates,) bool: whether all candidates of a slate are allowed.

        All True where fewer are allowed than a slate has places, so that every slate would be repaired.
        """
        allowed = self.env.get_wrapper_attr("action_masks")()[: self.count]
        masks: np.ndarray = allowed[self.table].all(axis=1)
        return masks if masks.any() else ~masks


class ScoresToSlate(gymnasium.ActionWrapper[Any, Any, Any], RecordConstructorArgs):
    """Actions are scores (C,) from -1 to 1; the highest, best first, make the slate. Masked candidates come last."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.ActionWrapper.__init__(self, env)
        scenario = env.unwrapped.scenario  # type: ignore[attr-defined]
        self.places = scenario.slate_size
        self.action_space = spaces.Box(-1.0, 1.0, (scenario.num_candidates,), np.float32)

    def action(self, action: Any) -> Any:
        scores = np.asarray(action)
        if scores.shape != self.action_space.shape or scores.dtype.kind not in "fiu" or np.isnan(scores).any():
            raise InvalidAction(f"an action is {self.action_space.shape} scores without NaN, not {action!r}")
        allowed = self.env.get_wrapper_attr("action_masks")()[: len(scores)]
        slate = np.argsort(np.where(allowed, -scores, np.inf), kind="stable")[: self.places]
        return slate if self.places > 1 else slate[0]


class InteractionBudget(RecVectorWrapper):
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
