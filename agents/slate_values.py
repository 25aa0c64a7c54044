"""What a slate is worth: the users' choice model, learnt or given, and the value of what may come of it.

Two models with one interface. `ChoiceValues`: users click at most one item (SlateQ, Ie et al., 2019), so that

    Q(s, A) = sum over i in A of P(i | s, A) Q(s, i) + P(nothing | s, A) Q(s, nothing),
    P(i | s, A) = exp(x_i + b_place) / (1 + sum over j in A of exp(x_j + b_place)).

`ClickValues`: users click each item or not, whatever else they click, so that

    Q(s, A) = Q(s, nothing) + sum over i in A of p_i(s, place) adv(s, i, c), p_i = sigmoid(x_i) sigmoid(b_place),

where c, if an item's worth depends on what stands above it, sums the clicks to be expected there, by their features.
Both are fitted to what was clicked in fact: the value of an outcome, not of the slate, meets the target.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from agents.networks import CandidateNetwork, UserNetwork

ROUNDS = 6  # of the exact optimisation; it converges quadratically
LEAST = 1e-6  # a chance that is never 0
TAKEN = -torch.inf


class Items(NamedTuple):
    """Candidates of n users, so that what is the same for many of them is computed once.

    Attributes:
        rows: (R, F) standardised features.
        rows_of: (n, K) int64, the row of each candidate.
    """

    rows: Tensor
    rows_of: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Items:
        """Candidates (n, K, F) that have a row each."""
        count = features.shape[0] * features.shape[1]
        index = torch.arange(count, device=features.device).reshape(features.shape[:2])
        return cls(features.reshape(count, -1), index)


class Offer(NamedTuple):
    """Candidates of n users, or what they were shown.

    Attributes:
        users: (n, U) standardised.
        items: K candidates each.
        allowed: (n, K) bool.
        logits: (n, K) of the choice model where it is given, else None.
    """

    users: Tensor
    items: Items
    allowed: Tensor
    logits: Tensor | None = None


def take(values: Tensor, slates: Tensor) -> Tensor:
    """(n, S): of values (n, K) those of the slates."""
    return values.gather(1, slates)


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
        return self.choice(offer.users, offer.items.rows[offer.items.rows_of]) if offer.logits is None else offer.logits

    def _attractions(self, offer: Offer) -> Tensor:
        """(n, K): exp(x), 0 of what may not be shown; a click on nothing has 1."""
        return self._logits(offer).clamp(max=20.0).exp() * offer.allowed

    def _outcomes(self, offer: Offer) -> tuple[Tensor, Tensor]:
        """(n, K) the value of a click on each item, and (n,) that of a click on nothing."""
        level = self.level(offer.users)
        nothing = level + self.nothing(offer.users)
        clicked = level[:, None] + self.clicked(offer.users, offer.items.rows[offer.items.rows_of])
        return clicked, nothing if self.null else torch.zeros_like(level)

    def best(self, offer: Offer, places: int) -> Tensor:
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
        clicked, nothing = self._outcomes(offer)
        return ratio(take(self._attractions(offer), slates) * self.places.exp(), take(clicked, slates), nothing)

    def worth(self, offer: Offer) -> Tensor:
        attractions, (clicked, nothing) = self._attractions(offer), self._outcomes(offer)
        return attractions * (clicked - nothing[:, None])

    def losses(self, shown: Offer, clicked: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        outcome = torch.where(clicked.sum(1) > 0, clicked.argmax(1), clicked.shape[1])
        logits = torch.cat([self._logits(shown) + self.places, torch.zeros_like(clicked[:, :1])], dim=1)
        choice = nn.functional.cross_entropy(logits, outcome)
        values, nothing = self._outcomes(shown)
        found = torch.cat([values, nothing[:, None]], dim=1).gather(1, outcome[:, None])[:, 0]
        errors = (found - targets).square()
        known = torch.ones_like(errors) if self.null else (outcome < clicked.shape[1]).float()
        return choice, (errors * known).sum() / known.sum().clamp(min=1.0)


def ratio(attractions: Tensor, clicked: Tensor, nothing: Tensor) -> Tensor:
    """(n,): the expected value of slates by their items' attractions and values (n, S)."""
    return ((attractions * clicked).sum(1) + nothing) / (attractions.sum(1) + 1.0)


def ranks(gains: Tensor, allowed: Tensor, places: int) -> Tensor:
    """(n, S): the columns of the highest gains among those allowed; a masked one only where too few are."""
    return gains.masked_fill(~allowed, TAKEN).topk(places, dim=1).indices


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


class Tower(nn.Module):
    """Users and a context to a vector and a bias, items to vectors; the product is the value: cheap for many items."""

    def __init__(self, user_width: int, item_width: int, context: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(user_width, hidden)
        self.context = nn.Linear(context, hidden, bias=False) if context else None
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, hidden + 1)
        self.item = nn.Sequential(
            nn.Linear(item_width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden)
        )

    def queries(self, users: Tensor, context: Tensor | None = None) -> Tensor:
        """(…, hidden + 1): the vectors and biases of outputs (…, hidden) of `first`, in contexts (…, context)."""
        if self.context is not None and context is not None:
            users = users + self.context(context)
        queries: Tensor = self.last(torch.relu(self.second(torch.relu(users))))
        return queries


def products(queries: Tensor, vectors: Tensor, index: Tensor) -> Tensor:
    """(n, K): queries (n, width + 1) with the vectors (R, width) that the index (n, K) names, and the bias."""
    if len(vectors) <= 2 * index.shape[1]:
        found = (queries[:, :-1] @ vectors.T).gather(1, index)
    else:
        found = (vectors[index] @ queries[:, :-1, None])[..., 0]
    return found + queries[:, -1:]


class ClickValues(nn.Module):
    """Each item is clicked or not by itself. `context`: whether an item's worth depends on the clicks above it."""

    def __init__(self, user_width: int, item_width: int, places: int, hidden: int, context: bool) -> None:
        super().__init__()
        self.choice = Tower(user_width, 2 * item_width, 0, hidden)
        self.places = nn.Parameter(torch.full((places,), 2.0))
        self.nothing = UserNetwork(user_width, hidden)
        self.clicked = Tower(user_width, 2 * item_width, 2 * item_width if context else 0, hidden)

    def _chances(self, offer: Offer, about: Tensor) -> Tensor:
        """(n, K): of a click where it is looked at, 0 of what may not be shown."""
        queries = self.choice.queries(self.choice.first(offer.users))
        return torch.sigmoid(products(queries, self.choice.item(about), offer.items.rows_of)) * offer.allowed

    def _walk(self, offer: Offer, slates: Tensor | None, places: int) -> tuple[Tensor, Tensor, Tensor]:
        """Slates from the top, given or chosen greedily: (n, S), their expected values (n,), the first gains (n, K)."""
        about = about_items(offer.items.rows)
        chances, vectors = self._chances(offer, about), self.clicked.item(about)
        users, looked = self.clicked.first(offer.users), torch.sigmoid(self.places)
        value, context = self.nothing(offer.users), torch.zeros((len(users), about.shape[1]), device=users.device)
        left, first = offer.allowed, torch.empty(0)
        chosen: list[Tensor] = []
        for place in range(places):
            gains = chances * products(self.clicked.queries(users, context), vectors, offer.items.rows_of)
            first = first if chosen else gains
            item = ranks(gains, left, 1) if slates is None else slates[:, place : place + 1]
            left = left.scatter(1, item, False)
            value = value + looked[place] * take(gains, item)[:, 0]
            context = context + looked[place] * take(chances, item) * about[take(offer.items.rows_of, item)[:, 0]]
            chosen.append(item)
        return torch.cat(chosen, dim=1), value, first

    def best(self, offer: Offer, places: int) -> Tensor:
        return self._walk(offer, None, places)[0]

    def value(self, offer: Offer, slates: Tensor) -> Tensor:
        return self._walk(offer, slates, slates.shape[1])[1]

    def worth(self, offer: Offer) -> Tensor:
        return self._walk(offer, None, 1)[2]

    def losses(self, shown: Offer, clicked: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        about, index = about_items(shown.items.rows), shown.items.rows_of
        chances = (self._chances(shown, about) * torch.sigmoid(self.places)).clamp(LEAST, 1.0 - LEAST)
        choice = nn.functional.binary_cross_entropy(chances, clicked) * clicked.shape[1]
        clicks = about[index] * clicked[..., None]
        queries = self.clicked.queries(self.clicked.first(shown.users)[:, None], clicks.cumsum(1) - clicks)
        queries = queries.expand(-1, clicked.shape[1], -1)
        gains = (self.clicked.item(about)[index] * queries[..., :-1]).sum(2) + queries[..., -1]
        found = self.nothing(shown.users) + (gains * clicked).sum(1)
        return choice, nn.functional.mse_loss(found, targets)


def about_items(rows: Tensor) -> Tensor:
    """(R, 2 F): features, and which of them is largest: of topics' weights the main topic."""
    return torch.cat([rows, nn.functional.one_hot(rows.argmax(1), rows.shape[1]).to(rows.dtype)], dim=1)
