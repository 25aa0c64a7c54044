"""REINFORCE (Williams, 1992) with top-K off-policy correction (Chen et al., 2019).

The policy is a softmax over the candidates. An item that was shown is credited with the discounted rewards from there
on, less a baseline, times two corrections. The importance weight pi / beta, capped, corrects for a behaviour policy
that was another: an older version of the policy, or random slates. The multiplier K (1 - pi)^(K-1) is the derivative
of 1 - (1 - pi)^K, how likely the item is among K draws: what matters is that an item gets into the slate.

A baseline b may be taken off a return G, since E[b grad log pi(a)] = b grad sum pi(a) = 0; but only where b is fixed
before the item is drawn. The value of the state is, and so is the mean advantage of all steps. The mean of the clicked
steps is not: a click is part of what came of the item, and to take off E[A | clicked] takes off the click's own pay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor, nn

from agents.policy_agent import PolicyAgent, PolicyConfig
from agents.random_slates import RandomSlates
from agents.rollouts import Choice, Player, Rollout, join
from agents.slate_policy import place_log_probabilities, softmax_entropy
from agents.torch_tools import one_thread
from recsim_env.agent import Log
from recsim_env.env import Observation
from recsim_env.parameters import param


class Credit(IntEnum):
    """Which items of a slate what followed is put down to."""

    CLICKED = 0
    SHOWN = 1


@dataclass(frozen=True)
class ReinforceConfig(PolicyConfig):
    """Settings of `reinforce`."""

    credit: Credit = param(Credit.CLICKED, "the items that are credited with what followed: clicked, or all shown")
    top_k: bool = param(True, "whether the top-K multiplier is applied; without it the policy is of single items")
    cap: float = param(2.0, "importance weights are cut off here", low=0)
    remembered: int = param(4, "rollouts learnt from; each step so often, offline too", low=1)
    offline: bool = param(False, "whether the budget is played at random, and learnt from afterwards")


class Reinforce(PolicyAgent):
    """A softmax over candidates that follows the returns of what it, or another policy, has shown."""

    Config = ReinforceConfig

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Play rollouts, each learnt from together with those before it; offline, play at random first.

        Raises:
            AgentError: see `Player`.
        """
        with one_thread():
            player = Player(self, envs, steps)
            if self.config.offline:
                self._train_offline(player, log)
                return
            recent: deque[Rollout] = deque(maxlen=self.config.remembered)
            for rollout in player.rollouts(player.draw):
                recent.append(rollout)
                Update(self, player, recent, player.left).run(log)

    def _train_offline(self, player: Player, log: Log) -> None:
        behaviour = RandomSlates(self.config, self.spec)

        def choose(observation: Observation) -> Choice:
            slates = behaviour.act(observation, player.rng)
            logits = torch.zeros(self.features.allowed(observation).shape, device=self.device)
            return Choice(slates, logits, behaviour.propensities(observation, slates))

        played = join(list(player.rollouts(choose)))
        for sweep in range(self.config.remembered):
            Update(self, player, [played], 1.0 - sweep / self.config.remembered).run(log)


class Update:
    """One pass over rollouts; `left` is the share of the learning that is to come."""

    def __init__(self, agent: Reinforce, player: Player, rollouts: Sequence[Rollout], left: float) -> None:
        self.agent, self.player, self.rollouts, self.config = agent, player, rollouts, agent.config
        self.left, self.entropy_weight = left, player.entropy_weight(left)
        told = [rollout.returns(agent.network.value, self.config.gamma, 1.0) for rollout in rollouts]
        self.returns = [returns for returns, _ in told]
        self.credits = [self._credits(rollout) for rollout in rollouts]
        credited = torch.cat([credits.any(1) for credits in self.credits])
        advantages = torch.cat([returns - values for returns, values in told])
        scaled = centred(advantages, credited)
        self.advantages = torch.split(scaled, [len(rollout) for rollout in rollouts])

    def _credits(self, rollout: Rollout) -> Tensor:
        """(N, S) bool: the places that are credited."""
        return rollout.clicked > 0 if self.config.credit == Credit.CLICKED else torch.ones_like(rollout.clicked) > 0

    def run(self, log: Log) -> None:
        """Learn from every step once."""
        self.agent.slow(self.left)
        losses, device = [], self.agent.device
        for which, rollout in enumerate(self.rollouts):
            order = torch.randperm(len(rollout), generator=self.player.generator, device=device)
            losses += [self._learn(which, part) for part in torch.split(order, self.config.batch)]
        log.scalar("train/loss", float(torch.stack(losses).mean()))

    def _learn(self, which: int, rows: Tensor) -> Tensor:
        """One step of the optimiser."""
        part, networks = self.rollouts[which], self.agent.network
        logits = networks.policy(part.users[rows], part.candidates[rows]) + part.log_counts[rows]
        places = part.clicked.shape[1]
        item = torch.log_softmax(logits, dim=1)[:, :places]
        with torch.no_grad():
            ratio = place_log_probabilities(logits, places) - part.log_propensities[rows]
            weight = importance(ratio, self.config.cap) * self.credits[which][rows]
            if self.config.top_k:
                weight = weight * multiplier(item, places)
        gain = (weight * item * self.advantages[which][rows, None]).sum(1).mean()
        entropy = softmax_entropy(logits, part.log_counts[rows]).mean()
        error = nn.functional.mse_loss(networks.value(part.users[rows]), self.returns[which][rows])
        loss = error - gain - self.entropy_weight * entropy
        self.agent.descend(loss)
        return loss.detach()


def centred(advantages: Tensor, credited: Tensor) -> Tensor:
    """(N,): less the mean of all steps, over the deviation of those that are `credited` (N,) bool.

    The mean over credited steps alone depends on whether this one was clicked: it would take away the click's own pay.
    """
    around = advantages - advantages.mean()
    known = around[credited]
    return around / (known.square().mean().sqrt() + 1e-6) if len(known) else around


def importance(log_ratio: Tensor, cap: float) -> Tensor:
    """pi / beta, at most `cap`."""
    return log_ratio.exp().clamp(max=cap)


def multiplier(log_probability: Tensor, draws: int) -> Tensor:
    """The derivative of 1 - (1 - pi)^K by pi: near K for an item that is hardly shown, 0 for one that is always."""
    return draws * (-torch.expm1(log_probability)).clamp(min=0.0) ** (draws - 1)
