"""A film's vector, of what it tells and of what kind it is, and the films nearest to each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from movieharbor.embedding import Embedder
from movieharbor.vector_cache import embedded

GENRES = 0.5  # what the vector of a film's genres counts, beside that of its text: a plot hardly tells of them
NEAREST = 200
BLOCK = 512  # films whose neighbours are looked for at once


def film_vectors(
    films: pd.DataFrame, embedder: Embedder, folder: Path, tell: Callable[[int, int], None]
) -> tuple[np.ndarray, int]:
    """(films, width) float32 of length 1, and how many texts were embedded anew; films have `text` and `genres`.

    See `vector_cache.embedded` for the rest.
    """
    genres = ["Genres: " + ", ".join(names) for names in films["genres"]]
    vectors, new = embedded([*films["text"], *genres], embedder, folder, tell)
    of_text, of_genres = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in np.split(vectors, 2))
    both = of_text + GENRES * of_genres
    return both / np.linalg.norm(both, axis=1, keepdims=True), new


def nearest(vectors: np.ndarray) -> np.ndarray:
    """(n, k) int32 the places of the vectors nearest to each of n by their cosine, nearest first, without itself.

    k is `NEAREST`, or n - 1 where there are fewer.
    """
    count = min(NEAREST, len(vectors) - 1)
    found = np.empty((len(vectors), count), np.int32)
    for start in range(0, len(vectors), BLOCK):
        likeness = vectors[start : start + BLOCK] @ vectors.T
        likeness[np.arange(len(likeness)), np.arange(start, start + len(likeness))] = -np.inf
        if count:
            near = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
            order = np.take_along_axis(likeness, near, axis=1).argsort(axis=1, kind="stable")[:, ::-1]
            found[start : start + BLOCK] = np.take_along_axis(near, order, axis=1)
    return found
