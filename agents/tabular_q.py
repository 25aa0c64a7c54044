"""Tables of values by state of the user and kind of item: Q-learning, SARSA, expected SARSA and double Q-learning.

Q[s, a] += alpha (r + gamma V(s') - Q[s, a]), for one user after another, where V(s') is of the best next slate
(Watkins, 1989), of the next slate shown (Rummery and Niranjan, 1994), of the slate expected under the policy (van
Seijen et al., 2009), or of the best slate by one table, valued by another (van Hasselt, 2010). A slate of several items
is worth the mean of its items (a value decomposition, Sunehag et al., 2018), so that the best slate is the top items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Any

import numba
import numpy as np

from agents.clusters import Clusters
from agents.encoding import Encoder, at_slates
from agents.experience import Transition, check_discount, interact
from agents.states import ExactStates, QuantileBins
from agents.values import SCALED_ROWS, falling_epsilon, some_items
from recsim_env.agent import AgentConfig, Log, Ranker, WorldSpec, softened, top_slates
from recsim_env.compile_cache import compiled
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.layout import seen_of
from recsim_env.parameters import param


class Update(IntEnum):
    """What the next state is believed to be worth."""

    Q_LEARNING = 0
    SARSA = 1
    EXPECTED_SARSA = 2
    DOUBLE_Q = 3


class Discretise(IntEnum):
    """How what is known of the user becomes one of a few states."""

    CLUSTERS = 0
    QUANTILES = 1
    SCENARIO = 2


@dataclass(frozen=True)
class TabularQConfig(AgentConfig):
    """Settings of `tabular_q`."""

    users: int = param(32, "how many users it trains with side by side", low=1)
    update: Update = param(Update.Q_LEARNING, "what the next state is believed to be worth")
    discretise: Discretise = param(
        Discretise.CLUSTERS, "states: k-means clusters, bins by quantiles, or the scenario's categories, exactly"
    )
    states: int = param(48, "clusters of what is known of the user; of discretise=clusters", low=1)
    bins: int = param(3, "bins of each observed column; of discretise=quantiles", low=1)
    item_clusters: int = param(32, "clusters of item features; fewer kinds of items than this are kept exactly", low=1)
    warm_up: float = param(0.05, "share of the budget played at random, to find the states", low=0.001, high=0.5)
    alpha: float = param(0.5, "learning rate; of visit v it is alpha / v ** alpha_decay", low=0, high=1)
    alpha_decay: float = param(0.5, "how fast the learning rate falls with visits", low=0, high=1)
    gamma: float = param(0.99, "discount of the next step; 1 only where sessions are not cut", low=0, high=1)
    epsilon: float = param(0.05, "exploration at the end; it falls linearly from 1 over half the budget", low=0, high=1)
    totals: bool = param(False, "whether the session's sums so far are part of the state")


@numba.njit
def best_kinds(values: Any, kinds: Any, allowed: Any, places: int) -> Any:
    """(places,): the kinds of the allowed candidates of the highest values; those not allowed come last."""
    worth = np.where(allowed, values[kinds], -np.inf)
    return kinds[np.argsort(-worth)[:places]]


@numba.njit
def next_value(
    rule: int, chooses: Any, tells: Any, kinds: Any, allowed: Any, shown: Any, epsilon: float
) -> float:  # fmt: skip
    """V(s') by the values `chooses` and `tells` (K,) of s', its candidates (C,), and the slate shown there (S,)."""
    if rule == 1:  # SARSA
        return tells[shown].mean()
    best = tells[best_kinds(chooses, kinds, allowed, len(shown))].mean()
    if rule == 2:  # expected SARSA
        return (1.0 - epsilon) * best + epsilon * tells[kinds[allowed]].mean()
    return best


@compiled
def learn(
    q: Any, visits: Any, tables: Any, states: Any, shown: Any, rewards: Any, following: Any, offered: Any,
    allowed: Any, next_shown: Any, terminated: Any, rule: int, epsilon: float, alpha: float, decay: float, gamma: float,
) -> float:  # fmt: skip
    """Update for one user after another; the mean squared error.

    q and visits (tables, states, kinds); tables (n,) which one is updated; states (n,) and shown (n, S) kinds;
    following (n,) states, offered and allowed (n, C) there, next_shown (n, S) kinds.
    """
    squares = 0.0
    for i in range(len(states)):
        table, target = tables[i], rewards[i]
        if not terminated[i]:
            chooses, tells = q[table, following[i]], q[len(q) - 1 - table, following[i]]
            target += gamma * next_value(rule, chooses, tells, offered[i], allowed[i], next_shown[i], epsilon)
        error = target - q[table, states[i]][shown[i]].mean()
        squares += error * error
        for kind in shown[i]:
            visits[table, states[i], kind] += 1.0
            q[table, states[i], kind] += alpha / visits[table, states[i], kind] ** decay * error
    return squares / len(states)


class TabularQ(Ranker):
    """A table of values by state of the user and kind of item; two tables of double Q-learning.

    Attributes:
        q: (tables, states, kinds) values.
        visits: how often each was updated.
    """

    Config = TabularQConfig
    learns = True

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.encoder = Encoder(
            spec, leave_out=("history",) if "user" not in spec.observation_space.spaces else ("history", "response")
        )
        makers = {Discretise.QUANTILES: QuantileBins(config.bins), Discretise.SCENARIO: ExactStates()}
        self.states: Any = makers.get(config.discretise, Clusters(config.states))
        self.kinds = Clusters(config.item_clusters)
        self.q = np.zeros((1, 1, 1))
        self.visits = np.zeros((1, 1, 1))

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals}

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Find the states and the kinds of items on random slates, then learn epsilon-greedily.

        Who goes on from earlier training keeps its states, and explores no more than at the end.

        Raises:
            AgentError: gamma is 1 though sessions are cut at the horizon, the budget does not reach for a step of all
                users, or the states that `discretise` asks for cannot be had.
        """
        check_discount(self.config.gamma, self.spec)
        Training(self, envs, steps, log).run()

    def fit(self, observations: list[Observation], rng: np.random.Generator) -> None:
        """Find states and kinds, and start the tables at 0."""
        if not isinstance(self.states, ExactStates):
            self.states.fit(np.concatenate([self.encoder.users(seen) for seen in observations]), rng)
        self.kinds.fit(some_items(self.encoder, observations, SCALED_ROWS), rng)
        tables = 2 if self.config.update == Update.DOUBLE_Q else 1
        self.q = np.zeros((tables, len(self.states), len(self.kinds)))
        self.visits = np.zeros_like(self.q)

    def known(self, observation: Observation) -> tuple[np.ndarray, np.ndarray]:
        """(n,) states and (n, C) kinds."""
        states = self.states(self.encoder.users(observation))
        if self.encoder.catalogue is None or "candidates" in observation:
            return states, self.kinds(self.encoder.items(observation))
        return states, self.kinds(self.encoder.catalogue)[self.encoder.item_ids(observation)]

    def scores(self, observation: Observation) -> np.ndarray:
        states, kinds = self.known(observation)
        values: np.ndarray = self.q.mean(axis=0)[states[:, None], kinds]
        return values

    def arrays(self) -> dict[str, np.ndarray]:
        found = {**self.states.arrays("states"), **self.kinds.arrays("kinds")}
        return {"q": self.q, "visits": self.visits, **found}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.q, self.visits = arrays["q"], arrays["visits"]
        self.states.restore("states", dict(arrays))
        self.kinds.restore("kinds", dict(arrays))


class Training:
    """Plays and learns, user by user."""

    def __init__(self, agent: TabularQ, envs: Any, steps: int, log: Log) -> None:
        self.agent, self.envs, self.log = agent, envs, log
        self.config: TabularQConfig = agent.config
        self.rng = np.random.default_rng([self.config.seed, agent.played])
        self.rounds = steps // envs.num_envs
        if not self.rounds:
            raise AgentError(f"tabular_q needs a budget of one step of its {envs.num_envs} users at least, not {steps}")
        self.warm_up = max(1, int(self.rounds * self.config.warm_up)) if agent.played == 0 else 0
        self.epsilon = 1.0 if agent.played == 0 else self.config.epsilon
        self.before: Transition | None = None

    def run(self) -> None:
        steps = interact(self.envs, self._choose, self.rounds * self.envs.num_envs)
        if isinstance(self.agent.states, ExactStates):
            self.agent.states.declare(self._seen_fields())
        if first := list(islice(steps, self.warm_up)):
            self.agent.fit([t.observation for t in first], self.rng)
        for t in first:
            self._take(t)
        for done, t in enumerate(steps, 1):
            self._take(t)
            if self.warm_up:
                self.epsilon = falling_epsilon(self.config.epsilon, done / (self.rounds - self.warm_up), 0.5)

    def _seen_fields(self) -> Any:
        """What the world declares of what is seen; in the order of the observation.

        Raises:
            AgentError: the totals are seen too, which are numbers.
        """
        if self.config.totals:
            raise AgentError("scenario: exact states cannot hold the totals, which are numbers; set totals=false")
        seen = "user" in self.agent.encoder.keys
        return seen_of(self.envs.unwrapped.scenario.user_fields()) if seen else []

    def _choose(self, observation: Observation) -> np.ndarray:
        """Epsilon-greedily; before the states are found at random."""
        users = len(next(iter(observation.values())))
        scores = np.zeros((users, self.agent.spec.num_candidates))
        if self.epsilon < 1.0:
            scores = self.agent.scores(observation)
        return top_slates(softened(scores, self.epsilon, self.rng), observation, self.agent.spec.slate_size)

    def _take(self, t: Transition) -> None:
        """Learn from a step; SARSA waits for the next one, to know what was shown."""
        self.agent.played += self.envs.num_envs
        if self.config.update != Update.SARSA:
            self._learn(t, t.slates)
        elif self.before is not None:
            cut = (self.before.ended & ~self.before.terminated)[:, None]
            shown = np.where(cut, self._choose(self.before.following), t.slates) if cut.any() else t.slates
            self._learn(self.before, shown)
        self.before = t

    def _learn(self, t: Transition, next_slates: np.ndarray) -> None:
        agent, config = self.agent, self.config
        states, kinds = agent.known(t.observation)
        following, offered = agent.known(t.following)
        allowed = t.following["mask"] > 0 if "mask" in t.following else np.ones(offered.shape, bool)
        allowed[allowed.sum(axis=1) < t.slates.shape[1]] = True  # the environment repairs such a slate
        tables = np.zeros(len(states), np.int64)
        if len(agent.q) > 1:
            tables = self.rng.integers(2, size=len(states))
        error = learn(
            agent.q, agent.visits, tables, states, at_slates(kinds, t.slates), t.rewards, following, offered, allowed,
            at_slates(offered, next_slates), t.terminated, int(config.update), self.epsilon,
            config.alpha, config.alpha_decay, config.gamma,
        )  # fmt: skip
        self.log.scalar("train/loss", float(error))
