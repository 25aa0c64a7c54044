"""What agents that learn a policy over slates have in common: settings, networks, and how they act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from agents.network_agent import NetworkAgent
from agents.networks import CandidateNetwork, UserNetwork
from agents.torch_tools import initialise, seeded
from agents.values import in_parts
from recsim_env.agent import AgentConfig, Ranker, WorldSpec
from recsim_env.env import Observation
from recsim_env.parameters import param


@dataclass(frozen=True)
class PolicyConfig(AgentConfig):
    """Settings of every agent that learns a policy over slates."""

    hidden: int = param(32, "width of the two hidden layers of the policy and of the value network", low=1)
    gamma: float = param(0.995, "discount of the next step; 1 only where sessions are not cut", low=0, high=1)
    weight_decay: float = param(0.01, "of AdamW", low=0)
    learning_rate: float = param(1e-3, "of AdamW; falls linearly to a tenth", low=0)
    rollout: int = param(64, "steps of all users between two rounds of learning", low=1)
    batch: int = param(512, "user-steps an update", low=1)
    entropy: float = param(0.01, "weight of the policy's entropy at first; falls linearly to a tenth", low=0)
    kept: int = param(64, "candidates to learn from beside those shown; where there are more, a sample", low=2)
    totals: bool = param(True, "whether the session's sums so far are seen: memory where state is hidden")
    history: int = param(0, "how many past steps are seen", low=0)
    device: str = param("auto", "auto, cpu or cuda")


class PolicyNetworks(nn.Module):
    """The policy's logits of candidates, and the value of a user's state, which is the baseline.

    The last layers start at 0, so that all slates are equally likely at first.
    """

    def __init__(self, user_width: int, item_width: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.policy = CandidateNetwork(user_width, item_width, hidden)
        self.value = UserNetwork(user_width, hidden)
        initialise(self, generator)
        nn.init.zeros_(self.policy.value.weight)
        nn.init.zeros_(self.value.layers[-1].weight)  # type: ignore[arg-type]


class PolicyAgent(NetworkAgent, Ranker):
    """Shows the candidates of the highest logits; while it learns, slates are drawn from the policy."""

    Config: ClassVar[type[AgentConfig]] = PolicyConfig

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec, means=True)
        self.learn_with(PolicyNetworks(*self.widths, config.hidden, seeded(config.seed, torch.device("cpu"))))

    @torch.no_grad()
    def logits(self, observation: Observation) -> Tensor:
        """(n, C)."""
        return in_parts(self.network.policy, self.features.users(observation), self.features.offered(observation))

    def scores(self, observation: Observation) -> np.ndarray:
        """(n, C) the policy's logits."""
        return np.asarray(self.logits(observation).cpu().numpy())

    def clip(self) -> None:
        """Clip the gradient of the policy, and that of the value, to a norm of 1: returns may have heavy tails."""
        nn.utils.clip_grad_norm_(self.network.policy.parameters(), 1.0)
        nn.utils.clip_grad_norm_(self.network.value.parameters(), 1.0)
