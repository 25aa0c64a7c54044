"""Reading MovieLens (Harper and Konstan, 2015) and fitting its users and films.

A rating is modelled as mean + user bias + film bias + user factors . film factors, fitted by alternating least
squares with a penalty that grows with the number of ratings (Zhou et al., 2008; Koren et al., 2009).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsim_env.errors import DataError
from scenarios.movielens_files import SOURCE as SOURCE
from scenarios.movielens_files import file_names, read_raw

FILES = {"ratings.csv": ("userId", "movieId", "rating"), "movies.csv": ("movieId", "title", "genres")}
COLUMNS = {**FILES, "links.csv": ("movieId", "imdbId")}
LOWEST, HIGHEST = 0.5, 5.0  # stars
FEWEST_USERS = 5  # so that a fifth of them is somebody
ROUNDS = 15  # of alternating least squares; more change the held-out error by under 0.002
BIAS_ROUNDS = 10
USER_PULL, FILM_PULL = 5.0, 3.0  # ratings of the average that each user's and each film's own are mixed with
PENALTY, PENALTY_A_RATING = 2.0, 0.1  # on the squares of factors
PROFILE_PULL = 10.0  # ratings of the user's average that each genre's are mixed with
DECIMALS = 4  # linear algebra differs in the last bits between machines; rounded, they fit the same world


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted population and its catalogue: U users, N films, G genres, K factors.

    Attributes:
        user_ids, film_ids: (U,) and (N,) int64, MovieLens's own, ascending; a place here is an id in the world.
        titles, genre_names: N and G texts.
        genres: (N, G) 1.0 where the film is of the genre.
        mean: the mean rating in stars, as are the next two.
        user_bias, film_bias: (U,) and (N,), how far their ratings lie from the mean.
        user_factors, film_factors: (U, K) and (N, K); their product is in stars too.
        popularity: (N,) number of ratings.
        profiles: (U, G) in [-1, 1], how far a user rates a genre from their own mean: what a service may see.
        rmse, rmse_biases, rmse_mean: error in stars on a tenth of the ratings that the fit for this figure had
            not seen: of the model, of its mean and biases alone, and of the mean alone.
    """

    user_ids: np.ndarray
    film_ids: np.ndarray
    titles: tuple[str, ...]
    genre_names: tuple[str, ...]
    genres: np.ndarray
    mean: float
    user_bias: np.ndarray
    film_bias: np.ndarray
    user_factors: np.ndarray
    film_factors: np.ndarray
    popularity: np.ndarray
    profiles: np.ndarray
    rmse: float
    rmse_biases: float
    rmse_mean: float


@dataclass(frozen=True, eq=False)
class Ratings:
    """R ratings as three columns: places of users and films (int64), and stars."""

    user: np.ndarray
    film: np.ndarray
    stars: np.ndarray

    def part(self, chosen: np.ndarray) -> Ratings:
        """The chosen ratings, by place."""
        return Ratings(self.user[chosen], self.film[chosen], self.stars[chosen])


def load(path: str, *, factors: int, min_ratings: int, seed: int = 0) -> Fitted:
    """The MovieLens folder or zip at `path`, read and fitted; once a process as long as the files stay the same.

    Args:
        factors: K.
        min_ratings: films with fewer are left out.
        seed: of the factors' start and of the ratings held out.

    Raises:
        DataError: it is missing, damaged, of another layout, or too small.
    """
    stamps = stamps_of(path)
    return _load(str(Path(path).expanduser().resolve()), stamps, factors, min_ratings, seed)


def stamps_of(path: str) -> tuple[tuple[int, int], ...]:
    """When the files of a folder or zip were written, and how long they are.

    Raises:
        DataError: there is none.
    """
    place = Path(path).expanduser()
    if not path or not place.exists():
        raise DataError(f"MovieLens data: {str(path)!r} does not exist; give the path of a folder or zip. {SOURCE}")
    files = [place / name for name in file_names(place)] if place.is_dir() else [place]
    return tuple((f.stat().st_mtime_ns, f.stat().st_size) for f in files if f.is_file())


@lru_cache(maxsize=8)
def _load(path: str, stamps: tuple[tuple[int, int], ...], factors: int, min_ratings: int, seed: int) -> Fitted:
    ratings, movies = (read_table(Path(path), name) for name in FILES)
    return fit(ratings, movies, factors=factors, min_ratings=min_ratings, seed=seed)


# -- reading -------------------------------------------------------------------------------------------


def read_table(path: Path, name: str, more: Sequence[str] = ()) -> pd.DataFrame:
    """One of `COLUMNS`, its columns and `more` of them checked; whole numbers are int64, stars float64."""
    return check_table(read_raw(path, name), f"{name} in {str(path)!r}", (*COLUMNS[name], *more))


def check_table(table: pd.DataFrame, where: str, columns: Sequence[str]) -> pd.DataFrame:
    """The columns, converted and checked."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise DataError(
            f"{where} must have the columns {', '.join(columns)}; {', '.join(missing)} is not among "
            f"{', '.join(map(str, table.columns[:8]))}. {SOURCE}"
        )
    if table.empty:
        raise DataError(f"{where} must have rows, but holds a header only; download it again")
    return pd.DataFrame({column: CHECKS[column](table[column], where) for column in columns})


def ids(column: pd.Series[Any], where: str) -> np.ndarray:
    """A column of ids, or of seconds since 1970, as int64."""
    values = numbers(column, where, 0, 2.0**53, "a whole number of 0 or more", whole=True)
    return values.astype(np.int64)


def stars(column: pd.Series[Any], where: str) -> np.ndarray:
    """A column of ratings as float64."""
    return numbers(column, where, LOWEST, HIGHEST, f"a number from {LOWEST:g} to {HIGHEST:g}")


def numbers(
    column: pd.Series[Any], where: str, low: float, high: float, rule: str, *, whole: bool = False
) -> np.ndarray:
    """The column as float64; `DataError` with the line of the first value that breaks the rule."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(float)
    right = (values >= low) & (values <= high)  # not-a-number is neither
    if whole:
        right &= values == np.floor(values)
    if not right.all():
        row = int(np.argmin(right))
        broken = f"{where}, line {column.index[row]}: {column.name} must be {rule}, not {str(column.iloc[row])!r}"
        raise DataError(f"{broken}; correct or remove the line")
    return values


def texts(column: pd.Series[Any], where: str) -> np.ndarray:
    """A column of text; any will do."""
    values: np.ndarray = column.astype(str).to_numpy(object)
    return values


CHECKS = {
    "userId": ids,
    "movieId": ids,
    "imdbId": ids,
    "rating": stars,
    "timestamp": ids,
    "title": texts,
    "genres": texts,
}


# -- fitting -------------------------------------------------------------------------------------------


def fit(ratings: pd.DataFrame, movies: pd.DataFrame, *, factors: int, min_ratings: int, seed: int) -> Fitted:
    """Fit the two tables. Of a film rated twice by one user the last rating counts."""
    ratings = ratings.drop_duplicates(["userId", "movieId"], keep="last")
    movies = movies.drop_duplicates("movieId").set_index("movieId")
    user_ids, film_ids, rated = places(ratings, movies, min_ratings)
    kept = movies.loc[film_ids]
    genre_names, genres = multi_hot(kept["genres"].tolist())
    rmse, rmse_biases, rmse_mean = held_out_errors(rated, len(user_ids), len(film_ids), factors, seed)
    model = Model(len(user_ids), len(film_ids), factors, seed).fit(rated)
    return Fitted(
        user_ids=user_ids,
        film_ids=film_ids,
        titles=tuple(kept["title"]),
        genre_names=genre_names,
        genres=genres,
        mean=round(model.mean, DECIMALS),
        user_bias=model.user_bias.round(DECIMALS),
        film_bias=model.film_bias.round(DECIMALS),
        user_factors=model.user_factors.round(DECIMALS),
        film_factors=model.film_factors.round(DECIMALS),
        popularity=np.bincount(rated.film, minlength=len(film_ids)),
        profiles=profiles_of(rated, genres, len(user_ids)).round(DECIMALS),
        rmse=rmse,
        rmse_biases=rmse_biases,
        rmse_mean=rmse_mean,
    )


def places(ratings: pd.DataFrame, movies: pd.DataFrame, min_ratings: int) -> tuple[np.ndarray, np.ndarray, Ratings]:
    """The ids of users and films that stay, and their ratings by place."""
    unknown = ratings.loc[~ratings["movieId"].isin(movies.index), "movieId"]
    if len(unknown):
        raise DataError(
            f"every movieId of ratings.csv must be in movies.csv, but {len(unknown)} ratings are of others, "
            f"such as {unknown.iloc[0]}; take both files from one download"
        )
    counts = ratings["movieId"].value_counts()
    ratings = ratings[ratings["movieId"].isin(counts.index[counts >= min_ratings])]
    if ratings.empty:
        raise DataError(
            f"a film needs min_ratings ({min_ratings}) ratings, but the most that one has is {counts.max()}; "
            "lower min_ratings"
        )
    user_ids, user = np.unique(ratings["userId"].to_numpy(), return_inverse=True)
    film_ids, film = np.unique(ratings["movieId"].to_numpy(), return_inverse=True)
    if len(user_ids) < FEWEST_USERS:
        raise DataError(
            f"a population needs {FEWEST_USERS} users, but only {len(user_ids)} rated films with min_ratings "
            f"({min_ratings}); lower min_ratings or take a larger data set"
        )
    return user_ids, film_ids, Ratings(user, film, ratings["rating"].to_numpy(float))


def multi_hot(listed: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of all genres, sorted, and (N, G) 1.0 where a film lists one, as in "Comedy|Drama"."""
    sets = [set(text.split("|")) - {""} or {"(no genres listed)"} for text in listed]
    names = sorted(set().union(*sets))
    return tuple(names), np.array([[float(name in genres) for name in names] for genres in sets])


def profiles_of(rated: Ratings, genres: np.ndarray, num_users: int) -> np.ndarray:
    """(U, G) in [-1, 1]: ratings by genre from the user's mean, pulled to 0 where there are few."""
    own = np.bincount(rated.user, rated.stars, num_users) / np.bincount(rated.user, minlength=num_users)
    total, count = np.zeros((2, num_users, genres.shape[1]))
    for genre in range(genres.shape[1]):
        listed = genres[rated.film, genre]
        total[:, genre] = np.bincount(rated.user, listed * (rated.stars - own[rated.user]), num_users)
        count[:, genre] = np.bincount(rated.user, listed, num_users)
    profiles: np.ndarray = np.clip(total / (count + PROFILE_PULL), -1.0, 1.0)
    return profiles


def held_out_errors(
    rated: Ratings, num_users: int, num_films: int, factors: int, seed: int
) -> tuple[float, float, float]:
    """Root mean squared errors on a random tenth: of the model, of its mean and biases, of the mean."""
    order = np.random.default_rng(seed).permutation(len(rated.stars))
    tenth = max(1, len(order) // 10)
    seen, held = rated.part(order[tenth:]), rated.part(order[:tenth])
    model = Model(num_users, num_films, factors, seed)
    model.fit_biases(seen)
    guesses = [np.full(tenth, model.mean), model.predict(held)]
    guesses.append(model.fit(seen).predict(held))
    mean, biases, full = (float(np.sqrt(np.mean((guess - held.stars) ** 2))) for guess in guesses)
    return full, biases, mean


class Model:
    """Mean, biases and factors of `num_users` users and `num_films` films."""

    def __init__(self, num_users: int, num_films: int, factors: int, seed: int) -> None:
        self.mean = 0.0
        self.user_bias, self.film_bias = np.zeros(num_users), np.zeros(num_films)
        self.user_factors = np.zeros((num_users, factors))
        self.film_factors = np.random.default_rng(seed).normal(0.0, 0.1, (num_films, factors))

    def fit(self, rated: Ratings) -> Model:
        """Fit everything: factors to what biases leave, and biases to what factors leave, in turn."""
        self.fit_biases(rated)
        for _ in range(ROUNDS):
            rest = rated.stars - self.mean - self.user_bias[rated.user] - self.film_bias[rated.film]
            self.user_factors = least_squares(rated.user, rated.film, rest, self.film_factors, len(self.user_bias))
            self.film_factors = least_squares(rated.film, rated.user, rest, self.user_factors, len(self.film_bias))
            self.update_biases(rated, rated.stars - self.mean - self.product(rated))
        return self

    def fit_biases(self, rated: Ratings) -> None:
        """Fit the mean and the biases, without factors."""
        self.mean = float(rated.stars.mean())
        for _ in range(BIAS_ROUNDS):
            self.update_biases(rated, rated.stars - self.mean)

    def update_biases(self, rated: Ratings, rest: np.ndarray) -> None:
        """Fit the biases to what they should explain, (R,)."""
        self.film_bias = pulled_mean(rated.film, rest - self.user_bias[rated.user], len(self.film_bias), FILM_PULL)
        self.user_bias = pulled_mean(rated.user, rest - self.film_bias[rated.film], len(self.user_bias), USER_PULL)

    def product(self, rated: Ratings) -> np.ndarray:
        """(R,): user factors . film factors."""
        products: np.ndarray = np.einsum("rk,rk->r", self.user_factors[rated.user], self.film_factors[rated.film])
        return products

    def predict(self, rated: Ratings) -> np.ndarray:
        """(R,) stars, within the scale; before `fit` has run, of mean and biases alone."""
        guess = self.mean + self.user_bias[rated.user] + self.film_bias[rated.film] + self.product(rated)
        clipped: np.ndarray = np.clip(guess, LOWEST, HIGHEST)
        return clipped


def pulled_mean(who: np.ndarray, values: np.ndarray, count: int, pull: float) -> np.ndarray:
    """(count,): the mean of each one's values, as if there were `pull` zeros more."""
    means: np.ndarray = np.bincount(who, values, count) / (np.bincount(who, minlength=count) + pull)
    return means


def least_squares(who: np.ndarray, other: np.ndarray, rest: np.ndarray, factors: np.ndarray, count: int) -> np.ndarray:
    """(count, K): each one's factors, given the factors (M, K) of what they rated and what is left to explain."""
    order = np.argsort(who, kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(who, minlength=count))])
    rows, rest = other[order], rest[order]
    k = factors.shape[1]
    squares, targets = np.empty((count, k, k)), np.empty((count, k, 1))
    for i in range(count):
        x = factors[rows[edges[i] : edges[i + 1]]]
        squares[i] = x.T @ x
        targets[i, :, 0] = rest[edges[i] : edges[i + 1]] @ x
    penalty = PENALTY + PENALTY_A_RATING * np.diff(edges)
    solution: np.ndarray = np.linalg.solve(squares + penalty[:, None, None] * np.eye(k), targets)[..., 0]
    return solution
