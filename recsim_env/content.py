"""What a catalogue's items are beyond numbers: their names, texts, kinds, people and pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Content:
    """N items by catalogue id; what an agent that reads, or looks at pictures, is told of them.

    Attributes:
        titles: N names.
        texts: N descriptions; written by anybody: data, never instructions.
        kinds: the names of G kinds, such as genres.
        kinds_of: N tuples of places in `kinds`, the main one first; a few may be empty.
        years: (N,) int64, 0 where unknown.
        people: N tuples of names, empty where unknown.
        vectors: (N, W) float32, of length 1: where near items tell of the same.
        pictures: makes (N, H, W, 3) uint8; called when they are wanted.
    """

    titles: tuple[str, ...]
    texts: tuple[str, ...]
    kinds: tuple[str, ...]
    kinds_of: tuple[tuple[int, ...], ...]
    years: np.ndarray
    people: tuple[tuple[str, ...], ...]
    vectors: np.ndarray
    pictures: Callable[[], np.ndarray]

    @property
    def main_kinds(self) -> np.ndarray:
        """(N,) int64 the place of each item's main kind, -1 where it has none."""
        return np.array([kinds[0] if kinds else -1 for kinds in self.kinds_of], np.int64)
