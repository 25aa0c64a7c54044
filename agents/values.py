"""What agents that learn values of candidates have in common: scales, exploration, and what a slate is worth.

A slate of several items is worth the mean of its items (a value decomposition, Sunehag et al., 2018), so that the best
slate is the top items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from agents.encoding import Encoder
from agents.networks import Features
from recsim_env.env import Observation

# Pairs of users and candidates scored at once. A processor's cache holds the activations of these, which is several
# times faster; a GPU wants many at once, and its memory holds these.
PAIRS = {"cpu": 16_384, "cuda": 1 << 21}
SCALED_ROWS = 200_000  # users, and candidates, that the scales are fitted to at most


def fit_scales(features: Features, observations: Sequence[Observation]) -> None:
    """Fit the features' scales to observations; of many candidates to those of some users, spread over all steps."""
    seen = [some_of(one, max(1, SCALED_ROWS // len(observations))) for one in observations]
    features.user_scale.fit(np.concatenate([features.encoder.users(one) for one in seen]))
    features.item_scale.fit(some_items(features.encoder, observations, SCALED_ROWS))


def some_items(encoder: Encoder, observations: Sequence[Observation], most: int) -> np.ndarray:
    """(N, F): candidates of observations, of all where these are not more than `most`; else about so many."""
    count = encoder.items(some_of(observations[0], 1)).shape[1]
    steps = observations[:: max(1, len(observations) * count // most)]
    few = [some_of(one, max(1, most // (count * len(steps)))) for one in steps]
    return np.concatenate([encoder.items(one) for one in few]).reshape(-1, encoder.item_width)


def some_of(observation: Observation, users: int) -> Observation:
    """The first users' part of an observation."""
    return {name: values[:users] for name, values in observation.items()}


def falling_epsilon(last: float, share: float, fall: float) -> float:
    """Exploration after `share` of the budget: it falls linearly from 1 to `last` over the share `fall`."""
    return max(last, 1.0 - (1.0 - last) * share / fall)


def best_places(scores: Tensor, allowed: Tensor, places: int) -> Tensor:
    """(n, S): the columns of the highest scores (n, K) among those allowed (n, K) bool."""
    return scores.masked_fill(~allowed, -torch.inf).topk(places, dim=1).indices


def best_value(scores: Tensor, allowed: Tensor, places: int) -> Tensor:
    """(n,): what the best slate of `places` is worth, by the scores (n, K) of its candidates."""
    return scores.gather(1, best_places(scores, allowed, places)).mean(1)


def in_parts(network: nn.Module, users: Tensor, items: Tensor, *more: Tensor) -> Tensor:
    """What `network` gives for users (n, …), items (n or 1, K, F) and more (n, …), some users at a time."""
    found = []
    for rows in some_at_a_time(len(users), items.shape[1], users.device):
        found.append(
            network(users[rows], items if len(items) == 1 else items[rows], *(values[rows] for values in more))
        )
    return torch.cat(found)


def some_at_a_time(users: int, candidates: int, device: torch.device) -> list[slice]:
    """Users in parts that are best scored at once, with their candidates, on a device."""
    together = max(1, PAIRS[device.type] // candidates)
    return [slice(start, start + together) for start in range(0, users, together)]
