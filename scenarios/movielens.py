"""People and films of MovieLens (Harper and Konstan, 2015), who sate, drift and lose patience."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsim_env.choice import multinomial_logit
from recsim_env.dynamics import fade
from recsim_env.errors import DataError, InvalidParameter
from recsim_env.fields import Field
from recsim_env.link import JIT, link
from recsim_env.logs import Interactions
from recsim_env.parameters import param
from recsim_env.scenario import Item, Items, Responses, Rng, Scenario, Scratch, Slate, User
from scenarios.film_viewer import People, draw_film, is_taken, logit, match, open_session, replay, start, watch
from scenarios.movielens_data import HIGHEST, LOWEST, SOURCE, Fitted, load

TRIES = 20  # draws of a film by popularity before its neighbours in the catalogue are taken


@dataclass(frozen=True)
class MovieLens(Scenario):
    """Known films to one's taste get watched, good films keep people, and more of the same tires them."""

    num_candidates: int = param(20, "films on offer at a step", low=1, high=100_000)
    slate_size: int = param(3, "films shown at a step", low=1, high=1000)
    data: str = param("", f"path of your MovieLens folder or zip. {SOURCE}")
    factors: int = param(16, "factors of taste", low=1, high=200)
    min_ratings: int = param(5, "films with fewer ratings are left out", low=1)
    people: People = param(People.ALL, "who comes: all, or a side of a fixed split, known (80 %) or new (20 %)")
    carry: bool = param(False, "whether a person's next session goes on from the last; else it starts as fitted")
    slope: float = param(
        6.0, "what a star of match adds to a film's logit; 0: taste does not count", low=0, high=1e6, fit="choice"
    )
    fame: float = param(
        0.5, "what a unit of log popularity adds to it; 0: fame does not count", low=-1e6, high=1e6, fit="choice"
    )
    no_click_logit: float = param(0.0, "the logit of choosing nothing", low=-1e6, high=1e6, fit="choice")
    satiation: float = param(
        0.5, "what a watched film takes from its genres' logit; 0: nobody sates", low=0, high=1e6, fit="choice"
    )
    fade: float = param(0.1, "share of satiation that a step takes away", low=0, high=1, fit="choice")
    not_again: int = param(50, "a film is not offered for so many films after it was watched", low=0, high=10_000)
    drift: float = param(0.02, "how far a film moves taste toward itself; 0: taste stays", low=0, high=1, fit="choice")
    patience: float = param(20.0, "poor films a new user bears; 0: a session lasts session_steps", low=0, high=1e6)
    no_click_cost: float = param(0.25, "patience that a slate without a click costs; a film costs 1", low=0, high=1e6)
    refill: float = param(0.9, "patience that a superb film brings back; 0: none does", low=0, high=1)
    dull: float = param(3.25, "stars up to which a film brings back nothing", low=0, high=5)
    superb: float = param(4.25, "stars from which a film brings back all of it", low=0, high=5)
    session_steps: int = param(60, "steps of a session where patience is 0", low=1, high=5000)
    popularity: float = param(0.5, "films are offered by number of ratings to this power; 0: all alike", low=0, high=3)
    rating_sd: float = param(0.5, "noise of a rating, in stars; 0: as fitted", low=0, high=5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dull >= self.superb:
            rule = f"{type(self).__name__}.dull must be below superb ({self.superb:g})"
            raise InvalidParameter(f"{rule}, not {self.dull:g}")

    @cached_property
    def fitted(self) -> Fitted:
        """The population and catalogue. `DataError`: no data, damaged data, or fewer films than candidates."""
        fitted = self.population()
        if len(fitted.film_ids) < self.num_candidates:
            most = f"at most the films there are ({self.counted(len(fitted.film_ids))})"
            raise DataError(f"num_candidates must be {most}, not {self.num_candidates}")
        return fitted

    def counted(self, films: int) -> str:
        """How many films there are, and why no more."""
        return f"{films:,} have at least min_ratings={self.min_ratings} ratings"

    def population(self) -> Fitted:
        """Who comes, and what there is, as fitted."""
        if not self.data:
            raise DataError(f"MovieLens needs data=PATH (--set data=PATH) of your folder or zip. {SOURCE}")
        return load(self.data, factors=self.factors, min_ratings=self.min_ratings)

    def item_names(self) -> Sequence[str]:
        return self.fitted.titles

    def summary(self) -> str:
        fitted = self.fitted
        return (
            f"{len(fitted.user_ids):,} people, {len(fitted.film_ids):,} films, {len(fitted.genre_names)} genres; "
            f"held-out RMSE {fitted.rmse:.3f} stars "
            f"(biases alone {fitted.rmse_biases:.3f}, the mean {fitted.rmse_mean:.3f})"
        )

    @property
    def keeps_user(self) -> bool:
        return self.carry

    @property
    def offer_reads_user(self) -> bool:
        return self.not_again > 0

    def user_fields(self) -> Sequence[Field]:
        people, genres = self.fitted.profiles.shape
        films = len(self.fitted.film_ids)
        ring = max(1, min(self.not_again, films))
        return [
            Field("id", low=0, high=people - 1, integer=True, seen=True),
            Field("profile", shape=genres, low=-1, high=1, seen=True, about="past ratings by genre, from the mean"),
            Field("taste", shape=self.factors),
            Field("bias", low=-5, high=5, unit="stars", about="how high the user rates"),
            Field("satiation", shape=genres, low=0, about="what it takes from a genre's appeal"),
            Field("patience", unit="steps", about="the session ends when it is spent"),
            Field("watched", shape=ring, low=-1, high=films - 1, integer=True, about="ring of the last ids"),
            Field("films", low=0, integer=True, about="how many were watched"),
            Field("steps", low=0, integer=True, unit="steps"),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [Field("id", low=0, high=len(self.fitted.film_ids) - 1, integer=True, seen=True)]

    def response_fields(self) -> Sequence[Field]:
        return [
            Field("clicked", low=0, high=1, seen=True, about="watched"),
            Field("rating", low=0, high=HIGHEST, unit="stars", seen=True, about="of what was watched, else 0"),
        ]

    def catalogue(self) -> np.ndarray:
        """(films, genres + 2): genres, then the mean rating and the log popularity, each from 0 to 1."""
        stars = np.clip((self.fitted.mean + self.fitted.film_bias - LOWEST) / (HIGHEST - LOWEST), 0.0, 1.0)
        known = np.log1p(self.fitted.popularity) / np.log1p(self.fitted.popularity.max())
        return np.column_stack([self.fitted.genres, stars, known]).astype(np.float32)

    def tables(self) -> Mapping[str, np.ndarray]:
        """What verbs read of U people, N films, G genres and K factors; stars where nothing else is said."""
        fitted = self.fitted
        weights = np.cumsum(fitted.popularity**self.popularity)
        cumulative = weights / weights[-1]
        logs = np.log(fitted.popularity)
        return {
            "order": np.random.default_rng(0).permutation(len(fitted.user_ids)),
            "user_bias": fitted.user_bias,
            "user_factors": fitted.user_factors,  # (U, K)
            "profiles": fitted.profiles,  # (U, G)
            "film_factors": fitted.film_factors,  # (N, K)
            "quality": fitted.mean + fitted.film_bias,  # (N,) mean rating
            "genres": fitted.genres,
            "shares": fitted.genres / fitted.genres.sum(axis=1, keepdims=True),  # (N, G) sums to 1
            "log_popularity": (logs - np.average(logs, weights=fitted.popularity)).round(4),
            "cumulative": cumulative,  # (N,) how likely a film up to this one is drawn
            "guide": np.searchsorted(cumulative, np.arange(len(weights)) / len(weights), side="right"),
        }

    def choice_features(self, log: Interactions) -> Mapping[str, np.ndarray]:
        """What the logits of logged choices are made of (`ChoosesByLogit`); what was watched replays each session.

        Satiation enters as it would be if a film added 1, so that its weight is the parameter.
        """
        ids = np.take_along_axis(log.observations["candidate_ids"], log.slates, axis=1).astype(np.int64)
        clicked = log.responses["clicked"] > 0
        watched = np.where(clicked.any(axis=1), (ids * clicked).sum(axis=1), -1)
        people = log.observations["user_id"][:, 0].astype(np.int64)
        me, user = dataclasses.replace(self, satiation=1.0).compiled_self, np.zeros(1, self.user_dtype)
        matches, tiredness = np.empty((2, *ids.shape))
        link(replay, JIT)(me, user, log.step, people, ids, watched, matches, tiredness)
        nothing = np.zeros((len(ids), 1))
        return {
            "slope": np.hstack([matches, nothing]),
            "fame": np.hstack([me.log_popularity[ids], nothing]),
            "no_click_logit": np.hstack([np.zeros(ids.shape), nothing + 1.0]),
            "satiation": np.hstack([-tiredness, nothing]),
        }

    def arrive(self, user: User, rng: Rng) -> None:
        start(self, user, rng)

    def come_back(self, user: User, rng: Rng) -> None:
        if self.carry:
            open_session(self, user)
        else:
            start(self, user, rng)

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            film, tries = draw_film(self, rng), 1
            while is_taken(self, user, items, position, film):
                film = draw_film(self, rng) if tries < TRIES else (film + 1) % len(self.cumulative)
                tries += 1
            items[position].id = film

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            scratch[place] = logit(self, user, items[slate[place]].id)
        chosen = multinomial_logit(scratch, self.no_click_logit, rng)
        if chosen >= 0:
            film = items[slate[chosen]].id
            stars = self.quality[film] + user.bias + match(self, user, film)
            noise = rng.at(slate[chosen]).normal(0.0, self.rating_sd)
            responses[chosen].clicked = 1.0
            responses[chosen].rating = min(HIGHEST, max(LOWEST, stars + noise))

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.steps += 1
        fade(user.satiation, self.fade)
        for place in range(len(slate)):
            if responses[place].clicked == 1.0:
                watch(self, user, items[slate[place]].id)
                return
        user.patience -= self.no_click_cost

    def left(self, user: User) -> bool:
        if self.patience == 0.0:
            return bool(user.steps >= self.session_steps)
        return bool(user.patience <= 0.0)

    def appeal(self, user: User, item: Item) -> float:
        return logit(self, user, item.id)
