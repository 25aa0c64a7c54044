"""The film table of the package bokeh_sampledata: films without plots, described by their people, genres and year."""

from __future__ import annotations

import sqlite3
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from movieharbor.films import COLUMNS, DROPPED, Films
from movieharbor.texts import plain
from recsim_env.errors import DataError, RecSimError

QUERY = """
SELECT omdb.ID AS id, imdbID, Title AS title, Year AS year, Genre AS genre, Director, "Cast", tomatoes.Rating AS rating,
       Reviews AS votes
FROM omdb LEFT JOIN tomatoes ON omdb.ID = tomatoes.ID ORDER BY omdb.ID
"""
LEADING = 4  # people of the cast who are named


def read_bokeh_films() -> Films:
    """All its films; rating and votes are Rotten Tomatoes' and its number of reviews.

    Raises:
        RecSimError: the package is not installed.
        DataError: it holds no such table.
    """
    found = find_spec("bokeh_sampledata")
    if found is None or found.origin is None:
        raise RecSimError(
            "the default films need bokeh_sampledata: pip install 'recsim-env[movieharbor]', or give --data"
        )
    path = Path(found.origin).parent / "_data" / "movies.db"
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            raw = pd.read_sql_query(QUERY, connection)
    except (sqlite3.Error, pd.errors.DatabaseError) as error:
        raise DataError(
            f"{path} holds no table of films: {error}; bokeh_sampledata 2026.1 or newer is needed"
        ) from None
    return checked(raw)


def checked(raw: pd.DataFrame) -> Films:
    """The columns that are wanted, and only films with a title, genres and a rating."""
    raw = raw.set_index(raw.index + 1)
    for name in ("title", "genre", "Director", "Cast"):
        raw[name] = plain(raw[name])
    genres = raw["genre"].fillna("").map(lambda text: tuple(part.strip() for part in text.split(",") if part.strip()))
    people = raw["Director"].fillna("").str.strip() + "|" + raw["Cast"].fillna("").str.strip()
    table = pd.DataFrame(
        {
            "id": raw["id"].astype(np.int64),
            "imdb": pd.to_numeric(raw["imdbID"].str.removeprefix("tt"), errors="coerce").fillna(0).astype(np.int64),
            "title": raw["title"].fillna("").str.strip(),
            "year": raw["year"].fillna(0).astype(np.int64),
            "overview": [described(*row) for row in zip(raw["year"], raw["Director"], raw["Cast"], strict=True)],
            "genres": genres,
            "people": people,
            "rating": raw["rating"].astype(np.float64),
            "votes": raw["votes"],
        },
        columns=COLUMNS,
    )
    films = Films("bokeh_sampledata", table, pd.DataFrame(columns=DROPPED))
    films = films.without(films.table["title"] == "", "no title")
    films = films.without(films.table["id"].duplicated(), "the id came before")
    films = films.without(films.table["genres"].str.len() == 0, "no genres")
    films = films.without(films.table["rating"].isna() | films.table["votes"].isna(), "no rating")
    return Films(films.source, films.table.astype({"votes": np.int64}), films.dropped)


def described(year: float, director: str | None, cast: str | None) -> str:
    """A sentence in place of a plot."""
    made = f"A film of {year:.0f}" if year == year and year else "A film"
    by = f" by {director.strip()}" if isinstance(director, str) and director.strip() else ""
    names = (
        [name.strip() for name in (cast or "").split(",") if name.strip()][:LEADING] if isinstance(cast, str) else []
    )
    return f"{made}{by}{' with ' if names else ''}{', '.join(names)}."
