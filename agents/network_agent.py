"""What agents that learn one network by acting have in common: its inputs, its optimiser, and what is saved of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.networks import Features
from agents.torch_tools import TorchDefaults, find_device, moments_of, set_moments, set_weights, weights_of
from recsim_env.agent import Agent, WorldSpec


class NetworkAgent(TorchDefaults, Agent):
    """Learns a network; the config has `device`, `learning_rate`, `weight_decay`, `totals` and `history`.

    Attributes:
        features: observations as tensors.
        reward_scale: what rewards are divided by; found when training begins.
        network, optimiser: see `learn_with`.
    """

    learns = True
    network: Any
    optimiser: torch.optim.Optimizer

    def __init__(self, config: Any, spec: WorldSpec, *, means: bool = False) -> None:
        super().__init__(config, spec)
        self.device = find_device(config.device)
        self.features, self.reward_scale = Features(spec, self.device, means=means), 1.0

    def learn_with(self, network: nn.Module, *, fused: bool = False) -> None:
        """Take a network, its first weights drawn, to the device, and give it an optimiser.

        On a GPU all that changes in the optimiser lies there, so that a CUDA graph of its steps can be replayed.
        """
        self.network, config, on_gpu = network.to(self.device), self.config, self.device.type == "cuda"
        rate = torch.tensor(config.learning_rate, device=self.device) if on_gpu else config.learning_rate
        fused = fused or on_gpu
        self.optimiser = torch.optim.AdamW(
            network.parameters(),
            rate,
            weight_decay=config.weight_decay,
            fused=fused,
            foreach=not fused,  # the same bits as tensor by tensor, in less time
            capturable=on_gpu,
        )

    def descend(self, loss: Tensor) -> None:
        """One step of the optimiser, with gradients clipped (see `clip`)."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.clip()
        self.optimiser.step()

    def clip(self) -> None:
        """Clip the gradient to a norm of 10."""
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)

    @property
    def widths(self) -> tuple[int, int]:
        """Numbers known of the user, and of a candidate."""
        return self.features.user_width, self.features.item_width

    def slow(self, left: float) -> None:
        """Set the learning rate for a share `left` of the budget: it falls to a tenth."""
        rate = self.config.learning_rate * (0.1 + 0.9 * left)
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals, "history": config.history}

    def arrays(self) -> dict[str, np.ndarray]:
        learnt = {**weights_of(self.network), **moments_of(self.optimiser)}
        return {**learnt, **self.features.arrays(), "reward_scale": np.array(self.reward_scale)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.features.restore(arrays)
        self.reward_scale = float(arrays["reward_scale"])
        set_weights(self.network, arrays)
        set_moments(self.optimiser, arrays)
