"""What a slate is worth where users click each item or not, whatever else they click.

    Q(s, A) = Q(s, nothing) + sum over i in A of p_i (r(s, i) + later(s, i, c)),   p_i = sigmoid(x_i) sigmoid(b_place).

r is what a click pays at once, and is learnt by itself: it is hardly noisy, while what follows is, and would drown it.
`later` is how a click changes what follows; where an item's worth depends on what stands above it, c sums the clicks to
be expected there, by their features. All are fitted to what was clicked in fact. Slates are built place by place, from
the candidates of each kind that are likeliest clicked, so that there is something to vary with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.networks import CandidateNetwork, UserNetwork
from agents.slate_values import Offer, kinds, ranks, take

LEAST = 1e-6  # a chance that is never 0
LOOKED_AT = 2.0  # logit of the first guess at how likely a place is looked at


class MatchNetwork(nn.Module):
    """Users and their candidates to numbers (n, K): a network of both, and of how well one matches the other.

    The matches are products of an item's features, and of its kind, with the user's profiles, and with the sum of what
    stands above it. What is learnt of one topic's count so holds for the count of every topic.
    """

    def __init__(self, user_width: int, item_width: int, profiles: int, hidden: int, context: bool) -> None:
        super().__init__()
        self.user = nn.Linear(user_width, hidden)
        self.item = nn.Linear(2 * item_width, hidden, bias=False)
        self.match = nn.Linear(2 * profiles, hidden, bias=False) if profiles else None
        self.above = nn.Linear(2 * item_width, hidden, bias=False) if context else None
        self.above_match = nn.Linear(2, hidden, bias=False) if context else None
        self.middle = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, 1)

    def first(self, offer: Offer, kind: Tensor) -> Tensor:
        """(n, K, hidden): what does not depend on what stands above."""
        user, item = self.user(offer.users)[:, None], self.item(torch.cat([offer.items, kind], dim=2))
        if self.match is None:
            return torch.add(user, item)
        profiles, (of_raw, of_kind) = offer.profiles.transpose(1, 2), self.match.weight.t().chunk(2)
        # One product for all: of an item's kinds one is 1, so that what is of the user alone is added to each kind's.
        weights = torch.cat([profiles @ of_raw, profiles @ of_kind + user], dim=1)
        return torch.add(torch.cat([offer.raw, kind], dim=2) @ weights, item)

    def below(self, first: Tensor, terms: Tensor, above: Tensor) -> Tensor:
        """(n, K, hidden): `first` of items with terms (n, K, 2 F), below what sums to (n, 1 or K, 2 F)."""
        if self.above is None or self.above_match is None:
            return first
        each = self.above_match.weight.repeat_interleave(terms.shape[2] // 2, dim=1)  # of features, and of kinds
        return nn.functional.linear(terms * above, each).add_(first).add_(self.above(above))

    def last(self, first: Tensor) -> Tensor:
        """(n, K): the numbers. Overwrites `first` with its positive part, all that is ever used of it."""
        values: Tensor = self.value(self.middle(torch.relu_(first)).relu_())
        return values[..., 0]


def layers(width: int, hidden: int) -> nn.Sequential:
    """Two hidden layers and as many numbers."""
    return nn.Sequential(
        nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden)
    )


class ClickValues(nn.Module):
    """Each item is clicked or not by itself.

    Args:
        profiles: how many the users have.
        context: whether an item's worth depends on the clicks above it.
        most: candidates that a slate is built of; where there are more, those of each kind that are likeliest clicked.
    """

    def __init__(
        self, user_width: int, item_width: int, profiles: int, places: int, hidden: int, context: bool, most: int
    ) -> None:
        super().__init__()
        self.most = most
        user_width += 2 * profiles
        self.choice = MatchNetwork(user_width, item_width, profiles, hidden, context=False)
        self.queries = layers(user_width, hidden)
        self.item_vectors = layers(2 * item_width, hidden)
        self.places = nn.Parameter(torch.full((places,), LOOKED_AT))
        self.pays = CandidateNetwork(user_width, 2 * item_width, hidden)
        self.nothing = UserNetwork(user_width, hidden)
        self.later = MatchNetwork(user_width, item_width, profiles, hidden, context)

    def _chances(self, offer: Offer, kind: Tensor) -> Tensor:
        """(n, K): of a click where it is looked at, 0 of what may not be shown."""
        about = torch.cat([offer.items, kind], dim=2)
        logits = self.choice.last(self.choice.first(offer, kind))
        vectors, queries = self.item_vectors(about), self.queries(offer.users)
        if len(vectors) == 1:  # the same for everybody
            logits = logits + queries @ vectors[0].t()
        else:
            logits = logits + (vectors @ queries[..., None])[..., 0]
        return torch.sigmoid(logits) * offer.allowed

    def worth(self, offer: Offer) -> Tensor:
        """(n, K): the less, the more of its kind are likelier clicked; of equals the likelier is worth more."""
        return torch.cat([self._worth(part) for part in pooled(offer).parts()])

    def _worth(self, offer: Offer) -> Tensor:
        kind = kinds(offer.raw)
        chances = self._chances(offer, kind)
        of = kind.argmax(2).expand_as(chances)
        order = (chances - 2.0 * of).argsort(dim=1, descending=True)
        sorted_kinds, counted = of.gather(1, order), torch.arange(of.shape[1], device=of.device).expand_as(of)
        begins = torch.cat([torch.ones_like(of[:, :1]), sorted_kinds.diff(dim=1)], dim=1) != 0
        before = counted - torch.where(begins, counted, 0).cummax(dim=1).values
        return torch.zeros_like(chances).scatter(1, order, chances.gather(1, order) - before)

    def best(self, offer: Offer, places: int) -> Tensor:
        offer = pooled(offer)
        if offer.items.shape[1] <= self.most:
            return self._built(offer, places)
        kept = torch.cat([ranks(self._worth(part), part.allowed, self.most) for part in offer.parts()])
        return take(kept, self._built(offer.only(kept), places))

    def _built(self, offer: Offer, places: int) -> Tensor:
        return torch.cat([self._build(part, places) for part in offer.parts()])

    def _build(self, offer: Offer, places: int) -> Tensor:
        """(n, S): from the top, place by place what adds most."""
        kind = kinds(offer.raw)
        terms = torch.cat([offer.raw, kind], dim=2).expand(len(offer.users), -1, -1)
        chances, pays = self._chances(offer, kind), self.pays(offer.users, torch.cat([offer.items, kind], dim=2))
        first, left = self.later.first(offer, kind), offer.allowed
        above, everybody = torch.zeros_like(terms[:, :1]), torch.arange(len(terms), device=terms.device)
        chosen: list[Tensor] = []
        for looked in torch.sigmoid(self.places)[:places]:
            gains = pays + self.later.last(self.later.below(first, terms, above))
            item = ranks(chances * gains, left, 1)
            left = left.scatter(1, item, False)
            above = above + (looked * take(chances, item))[..., None] * terms[everybody, item[:, 0], None]
            chosen.append(item)
        return torch.cat(chosen, dim=1)

    def value(self, offer: Offer, slates: Tensor) -> Tensor:
        shown = pooled(offer.only(slates))
        kind = kinds(shown.raw)
        clicks = self._chances(shown, kind) * torch.sigmoid(self.places)[: slates.shape[1]]
        gains = self._pays(shown, kind) + self._later(shown, kind, clicks)
        return self.nothing(shown.users) + (clicks * gains).sum(1)

    def _pays(self, shown: Offer, kind: Tensor) -> Tensor:
        paid: Tensor = self.pays(shown.users, torch.cat([shown.items, kind], dim=2))
        return paid

    def _later(self, shown: Offer, kind: Tensor, clicks: Tensor) -> Tensor:
        """(n, S): how a click on each place changes what follows, below the clicks (n, S), made or expected."""
        terms = torch.cat([shown.raw, kind], dim=2)
        counted = terms * clicks[..., None]
        first = self.later.below(self.later.first(shown, kind), terms, counted.cumsum(1) - counted)
        return self.later.last(first)

    def losses(self, shown: Offer, clicked: Tensor, rewards: Tensor, targets: Tensor) -> dict[str, Tensor]:
        shown = pooled(shown)
        kind = kinds(shown.raw)
        chances = (self._chances(shown, kind) * torch.sigmoid(self.places)).clamp(LEAST, 1.0 - LEAST)
        choice = nn.functional.binary_cross_entropy(chances, clicked) * clicked.shape[1]
        pays = self._pays(shown, kind)
        at_once = nn.functional.mse_loss((clicked * pays).sum(1), rewards)
        gains = clicked * (pays.detach() + self._later(shown, kind, clicked))
        values = nn.functional.mse_loss(self.nothing(shown.users) + gains.sum(1), targets)
        return {"choice_loss": choice, "reward_loss": at_once, "loss": values}


def pooled(offer: Offer) -> Offer:
    """The same, with the largest number and the sum of each profile known of the users: none is learnt alone."""
    if not offer.profiles.shape[1]:
        return offer
    return offer._replace(users=torch.cat([offer.users, offer.profiles.amax(2), offer.profiles.sum(2)], dim=1))
