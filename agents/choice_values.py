"""What a slate is worth where users click at most one item (SlateQ, Ie et al., 2019).

    Q(s, A) = sum over i in A of P(i | s, A) Q(s, i) + P(nothing | s, A) Q(s, nothing),
    P(i | s, A) = exp(x_i + b_place) / (1 + sum over j in A of exp(x_j + b_place)).

The users' choice model, learnt or given, is fitted to what was clicked; the value of an outcome, not of the slate,
meets the target.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.networks import CandidateNetwork, UserNetwork
from agents.slate_values import Offer, ranks, take

ROUNDS = 6  # of the exact optimisation; it converges quadratically


class ChoiceValues(nn.Module):
    """At most one click a slate. `null`: whether a session that goes on after no click is worth anything.

    Args:
        optimise: "top_k" ranks by exp(x) (Q - Q of nothing), "greedy" adds the item that raises the slate's value most,
            "exact" finds the best slate of the given size (Dinkelbach, 1967: the best ratio by a few sorts).
    """

    def __init__(self, user_width: int, item_width: int, places: int, hidden: int, null: bool, optimise: str) -> None:
        super().__init__()
        self.null, self.optimise = null, optimise
        self.choice = CandidateNetwork(user_width, item_width, hidden)
        self.places = nn.Parameter(torch.zeros(places))
        self.level = UserNetwork(user_width, hidden)
        self.clicked = CandidateNetwork(user_width, item_width, hidden)
        self.nothing = UserNetwork(user_width, hidden)

    def _logits(self, offer: Offer) -> Tensor:
        return self.choice(offer.users, offer.items) if offer.logits is None else offer.logits

    def _attractions(self, offer: Offer) -> Tensor:
        """(n, K): exp(x), 0 of what may not be shown; a click on nothing has 1."""
        return self._logits(offer).clamp(max=20.0).exp() * offer.allowed

    def _outcomes(self, offer: Offer) -> tuple[Tensor, Tensor]:
        """(n, K) the value of a click on each item, and (n,) that of a click on nothing."""
        level = self.level(offer.users)
        nothing = level + self.nothing(offer.users)
        clicked = level[:, None] + self.clicked(offer.users, offer.items)
        return clicked, nothing if self.null else torch.zeros_like(level)

    def best(self, offer: Offer, places: int) -> Tensor:
        return torch.cat([self._best(part, places) for part in offer.parts()])

    def _best(self, offer: Offer, places: int) -> Tensor:
        attractions, (clicked, nothing) = self._attractions(offer), self._outcomes(offer)
        order = self.places.argsort(descending=True)
        looked = self.places.detach()[order].exp()
        if self.optimise == "top_k":
            ranked = ranks(attractions * (clicked - nothing[:, None]), offer.allowed, places)
        elif self.optimise == "greedy":
            ranked = greedy(attractions, clicked, nothing, looked, offer.allowed)
        else:
            ranked = exact(attractions, clicked, nothing, looked, offer.allowed)
        slates = torch.empty_like(ranked)
        slates[:, order] = ranked  # the item that gains most stands where most is clicked
        return slates

    def value(self, offer: Offer, slates: Tensor) -> Tensor:
        shown = offer.only(slates)
        clicked, nothing = self._outcomes(shown)
        return ratio(self._attractions(shown) * self.places.exp(), clicked, nothing)

    def worth(self, offer: Offer) -> Tensor:
        attractions, (clicked, nothing) = self._attractions(offer), self._outcomes(offer)
        return attractions * (clicked - nothing[:, None])

    def losses(self, shown: Offer, clicked: Tensor, rewards: Tensor, targets: Tensor) -> dict[str, Tensor]:
        outcome = torch.where(clicked.sum(1) > 0, clicked.argmax(1), clicked.shape[1])
        logits = torch.cat([self._logits(shown) + self.places, torch.zeros_like(clicked[:, :1])], dim=1)
        choice = nn.functional.cross_entropy(logits, outcome)
        values, nothing = self._outcomes(shown)
        found = torch.cat([values, nothing[:, None]], dim=1).gather(1, outcome[:, None])[:, 0]
        errors = (found - targets).square()
        known = torch.ones_like(errors) if self.null else (outcome < clicked.shape[1]).float()
        return {"choice_loss": choice, "loss": (errors * known).sum() / known.sum().clamp(min=1.0)}


def ratio(attractions: Tensor, clicked: Tensor, nothing: Tensor) -> Tensor:
    """(n,): the expected value of slates by their items' attractions and values (n, S)."""
    return ((attractions * clicked).sum(1) + nothing) / (attractions.sum(1) + 1.0)


def exact(attractions: Tensor, clicked: Tensor, nothing: Tensor, looked: Tensor, allowed: Tensor) -> Tensor:
    """(n, S): the slate of the highest ratio; `looked` (S,) are the places' attractions, largest first."""
    level = nothing
    for _ in range(ROUNDS):
        ranked = ranks(attractions * (clicked - level[:, None]), allowed, len(looked))
        level = ratio(take(attractions, ranked) * looked, take(clicked, ranked), nothing)
    return ranked


def greedy(attractions: Tensor, clicked: Tensor, nothing: Tensor, looked: Tensor, allowed: Tensor) -> Tensor:
    """(n, S): place by place the item with which the slate so far is worth most."""
    over, under, left = nothing[:, None], torch.ones_like(nothing)[:, None], allowed
    chosen: list[Tensor] = []
    for seen in looked:
        with_it = (over + seen * attractions * clicked) / (under + seen * attractions)
        item = ranks(with_it, left, 1)
        over, under = over + seen * take(attractions * clicked, item), under + seen * take(attractions, item)
        left = left.scatter(1, item, False)
        chosen.append(item)
    return torch.cat(chosen, dim=1)
