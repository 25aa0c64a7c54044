"""What a user, an item and a response are made of: one line a field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsim_env.errors import ScenarioError

METHODS = set(dir(np.record)) | {"uniform", "rekey", "at", "normal", "gamma", "beta", "lognormal", "categorical"}


@dataclass(frozen=True)
class Field:
    """One field of a record.

    Args:
        name: how verbs read it, as in `user.budget`.
        shape: how many numbers; 0 for a single one.
        low, high: the range; what a recommender sees is clipped into it.
        unit: what it is counted in, for logs and pictures.
        seen: whether a recommender observes it.
        integer: a whole number (int64) instead of float64.
        categories: a whole number from 0 to categories - 1, observed one-hot.
        about: a sentence.

    Fields with a meaning of their own: a user's and an item's `id` (observed as `user_id` and
    `candidate_ids`), an item's `allowed` (observed as `mask`), a response's `clicked`.
    """

    name: str
    shape: int = 0
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    seen: bool = False
    integer: bool = False
    categories: int = 0
    about: str = ""

    @property
    def words(self) -> int:
        """How many 8-byte numbers the record holds for it."""
        return max(1, self.shape)

    @property
    def width(self) -> int:
        """How many numbers an observation shows of it."""
        return self.words * max(1, self.categories)

    @property
    def whole(self) -> bool:
        return self.integer or self.categories > 0

    @property
    def bounds(self) -> tuple[float, float]:
        return (0.0, 1.0) if self.categories else (self.low, self.high)


def record_dtype(fields: Sequence[Field], owner: str) -> np.dtype[Any]:
    """The structured dtype of the fields, with attribute access in plain Python and compiled.

    Raises:
        ScenarioError: a name twice or not allowed, an empty range, or a seen field without bounds.
    """
    for i, field in enumerate(fields):
        check_field(field, owner, [f.name for f in fields[:i]])
    kinds: list[Any] = [(f.name, np.int64 if f.whole else np.float64, (f.shape,) if f.shape else ()) for f in fields]
    return np.dtype((np.record, np.dtype(kinds or [("nothing", np.float64)], align=True)))


def check_field(field: Field, owner: str, before: list[str]) -> None:
    where = f"{owner} field {field.name!r}"
    if not field.name.isidentifier() or field.name in METHODS or field.name.startswith("_"):
        raise ScenarioError(f"{where}: the name must be an identifier that is not a method of a record; rename it")
    if field.name in before:
        raise ScenarioError(f"{where} is declared twice; names are unique")
    if field.low > field.high:
        raise ScenarioError(f"{where}: low {field.low:g} is above high {field.high:g}")
    if field.seen and not all(math.isfinite(bound) for bound in field.bounds):
        raise ScenarioError(f"{where} is seen, so it needs finite low and high, not [{field.low:g}, {field.high:g}]")
