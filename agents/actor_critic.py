"""Advantage actor-critic over slates (Mnih et al., 2016), with generalised advantages (Schulman et al., 2016).

The action is the ordered slate, drawn place by place without repeats (Plackett-Luce), so its log-probability is the
sum of the places'. With `clip` above 0 the loss is that of proximal policy optimisation (Schulman et al., 2017),
which learns for several epochs from the same steps; with clip=0 and epochs=1 it is plain actor-critic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from agents.policy_agent import PolicyAgent, PolicyConfig
from agents.rollouts import Player, Rollout
from agents.slate_policy import place_log_probabilities, softmax_entropy
from agents.torch_tools import one_thread
from recsim_env.agent import Log
from recsim_env.parameters import param


@dataclass(frozen=True)
class ActorCriticConfig(PolicyConfig):
    """Settings of `actor_critic`."""

    entropy: float = param(0.03, "weight of the policy's entropy at first; falls linearly to a tenth", low=0)
    trace: float = param(0.98, "lambda of the advantages; 1 watches all that came, 0 believes the value", low=0, high=1)
    epochs: int = param(4, "times that the steps of a rollout are learnt from", low=1)
    clip: float = param(0.2, "how far from 1 a slate's probability ratio still counts; 0: no limit", low=0, high=1)


class ActorCritic(PolicyAgent):
    """A policy over slates that follows the advantages which a learnt value tells."""

    Config = ActorCriticConfig

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Play rollouts of the policy, and learn from each one for some epochs.

        Raises:
            AgentError: see `Player`.
        """
        with one_thread():
            player = Player(self, envs, steps)
            for rollout in player.rollouts(player.draw):
                Update(self, player, rollout).run(log)


class Update:
    """What is learnt from one rollout."""

    def __init__(self, agent: ActorCritic, player: Player, rollout: Rollout) -> None:
        self.agent, self.player, self.rollout, self.config = agent, player, rollout, agent.config
        self.returns, values = rollout.returns(agent.network.value, self.config.gamma, self.config.trace)
        advantages = self.returns - values
        self.advantages = (advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-6)

    def run(self, log: Log) -> None:
        player, rows = self.player, len(self.rollout)
        self.agent.slow(player.left)
        losses = []
        for _ in range(self.config.epochs):
            order = torch.randperm(rows, generator=player.generator, device=self.agent.device)
            losses += [self._learn(part) for part in torch.split(order, self.config.batch)]
        log.scalar("train/loss", float(torch.stack(losses).mean()))

    def _learn(self, rows: Tensor) -> Tensor:
        """One step of the optimiser."""
        part, networks = self.rollout, self.agent.network
        logits = networks.policy(part.users[rows], part.candidates[rows]) + part.log_counts[rows]
        places = part.log_propensities.shape[1]
        ratio = (place_log_probabilities(logits, places) - part.log_propensities[rows]).sum(1).exp()
        gain = surrogate(ratio, self.advantages[rows], self.config.clip).mean()
        entropy = softmax_entropy(logits, part.log_counts[rows]).mean()
        error = nn.functional.mse_loss(networks.value(part.users[rows]), self.returns[rows])
        loss = error - gain - self.player.entropy_weight(self.player.left) * entropy
        self.agent.descend(loss)
        return loss.detach()


def surrogate(ratio: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """(n,): the advantages (n,) of slates that are now `ratio` (n,) times as likely as when they were shown."""
    if clip == 0.0:
        return ratio * advantages
    return torch.minimum(ratio * advantages, ratio.clamp(1.0 - clip, 1.0 + clip) * advantages)
