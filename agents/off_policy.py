"""Learning off-policy from replayed transitions: what `dqn` and `slate_q` have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.cuda_graphs import Repeated
from agents.experience import Transition, check_discount, interact
from agents.network_agent import NetworkAgent
from agents.random_slates import RandomSlates
from agents.replay import Offers, Replay, n_step
from agents.torch_tools import seeded
from agents.values import falling_epsilon, fit_scales
from recsim_env.agent import AgentConfig, Log
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.parameters import param


@dataclass(frozen=True)
class OffPolicyConfig(AgentConfig):
    """Settings of every agent that learns from replayed transitions."""

    offline: bool = param(False, "whether it learns from a log of random slates, without playing itself")
    hidden: int = param(32, "width of the two hidden layers", low=1)
    gamma: float = param(0.99, "discount of the next step; 1 only where sessions are not cut", low=0, high=1)
    n_step: int = param(1, "steps of rewards before the value of what follows is believed", low=1)
    learning_rate: float = param(3e-3, "of AdamW; falls linearly to a tenth", low=0)
    weight_decay: float = param(0.1, "of AdamW", low=0)
    batch: int = param(512, "transitions an update", low=1)
    updates: int = param(4, "updates a step of all users", low=1)
    replay: int = param(100_000, "transitions kept; offline all are", low=1)
    next_candidates: int = param(64, "candidates of the next step kept, where there are more", low=1)
    warm_up: float = param(0.03, "share of the budget played at random before learning", low=0, high=0.5)
    tau: float = param(0.02, "how far the target network moves toward the network at an update", low=0, high=1)
    epsilon: float = param(
        0.05, "exploration at the end; it falls linearly from 1 over a third of the budget", low=0, high=1
    )
    totals: bool = param(True, "whether the session's sums so far are seen: memory where state is hidden")
    history: int = param(0, "how many past steps are seen", low=0)
    device: str = param("auto", "auto, cpu or cuda")


@dataclass(frozen=True)
class Step:
    """One step of n users until it is known what came of it: what was seen, and what is seen after it."""

    transition: Transition
    now: dict[str, Tensor]
    following: dict[str, Tensor]


class OffPolicyTraining(ABC):
    """One training: plays at random for the warm-up, then epsilon-greedily, with updates after each step of all users.

    Offline, all is played at random, and then there are as many updates. Who goes on from earlier training plays the
    warm-up by what it learnt, and explores no more than at the end. A subclass says what is kept of a step, and what an
    update is.

    Raises:
        AgentError: the budget does not reach for a step of all users, or gamma is 1 though sessions are cut.
    """

    def __init__(self, agent: NetworkAgent, envs: Any, steps: int, log: Log, exponent: float = 0.0) -> None:
        self.agent, self.envs, self.log, self.config = agent, envs, log, agent.config
        check_discount(self.config.gamma, agent.spec)
        self.rng = np.random.default_rng([self.config.seed, agent.played])
        self.rounds = steps // envs.num_envs
        if not self.rounds:
            raise AgentError(f"a budget of {steps} user-steps is less than one step of its {envs.num_envs} users")
        self.warm_up = max(1, int(self.rounds * self.config.warm_up))
        self.random = RandomSlates(AgentConfig(), agent.spec)
        self.begins, self.played, self.learnt = agent.played == 0, 0, 0
        capacity = max(steps if self.config.offline else min(self.config.replay, steps), envs.num_envs)
        self.replay = Replay(capacity, agent.device, exponent)
        self.recent: deque[Step] = deque(maxlen=self.config.n_step)
        # Streams of their own: self.rng draws the log that supervised agents with this seed gather too.
        own = np.random.default_rng([self.config.seed, agent.played, 1])
        self.sampling = np.random.default_rng([self.config.seed, agent.played, 2])
        self.generator = seeded(int(own.integers(2**62)), agent.device)
        self.target = deepcopy(agent.network).requires_grad_(False)
        self.learn = Repeated(self.learn_from, agent.device)

    @property
    def share(self) -> float:
        """How much of the training is done, from 0 to 1."""
        return min(1.0, (self.warm_up + self.learnt) / self.rounds)

    @property
    def epsilon(self) -> float:
        """The exploration now."""
        return falling_epsilon(self.config.epsilon, self.share if self.begins else 1.0, 1 / 3)

    def run(self) -> None:
        steps = interact(self.envs, self._choose, self.rounds * self.envs.num_envs)
        first = [self._count(t) for t in islice(steps, self.warm_up)]
        if self.begins:
            self.begin(first)
        self.offers = Offers(self.agent.features, self.config.next_candidates, self.sampling)
        for t in first:
            self.keep(t)
        for t in steps:
            self.keep(self._count(t))
            if not self.config.offline:
                self._learn()
        if self.config.offline:
            for _ in range(self.rounds - self.warm_up):
                self._learn()

    def begin(self, first: list[Transition]) -> None:
        """Take the scales from what was seen first, at random."""
        fit_scales(self.agent.features, [t.observation for t in first])
        self.agent.reward_scale = float(np.concatenate([t.rewards for t in first]).std()) or 1.0

    @abstractmethod
    def explore(self, observation: Observation) -> np.ndarray:
        """(n, S): the agent's slates, explored with `epsilon`."""

    @abstractmethod
    def keep(self, t: Transition) -> None:
        """Put a step of all users into the replay."""

    @abstractmethod
    def update(self) -> dict[str, Tensor]:
        """Draw from the replay and `learn` from it; losses by the name of their curve."""

    @abstractmethod
    def learn_from(self, places: Tensor, *more: Tensor) -> dict[str, Tensor]:
        """One step of the optimiser, from the replay's places (n,) and what else was drawn; see `Repeated`."""

    def remember(self, t: Transition, now: dict[str, Tensor], following: dict[str, Tensor]) -> None:
        """Put the step that is now N steps ago into the replay, with what came of it."""
        self.recent.append(Step(t, now, following))
        if len(self.recent) == self.config.n_step:
            self.replay.add(self._oldest())

    def _oldest(self) -> dict[str, Tensor]:
        """The oldest of the recent steps as rows of the replay."""
        names = ("rewards", "terminated", "ended")
        rewards, terminated, ended = (np.stack([getattr(s.transition, name) for s in self.recent]) for name in names)
        returns, last, discounts = n_step(rewards, terminated, ended, self.config.gamma)
        numbers = {"rewards": returns / self.agent.reward_scale, "discounts": discounts}
        told = {name: torch.as_tensor(values, dtype=torch.float32) for name, values in numbers.items()}
        ends, users = (torch.as_tensor(x, device=self.agent.device) for x in (last, np.arange(len(last))))
        parts = {name: torch.stack([step.following[name] for step in self.recent]) for name in self.recent[0].following}
        after = {name: part[ends, users] for name, part in parts.items()}
        return {**self.recent[0].now, **after, **told}

    def _count(self, t: Transition) -> Transition:
        self.played += 1
        self.agent.played += self.envs.num_envs
        return t

    def _choose(self, observation: Observation) -> np.ndarray:
        if self.config.offline or (self.begins and self.played < self.warm_up):
            return self.random.act(observation, self.rng)
        return self.explore(observation)

    def _learn(self) -> None:
        self.learnt += 1
        if not len(self.replay):
            return
        self.agent.slow(1.0 - self.share)
        losses = [self.update() for _ in range(self.config.updates)]
        for name in losses[0]:
            self.log.scalar(name, float(torch.stack([loss[name] for loss in losses]).mean()))

    def descend(self, loss: Tensor) -> None:
        """One step of the optimiser, after which the target network follows the network a little."""
        self.agent.descend(loss)
        with torch.no_grad():
            target, network = (list(net.parameters()) for net in (self.target, self.agent.network))
            torch._foreach_lerp_(target, network, self.config.tau)
