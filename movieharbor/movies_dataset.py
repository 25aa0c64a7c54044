"""The Movies Dataset's `movies_metadata.csv`: read row by row, so that a broken one costs nothing but itself."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from movieharbor.films import DROPPED, Films
from movieharbor.genres import NoGenres, genres_of
from movieharbor.texts import CONTROL, has_stray_bytes, plain
from recsim_env.errors import DataError

NEEDED = ("id", "imdb_id", "title", "release_date", "overview", "genres", "vote_average", "vote_count")
LONGEST = 100_000  # characters of a cell that is still text
BINARY = (("PK\x03", "a zip file"), ("\udcff\udcfe", "text in UTF-16"), ("\udcfe\udcff", "text in UTF-16"))
FIELD_LIMIT = 2**31 - 1
YEAR = r"^(\d{4})(?:-|$)"
EMPTY = ("", "no overview found.", "no overview")
OTHER_COLUMNS = "another number of columns"
Row = tuple[int, Sequence[str]]


def read_movies(path: Path) -> Films:
    """The films of a file, and the rows left out.

    Raises:
        DataError: there is no such file, it cannot be read, or lacks columns.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; name the file movies_metadata.csv of The Movies Dataset")
    try:
        with any_length(), path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            lines = csv.reader(file)
            header = [name.strip().lstrip("\ufeff") for name in next(lines, [])]
            check_header(path, header)
            rows = list(enumerate(lines, start=1))
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; name movies_metadata.csv of The Movies Dataset") from None
    except (OSError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table of films: {error}") from None
    if not rows:
        raise DataError(f"{path} holds no films")
    kept, dropped = sorted_out(rows, header)
    table = pd.DataFrame([row for _, row in kept], columns=header, index=[number for number, _ in kept], dtype=str)
    return checked(Films("movies_dataset", table, pd.DataFrame(dropped, columns=DROPPED)))


@contextmanager
def any_length() -> Iterator[None]:
    """Cells of any length can be read: they are refused later, by row."""
    before = csv.field_size_limit(FIELD_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def check_header(path: Path, header: Sequence[str]) -> None:
    text = ",".join(header)
    if CONTROL.search(text) or has_stray_bytes(text):
        kind = next((kind for start, kind in BINARY if text.startswith(start)), "no text in UTF-8")
        raise DataError(f"{path} is {kind}; a movies_metadata.csv in UTF-8 is needed")
    missing = [name for name in NEEDED if name not in header]
    if missing:
        first = [name[:40] for name in header[:8]]
        raise DataError(
            f"{path} is no movies_metadata.csv: the column{'s' * (len(missing) > 1)} {', '.join(missing)} "
            f"{'are' if len(missing) > 1 else 'is'} missing; it has {', '.join(first) or 'none'}"
        )


def sorted_out(rows: Sequence[Row], header: Sequence[str]) -> tuple[list[Row], list[tuple[int, str, str, str]]]:
    """Rows that can be looked at cell by cell, and the others."""
    kept: list[Row] = []
    dropped = []
    for number, row in rows:
        reason = broken(row, len(header))
        if reason == OTHER_COLUMNS and number == rows[-1][0] and len(row) < len(header):
            reason = "cut off: the file ends within it"
        if reason:
            dropped.append((number, "", "", reason))
        else:
            kept.append((number, row))
    return kept, dropped


def broken(row: Sequence[str], columns: int) -> str:
    """Why a row is no row of the table; empty where it is one."""
    if len(row) != columns:
        return OTHER_COLUMNS
    if any(len(cell) > LONGEST for cell in row):
        return f"a cell of over {LONGEST:,} characters"
    if any(has_stray_bytes(cell) for cell in row if not cell.isascii()):
        return "not UTF-8"
    return ""


def checked(films: Films) -> Films:
    """The columns that are wanted, and only rows that have them all."""
    raw = films.table
    table = pd.DataFrame(
        {
            "id": whole_numbers(raw["id"]),
            "imdb": whole_numbers(raw["imdb_id"].str.removeprefix("tt")).fillna(0).astype(np.int64),
            "title": plain(raw["title"]),
            "year": whole_numbers(raw["release_date"].str.extract(YEAR)[0].fillna("")).fillna(0).astype(np.int64),
            "overview": plain(raw["overview"]),
            "genres": raw["genres"].map(genres_or_none),
            "people": "",
            "rating": pd.to_numeric(raw["vote_average"], errors="coerce"),
            "votes": whole_numbers(raw["vote_count"].str.removesuffix(".0")),
        }
    )
    films = Films(films.source, table, films.dropped)
    films = films.without(films.table["id"].isna(), "the id is no whole number")
    films = films.without(films.table["title"] == "", "no title")
    films = films.without(films.table["id"].duplicated(), "the id came before")
    films = films.without(films.table["overview"].str.lower().isin(EMPTY), "no overview")
    films = films.without(films.table["genres"].isna(), "genres that cannot be read")
    wrong = ~(films.table["rating"].between(0, 10) & (films.table["votes"] >= 0))
    films = films.without(wrong, "no rating from 0 to 10 with its number of votes")
    sure = films.table.astype({"id": np.int64, "votes": np.int64, "rating": np.float64})
    return Films(films.source, sure, films.dropped)


def whole_numbers(texts: pd.Series) -> pd.Series:
    """Digits as numbers, all else as NaN."""
    return pd.to_numeric(texts.where(texts.str.fullmatch(r"\d{1,15}")), errors="coerce")


def genres_or_none(cell: str) -> tuple[str, ...] | None:
    try:
        return genres_of(cell)
    except NoGenres:
        return None
