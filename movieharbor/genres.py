"""Genres of films, out of a cell that holds a Python literal or JSON; nothing in it is ever run."""

from __future__ import annotations

import ast
import json
from typing import Any

LONGEST = 10_000  # characters; a longer cell holds something else


class NoGenres(ValueError):
    """A cell that is no list of genres."""


def genres_of(cell: str) -> tuple[str, ...]:
    """The names in a list of objects with a `name`, each once and in order; of an empty list none.

    Raises:
        NoGenres: the cell is too long, no literal, or holds something else.
    """
    if len(cell) > LONGEST:
        raise NoGenres(f"{len(cell):,} characters")
    found = literal(cell)
    if not isinstance(found, list):
        raise NoGenres("no list")
    names = [one.get("name") if isinstance(one, dict) else None for one in found]
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise NoGenres("an entry without a name")
    return tuple(dict.fromkeys(str(name).strip() for name in names))


def literal(cell: str) -> Any:
    """JSON, or else a Python literal."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(cell.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise NoGenres("no literal") from None
