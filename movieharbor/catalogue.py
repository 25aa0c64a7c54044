"""The catalogue of films in LanceDB: opened, and searched by meaning, by words, and by what is known of films."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from movieharbor.texts import searched_words
from recsim_env.errors import DataError, InvalidParameter, RecSimError, unknown

TABLE, VERSION = "movies", 3
INDEXED = "words"  # the column in which words are looked for
FOLDER, ABOUT = "catalogue", "build.json"
KINDS = ("vector", "text")
MOST = 100_000  # films of a search
SHOWN = ["id", "imdb", "title", "year", "overview", "genres", "people", "rating", "votes", "weighted", "tokens", "text"]


def lancedb() -> Any:
    """The library.

    Raises:
        RecSimError: it is not installed.
    """
    try:
        import lancedb as found
        import lancedb.index
        import lancedb.query
    except ImportError:
        raise RecSimError("the catalogue needs lancedb: pip install 'recsim-env[movieharbor]'") from None
    return found


@dataclass(frozen=True)
class Wanted:
    """What films must be like; empty wants nothing."""

    genre: str = ""
    year_from: int | None = None
    year_to: int | None = None
    min_rating: float | None = None

    def check(self) -> None:
        """Raises `InvalidParameter` for what no film can be."""
        for name, year in (("--year-from", self.year_from), ("--year-to", self.year_to)):
            if year is not None and not 0 <= year <= 9999:
                raise InvalidParameter(f"{name} must be a year from 0 to 9999, not {year}")
        if self.year_from is not None and self.year_to is not None and self.year_from > self.year_to:
            raise InvalidParameter(f"--year-from must be at most --year-to ({self.year_to}), not {self.year_from}")
        if self.min_rating is not None and not 0 <= self.min_rating <= 10:
            raise InvalidParameter(f"--min-rating must lie in [0, 10], not {self.min_rating:g}")

    def condition(self, genres: Sequence[str]) -> str | None:
        """As SQL, of values that are known or numbers.

        Raises:
            UnknownName: no film has the genre.
            InvalidParameter: see `check`.
        """
        self.check()
        parts = []
        if self.genre:
            by_name = {name.lower(): name for name in genres}
            if self.genre.lower() not in by_name:
                raise unknown("genre", self.genre, genres)
            parts.append(f"array_has(genres, '{by_name[self.genre.lower()].replace(chr(39), 2 * chr(39))}')")
        bounds = (("year >= {}", self.year_from), ("year <= {}", self.year_to), ("weighted >= {}", self.min_rating))
        parts += [form.format(value) for form, value in bounds if value is not None]
        return " AND ".join(parts) or None


def check_count(count: int) -> None:
    """Raises `InvalidParameter` where no search gives so many films."""
    if not 1 <= count <= MOST:
        raise InvalidParameter(f"--count must lie in [1, {MOST:,}], the films that a search gives, not {count}")


class Catalogue:
    """A catalogue that `build` made."""

    def __init__(self, folder: Path) -> None:
        """Open the catalogue in a folder.

        Raises:
            DataError: there is none, it is damaged, or an older or newer version made it.
        """
        self.folder = folder / FOLDER
        try:
            self.about: dict[str, Any] = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"{folder} holds no catalogue; make it: recsim-env movieharbor build --out {folder}"
            ) from None
        except NotADirectoryError:
            raise DataError(f"{folder} is a file; name the folder that a catalogue was built in") from None
        except (OSError, ValueError) as error:
            raise DataError(f"{self.folder / ABOUT} is damaged ({error}); build the catalogue again") from None
        if self.about.get("version") != VERSION:
            raise DataError(
                f"the catalogue in {folder} is of version {self.about.get('version')}, and this is version {VERSION}: "
                f"build it again"
            )
        try:
            self.table = lancedb().connect(self.folder / "lancedb").open_table(TABLE)
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(
                f"the table in {self.folder} cannot be opened ({error}); build the catalogue again"
            ) from None

    @cached_property
    def films(self) -> pd.DataFrame:
        """A row a film, by id: `SHOWN`, genres as lists."""
        return self.table.to_arrow().select(SHOWN).to_pandas().sort_values("id", ignore_index=True)

    @cached_property
    def vectors(self) -> np.ndarray:
        """(films, width) float32, in the order of `films`."""
        found = self.table.to_arrow().select(["id", "vector"]).to_pandas().sort_values("id")
        return np.stack(found["vector"].to_list()).astype(np.float32)

    @cached_property
    def nearest(self) -> np.ndarray:
        """(films, k) int32: the places in `films` of those nearest to each, nearest first; k is 200, or all others."""
        found = self.table.to_arrow().select(["id", "nearest"]).to_pandas().sort_values("id")
        return np.searchsorted(self.films["id"], np.stack(found["nearest"].to_list())).astype(np.int32)

    @cached_property
    def genres(self) -> list[str]:
        """Every genre, by name."""
        return sorted({genre for genres in self.films["genres"] for genre in genres})

    def by_vector(self, vector: np.ndarray, count: int, wanted: Wanted = Wanted()) -> pd.DataFrame:
        """The films nearest to a vector, with their cosine as `score`, nearest first."""
        query = self.table.search(vector.astype(np.float32), vector_column_name="vector").distance_type("cosine")
        return self._found(query, count, wanted, lambda hits: 1.0 - hits["_distance"])

    def by_words(self, words: str, count: int, wanted: Wanted = Wanted()) -> pd.DataFrame:
        """The films whose texts hold the words, with BM25's `score`, best first."""
        if not words.strip():
            raise InvalidParameter("a search needs words")
        query = self.table.search(lancedb().query.MatchQuery(searched_words(words), INDEXED), query_type="fts")
        return self._found(query, count, wanted, lambda hits: hits["_score"])

    def _found(self, query: Any, count: int, wanted: Wanted, score: Any) -> pd.DataFrame:
        check_count(count)
        condition = wanted.condition(self.genres)
        query = query.where(condition, prefilter=True) if condition else query
        hits = query.limit(count).to_arrow().to_pandas()
        return hits.assign(score=score(hits))[[*SHOWN, "score"]].reset_index(drop=True)

    def like(self, film: int, count: int, wanted: Wanted = Wanted()) -> pd.DataFrame:
        """The films nearest to one of them, by its id, without itself.

        Raises:
            InvalidParameter: there is no such film.
        """
        places = np.flatnonzero(self.films["id"] == film)
        if not len(places):
            raise InvalidParameter(f"the catalogue holds no film with the id {film}")
        found = self.by_vector(self.vectors[places[0]], count + 1, wanted)
        return found[found["id"] != film].head(count).reset_index(drop=True)
