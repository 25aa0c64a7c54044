"""One viewer of films: who comes, what is offered, how a film is chosen, and what watching it changes.

Plain functions that the verbs of film worlds call; `self` is what verbs get, with the tables of `MovieLens.tables`.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from recsim_env.dynamics import dot, drift_toward, fade, mean_level, sate
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
    become(self, user, draw_person(self, rng))


def become(self: MovieLens, user: User, person: int) -> None:
    """Become the person of this id, as fitted."""
    user.id = person
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
    return dot(user.taste, self.film_factors, film)


def sated(self: MovieLens, user: User, film: int) -> float:
    """Mean satiation with the film's genres."""
    return mean_level(user.satiation, self.shares, film)


def logit(self: MovieLens, user: User, film: int) -> float:
    """Of choosing the film: people go by taste and by fame, since quality shows in the watching."""
    known = self.fame * float(self.log_popularity[film])
    return self.slope * match(self, user, film) + known - sated(self, user, film)


def refilled(self: MovieLens, user: User, film: int) -> float:
    """Patience that a film brings back, by its quality to this user; how high one rates in general does not count."""
    quality = float(self.quality[film]) + match(self, user, film)
    return self.refill * min(1.0, max(0.0, (quality - self.dull) / (self.superb - self.dull)))


def shift_taste(self: MovieLens, user: User, film: int) -> None:
    """Move the taste toward the film's factors, scaled to the length that the taste has."""
    own, its = 0.0, 0.0
    for k in range(len(user.taste)):
        own += user.taste[k] * user.taste[k]
        its += self.film_factors[film, k] * self.film_factors[film, k]
    if its > 0.0:
        drift_toward(user.taste, self.film_factors, film, self.drift, math.sqrt(own / its))


def watch(self: MovieLens, user: User, film: int) -> None:
    """What a watched film does to the user."""
    user.patience += refilled(self, user, film) - 1.0
    sate(user.satiation, self.genres, film, self.satiation)
    if window(self) > 0:
        user.watched[user.films % window(self)] = film
    user.films += 1
    shift_taste(self, user, film)


def replay(
    self: MovieLens, users: Any, steps: Any, people: Any, shown: Any, watched: Any, matches: Any, tiredness: Any
) -> None:
    """What each logged slate's films were to the person: (T, S) matches and satiations, which films watched changed.

    `users` is one record to live in; a session starts where `steps` (T,) is 0. `people` (T,) and `shown` (T, S) are
    ids, and `watched` (T,) is the film that was, or -1.
    """
    user = users[0]
    for t in range(len(steps)):
        if steps[t] == 0:
            become(self, user, people[t])
        for place in range(shown.shape[1]):
            matches[t, place] = match(self, user, shown[t, place])
            tiredness[t, place] = sated(self, user, shown[t, place])
        fade(user.satiation, self.fade)
        if watched[t] >= 0:
            watch(self, user, watched[t])
