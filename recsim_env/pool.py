"""Arrays given away and used again once nobody holds them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

KEPT = 4


def unheld(arrays: list[np.ndarray], references: int) -> np.ndarray | None:
    """The first array that no more than `references` refer to: the list, and what this loop itself holds."""
    for array in arrays:
        if sys.getrefcount(array) == references:
            return array
    return None


# How many a loop holds differs between Pythons (3.14 borrows), so it is measured.
REFERENCES_WHEN_FREE = next(n for n in range(1, 9) if unheld([np.empty(0)], n) is not None)


class ArrayPool:
    """Gives arrays of one shape. An array, and any view of it, is its holder's for as long as they hold it.

    A fresh array costs page faults: 40 to 80 ns a user at large batches, against about 20 for a reused one.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype = shape, dtype
        self._arrays: list[np.ndarray] = []

    def take(self) -> np.ndarray:
        """An array that nobody else refers to, its contents undefined."""
        free = unheld(self._arrays, REFERENCES_WHEN_FREE)
        if free is not None:
            return free
        array = np.zeros(self.shape, self.dtype)  # what is never written is compared too
        if len(self._arrays) < KEPT:
            self._arrays.append(array)
        return array
