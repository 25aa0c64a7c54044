"""A small file in the layout of The Movies Dataset, and a world made of it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tests.made_up import write_movielens

COLUMNS = [
    "adult", "belongs_to_collection", "budget", "genres", "homepage", "id", "imdb_id", "original_language",
    "original_title",
    "overview", "popularity", "poster_path", "production_companies", "production_countries", "release_date", "revenue",
    "runtime", "spoken_languages", "status", "tagline", "title", "video", "vote_average", "vote_count",
]  # fmt: skip
COMEDY, DRAMA = "[{'id': 35, 'name': 'Comedy'}]", '[{"id": 18, "name": "Drama"}, {"id": 80, "name": "Crime"}]'


def film(number: int, **cells: str) -> list[str]:
    """A whole row, with some cells replaced."""
    row = dict.fromkeys(COLUMNS, "") | {
        "genres": COMEDY if number % 2 else DRAMA, "id": str(number), "imdb_id": f"tt{number:07d}",
        "overview": f"Number {number} loses a hat, and {'laughs' if number % 2 else 'weeps'}.",
        "release_date": f"{1980 + number}-05-01", "title": f"Film {number}", "vote_average": f"{number % 10}.5",
        "vote_count": str(10 * number),
    }  # fmt: skip
    return list((row | cells).values())


def write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def write_harbour(folder: Path, films: int = 80, rated: int = 60) -> dict[str, str]:
    """A catalogue of some films, the first of them rated, as the parameters `films` and `data` of the world."""
    from movieharbor.build import BuildOptions, build_catalogue

    data = write_movielens(folder / "ratings", films=rated)
    links = {"movieId": 10 * np.arange(1, rated + 1), "imdbId": np.arange(1, rated + 1), "tmdbId": 1}
    pd.DataFrame(links).to_csv(data / "links.csv", index=False)
    table = write(folder / "films.csv", [film(n) for n in range(1, films + 1)])
    build_catalogue(BuildOptions(table, "tests.movieharbor.words:Words"), folder, lambda done, of: None)
    return {"films": str(folder), "data": str(data)}
