"""What agents that learn a policy over slates have in common: settings, networks, and how they act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from agents.networks import CandidateNetwork, Features, UserNetwork
from agents.torch_tools import find_device, initialise, moments_of, seeded, set_moments, set_weights, weights_of
from recsim_env.agent import AgentConfig, Ranker, WorldSpec
from recsim_env.env import Observation
from recsim_env.parameters import param

PAIRS = 4096  # of users and candidates scored at once: their activations fit a cache, which is several times faster


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


class PolicyAgent(Ranker):
    """Shows the candidates of the highest logits; while it learns, slates are drawn from the policy.

    Attributes:
        features: observations as tensors.
        networks: the policy and the value.
        optimiser: of both.
        reward_scale: what rewards are divided by.
    """

    Config: ClassVar[type[AgentConfig]] = PolicyConfig
    learns = True

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.device = find_device(config.device)
        self.features, self.reward_scale = Features(spec, self.device, means=True), 1.0
        widths = self.features.user_width, self.features.item_width
        self.networks = PolicyNetworks(*widths, config.hidden, seeded(config.seed, torch.device("cpu")))
        self.networks.to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.networks.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals, "history": config.history}

    @torch.no_grad()
    def logits(self, observation: Observation) -> Tensor:
        """(n, C)."""
        users, items = self.features.users(observation), self.features.items(observation)
        together = max(1, PAIRS // items.shape[1])
        parts = zip(torch.split(users, together), torch.split(items, together), strict=True)
        return torch.cat([self.networks.policy(*part) for part in parts])

    def scores(self, observation: Observation) -> np.ndarray:
        """(n, C) the policy's logits."""
        return np.asarray(self.logits(observation).cpu().numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        learnt = {**weights_of(self.networks), **moments_of(self.optimiser)}
        return {**learnt, **self.features.arrays(), "reward_scale": np.array(self.reward_scale)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.features.restore(arrays)
        self.reward_scale = float(arrays["reward_scale"])
        set_weights(self.networks, arrays)
        set_moments(self.optimiser, arrays)

    def slow(self, left: float) -> None:
        """Set the learning rate for a share `left` of the budget."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * (0.1 + 0.9 * left)

    def descend(self, loss: Tensor) -> None:
        """One step of the optimiser; gradients are clipped to a norm of 1, since returns may have heavy tails."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.networks.policy.parameters(), 1.0)
        nn.utils.clip_grad_norm_(self.networks.value.parameters(), 1.0)
        self.optimiser.step()
