"""Made-up data in the layouts of published ones, written where a test wants them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance", "Sci-Fi")


def write_movielens(folder: Path, people: int = 40, films: int = 60, seed: int = 0) -> Path:
    """A folder with `ratings.csv` and `movies.csv` in the layout of MovieLens.

    Stars come from biases, from tastes in genres and one hidden factor, and from noise; famous films are rated
    by most people. User ids start at 1, film ids are 10, 20, 30, …
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    genres = np.zeros((films, len(GENRES)))
    genres[np.arange(films), rng.integers(len(GENRES), size=films)] = 1.0
    genres[rng.random(genres.shape) < 0.15] = 1.0
    film_factors = np.c_[genres / np.sqrt(genres.sum(1, keepdims=True)), rng.normal(0.0, 1.0, films)]
    tastes = rng.normal(0.0, 0.5, (people, film_factors.shape[1]))
    stars = 3.5 + rng.normal(0, 0.4, (people, 1)) + rng.normal(0, 0.4, films) + tastes @ film_factors.T
    stars = np.clip(np.round(2 * (stars + rng.normal(0, 0.3, stars.shape))) / 2, 0.5, 5.0)
    user, film = np.nonzero(rng.random(stars.shape) < rng.permutation(np.linspace(0.35, 0.95, films)))
    ratings = {"userId": user + 1, "movieId": 10 * (film + 1), "rating": stars[user, film], "timestamp": 964982703}
    pd.DataFrame(ratings).to_csv(folder / "ratings.csv", index=False)
    listed = ["|".join(name for name, of in zip(GENRES, row, strict=True) if of) for row in genres]
    titles = [f'Film "{i}", the first ({1950 + i % 70})' for i in range(films)]
    movies = {"movieId": 10 * np.arange(1, films + 1), "title": titles, "genres": listed}
    pd.DataFrame(movies).to_csv(folder / "movies.csv", index=False)
    return folder
