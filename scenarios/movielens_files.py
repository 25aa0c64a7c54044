"""The layouts in which MovieLens comes: releases as CSV, 100K, 1M and 10M, and RecBole's atomic files.

A row with another number of cells than the header, an open quote or a name that stands twice in the header is told
with its line: a table that is read in part is worse than none.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from recsim_env.errors import DataError

SOURCE = "GroupLens publishes MovieLens at https://grouplens.org/datasets/movielens/"
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
RATED = ("userId", "movieId", "rating", "timestamp")
UNIT = b"\x1f"  # stands for `::`, so that a separator is one byte


@dataclass(frozen=True)
class Form:
    """How a file holds a table.

    Attributes:
        file: its name, or how it ends, as *.inter.
        separator: between cells.
        names: of the columns; empty: the first line holds them.
    """

    file: str
    separator: str = ","
    names: tuple[str, ...] = ()

    def matches(self, name: str) -> bool:
        return name.endswith(self.file[1:]) if self.file.startswith("*") else name == self.file


LAYOUTS: tuple[dict[str, Form], ...] = (
    {name: Form(name) for name in ("ratings.csv", "movies.csv", "links.csv")},
    {
        "ratings.csv": Form("u.data", "\t", RATED),
        "movies.csv": Form("u.item", "|", ("movieId", "title", "released", "video", "address", *GENRES_100K)),
    },
    {
        "ratings.csv": Form("ratings.dat", "::", RATED),
        "movies.csv": Form("movies.dat", "::", ("movieId", "title", "genres")),
    },
    {"ratings.csv": Form("*.inter", "\t"), "movies.csv": Form("*.item", "\t")},
)
ATOMIC = {"user_id": "userId", "item_id": "movieId", "movie_title": "title", "class": "genres", "genre": "genres"}


def read_raw(path: Path, name: str) -> pd.DataFrame:
    """A table (ratings.csv, movies.csv, links.csv) by the names of its columns, whatever its layout; index: lines.

    Raises:
        DataError: there is none, or it is no whole table.
    """
    form = form_of(path, name)
    where = f"{form.file} in {str(path)!r}"
    try:
        content = read_folder(path, form) if path.is_dir() else read_zip(path, form)
        table = parse(content, form, where)
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{where} is no table ({one_line(error)}); download it again") from None
    except OSError as error:
        raise DataError(f"{where} cannot be read ({one_line(error)})") from None
    return renamed(table, form, where)


def one_line(error: Exception) -> str:
    """The error's message without line breaks."""
    return " ".join(str(error).split())


# -- which files ---------------------------------------------------------------------------------------


def form_of(path: Path, name: str) -> Form:
    """How the table is held in the folder or zip; as CSV where it is not there at all."""
    inside = file_names(path)
    for layout in LAYOUTS:
        if name in layout and any(layout["ratings.csv"].matches(Path(one).name) for one in inside):
            return layout[name]
    return LAYOUTS[0][name]


def file_names(path: Path) -> list[str]:
    """The files of a folder, or of a zip at its top or in one folder."""
    if path.is_dir():
        return sorted(one.name for one in path.iterdir())
    try:
        with zipfile.ZipFile(path) as archive:
            return [one for one in archive.namelist() if one.count("/") <= 1]
    except (zipfile.BadZipFile, OSError):
        return []  # told when it is read


def read_folder(path: Path, form: Form) -> bytes:
    """A file of the folder."""
    found = [name for name in file_names(path) if form.matches(name)]
    if len(found) != 1 or not (path / found[0]).is_file():
        there = ", ".join(file_names(path)[:5]) or "nothing at all"
        raise DataError(
            f"the folder {str(path)!r} must hold ratings.csv and movies.csv, or the files of MovieLens 100K, 1M or 10M "
            f"(u.data, ratings.dat) or of RecBole (*.inter), but {form.file} is not there, only {there}. {SOURCE}"
        )
    return (path / found[0]).read_bytes()


def read_zip(path: Path, form: Form) -> bytes:
    """A file of the zip, at its top or in one folder."""
    if path.is_file() and path.read_bytes()[:2] != b"PK":
        raise DataError(f"{str(path)!r} is no zip file; a MovieLens folder or zip is needed. {SOURCE}")
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [one for one in archive.namelist() if one.count("/") <= 1 and form.matches(Path(one).name)]
            if len(inside) == 1:
                return archive.read(inside[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{str(path)!r} is no whole zip file ({one_line(error)}); download it again") from None
    where = "at its top or in one folder"
    raise DataError(f"the zip {str(path)!r} must hold {form.file} once, {where}, not {len(inside)} times. {SOURCE}")


# -- what they hold ------------------------------------------------------------------------------------


def parse(content: bytes, form: Form, where: str) -> pd.DataFrame:
    """The rows of a file, indexed by line, each with as many cells as the header."""
    content, encoding = content.removeprefix(b"\xef\xbb\xbf"), encoding_of(content, form)
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n")
    separator = form.separator.encode()
    if len(separator) > 1:
        content, separator = content.replace(separator, UNIT), UNIT
    if not content.strip():
        raise DataError(f"{where} is empty; it needs {'rows' if form.names else 'a header and rows'}. {SOURCE}")
    counts, blank = cell_counts(content, separator, form, where)
    names = list(form.names) or header(content, separator, encoding, form, where)
    lines = np.flatnonzero(~blank) + 1
    wrong = np.flatnonzero((counts != len(names)) & ~blank)
    if len(wrong):
        line = int(wrong[0])
        rule = f"must have {len(names)} cells, as the {'layout' if form.names else 'header'} has, not {counts[line]}"
        raise DataError(f"{where}, line {line + 1} {rule}; correct or remove the line")
    table = pd.read_csv(
        io.BytesIO(content), sep=separator.decode(), header=None if form.names else 0, names=names, index_col=False,
        keep_default_na=False, low_memory=False, encoding=encoding,
        quoting=csv.QUOTE_MINIMAL if form.separator == "," else csv.QUOTE_NONE,
    )  # fmt: skip
    return table.set_axis(lines if form.names else lines[1:])


def encoding_of(content: bytes, form: Form) -> str:
    """UTF-8; of the old layouts without a header Latin-1 where it is not."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        if not form.names:
            raise
        return "latin-1"
    return "utf-8"


def header(content: bytes, separator: bytes, encoding: str, form: Form, where: str) -> list[str]:
    """The names of the first line that is not empty.

    Raises:
        DataError: one stands twice.
    """
    first = content.lstrip(b"\n").split(b"\n", 1)[0].decode(encoding)
    cells = next(csv.reader([first])) if form.separator == "," else first.split(separator.decode())
    names = [cell.strip().partition(":")[0] if form.file.startswith("*") else cell.strip() for cell in cells]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{where} names the column {name!r} twice in its header; remove one")
    return names


def cell_counts(content: bytes, separator: bytes, form: Form, where: str) -> tuple[np.ndarray, np.ndarray]:
    """(L,) the number of cells of each line, and whether it is empty."""
    signs = np.frombuffer(content, np.uint8)
    ends = np.append(np.flatnonzero(signs == ord("\n")), len(signs))
    starts = np.append(0, ends[:-1] + 1)
    between = np.flatnonzero(signs == separator[0])
    counts = 1 + np.searchsorted(between, ends) - np.searchsorted(between, starts)
    if form.separator == "," and b'"' in content:
        quotes = np.flatnonzero(signs == ord('"'))
        for line in np.unique(np.searchsorted(ends, quotes)).tolist():
            text = content[starts[line] : ends[line]].decode("utf-8", "replace")
            try:
                counts[line] = len(next(csv.reader([text], strict=True)))
            except csv.Error as error:
                raise DataError(
                    f"{where} is no table (line {line + 1}: a quote is not closed, or not doubled: {error}); correct "
                    "or remove the line"
                ) from None
    return counts, ends == starts


def renamed(table: pd.DataFrame, form: Form, where: str) -> pd.DataFrame:
    """The table with the columns of the CSV releases."""
    if form.file == "u.item":
        flags = table[list(GENRES_100K)].to_numpy().astype(str)
        wrong = ~np.isin(flags, ("0", "1"))
        if wrong.any():
            row, genre = np.argwhere(wrong)[0]
            rule = f"{GENRES_100K[genre]} must be 0 or 1, not {flags[row, genre]!r}"
            raise DataError(f"{where}, line {table.index[row]}: {rule}; correct or remove the line")
        listed = ["|".join(np.array(GENRES_100K)[row == "1"]) for row in flags]
        return table[["movieId", "title"]].assign(genres=listed)
    if not form.file.startswith("*"):
        return table
    table = table.rename(columns=ATOMIC)
    if {"title", "release_year", "genres"} <= set(table):
        years = table["release_year"].astype(str)
        titles = table["title"].astype(str) + years.where(years == "", " (" + years + ")")
        table = table.assign(title=titles, genres=table["genres"].astype(str).str.split().str.join("|"))
    return table
