"""Past transitions to learn from: uniform or prioritized replay, n-step returns, and candidates kept by their ids."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from agents.encoding import at_slates
from agents.networks import Features
from recsim_env.env import Observation

LEAST_PRIORITY = 1e-3  # what is added to an error, so that every transition may come again


class Replay:
    """The last transitions, as tensors on a device; drawn evenly, or by priority (Schaul et al., 2016).

    Transition i is drawn with probability p_i / sum p, p = (|error| + LEAST_PRIORITY) ** exponent. New transitions have
    the highest priority so far.

    Attributes:
        added: how many transitions were added; the last `capacity` are kept.
    """

    def __init__(self, capacity: int, device: torch.device, exponent: float = 0.0) -> None:
        self.capacity, self.device, self.exponent = capacity, device, exponent
        self.added, self.parts = 0, dict[str, Tensor]()
        self.priorities = torch.zeros(capacity, dtype=torch.float64, device=device)
        self.highest = torch.ones((), dtype=torch.float64, device=device)

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, rows: Mapping[str, Tensor]) -> None:
        """Keep n transitions, in the place of the oldest."""
        n = len(next(iter(rows.values())))
        places = torch.arange(self.added, self.added + n, device=self.device)[-self.capacity :] % self.capacity
        for name, values in rows.items():
            if name not in self.parts:
                self.parts[name] = torch.zeros(
                    (self.capacity, *values.shape[1:]), dtype=values.dtype, device=self.device
                )
            self.parts[name][places] = values[-self.capacity :].to(self.device)
        self.priorities[places] = self.highest
        self.added += n

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """(size,) places of transitions, drawn with replacement."""
        if self.exponent == 0.0:
            return torch.randint(len(self), (size,), generator=generator, device=self.device)
        sums = self.priorities[: len(self)].cumsum(0)
        points = torch.rand(size, generator=generator, dtype=torch.float64, device=self.device) * sums[-1]
        return torch.searchsorted(sums, points, right=True).clamp_(max=len(self) - 1)

    def __getitem__(self, places: Tensor) -> dict[str, Tensor]:
        return {name: part.index_select(0, places) for name, part in self.parts.items()}

    def weights(self, places: Tensor, beta: float) -> Tensor:
        """(n,) importance weights (N P(i)) ** -beta against how often the places are drawn, the batch's largest 1."""
        inverse = self.priorities[places] ** -beta
        return (inverse / inverse.max()).float()

    def tell(self, places: Tensor, errors: Tensor) -> None:
        """Set the priorities of transitions by their errors."""
        if self.exponent == 0.0:
            return
        found = (errors.abs().double() + LEAST_PRIORITY) ** self.exponent
        self.priorities[places] = found
        self.highest = torch.maximum(self.highest, found.max())


def n_step(
    rewards: np.ndarray, terminated: np.ndarray, ended: np.ndarray, gamma: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns of the first of N steps in a row of n users (Sutton and Barto, 2018, section 7.1).

    Args:
        rewards, terminated, ended: (N, n); `ended` is terminated or truncated.
        gamma: the discount of a step.

    Returns:
        (n,) the discounted rewards up to the N-th step or the session's end, (n,) the number of the last step that
        counts, from 0, and (n,) what the value of what followed that step is multiplied with: 0 after termination,
        but not where a session was cut.
    """
    goes_on = np.cumprod(np.concatenate([np.ones((1, ended.shape[1])), 1.0 - ended[:-1]]), axis=0)
    powers = gamma ** np.arange(len(rewards))[:, None]
    last = goes_on.sum(axis=0).astype(np.int64) - 1
    over = np.take_along_axis(terminated, last[None], axis=0)[0]
    return (powers * goes_on * rewards).sum(axis=0), last, np.where(over, 0.0, gamma ** (last + 1.0))


class Offers:
    """What a replay keeps of candidates, and their features again: of those with ids the ids alone.

    Args:
        features: fitted.
        most: candidates kept of an offer; where there are more, a random sample of those allowed.
        rng: for the sample.
    """

    def __init__(self, features: Features, most: int, rng: np.random.Generator) -> None:
        self.features, self.most, self.rng = features, most, rng
        scale, own = features.item_scale, features.item_width
        if features.encoder.catalogue is not None:
            own -= features.encoder.catalogue.shape[1]
            catalogue = scale.part(slice(own, None))(features.encoder.catalogue)
            self.catalogue = torch.as_tensor(catalogue, device=features.device)
        self.own_scale = scale.part(slice(own))

    def keep(self, observation: Observation, worth: np.ndarray | None = None) -> dict[str, Tensor]:
        """`allowed` (n, K) bool with `own` (n, K, F') features or `ids` (n, K) or both: K of the candidates.

        Where there are more, those of most worth (n, C), or a random sample.
        """
        allowed = self.features.allowed(observation).cpu().numpy()
        if allowed.shape[1] <= self.most:
            return self.at(observation, None) | {"allowed": torch.as_tensor(allowed, device=self.features.device)}
        keys = self.rng.random(allowed.shape, dtype=np.float32) if worth is None else -worth
        keys = np.where(allowed, keys, np.inf)
        positions = np.argpartition(keys, self.most - 1, axis=1)[:, : self.most]
        kept = torch.as_tensor(np.take_along_axis(allowed, positions, axis=1), device=self.features.device)
        return self.at(observation, positions) | {"allowed": kept}

    def at(self, observation: Observation, positions: np.ndarray | None) -> dict[str, Tensor]:
        """`own` or `ids` or both of the candidates at positions (n, K), or of all."""
        kept = {}
        if "candidates" in observation:
            own = observation["candidates"]
            kept["own"] = self.own_scale(own if positions is None else at_slates(own, positions))
        if self.features.encoder.catalogue is not None:
            ids = self.features.encoder.item_ids(observation).astype(np.int32)
            kept["ids"] = ids if positions is None else at_slates(ids, positions)
        return {name: torch.as_tensor(values, device=self.features.device) for name, values in kept.items()}

    def items(self, kept: Mapping[str, Tensor]) -> Tensor:
        """(n, K, F) standardised features of what was kept."""
        parts = [kept["own"]] if "own" in kept else []
        if "ids" in kept:
            parts.append(nn.functional.embedding(kept["ids"], self.catalogue))
        return torch.cat(parts, dim=2)
