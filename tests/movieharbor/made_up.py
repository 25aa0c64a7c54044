"""A small file in the layout of The Movies Dataset."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

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
