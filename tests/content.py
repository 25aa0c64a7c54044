"""The made-up films of `tests.made_up` with plots and pictures that tell their genres."""

from __future__ import annotations

import numpy as np

from recsim_env.content import Content
from scenarios.movielens import MovieLens

SIDE = 16
PLACES = ("harbour", "castle", "forest", "city")


class ToldMovieLens(MovieLens):
    """MovieLens whose films have content."""

    def item_content(self) -> Content:
        return content_of(self.fitted.genres, self.fitted.genre_names, self.fitted.titles)


def content_of(genres: np.ndarray, names: tuple[str, ...], titles: tuple[str, ...]) -> Content:
    """Of genres (N, G): a plot names the main genre and one of four places, a picture has a brightness a genre."""
    rng, count = np.random.default_rng(0), len(genres)
    kinds_of = tuple(tuple(int(kind) for kind in np.flatnonzero(row)) for row in genres)
    places = rng.integers(len(PLACES), size=count)
    vectors = genres + rng.normal(0.0, 0.1, genres.shape)
    light = np.array([kinds[0] * 255 // len(names) for kinds in kinds_of])
    return Content(
        titles=titles,
        texts=tuple(f"A {names[k[0]].lower()} in a {PLACES[p]}." for k, p in zip(kinds_of, places, strict=True)),
        kinds=names,
        kinds_of=kinds_of,
        years=rng.integers(1930, 2020, size=count),
        people=tuple((f"Person {i % 7}",) for i in range(count)),
        vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        pictures=lambda: np.broadcast_to(light[:, None, None, None], (count, SIDE, SIDE, 3)).astype(np.uint8),
    )
