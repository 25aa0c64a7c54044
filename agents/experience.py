"""Stepping many users and yielding what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsim_env.agent import WorldSpec
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.scenario import SAFETY_HORIZON


@dataclass(frozen=True)
class Transition:
    """One step of n users.

    Attributes:
        observation: what was seen when the slates were chosen.
        slates: (n, S) candidate positions.
        rewards: (n,).
        following: what came next; of a session that was cut, its last observation, to bootstrap from.
        terminated: (n,) the session is over: nothing follows.
        ended: (n,) terminated or truncated.
        info: the environment's.
    """

    observation: Observation
    slates: np.ndarray
    rewards: np.ndarray
    following: Observation
    terminated: np.ndarray
    ended: np.ndarray
    info: dict[str, Any]


def check_discount(gamma: float, spec: WorldSpec) -> None:
    """Refuse gamma = 1 in a world whose sessions are cut by a horizon of its own: values would have no end.

    Raises:
        AgentError: it is 1 there.
    """
    if gamma == 1.0 and spec.horizon < SAFETY_HORIZON:
        raise AgentError(f"gamma must be under 1 in a world that cuts sessions after {spec.horizon} steps, not 1")


def interact(envs: Any, choose: Callable[[Observation], np.ndarray], steps: int) -> Iterator[Transition]:
    """Play whole steps of all users, `steps` user-steps at most, from the beginning of new sessions."""
    observation, _ = envs.reset()
    for _ in range(steps // envs.num_envs):
        slates = choose(observation)
        after, rewards, terminated, truncated, info = envs.step(slates)
        cut = truncated & ~terminated
        following = with_final(after, info["final_obs"], cut) if cut.any() else after
        yield Transition(observation, slates, rewards, following, terminated, terminated | truncated, info)
        observation = after


def with_final(after: Observation, final: np.ndarray, cut: np.ndarray) -> Observation:
    """`after`, with the last observation of the sessions that were cut in the place of the next one's first."""
    following = {name: values.copy() for name, values in after.items()}
    for i in np.flatnonzero(cut):
        for name in following:
            following[name][i] = final[i][name]
    return following
