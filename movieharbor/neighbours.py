"""How good a catalogue's vectors are: near films should share genres, and a description find its film."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from movieharbor.catalogue import Catalogue
from movieharbor.embedding import Embedder
from recsim_env.errors import InvalidParameter


def sharing(catalogue: Catalogue, films: int, counts: Sequence[int], seed: int) -> pd.DataFrame:
    """A row a count of neighbours: count, the genres that a film has in common with them, with any film, and the ratio.

    films: how many are drawn, with `seed`; common genres are means over them and their neighbours.
    """
    has = genre_matrix(catalogue)
    chosen = drawn(catalogue, films, seed)
    vectors = catalogue.vectors / np.linalg.norm(catalogue.vectors, axis=1, keepdims=True)
    likeness = vectors[chosen] @ vectors.T
    likeness[np.arange(len(chosen)), chosen] = -np.inf
    order = np.argsort(-likeness, axis=1, kind="stable")
    common = has[chosen] @ has.T
    chance = (common.sum(axis=1) - has[chosen].sum(axis=1)).mean() / (len(has) - 1)
    near = [np.take_along_axis(common, order[:, :k], axis=1).mean() for k in counts]
    return pd.DataFrame({"count": counts, "near": near, "chance": chance, "ratio": np.array(near) / chance})


def found_by_overview(catalogue: Catalogue, embedder: Embedder, films: int, seed: int) -> float:
    """The share of films that are nearest to their own overview, of some that are drawn."""
    chosen = catalogue.films.iloc[drawn(catalogue, films, seed)]
    vectors = embedder.embed(chosen["overview"].tolist())
    found = [catalogue.by_vector(vector, 1)["id"][0] for vector in vectors]
    return float(np.mean(np.array(found) == chosen["id"].to_numpy()))


def genre_matrix(catalogue: Catalogue) -> np.ndarray:
    """(films, genres) float: 1 where a film has a genre."""
    place = {genre: k for k, genre in enumerate(catalogue.genres)}
    has = np.zeros((len(catalogue.films), len(place)))
    for row, genres in enumerate(catalogue.films["genres"]):
        has[row, [place[genre] for genre in genres]] = 1.0
    return has


def drawn(catalogue: Catalogue, films: int, seed: int) -> np.ndarray:
    """Places of films.

    Raises:
        InvalidParameter: there are not so many, or none are asked for.
    """
    if not 1 <= films <= len(catalogue.films):
        raise InvalidParameter(
            f"--films must lie in [1, {len(catalogue.films)}], the films of the catalogue, not {films}"
        )
    return np.random.default_rng(seed).choice(len(catalogue.films), films, replace=False)
