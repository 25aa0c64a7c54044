"""Shoppers browse and are advertised to: views tell of taste, clicks are rare (RecoGym, Rohde et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsim_env.dynamics import dot, fade
from recsim_env.errors import InvalidParameter
from recsim_env.fields import Field
from recsim_env.parameters import param
from recsim_env.scenario import Item, Items, Responses, Rng, Scenario, Scratch, Slate, User

MOST_VIEWS = 100.0  # observed of a product; with the published chain a phase of so many is rarer than 1 in 10^13


def logistic(x: float) -> float:
    """1 / (1 + exp(-x)), for any x."""
    small = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else small) / (1.0 + small)


def click_rate(x: float) -> float:
    """How likely a product is clicked, 0.45 % to 2.93 %, rising with the user's taste for it; the paper's constants."""
    return logistic(5.0 * logistic(2.0 * logistic(0.3 * x) - 2.0) - 6.0)


def advertised(self: OrganicBandit, user: User, product: int) -> float:
    """The click rate now. Taste moves only while browsing, so it stays for a whole phase of advertisements."""
    return click_rate(dot(user.taste, self.bandit_vectors, product) + self.bandit_popularity[product])


def viewed(self: OrganicBandit, user: User, rng: Rng) -> int:
    """A product by the softmax of taste and popularity: the largest sum of logit and Gumbel noise.

    So the draw needs no room for the weights of all products.
    """
    best, largest = 0, -math.inf
    for product in range(len(user.views)):
        waiting = max(1e-300, -math.log(1.0 - rng.uniform()))  # exponential; 0 would have no logarithm
        logit = dot(user.taste, self.organic_vectors, product) + self.organic_popularity[product]
        if logit - math.log(waiting) > largest:
            best, largest = product, logit - math.log(waiting)
    return best


def drift(self: OrganicBandit, user: User, rng: Rng) -> None:
    for k in range(len(user.taste)):
        user.taste[k] = rng.normal(user.taste[k], self.drift_sd)


def browse(self: OrganicBandit, user: User, rng: Rng) -> None:
    """An organic phase: views, each after the first with a taste that has drifted, until it ends.

    Ends for sure: `organic_to_bandit` is above 0.
    """
    while True:
        user.views[viewed(self, user, rng)] += 1.0
        luck = rng.uniform()
        if luck < self.organic_to_bandit + self.organic_to_leave:
            user.gone = 1 if luck < self.organic_to_leave else 0
            return
        drift(self, user, rng)


def clicked_any(responses: Responses) -> bool:
    for place in range(len(responses)):  # noqa: SIM110 - any() allocates
        if responses[place].clicked == 1.0:
            return True
    return False


def swapped(vectors: np.ndarray, swaps: int) -> np.ndarray:
    """(P,): the order of products after swapping pairs, the most correlated first, each product once at most.

    Over users whose tastes are independent, two products' affinities covary by the dot product of their vectors.
    """
    order, alike = np.arange(len(vectors)), vectors @ vectors.T
    alike[np.tril_indices(len(vectors))] = -np.inf  # each pair once, and none with itself
    for _ in range(swaps):
        one, other = np.unravel_index(np.argmax(alike), alike.shape)
        order[one], order[other] = other, one
        alike[[one, other], :] = alike[:, [one, other]] = -np.inf
    return order


@dataclass(frozen=True)
class OrganicBandit(Scenario):
    """An advertisement a step; between them users browse the shop by themselves, and what they viewed is seen.

    All products are on offer at each step, in the order of their ids. A user starts by browsing, and each
    browsing (organic) phase passes within `reset` or `step`.
    """

    num_candidates: int = param(10, "products of the shop; all of them are on offer", low=2, high=2000)
    slate_size: int = param(1, "products shown at a step; of several, each is clicked by itself", low=1, high=1000)
    world_seed: int = param(0, "which shop: the products' vectors and popularity", low=0, high=2**63 - 1)
    factors: int = param(5, "factors of taste", low=1, high=1000)
    popularity_sd: float = param(3.0, "spread of the products' popularity, in logits", low=0, high=100)
    number_of_flips: int = param(0, "pairs of alike products whose roles are swapped in advertisements", low=0)
    flip_popularity: bool = param(True, "whether popularity is swapped too, as released; false: vectors alone")
    drift_sd: float = param(0.1, "how far taste moves with each view after the first, a factor", low=0, high=10)
    organic_to_bandit: float = param(0.25, "chance after a view to go to advertisements", low=0.001, high=1)
    organic_to_leave: float = param(0.01, "chance after a view to leave", low=0, high=0.999)
    bandit_to_organic: float = param(0.05, "chance after an advertisement to browse; after a click 1", low=0, high=1)
    bandit_to_leave: float = param(0.01, "chance after an advertisement to leave", low=0, high=1)
    forgetting: float = param(
        1.0, "share of earlier views that a step takes from the observation; 0: it counts the session's", low=0, high=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.number_of_flips > self.num_candidates // 2:
            pairs = f"the pairs of num_candidates ({self.num_candidates // 2})"
            raise InvalidParameter(f"OrganicBandit.number_of_flips must be at most {pairs}, not {self.number_of_flips}")
        for one, other in (("organic_to_bandit", "organic_to_leave"), ("bandit_to_organic", "bandit_to_leave")):
            total = getattr(self, one) + getattr(self, other)
            if total > 1.0:
                raise InvalidParameter(f"OrganicBandit.{one} and {other} must sum to at most 1, not {total:g}")

    def user_fields(self) -> Sequence[Field]:
        views = "of each product since the last step, or as `forgetting` says"
        return [
            Field("views", shape=self.num_candidates, low=0, high=MOST_VIEWS, unit="views", seen=True, about=views),
            Field("taste", shape=self.factors),
            Field("gone", integer=True, low=0, high=1, about="1 where the user has left"),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [Field("id", low=0, high=self.num_candidates - 1, integer=True, seen=True)]

    def catalogue(self) -> np.ndarray:
        """(P, P): one-hot ids, since nothing else is known of a product."""
        return np.eye(self.num_candidates, dtype=np.float32)

    def tables(self) -> Mapping[str, np.ndarray]:
        """Vectors (P, K) and popularity (P,) of products, as they are browsed and as they are advertised.

        A swapped product takes over the other's vector and popularity, as in the published program; the paper can
        also be read as if popularity stayed (`flip_popularity=False`).
        """
        rng = np.random.default_rng(self.world_seed)
        vectors = rng.normal(size=(self.num_candidates, self.factors))
        popularity = rng.normal(0.0, self.popularity_sd, self.num_candidates)
        order = swapped(vectors, self.number_of_flips)
        return {
            "organic_vectors": vectors,
            "organic_popularity": popularity,
            "bandit_vectors": vectors[order],
            "bandit_popularity": popularity[order] if self.flip_popularity else popularity,
        }

    def arrive(self, user: User, rng: Rng) -> None:
        user.gone = 1
        while user.gone == 1:  # who leaves before any advertisement is never met
            fade(user.views, 1.0)
            for k in range(len(user.taste)):
                user.taste[k] = rng.normal(0.0, 1.0)
            browse(self, user, rng)

    @property
    def offer_is_fixed(self) -> bool:
        return True

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].id = position

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            if rng.at(slate[place]).uniform() < advertised(self, user, items[slate[place]].id):
                responses[place].clicked = 1.0

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        fade(user.views, self.forgetting)
        luck = rng.uniform()
        if clicked_any(responses) or luck < self.bandit_to_organic:
            drift(self, user, rng)
            browse(self, user, rng)
        elif luck >= 1.0 - self.bandit_to_leave:
            user.gone = 1

    def left(self, user: User) -> bool:
        return bool(user.gone == 1)

    def appeal(self, user: User, item: Item) -> float:
        return advertised(self, user, item.id)
