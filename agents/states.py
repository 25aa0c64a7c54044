"""Rows of an observation as one of a few states, beside `clusters`: bins by quantiles, and exact states."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from recsim_env.errors import AgentError
from recsim_env.fields import Field

MOST_STATES = 100_000


class QuantileBins:
    """Cuts each column of rows (n, width) at its quantiles; a state is a combination of the columns' bins."""

    def __init__(self, bins: int) -> None:
        self.bins = bins
        self.edges = np.zeros((0, 0))
        self.sizes = np.zeros(0, np.int64)

    def fit(self, rows: np.ndarray, rng: np.random.Generator) -> None:
        """Place the edges; a column of fewer values than bins has fewer bins.

        Raises:
            AgentError: there would be more than MOST_STATES states.
        """
        quantiles = np.quantile(rows, np.linspace(0, 1, self.bins + 1)[1:-1], axis=0, method="lower").T
        edges = [np.unique(cuts[cuts < column.max()]) for cuts, column in zip(quantiles, rows.T, strict=True)]
        states = math.prod(len(cuts) + 1 for cuts in edges)
        if states > MOST_STATES:
            raise AgentError(
                f"quantiles: {len(edges)} observed columns in up to {self.bins} bins make {states} states, and at most "
                f"{MOST_STATES} are allowed; set fewer bins, or discretise=clusters"
            )
        self.sizes = np.array([len(cuts) + 1 for cuts in edges], np.int64)
        self.edges = np.full((len(edges), max(1, self.bins - 1)), np.inf)
        for row, cuts in zip(self.edges, edges, strict=True):
            row[: len(cuts)] = cuts

    def __len__(self) -> int:
        return int(np.prod(self.sizes))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(n,) int64."""
        state = np.zeros(len(rows), np.int64)
        for column, cuts, size in zip(rows.T, self.edges, self.sizes, strict=True):
            state = state * size + np.searchsorted(cuts, column)
        return state

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """What was fitted, by names that start with `name`."""
        return {f"{name}_edges": self.edges, f"{name}_sizes": self.sizes}

    def restore(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        self.edges, self.sizes = arrays[f"{name}_edges"], arrays[f"{name}_sizes"]


class ExactStates:
    """States that a world declares: each combination of the categories of what is seen of a user.

    Attributes:
        sizes: (K,) categories of each one-hot part of a row.
    """

    def __init__(self) -> None:
        self.sizes = np.zeros(0, np.int64)

    def declare(self, fields: Sequence[Field]) -> None:
        """Take the sizes from a user's seen fields.

        Raises:
            AgentError: one of them has no categories, there are none, or too many states.
        """
        numbers = [field.name for field in fields if not field.categories]
        if numbers or not fields:
            told = f"{numbers[0]!r} is a number" if numbers else "nothing is seen of users"
            raise AgentError(
                f"scenario: exact states need a world whose seen user fields all have categories, and {told}; "
                "set discretise=clusters or discretise=quantiles"
            )
        self.sizes = np.array([field.categories for field in fields for _ in range(field.words)], np.int64)
        states = math.prod(self.sizes.tolist())
        if states > MOST_STATES:
            raise AgentError(
                f"scenario: the user's categories make {states} states, and at most {MOST_STATES} are allowed; "
                "set discretise=clusters"
            )

    def __len__(self) -> int:
        return int(np.prod(self.sizes))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(n,) int64."""
        state, start = np.zeros(len(rows), np.int64), 0
        for size in self.sizes.tolist():
            state = state * size + rows[:, start : start + size].argmax(axis=1)
            start += size
        return state

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """What was declared, by names that start with `name`."""
        return {f"{name}_sizes": self.sizes}

    def restore(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        self.sizes = arrays[f"{name}_sizes"]
