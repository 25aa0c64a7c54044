"""What the agents that score candidates with one shared network have in common: its inputs, and the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from agents.encoding import Encoder, Standardiser
from recsim_env.agent import WorldSpec
from recsim_env.env import Observation


class Features:
    """Observations as standardised tensors on a device.

    Attributes:
        user_width, item_width: numbers known of the user, and of a candidate.
    """

    def __init__(
        self, spec: WorldSpec, device: torch.device, leave_out: tuple[str, ...] = (), *, means: bool = False
    ) -> None:
        self.encoder, self.device = Encoder(spec, leave_out, means=means), device
        self.user_width, self.item_width = self.encoder.user_width, self.encoder.item_width
        self.user_scale, self.item_scale = Standardiser(self.user_width), Standardiser(self.item_width)
        self._fitted: np.ndarray | None = None  # the item_scale.mean that _scale and _mean are of

    def fit(self, observations: Sequence[Observation]) -> None:
        """Take means and deviations from what was seen first."""
        self.user_scale.fit(np.concatenate([self.encoder.users(seen) for seen in observations]))
        items = np.concatenate([self.encoder.items(seen).reshape(-1, self.item_width) for seen in observations])
        self.item_scale.fit(items)

    def users(self, observation: Observation) -> Tensor:
        """(n, U)."""
        return torch.as_tensor(self.user_scale(self.encoder.users(observation)), device=self.device)

    def items(self, observation: Observation) -> Tensor:
        """(n, C, F)."""
        return torch.as_tensor(self.item_scale(self.encoder.items(observation)), device=self.device)

    def offered(self, observation: Observation) -> Tensor:
        """(n, C, F), or (1, C, F) where ids tell that everybody is offered the same: what is of items alone is then
        computed once."""
        if "candidates" not in observation and len(observation["candidate_ids"]) > 1:
            ids = observation["candidate_ids"]
            if (ids == ids[0]).all():
                return self.items({"candidate_ids": ids[:1]})
        return self.items(observation)

    def raw_items(self, items: Tensor) -> Tensor:
        """Items' features as they are, from standardised ones."""
        if self._fitted is not self.item_scale.mean:  # once: a copy to a GPU cannot be part of a CUDA graph
            parts = self.item_scale.scale, self.item_scale.mean
            self._scale, self._mean = (torch.as_tensor(part, device=self.device) for part in parts)
            self._fitted = self.item_scale.mean
        return items * self._scale + self._mean

    def allowed(self, observation: Observation) -> Tensor:
        """(n, C) bool: which candidates the mask allows."""
        if "mask" in observation:
            return torch.as_tensor(observation["mask"] > 0, device=self.device)
        count = observation["candidate_ids" if "candidate_ids" in observation else "candidates"].shape[1]
        return torch.ones((len(next(iter(observation.values()))), count), dtype=torch.bool, device=self.device)

    @property
    def catalogue(self) -> Tensor:
        """(num_items, F): of worlds whose candidates are known by their ids alone."""
        assert self.encoder.catalogue is not None
        return torch.as_tensor(self.item_scale(self.encoder.catalogue), device=self.device)

    def arrays(self) -> dict[str, np.ndarray]:
        """The scales, by names that start with `user_` and `item_`."""
        return {**self.user_scale.arrays("user"), **self.item_scale.arrays("item")}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        self.user_scale.restore("user", arrays)
        self.item_scale.restore("item", arrays)


class CandidateNetwork(nn.Module):
    """(n, U) users and (n, k, F) items to (n, k) numbers, or (n, k, outputs): one network for every candidate.

    On worlds with many candidates this is the difference between learning and not: what is learnt of one
    candidate holds for all that look like it.
    """

    def __init__(self, user_width: int, item_width: int, hidden: int, outputs: int = 1) -> None:
        super().__init__()
        self.user = nn.Linear(user_width, hidden)
        self.item = nn.Linear(item_width, hidden, bias=False)
        self.middle = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, outputs)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        x = torch.relu_(self.user(users)[:, None] + self.item(items))  # in place: a fresh array costs more than the sum
        values: Tensor = self.value(torch.relu_(self.middle(x)))
        return values[..., 0] if values.shape[-1] == 1 else values


class UserNetwork(nn.Module):
    """(n, U) users to (n,) numbers: the value of a state, whatever is on offer."""

    def __init__(self, user_width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(user_width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, users: Tensor) -> Tensor:
        values: Tensor = self.layers(users)[:, 0]
        return values
