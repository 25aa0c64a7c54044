"""Returns to learn from: what came, and from where it was no longer watched, what is believed to come."""

from __future__ import annotations

import torch
from torch import Tensor


def lambda_returns(
    rewards: Tensor, next_values: Tensor, terminated: Tensor, ended: Tensor, gamma: float, trace: float
) -> Tensor:
    """TD(lambda) returns (Sutton and Barto, 2018, section 12.1) of T steps of n users.

    Args:
        rewards: (T, n).
        next_values: (T, n) the believed value of what followed each step; of a session that was cut, of its last
            observation.
        terminated: (T, n) bool, nothing follows.
        ended: (T, n) bool, terminated or truncated: what stands in the next row is another session.
        gamma: the discount.
        trace: lambda; 0 bootstraps after one step, 1 at the end of what is known.

    Returns:
        (T, n).
    """
    returns = torch.empty_like(rewards)
    following = next_values[-1]
    for t in reversed(range(len(rewards))):
        known = torch.where(ended[t], next_values[t], torch.lerp(next_values[t], following, trace))
        if t == len(rewards) - 1:
            known = next_values[t]
        following = rewards[t] + gamma * torch.where(terminated[t], torch.zeros_like(known), known)
        returns[t] = following
    return returns
