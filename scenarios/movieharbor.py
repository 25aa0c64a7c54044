"""The films of MovieHarbor's catalogue, with texts and pictures, retrieved for people fitted from ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsim_env.content import Content
from recsim_env.errors import InvalidParameter
from recsim_env.fields import Field
from recsim_env.parameters import param
from recsim_env.scenario import Items, Rng, User
from scenarios.film_viewer import draw_film, is_taken, open_session, start, window
from scenarios.movieharbor_data import AGES, REGIONS, Harbour, load_harbour
from scenarios.movielens import TRIES, MovieLens
from scenarios.movielens_data import SOURCE, Fitted


@dataclass(frozen=True)
class MovieHarbor(MovieLens):
    """A film service: films near to what one watched are on offer, popular ones, and a few of any kind."""

    films: str = param("runs/films", "folder of the catalogue: recsim-env movieharbor build --out FOLDER")
    data: str = param("", f"path of your MovieLens folder or zip; empty: people are made up. {SOURCE}")
    posters: str = param("", "folder of posters by film id, such as 862.png; empty: they are drawn")
    near: float = param(0.5, "share of candidates from the films nearest to what was watched", low=0, high=1)
    explore: float = param(0.2, "share of candidates drawn from all films alike", low=0, high=1)
    not_again: int = param(50, "a film is not offered for so many films after it was watched", low=1, high=10_000)

    min_ratings: int = param(5, "ratings from which a film's factors come from them; else from its text", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.near + self.explore > 1.0:
            total = self.near + self.explore
            raise InvalidParameter(f"MovieHarbor.near and explore must sum to at most 1, not {total:g}")

    @cached_property
    def harbour(self) -> Harbour:
        """Films and people. `DataError`: no catalogue, or data that are damaged."""
        return load_harbour(self.films, self.data, self.posters, factors=self.factors, min_ratings=self.min_ratings)

    def counted(self, films: int) -> str:
        return f"the catalogue holds {films:,}"

    def population(self) -> Fitted:
        return self.harbour.fitted

    def summary(self) -> str:
        fitted, films = self.harbour.fitted, len(self.harbour.rated)
        if not self.data:
            return f"{len(fitted.user_ids):,} people, made up; {films:,} films, {len(fitted.genre_names)} genres"
        return (
            f"{super().summary()}; {films - self.harbour.rated.sum():,} films without enough ratings: of factors, "
            f"texts and genres explain {100 * self.harbour.explained:.0f} % of the variance"
        )

    def item_content(self) -> Content:
        return self.harbour.content

    @property
    def offer_reads_user(self) -> bool:
        return not self.offer_is_fixed

    @property
    def offer_is_fixed(self) -> bool:
        return self.num_candidates == len(self.harbour.rated)

    def user_fields(self) -> Sequence[Field]:
        return [
            *super().user_fields(),
            Field("age", categories=AGES, seen=True, about="the age group, from the youngest"),
            Field("region", categories=REGIONS, seen=True, about="where the user lives"),
        ]

    def tables(self) -> Mapping[str, np.ndarray]:
        """Those of `MovieLens`, and the films nearest to each (N, k), ages and regions (U,)."""
        harbour = self.harbour
        return {**super().tables(), "nearest": harbour.nearest, "ages": harbour.ages, "regions": harbour.regions}

    def arrive(self, user: User, rng: Rng) -> None:
        settle(self, user, rng)

    def come_back(self, user: User, rng: Rng) -> None:
        if self.carry:
            open_session(self, user)
        else:
            settle(self, user, rng)

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            if len(items) == len(self.cumulative):
                items[position].id = position
            else:
                film, tries = retrieve(self, user, rng), 1
                while is_taken(self, user, items, position, film):
                    film = retrieve(self, user, rng) if tries < TRIES else (film + 1) % len(self.cumulative)
                    tries += 1
                items[position].id = film


def settle(self: MovieHarbor, user: User, rng: Rng) -> None:
    """Become somebody of the population, of an age and a region."""
    start(self, user, rng)
    user.age, user.region = self.ages[user.id], self.regions[user.id]


def retrieve(self: MovieHarbor, user: User, rng: Rng) -> int:
    """A film near to one that was watched lately, the nearer the likelier; any film; or one by popularity."""
    source = rng.uniform()
    watched = min(user.films, window(self))
    if source < self.near and watched > 0:
        like = user.watched[rng.integer(watched)]
        return int(self.nearest[like, int(rng.uniform() ** 2 * self.nearest.shape[1])])
    if self.near <= source < self.near + self.explore:
        return int(rng.integer(len(self.cumulative)))
    return draw_film(self, rng)
