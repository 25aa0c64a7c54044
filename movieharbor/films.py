"""A table of films whatever their source, and what was left out of it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

# id: the source's number of the film (TMDB's in The Movies Dataset); imdb: the number in its IMDb name, 0 unknown.
COLUMNS = ["id", "imdb", "title", "year", "overview", "genres", "people", "rating", "votes"]
DROPPED = ["row", "id", "title", "reason"]


@dataclass(frozen=True)
class Films:
    """Films that were read.

    Attributes:
        source: where they come from, in a word.
        table: a row a film, with `COLUMNS`; genres are tuples, rating is on a scale from 0 to 10.
        dropped: a row a row of the source that was left out: its number, from 1 behind the header, and why.
    """

    source: str
    table: pd.DataFrame
    dropped: pd.DataFrame

    def without(self, rows: pd.Series, reason: str) -> Films:
        """The films but those of `rows` (bool), which are left out for a reason."""
        out = self.table[rows]
        if out.empty:
            return self
        left = out.assign(row=out.index, reason=reason)[DROPPED]
        known = [self.dropped, left] if len(self.dropped) else [left]
        return Films(self.source, self.table[~rows], pd.concat(known, ignore_index=True))

    @property
    def read(self) -> int:
        """How many rows the source had."""
        return len(self.table) + len(self.dropped)
