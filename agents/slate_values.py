"""What slate_q's models of users have in common: candidates of many users, and what ranks them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from agents.values import some_at_a_time

TAKEN = -torch.inf


class Offer(NamedTuple):
    """Candidates of n users, or what they were shown.

    Attributes:
        users: (n, U) standardised.
        items: (n, K, F) standardised; where everybody is offered the same, (1, K, F).
        allowed: (n, K) bool.
        logits: (n, K) of the choice model where it is given, else None.
        raw: (n or 1, K, F) items' features as they are.
        profiles: (n, P, F) users in the terms of items' features.
    """

    users: Tensor
    items: Tensor
    allowed: Tensor
    logits: Tensor | None
    raw: Tensor
    profiles: Tensor

    def only(self, columns: Tensor) -> Offer:
        """Some candidates (n, K') of each."""
        deep = columns[..., None].expand(-1, -1, self.items.shape[2])
        logits = None if self.logits is None else self.logits.gather(1, columns)
        items, raw = (part.expand(len(columns), -1, -1).gather(1, deep) for part in (self.items, self.raw))
        return Offer(self.users, items, self.allowed.gather(1, columns), logits, raw, self.profiles)

    def rows(self, users: slice) -> Offer:
        """Some of the users."""
        logits = None if self.logits is None else self.logits[users]
        items, raw = (part if len(part) == 1 else part[users] for part in (self.items, self.raw))
        return Offer(self.users[users], items, self.allowed[users], logits, raw, self.profiles[users])

    def parts(self) -> Iterator[Offer]:
        """Some users at a time, as many as are best scored at once."""
        users, candidates = self.allowed.shape
        return map(self.rows, some_at_a_time(users, candidates, self.users.device))


def take(values: Tensor, slates: Tensor) -> Tensor:
    """(n, S): of values (n, K) those of the slates."""
    return values.gather(1, slates)


def ranks(gains: Tensor, allowed: Tensor, places: int) -> Tensor:
    """(n, S): the columns of the highest gains among those allowed; a masked one only where too few are."""
    return gains.masked_fill(~allowed, TAKEN).topk(places, dim=1).indices


def kinds(raw: Tensor) -> Tensor:
    """(…, F) one-hot: which feature of an item is largest; of topics' weights its main topic."""
    return nn.functional.one_hot(raw.argmax(-1), raw.shape[-1]).to(raw.dtype)
