"""Ratings with times, and how they are divided: what agents learn from, and what they are asked to foretell."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from agents.impressions import Impressions
from recsim_env.errors import DataError, InvalidParameter
from scenarios.movielens_data import SOURCE, multi_hot, read_table

LEAVE_LAST, TIME = "leave-last", "time"
PARTS = ("test", "validation")
FEWEST_BEFORE = 5  # ratings of a user before the first that is asked for, in splits of time
VALIDATED = 0.2  # share of the ratings before a cut that validate settings
ASKED = 5  # ratings of a user that are asked for in a split of time, at most
MIDDLE_YEAR, YEARS = 1990, 20.0  # a film's year is told as how many times 20 years it lies from 1990


@dataclass(frozen=True, eq=False)
class TimedRatings:
    """T ratings of P people and N films; every one counts as an interaction, whatever its stars.

    Attributes:
        user, film: (T,) int64 places from 0.
        time: (T,) int64 seconds since 1970.
        people: P.
        catalogue: (N, F) float32 what is known of films: genres as 0 and 1, and the year.
    """

    user: np.ndarray
    film: np.ndarray
    time: np.ndarray
    people: int
    catalogue: np.ndarray

    @cached_property
    def fingerprint(self) -> dict[str, int]:
        """What tells one data set from another."""
        content = np.stack([self.user, self.film, self.time]).tobytes()
        counts = {"ratings": len(self.user), "people": self.people, "films": len(self.catalogue)}
        return {**counts, "checksum": zlib.crc32(content)}


def read_ratings(path: Path) -> TimedRatings:
    """The MovieLens folder or zip at `path`. Of a film rated twice by one user the last rating counts.

    Raises:
        DataError: it is missing, damaged or of another layout.
    """
    if not path.exists():
        raise DataError(f"MovieLens data: {str(path)!r} does not exist; give the path of a folder or zip. {SOURCE}")
    ratings, movies = read_table(path, "ratings.csv", ("timestamp",)), read_table(path, "movies.csv")
    ratings = ratings.sort_values("timestamp", kind="stable").drop_duplicates(["userId", "movieId"], keep="last")
    movies = movies.drop_duplicates("movieId").sort_values("movieId")
    films = movies["movieId"].to_numpy()
    unknown = ratings.loc[~ratings["movieId"].isin(films), "movieId"]
    if len(unknown):
        raise DataError(
            f"every movieId of ratings.csv must be in movies.csv, but {len(unknown)} ratings are of others, "
            f"such as {unknown.iloc[0]}; take both files from one download"
        )
    user_ids, user = np.unique(ratings["userId"].to_numpy(), return_inverse=True)
    year = movies["title"].str.extract(r"\((\d{4})\)\s*$")[0].astype(float).fillna(MIDDLE_YEAR).to_numpy()
    genres = multi_hot(movies["genres"].tolist())[1]
    catalogue = np.c_[genres, (year - MIDDLE_YEAR) / YEARS].astype(np.float32)
    film = np.searchsorted(films, ratings["movieId"].to_numpy())
    return TimedRatings(user, film, ratings["timestamp"].to_numpy(), len(user_ids), catalogue)


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of ratings that stand in order of time, equal times in an order drawn by `seed`.

    Attributes:
        name: such as leave-last or time:5/2.
        seed: of the order of equal times, and of the places of films with equal scores.
        ratings: all of them, ordered.
        fitted: (T,) bool, which rows an agent learns from.
        asked: (n,) rows that it is asked to foretell, from all rows of the same user before.
    """

    name: str
    seed: int
    ratings: TimedRatings
    fitted: np.ndarray
    asked: np.ndarray

    @cached_property
    def log(self) -> Impressions:
        """All ratings, which agents do not see."""
        return Impressions.of_ratings(self.ratings.user, self.ratings.film)

    def training(self) -> Impressions:
        """What an agent learns from."""
        return Impressions.of_ratings(self.ratings.user[self.fitted], self.ratings.film[self.fitted])


def folds(ratings: TimedRatings, split: str, seed: int, part: str) -> Iterator[Fold]:
    """The folds of a split: one of leave-last, K of time:K.

    Args:
        ratings: in any order.
        split: leave-last or time:K.
        seed: shuffles ratings of equal times.
        part: "test", or "validation", for which the test's ratings do not exist.

    Raises:
        InvalidParameter: there is no such split or part.
        DataError: there are too few ratings for it.
    """
    if part not in PARTS:
        raise InvalidParameter(f"--on must be {' or '.join(PARTS)}, not {part!r}")
    kind, count = parse_split(split)
    ordered = in_order(ratings, seed)
    found = leave_last(ordered, seed, part) if kind == LEAVE_LAST else splits_of_time(ordered, count, seed, part)
    for fold in found:
        if not len(fold.asked):
            raise DataError(f"{fold.name} finds nobody to ask: it needs users with more ratings, or fewer splits")
        yield fold


def parse_split(split: str) -> tuple[str, int]:
    """The kind of a split, and into how many folds it divides."""
    kind, _, count = split.partition(":")
    if split == LEAVE_LAST:
        return kind, 1
    if kind == TIME and count.isdecimal() and int(count) > 0:
        return kind, int(count)
    raise InvalidParameter(f"--splits takes leave-last and time:K, K being 1 or more, not {split!r}")


def in_order(ratings: TimedRatings, seed: int) -> TimedRatings:
    """Ratings by time, equal times shuffled."""
    luck = np.random.default_rng(seed).permutation(len(ratings.user))
    order = np.lexsort((luck, ratings.time))
    user, film, time = (column[order] for column in (ratings.user, ratings.film, ratings.time))
    return TimedRatings(user, film, time, ratings.people, ratings.catalogue)


def from_last(user: np.ndarray) -> np.ndarray:
    """(T,) how many rows of the same user come later."""
    return ranks_within(user[::-1])[::-1]


def ranks_within(user: np.ndarray) -> np.ndarray:
    """(T,) how many rows of the same user come earlier."""
    order = np.argsort(user, kind="stable")
    ranks = np.empty(len(user), np.int64)
    ranks[order] = np.arange(len(user)) - np.searchsorted(user[order], user[order])
    return ranks


def leave_last(ratings: TimedRatings, seed: int, part: str) -> Iterator[Fold]:
    """Everybody's last rating is asked for, and all before it is learnt from; to validate, the one before the last."""
    left = from_last(ratings.user)
    asked = left == PARTS.index(part)
    has_past = ranks_within(ratings.user) > 0
    yield Fold(LEAVE_LAST, seed, ratings, left > PARTS.index(part), np.flatnonzero(asked & has_past))


def splits_of_time(ratings: TimedRatings, count: int, seed: int, part: str) -> Iterator[Fold]:
    """Learnt from: all before a cut; asked for: ratings between it and the next, of people with some before.

    Cuts have equally many ratings between them, before the first and after the last. Of each user the first ratings
    are asked for, one after the other, that lie in the window and have `FEWEST_BEFORE` before them, before or after
    the cut: who came after it is known by these alone. To validate, the window is the last fifth before the cut.
    """
    cuts = np.quantile(ratings.time, np.arange(1, count + 2) / (count + 1), method="lower")
    earlier = ranks_within(ratings.user)
    for k, (start, end) in enumerate(pairwise(cuts), start=1):
        if part == "validation":
            start, end = np.quantile(ratings.time[ratings.time <= start], 1 - VALIDATED, method="lower"), start
        able = (ratings.time > start) & (ratings.time <= end) & (earlier >= FEWEST_BEFORE)
        rows = np.flatnonzero(able)
        asked = rows[ranks_within(ratings.user[rows]) < ASKED]
        yield Fold(f"{TIME}:{count}/{k}", seed, ratings, ratings.time <= start, asked)
