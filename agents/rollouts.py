"""What a policy over slates plays between two rounds of learning: T steps of n users, as tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.encoding import at_slates
from agents.experience import Transition, check_discount, interact
from agents.networks import Features
from agents.policy_agent import PolicyAgent
from agents.returns import lambda_returns
from agents.slate_policy import draw_slates, keep_candidates, place_log_probabilities
from agents.torch_tools import seeded
from recsim_env.env import Observation
from recsim_env.errors import AgentError

SCALED_BY = 16  # steps of the first rollout that features are scaled by: all would take much memory


class Candidates:
    """(N, K) candidates as standardised features; those of a catalogue are looked up when asked for.

    Attributes:
        own: (N, K, O) features of their own.
        ids: (N, K) rows of the catalogue; width 0 without one.
        catalogue: (I, G) its features.
    """

    def __init__(self, own: Tensor, ids: Tensor, catalogue: Tensor) -> None:
        self.own, self.ids, self.catalogue = own, ids, catalogue

    @classmethod
    def of(cls, features: Features, observation: Observation, positions: np.ndarray) -> Candidates:
        """Those at `positions` (n, K)."""
        encoder, scale = features.encoder, features.item_scale
        own = np.zeros((*positions.shape, 0), np.float32)
        if "candidates" in observation:
            own = at_slates(observation["candidates"], positions)
        width, ids, catalogue = own.shape[2], positions[:, :0], np.zeros((0, 0), np.float32)
        if encoder.catalogue is not None:
            ids, catalogue = at_slates(encoder.item_ids(observation), positions), encoder.catalogue
        parts = scale.part(slice(width))(own), ids, scale.part(slice(width, None))(catalogue)
        return cls(*(torch.as_tensor(part, device=features.device) for part in parts))

    def __getitem__(self, rows: Tensor) -> Tensor:
        """(n, K, F)."""
        own = self.own[rows]
        return torch.cat([own, self.catalogue[self.ids[rows]]], dim=2) if self.ids.shape[1] else own

    @classmethod
    def join(cls, parts: Sequence[Candidates]) -> Candidates:
        """All rows; the catalogue is the same."""
        own, ids = torch.cat([part.own for part in parts]), torch.cat([part.ids for part in parts])
        return cls(own, ids, parts[0].catalogue)


@dataclass(frozen=True)
class Rollout:
    """T steps of n users: N = T n rows in the order of time.

    Attributes:
        users: (N, U) standardised.
        candidates: (N, K) of each row, those shown first.
        log_counts: (N, K) for how many candidates each one stands.
        log_propensities: (N, S) of each place's candidate given those above it, when it was shown.
        clicked: (N, S).
        rewards: (T, n), divided by the agent's scale.
        terminated, ended: (T, n) bool.
        unseen: (M,) the rows of which it was not watched what followed: of cut sessions, and of the last step.
        unseen_users: (M, U) the users after them.
    """

    users: Tensor
    candidates: Candidates
    log_counts: Tensor
    log_propensities: Tensor
    clicked: Tensor
    rewards: Tensor
    terminated: Tensor
    ended: Tensor
    unseen: Tensor
    unseen_users: Tensor

    def __len__(self) -> int:
        return len(self.users)

    @torch.no_grad()
    def returns(self, value: nn.Module, gamma: float, trace: float) -> tuple[Tensor, Tensor]:
        """(N,) lambda returns, bootstrapped by `value` where it was not watched what followed, and (N,) the values."""
        values = value(self.users)
        following = torch.cat([values[self.rewards.shape[1] :], torch.zeros_like(self.rewards[0])])
        following[self.unseen] = value(self.unseen_users)
        following = following.view_as(self.rewards)
        returns = lambda_returns(self.rewards, following, self.terminated, self.ended, gamma, trace)
        return returns.flatten(), values


@dataclass(frozen=True)
class Choice:
    """Slates (n, S) for n users, the logits (n, C) they were drawn from, and their propensities (n, S) if known."""

    slates: np.ndarray
    logits: Tensor
    propensities: np.ndarray | None = None


class Player:
    """Plays an agent's budget in rollouts; the first one of the agent's life fits its scales.

    Raises:
        AgentError: the budget does not reach for a step of all users, or gamma is 1 though sessions are cut.
    """

    def __init__(self, agent: PolicyAgent, envs: Any, steps: int) -> None:
        check_discount(agent.config.gamma, agent.spec)
        if steps < envs.num_envs:
            raise AgentError(f"a budget of {steps} user-steps is less than one step of its {envs.num_envs} users")
        self.agent, self.config, self.envs, self.steps = agent, agent.config, envs, steps
        self.began, self.places = agent.played, agent.spec.slate_size
        self.rng = np.random.default_rng([self.config.seed, agent.played])
        self.generator = seeded(int(self.rng.integers(2**62)), agent.device)

    @property
    def left(self) -> float:
        """The share of this budget that is left, from 1 to 0."""
        return 1.0 - (self.agent.played - self.began) / self.steps

    def entropy_weight(self, left: float) -> float:
        """What it is when a share `left` of the learning is to come; an agent that goes on keeps to its last one."""
        return float(self.config.entropy * (0.1 + 0.9 * (left if self.began == 0 else 0.0)))

    def rollouts(self, choose: Callable[[Observation], Choice]) -> Iterator[Rollout]:
        chosen: list[Choice] = []

        def show(observation: Observation) -> np.ndarray:
            chosen.append(choose(observation))
            return chosen[-1].slates

        steps = interact(self.envs, show, self.steps)
        while seen := list(islice(steps, self.config.rollout)):
            if self.agent.played == 0:
                self._scale(seen)
            self.agent.played += len(seen) * self.envs.num_envs
            yield join([self._step(t, c, t is seen[-1]) for t, c in zip(seen, chosen, strict=True)])
            chosen.clear()

    def draw(self, observation: Observation) -> Choice:
        """Slates drawn from the agent's policy."""
        logits, allowed = self.agent.logits(observation), self.agent.features.allowed(observation)
        return Choice(draw_slates(logits, allowed, self.places, self.generator).cpu().numpy(), logits)

    def _scale(self, seen: list[Transition]) -> None:
        """Scale features, and rewards by the spread of their returns, so that values are of the order of 1."""
        self.agent.features.fit([t.observation for t in seen[:: math.ceil(len(seen) / SCALED_BY)]])
        rewards = torch.as_tensor(np.stack([t.rewards for t in seen]))
        terminated, ended = (torch.as_tensor(np.stack([getattr(t, n) for t in seen])) for n in ("terminated", "ended"))
        returns = lambda_returns(rewards, torch.zeros_like(rewards), terminated, ended, self.config.gamma, 1.0)
        self.agent.reward_scale = float(returns.std(correction=0)) or 1.0

    def _step(self, t: Transition, choice: Choice, last: bool) -> Rollout:
        """One step as a rollout of its own; of the `last` one it is not watched what follows."""
        features, device = self.agent.features, self.agent.device
        slates = torch.as_tensor(choice.slates, device=device)
        allowed = features.allowed(t.observation)
        kept, counts = keep_candidates(choice.logits, allowed, slates, self.config.kept, self.generator)
        if choice.propensities is None:
            log_propensities = place_log_probabilities(choice.logits.gather(1, kept) + counts, self.places)
        else:
            log_propensities = torch.as_tensor(choice.propensities, dtype=torch.float32, device=device).log()
        unseen = torch.as_tensor(np.flatnonzero(~t.terminated & (t.ended | last)), device=device)
        return Rollout(
            users=features.users(t.observation), log_counts=counts, log_propensities=log_propensities,
            candidates=Candidates.of(features, t.observation, kept.cpu().numpy()),
            clicked=torch.as_tensor(t.info["clicked"], dtype=torch.float32, device=device),
            rewards=torch.as_tensor(t.rewards / self.agent.reward_scale, dtype=torch.float32, device=device)[None],
            terminated=torch.as_tensor(t.terminated, device=device)[None],
            ended=torch.as_tensor(t.ended, device=device)[None],
            unseen=unseen, unseen_users=features.users(t.following)[unseen],
        )  # fmt: skip


def join(parts: Sequence[Rollout]) -> Rollout:
    """Rollouts that followed each other as one, in which it is seen what followed all but the last."""
    rest = ("users", "log_counts", "log_propensities", "clicked", "rewards", "terminated", "ended")
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in rest}
    first, unseen, users = 0, [], []
    for part in parts:
        still = part.ended.flatten()[part.unseen] | (part is parts[-1])
        unseen.append(part.unseen[still] + first)
        users.append(part.unseen_users[still])
        first += len(part)
    candidates = Candidates.join([part.candidates for part in parts])
    return Rollout(candidates=candidates, unseen=torch.cat(unseen), unseen_users=torch.cat(users), **joined)
