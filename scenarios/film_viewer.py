"""One viewer of films: who comes, what is offered, how a film is chosen, and what watching it changes.

Plain functions that the verbs of film worlds call; `self` is what verbs get, with the tables of `MovieLens.tables`.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING

from recsim_env.scenario import Items, Rng, User

if TYPE_CHECKING:
    from scenarios.movielens import MovieLens


class People(IntEnum):
    """Who comes: everybody, or one side of a fixed split, 80 % known and 20 % new."""

    ALL = 0
    KNOWN = 1
    NEW = 2


def draw_person(self: MovieLens, rng: Rng) -> int:
    """The id of somebody of the group that comes."""
    count = len(self.order)
    known = (4 * count) // 5
    if self.people == People.KNOWN:
        return int(self.order[rng.integer(known)])
    if self.people == People.NEW:
        return int(self.order[known + rng.integer(count - known)])
    return int(self.order[rng.integer(count)])


def start(self: MovieLens, user: User, rng: Rng) -> None:
    """Become somebody of the population, as fitted; what the record held is forgotten."""
    user.id = draw_person(self, rng)
    user.bias = self.user_bias[user.id]
    for k in range(len(user.taste)):
        user.taste[k] = self.user_factors[user.id, k]
    for genre in range(len(user.profile)):
        user.profile[genre] = self.profiles[user.id, genre]
        user.satiation[genre] = 0.0
    for k in range(len(user.watched)):
        user.watched[k] = -1
    user.films = 0
    open_session(self, user)


def open_session(self: MovieLens, user: User) -> None:
    """Patience starts anew with each session."""
    user.patience = self.patience
    user.steps = 0


def draw_film(self: MovieLens, rng: Rng) -> int:
    """A film by popularity: the first whose cumulative share exceeds a uniform draw."""
    target = rng.uniform()
    film = self.guide[int(target * len(self.guide))]  # near it, so that the search takes about one step
    while self.cumulative[film] <= target:
        film += 1
    return int(film)


def window(self: MovieLens) -> int:
    """How many of the last watched films are not on offer; a small catalogue must leave enough candidates."""
    return min(self.not_again, len(self.cumulative) - self.num_candidates)


def is_taken(self: MovieLens, user: User, items: Items, position: int, film: int) -> bool:
    """Whether a film is on offer at an earlier position, or was watched too recently."""
    for earlier in range(position):
        if items[earlier].id == film:
            return True
    for k in range(min(user.films, window(self))):  # noqa: SIM110 - any() allocates
        if user.watched[k] == film:
            return True
    return False


def match(self: MovieLens, user: User, film: int) -> float:
    """How far the user would rate the film from what everybody's biases say, in stars."""
    total = 0.0
    for k in range(len(user.taste)):
        total += user.taste[k] * self.film_factors[film, k]
    return total


def sated(self: MovieLens, user: User, film: int) -> float:
    """Mean satiation with the film's genres."""
    total = 0.0
    for genre in range(len(user.satiation)):
        total += user.satiation[genre] * self.shares[film, genre]
    return total


def logit(self: MovieLens, user: User, film: int) -> float:
    """Of choosing the film: people go by taste and by fame, since quality shows in the watching."""
    known = self.fame * float(self.log_popularity[film])
    return self.slope * match(self, user, film) + known - sated(self, user, film)


def refilled(self: MovieLens, user: User, film: int) -> float:
    """Patience that a film brings back, by its quality to this user; how high one rates in general does not count."""
    quality = float(self.quality[film]) + match(self, user, film)
    return self.refill * min(1.0, max(0.0, (quality - self.dull) / (self.superb - self.dull)))


def drift_toward(self: MovieLens, user: User, film: int) -> None:
    """Move the taste toward the film's factors, scaled to the length that the taste has."""
    own, its = 0.0, 0.0
    for k in range(len(user.taste)):
        own += user.taste[k] * user.taste[k]
        its += self.film_factors[film, k] * self.film_factors[film, k]
    if its > 0.0:
        scale = math.sqrt(own / its)
        for k in range(len(user.taste)):
            user.taste[k] += self.drift * (scale * self.film_factors[film, k] - user.taste[k])


def watch(self: MovieLens, user: User, film: int) -> None:
    """What a watched film does to the user."""
    user.patience += refilled(self, user, film) - 1.0
    for genre in range(len(user.satiation)):
        user.satiation[genre] += self.satiation * self.genres[film, genre]
    if window(self) > 0:
        user.watched[user.films % window(self)] = film
    user.films += 1
    drift_toward(self, user, film)
