"""Tabular Q-learning over discretised states and item clusters (Watkins, 1989).

Q[s, a] += alpha (r + gamma max Q[s', a'] - Q[s, a]), for one user after another. A slate of several items is
worth the mean of its items (a value decomposition, Sunehag et al., 2018), so that the best slate is the top items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from agents.clusters import Clusters
from agents.encoding import Encoder, at_slates
from agents.experience import Transition, check_discount, interact
from recsim_env.agent import AgentConfig, Log, Ranker, WorldSpec, softened, top_slates
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.parameters import param


@dataclass(frozen=True)
class TabularQConfig(AgentConfig):
    """Settings of `tabular_q`."""

    users: int = param(32, "how many users it trains with side by side", low=1)
    states: int = param(48, "clusters of what is known of the user", low=1)
    item_clusters: int = param(32, "clusters of item features", low=1)
    warm_up: float = param(0.05, "share of the budget played at random, to find the clusters", low=0.001, high=0.5)
    alpha: float = param(0.5, "learning rate; of visit v it is alpha / v ** alpha_decay", low=0, high=1)
    alpha_decay: float = param(0.5, "how fast the learning rate falls with visits", low=0, high=1)
    gamma: float = param(0.99, "discount of the next step; 1 only where sessions are not cut", low=0, high=1)
    epsilon: float = param(0.05, "exploration at the end; it falls linearly from 1 over half the budget", low=0, high=1)
    totals: bool = param(False, "whether the session's sums so far are part of the state")


@numba.njit
def best_value(q: Any, state: int, kinds: Any, places: int) -> float:
    """The mean of the `places` highest values among the candidates."""
    return np.sort(q[state][kinds])[-places:].mean()


@numba.njit
def learn(
    q: Any, visits: Any, states: Any, shown: Any, rewards: Any, following: Any, offered: Any, terminated: Any,
    alpha: float, decay: float, gamma: float,
) -> float:  # fmt: skip
    """Update for one user after another: states (n,), shown (n, S), offered next (n, C); the mean squared error."""
    squares = 0.0
    for i in range(len(states)):
        target = rewards[i]
        if not terminated[i]:
            target += gamma * best_value(q, following[i], offered[i], shown.shape[1])
        error = target - q[states[i]][shown[i]].mean()
        squares += error * error
        for kind in shown[i]:
            visits[states[i], kind] += 1.0
            q[states[i], kind] += alpha / visits[states[i], kind] ** decay * error
    return squares / len(states)


class TabularQ(Ranker):
    """A table of values by state of the user and kind of item."""

    Config = TabularQConfig
    learns = True

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.encoder = Encoder(
            spec, leave_out=("history",) if "user" not in spec.observation_space.spaces else ("history", "response")
        )
        self.states, self.kinds = Clusters(config.states), Clusters(config.item_clusters)
        self.q = np.zeros((1, 1))

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals}

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Find the clusters on random slates, then learn epsilon-greedily.

        Raises:
            AgentError: gamma is 1 though sessions are cut at the horizon.
        """
        check_discount(self.config.gamma, self.spec)
        rng = np.random.default_rng(self.config.seed)
        warm_up = max(envs.num_envs, int(steps * self.config.warm_up))

        def at_random(observation: Observation) -> np.ndarray:
            return top_slates(rng.random(self._shape(observation)), observation, self.spec.slate_size)

        seen = list(interact(envs, at_random, warm_up))
        self._cluster(seen, rng)
        visits = np.zeros_like(self.q)
        for t in seen:
            self._learn(t, visits)
        played, rest = 0, steps - warm_up

        def choose(observation: Observation) -> np.ndarray:
            epsilon = max(self.config.epsilon, 1.0 - 2.0 * played / rest)
            return top_slates(softened(self.scores(observation), epsilon, rng), observation, self.spec.slate_size)

        for t in interact(envs, choose, rest):
            error = self._learn(t, visits)
            played += envs.num_envs
            log.scalar("train/loss", error)

    def _shape(self, observation: Observation) -> tuple[int, int]:
        return len(next(iter(observation.values()))), self.spec.num_candidates

    def _cluster(self, seen: list[Transition], rng: np.random.Generator) -> None:
        """Place the clusters, and start the table at the mean reward without a future."""
        if not seen:
            raise AgentError(
                "tabular_q needs a larger budget: one step of all users for its clusters, and more to learn"
            )
        self.states.fit(np.concatenate([self.encoder.users(t.observation) for t in seen]), rng)
        items = np.concatenate([self.encoder.items(t.observation) for t in seen])
        self.kinds.fit(items.reshape(-1, items.shape[-1]), rng)
        self.q = np.zeros((len(self.states), len(self.kinds)))

    def _learn(self, t: Transition, visits: np.ndarray) -> float:
        shown = at_slates(self.kinds(self.encoder.items(t.observation)), t.slates)
        return float(
            learn(
                self.q, visits, self.states(self.encoder.users(t.observation)), shown, t.rewards,
                self.states(self.encoder.users(t.following)), self.kinds(self.encoder.items(t.following)),
                t.terminated, self.config.alpha, self.config.alpha_decay, self.config.gamma,
            )
        )  # fmt: skip

    def scores(self, observation: Observation) -> np.ndarray:
        states = self.states(self.encoder.users(observation))
        values: np.ndarray = self.q[states[:, None], self.kinds(self.encoder.items(observation))]
        return values

    def arrays(self) -> dict[str, np.ndarray]:
        return {"q": self.q, **self.states.arrays("states"), **self.kinds.arrays("kinds")}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.q = arrays["q"]
        self.states.restore("states", dict(arrays))
        self.kinds.restore("kinds", dict(arrays))
