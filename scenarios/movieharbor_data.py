"""MovieHarbor's films and people: who likes what, from ratings, or made up where there are none.

Films with ratings get their factors from them, as in `movielens_data`. The others get what ridge regressions on these
expect of their vectors, genres, year, weighted rating and votes. Ages and regions are made up, since the published
ratings hold none: who rates old films is older, and who has like tastes lives nearby, with noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from movieharbor.catalogue import ABOUT, FOLDER, Catalogue
from movieharbor.posters import check_posters, drawn_posters, read_posters
from recsim_env.content import Content
from recsim_env.errors import DataError
from scenarios.movielens_data import DECIMALS, HIGHEST, LOWEST, Fitted, fit, multi_hot, read_table, stamps_of

AGES, REGIONS = 7, 8
MADE_UP = 1000  # people where there are no ratings
ANCHORS = 3  # films that a made-up person's taste is the mean of
USER_SD, MATCH_SD, QUALITY, QUALITY_SD = 0.4, 0.2, 3.4, 0.4  # stars, near those of MovieLens
RIDGE = 30.0
AGE_NOISE, MOVED = 0.5, 0.3  # in standard deviations of mean years; share of people who live anywhere


@dataclass(frozen=True, eq=False)
class Harbour:
    """N films with G genres, and U people.

    Attributes:
        fitted: of all films and people, in the catalogue's order; errors are nan where people are made up.
        rated: (N,) bool, whether a film's factors come from ratings.
        explained: the share of the rated films' factors' variance that the regression explains of films it has not
            seen; nan where people are made up.
        nearest: (N, k) int32 the films nearest to each.
        ages, regions: (U,) int64.
        content: see `Content`.
    """

    fitted: Fitted
    rated: np.ndarray
    explained: float
    nearest: np.ndarray
    ages: np.ndarray
    regions: np.ndarray
    content: Content


def load_harbour(films: str, data: str, posters: str, *, factors: int, min_ratings: int) -> Harbour:
    """The catalogue in a folder and the people of ratings; once a process as long as the files stay the same.

    Args:
        films: the folder of a catalogue.
        data: MovieLens's folder or zip, joined by links.csv; empty: people are made up.
        posters: a folder of pictures by film id; empty: they are drawn.
        factors, min_ratings: see `movielens_data.load`.

    Raises:
        DataError: one of them is missing, damaged, or too small.
    """
    if posters:
        check_posters(Path(posters).expanduser())
    made = Path(films).expanduser() / FOLDER / ABOUT
    stamps = (*(stamps_of(data) if data else ()), made.stat().st_mtime_ns if made.exists() else 0)
    return _load(films, data, posters, stamps, factors, min_ratings)


@lru_cache(maxsize=4)
def _load(films: str, data: str, posters: str, stamps: tuple[object, ...], factors: int, min_ratings: int) -> Harbour:
    catalogue = Catalogue(Path(films).expanduser())
    table = catalogue.films
    listed = ["|".join(genres) for genres in table["genres"]]
    names, genres = multi_hot(listed)
    if factors > len(table):
        raise DataError(f"factors must be at most the films of the catalogue ({len(table):,}), not {factors}")
    known = np.column_stack([catalogue.vectors, genres, standard(described(table))])
    if data:
        ratings = joined(Path(data).expanduser(), table)
        fitted, rated, explained = from_ratings(ratings, table, listed, known, factors, min_ratings)
        ages = rated_years(ratings, table, fitted)
    else:
        fitted, rated, explained = made_up(table, known, factors), np.zeros(len(table), bool), np.nan
        ages = mean_years(fitted.user_factors @ fitted.film_factors.T, table["year"].to_numpy())
    fitted = replace(fitted, genre_names=names, genres=genres, profiles=profiles(fitted, names, genres))
    content = content_of(catalogue, names, posters)
    return Harbour(fitted, rated, explained, catalogue.nearest, age_groups(ages), regions(fitted), content)


def described(films: pd.DataFrame) -> np.ndarray:
    """(N, 3): year, weighted rating, log votes; years that are unknown are the middle one."""
    years = films["year"].where(films["year"] > 0, films["year"].median())
    return np.column_stack([years, films["weighted"], np.log1p(films["votes"])])


def standard(values: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and deviation 1; constant ones are 0."""
    deviation = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)


# -- people with ratings -------------------------------------------------------------------------------


def from_ratings(
    ratings: pd.DataFrame, films: pd.DataFrame, listed: list[str], known: np.ndarray, factors: int, min_ratings: int
) -> tuple[Fitted, np.ndarray, float]:
    """What ratings say of people and, with regressions, of all films; which films are rated; R squared."""
    movies = pd.DataFrame({"movieId": np.arange(len(films)), "title": titles(films), "genres": listed})
    fitted = fit(ratings, movies, factors=factors, min_ratings=min_ratings, seed=0)
    rated = np.zeros(len(films), bool)
    rated[fitted.film_ids] = True
    expected = Regression(known[rated], np.column_stack([fitted.film_factors, fitted.film_bias, log_counts(fitted)]))
    film_factors, film_bias, popularity = np.split(expected(known), [factors, factors + 1], axis=1)
    film_factors[rated], film_bias[rated, 0] = fitted.film_factors, fitted.film_bias
    counts = np.clip(np.exp(popularity[:, 0]), 1.0, min_ratings)  # as few as those that were left out have
    counts[rated] = fitted.popularity
    whole = replace(
        fitted,
        film_ids=films["id"].to_numpy(), titles=tuple(movies["title"]), film_factors=film_factors.round(DECIMALS),
        film_bias=film_bias[:, 0].round(DECIMALS), popularity=counts.round(DECIMALS),
    )  # fmt: skip
    explained = expected.explained(known[rated], fitted.film_factors)
    return whole, rated, explained


def rated_years(ratings: pd.DataFrame, films: pd.DataFrame, fitted: Fitted) -> np.ndarray:
    """(U,) the mean year of the films that each user rated."""
    years = films["year"].to_numpy()[ratings["movieId"]]
    by_user = pd.Series(years, ratings["userId"].to_numpy())[years > 0].groupby(level=0).mean()
    return by_user.reindex(fitted.user_ids).fillna(by_user.mean()).to_numpy()


def joined(path: Path, films: pd.DataFrame) -> pd.DataFrame:
    """The ratings of films that the catalogue has; movieId is their place there.

    Raises:
        DataError: none is.
    """
    ratings, links = read_table(path, "ratings.csv"), read_table(path, "links.csv")
    place = pd.Series(np.arange(len(films)), films["imdb"])
    place = place[(place.index > 0) & ~place.index.duplicated()]
    found = links.set_index("movieId")["imdbId"].map(place).dropna().astype(np.int64)
    found = found[~found.index.duplicated()]
    kept = ratings[ratings["movieId"].isin(found.index)]
    if kept.empty:
        raise DataError(f"no film of the ratings in {str(path)!r} is in the catalogue, by links.csv's imdbId")
    return kept.assign(movieId=found.loc[kept["movieId"]].to_numpy()).reset_index(drop=True)


def log_counts(fitted: Fitted) -> np.ndarray:
    return np.log(fitted.popularity)


class Regression:
    """Ridge regression of targets (n, T) on inputs (n, F), with a mean."""

    def __init__(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        self.inputs, self.targets = inputs.mean(axis=0), targets.mean(axis=0)
        x = inputs - self.inputs
        self.weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (targets - self.targets))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs - self.inputs) @ self.weights + self.targets

    @classmethod
    def explained(cls, inputs: np.ndarray, targets: np.ndarray) -> float:
        """The share of the variance that is explained of a random tenth by the others."""
        order = np.random.default_rng(0).permutation(len(inputs))
        held, rest = np.split(order, [max(1, len(order) // 10)])
        errors = targets[held] - cls(inputs[rest], targets[rest])(inputs[held])
        return float(1.0 - (errors**2).sum() / ((targets[held] - targets[rest].mean(axis=0)) ** 2).sum())


# -- people without ------------------------------------------------------------------------------------


def made_up(films: pd.DataFrame, known: np.ndarray, factors: int) -> Fitted:
    """People whose tastes lie between films that they might have liked, in the main directions of what is known."""
    rng, count = np.random.default_rng(0), len(films)
    factors = min(factors, *known.shape)
    left, strength, _ = np.linalg.svd(standard(known), full_matrices=False)
    film_factors = left[:, :factors] * strength[:factors]
    popularity = films["votes"].to_numpy() + 1.0
    anchors = rng.choice(count, (MADE_UP, ANCHORS), p=popularity / popularity.sum())
    tastes = film_factors[anchors].mean(axis=1)
    tastes *= MATCH_SD / (tastes @ film_factors.T).std()
    quality = QUALITY + QUALITY_SD * standard(films["weighted"].to_numpy())
    return Fitted(
        user_ids=np.arange(MADE_UP), film_ids=films["id"].to_numpy(), titles=tuple(titles(films)), genre_names=(),
        genres=np.zeros((count, 0)), mean=QUALITY, user_bias=rng.normal(0.0, USER_SD, MADE_UP).round(DECIMALS),
        film_bias=(np.clip(quality, LOWEST, HIGHEST) - QUALITY).round(DECIMALS),
        user_factors=tastes.round(DECIMALS), film_factors=film_factors.round(DECIMALS), popularity=popularity,
        profiles=np.zeros((MADE_UP, 0)), rmse=np.nan, rmse_biases=np.nan, rmse_mean=np.nan,
    )  # fmt: skip


def mean_years(matches: np.ndarray, years: np.ndarray) -> np.ndarray:
    """(U,) the mean year of the tenth of the films that match each one best; matches are (U, N)."""
    best = np.argpartition(-matches, len(years) // 10, axis=1)[:, : max(1, len(years) // 10)]
    dated = np.where(years[best] > 0, years[best], np.nan)
    middle = np.nanmean(dated) if np.isfinite(dated).any() else 0.0
    return np.array([np.nanmean(row) if np.isfinite(row).any() else middle for row in dated])


# -- what both have ------------------------------------------------------------------------------------


def profiles(fitted: Fitted, names: tuple[str, ...], genres: np.ndarray) -> np.ndarray:
    """(U, G) in [-1, 1]: by genre, as fitted, or of made-up people how much better its films match."""
    if fitted.genre_names:
        place = {name: k for k, name in enumerate(fitted.genre_names)}
        columns = [fitted.profiles[:, place[n]] if n in place else np.zeros(len(fitted.profiles)) for n in names]
        return np.column_stack(columns)
    matches = fitted.user_factors @ fitted.film_factors.T
    by_genre = matches @ (genres / np.maximum(genres.sum(axis=0), 1.0)) - matches.mean(axis=1, keepdims=True)
    return np.clip(by_genre, -1.0, 1.0).round(DECIMALS)


def age_groups(years: np.ndarray) -> np.ndarray:
    """(U,) from 0, the youngest, to 6: groups of one size, by the mean year of the films, with noise."""
    noisy = standard(-years) + np.random.default_rng(1).normal(0.0, AGE_NOISE, len(years))
    return noisy.argsort().argsort() * AGES // len(years)


def regions(fitted: Fitted) -> np.ndarray:
    """(U,) from 0 to 7: on which side of three planes through the tastes' mean one's taste lies, or anywhere."""
    rng = np.random.default_rng(2)
    tastes = fitted.user_factors - fitted.user_factors.mean(axis=0)
    sides = tastes @ rng.normal(size=(tastes.shape[1], 3)) > 0
    anywhere = rng.random(len(tastes)) < MOVED
    return np.where(anywhere, rng.integers(REGIONS, size=len(tastes)), sides @ [1, 2, 4])


def titles(films: pd.DataFrame) -> list[str]:
    """Each film's title, with its year where that is known."""
    rows = zip(films["title"], films["year"], strict=True)
    return [f"{title} ({year})" if year else str(title) for title, year in rows]


def content_of(catalogue: Catalogue, genres: tuple[str, ...], posters: str) -> Content:
    """The films' texts, genres, people and pictures."""
    films, place = catalogue.films, {name: k for k, name in enumerate(genres)}

    def pictures() -> np.ndarray:
        if posters:
            return read_posters(Path(posters).expanduser(), films, genres)
        return drawn_posters(films, genres)

    return Content(
        titles=tuple(titles(films)),
        texts=tuple(films["overview"]),
        kinds=genres,
        kinds_of=tuple(tuple(place[name] for name in listed) for listed in films["genres"]),
        years=films["year"].to_numpy(),
        people=tuple(tuple(filter(None, names.replace(",", "|").split("|"))) for names in films["people"]),
        vectors=catalogue.vectors,
        pictures=pictures,
    )
