"""All estimates of a policy's return from one log."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from agents.clusters import Clusters
from benchmark.ope.estimators import Estimate, direct, doubly_robust, ips, per_decision, self_normalised
from benchmark.ope.marginal import marginalised
from benchmark.ope.target import Target
from benchmark.ope.value_model import SlateFeatures, fitted_values
from recsim_env.agent import Agent
from recsim_env.env import Observation
from recsim_env.fitting.sessions import Sessions, rows_of

KINDS = 50  # of states, for marginalised importance sampling


class LoggedSessions:
    """Sessions step by step, and what an agent would have shown in them; mixtures of it share that.

    Attributes:
        rows: (N, H) of the log, -1 behind a session's end.
        rewards: (N, H), behind a session's end 0.
    """

    def __init__(self, sessions: Sessions, agent: Agent, horizon: int, seed: int = 0) -> None:
        """Of sessions that are whole, or cut at `horizon` steps or later; seed: of kinds and bootstraps."""
        self.log, self.agent, self.seed = sessions.log, agent, seed
        place, lengths = np.arange(horizon), np.diff(sessions.starts)
        self.rows = np.where(place < lengths[:, None], sessions.starts[:-1, None] + place, -1)
        self.rewards = np.where(self.rows >= 0, self.log.rewards[self.rows], 0.0)

    @cached_property
    def own(self) -> np.ndarray:
        """(T, S) the agent's slates in the log's rows."""
        return Target(self.agent, 1.0).own_slates(dict(self.log.observations))

    @cached_property
    def kinds(self) -> np.ndarray:
        """(N, H) kinds of states by what is known of users, -1 behind a session's end."""
        users, clusters = (
            SlateFeatures(Target(self.agent, 1.0)).encoder.users(dict(self.log.observations)),
            Clusters(KINDS),
        )
        clusters.fit(users, np.random.default_rng(self.seed))
        return np.where(self.rows >= 0, clusters(users)[self.rows], -1)

    def at(self, t: int) -> tuple[np.ndarray, Observation, np.ndarray, np.ndarray]:
        """The sessions that reach step t, what was seen, what was shown, and what the agent shows."""
        alive = np.flatnonzero(self.rows[:, t] >= 0)
        rows = self.rows[alive, t]
        return alive, rows_of(self.log.observations, rows), self.log.slates[rows], self.own[rows]

    def ratios(self, target: Target) -> np.ndarray:
        """(N, H) how much likelier the target shows what was shown, behind a session's end 1."""
        likely = target.probability(dict(self.log.observations), self.log.slates, self.own)
        return np.where(self.rows >= 0, (likely / self.log.propensities)[self.rows], 1.0)

    def estimates(self, greedy: float) -> Mapping[str, Estimate]:
        """What a mixture earns over the horizon, by each estimator; greedy: the share of the agent's own slates."""
        target = Target(self.agent, greedy)
        ratios, rewards, rng = self.ratios(target), self.rewards, np.random.default_rng([self.seed, 1])
        values = fitted_values(SlateFeatures(target), self.at, rewards)
        return {
            "ips": ips(ratios, rewards),
            "self-normalised ips": self_normalised(ratios, rewards),
            "per-decision ips": per_decision(ratios, rewards),
            "marginalised ips": marginalised(ratios, rewards, self.kinds, rng),
            "direct method": direct(values.expected),
            "doubly robust": doubly_robust(ratios, rewards, values.shown, values.expected),
        }
