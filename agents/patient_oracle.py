"""What a planner shows that sees everything and knows the world: the upper reference of normalised scores.

Where the world has a planner of its own (`Scenario.plan`), it is that. Elsewhere it plans in two stages, both on copies
of the simulator with luck of their own, so that it never sees the future that will come:

- A base policy: a linear ranking of what can be told of a candidate, found by the cross-entropy method (Rubinstein,
  1999) on imagined people's whole sessions.
- Rollouts (Tesauro and Galperin, 1996) at each step: each proposed slate is shown to copies of the user, and the base
  policy goes on for some steps. Another slate than the base policy's is shown where its copies did better beyond luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.candidate_traits import Traits
from agents.imagination import Imagination
from recsim_env.agent import Agent, AgentConfig, WorldSpec, top_slates
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.parameters import param

ELITE = 0.2  # share of the rankings tried that the next ones are drawn around
NARROWEST = 0.05  # standard deviation of the weights below which they are not narrowed further
AT_ONCE = 20_000  # copies side by side
FIRST_STEPS = 20  # of sessions, that the traits' scale is told by


@dataclass(frozen=True)
class PatientOracleConfig(AgentConfig):
    """Settings of `patient_oracle`; all but the seed are for worlds without a planner of their own."""

    searches: int = param(20, "rounds of the search for a base policy; 0: rank by appeal", low=0)
    rankings: int = param(40, "rankings tried in a round", low=5)
    people: int = param(64, "imagined people that each ranking serves", low=1)
    proposals: int = param(3, "slates compared at each step, the base policy's among them; 1: no rollouts", low=1)
    rollouts: int = param(8, "copies of the user that each slate is shown to", low=2)
    depth: int = param(10, "steps that are played on, the first among them", low=1)
    surely: float = param(2.0, "standard errors by which another slate must be better than the base policy's", low=0)


class PatientOracle(Agent):
    """The scenario's own planner, or a searched ranking improved by rollouts."""

    Config = PatientOracleConfig
    observe = "full"

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        if spec.scenario is None:
            raise AgentError('patient_oracle plans with the world itself: make the environment with observe="full"')
        self.scenario = spec.scenario
        self.imagination, self.traits = Imagination(spec.scenario), Traits(spec.scenario)
        self.weights = np.zeros(0)  # of the base policy; empty until it is searched

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"observe": cls.observe, "totals": True}

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """The plan; without one, rollouts, whose luck comes from `rng`."""
        if self.scenario.overrides("plan"):
            return self.scenario.plan(observation)
        if not len(self.weights):
            self.search(np.random.default_rng(self.config.seed))
        at_once = max(1, AT_ONCE // (self.config.proposals * self.config.rollouts))
        users = np.arange(len(observation["totals"]))
        parts = np.array_split(users, -(-len(users) // at_once))
        return np.concatenate([self._improve({k: v[part] for k, v in observation.items()}, rng) for part in parts])

    # -- the base policy -----------------------------------------------------------------------------------

    def search(self, rng: np.random.Generator) -> None:
        """Find weights of traits under which imagined people's whole sessions bring most."""
        self._fit_traits(rng)
        count = len(self.traits.scale)
        centre, spread = np.eye(count)[0], np.ones(count)
        for _ in range(self.config.searches):
            tried = centre + spread * rng.standard_normal((self.config.rankings, count))
            tried[0] = centre
            order = np.argsort(-self._worth(tried, int(rng.integers(2**63))), kind="stable")
            best = tried[order[: max(2, int(ELITE * len(tried)))]]
            centre, spread = best.mean(axis=0), np.maximum(best.std(axis=0), NARROWEST)
        self.weights = centre

    def _fit_traits(self, rng: np.random.Generator) -> None:
        """See imagined people through the first steps of their sessions, under random slates."""
        strangers = self.imagination.strangers(self.config.people, int(rng.integers(2**63)))
        seen: list[Observation] = []

        def policy(observation: Observation, places: np.ndarray) -> np.ndarray:
            seen.append(observation)
            return top_slates(rng.random((len(places), self.spec.num_candidates)), observation, self.spec.slate_size)

        self.imagination.play(strangers, np.arange(len(strangers)), None, policy, FIRST_STEPS)
        self.traits.fit(seen)

    def _worth(self, tried: np.ndarray, seed: int) -> np.ndarray:
        """(rankings,): the mean engagement of the same people under each, with the same luck."""
        everybody = np.tile(np.arange(self.config.people), len(tried))
        copies = self.imagination.strangers(self.config.people, seed).take(everybody)
        weights = np.repeat(tried, self.config.people, axis=0)

        def policy(seen: Observation, places: np.ndarray) -> np.ndarray:
            return top_slates(self.traits.scores(seen, weights[places]), seen, self.spec.slate_size)

        total = self.imagination.play(copies, everybody, None, policy, self.scenario.horizon)
        return total.reshape(len(tried), -1).mean(axis=1)

    # -- rollouts --------------------------------------------------------------------------------------------

    def _improve(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """(n, S): the base policy's slates, or others that did surely better."""
        proposals = self._propose(observation, rng)
        n, count, size = proposals.shape
        if count == 1:
            return proposals[:, 0]
        users, rollouts = np.arange(n), self.config.rollouts
        copies = self.imagination.copies(observation).take(np.repeat(users, count * rollouts))
        luck = np.repeat(rng.integers(2**63, size=(n, 1, rollouts)), count, axis=1)  # the same for all slates
        first = np.repeat(proposals.reshape(-1, size), rollouts, axis=0)
        total = self.imagination.play(copies, luck.ravel(), first, self._base, self.config.depth)
        gain = total.reshape(n, count, rollouts)
        gain = gain - gain[:, :1]
        mean, error = gain.mean(axis=2), gain.std(axis=2, ddof=1) / np.sqrt(rollouts)
        return proposals[users, np.where(mean > self.config.surely * error, mean, 0.0).argmax(axis=1)]

    def _base(self, observation: Observation, places: np.ndarray) -> np.ndarray:
        return top_slates(self.traits.scores(observation, self.weights), observation, self.spec.slate_size)

    def _propose(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """(n, P, S): the base policy's slates, and each with one of the next best in the place of one of its items."""
        ranked = top_slates(self.traits.scores(observation, self.weights), observation, self.spec.num_candidates)
        users, size, more = len(ranked), self.spec.slate_size, self.config.proposals - 1
        allowed = np.full(users, ranked.shape[1])
        if "mask" in observation:
            allowed = (observation["mask"] > 0).sum(axis=1)
        proposals = np.repeat(ranked[:, None, :size], more + 1, axis=1)
        for k in range(min(more, ranked.shape[1] - size)):
            place = rng.integers(size, size=users)
            possible = np.flatnonzero(size + k < allowed)
            proposals[possible, k + 1, place[possible]] = ranked[possible, size + k]
        return proposals

    def arrays(self) -> dict[str, np.ndarray]:
        return {"weights": self.weights, "scale": self.traits.scale}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.weights, self.traits.scale = arrays["weights"], arrays["scale"]
