"""From a source of films to a catalogue in LanceDB; the old one stays until the new one is whole."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from movieharbor.bokeh_films import read_bokeh_films
from movieharbor.catalogue import ABOUT, FOLDER, INDEXED, TABLE, VERSION, lancedb
from movieharbor.embedding import MINILM, find_embedder
from movieharbor.films import Films
from movieharbor.movies_dataset import read_movies
from movieharbor.ratings import MIDDLE, weighted_ratings
from movieharbor.texts import LONGEST, combined_info, indexed_words, token_counts
from movieharbor.vectors import film_vectors, nearest
from recsim_env.errors import DataError, InvalidParameter
from recsim_env.files import locked, whole

EMBEDDINGS, DROPPED = "embeddings", "dropped.csv"


@dataclass(frozen=True)
class BuildOptions:
    """What a catalogue is made of.

    Attributes:
        data: `movies_metadata.csv`, or None for the films of bokeh_sampledata.
        embedding: see `find_embedder`.
        least_votes: m of the weighted rating; None is the 0.95 quantile of the votes.
        mean_rating: C of the weighted rating; None is the mean of the ratings.
    """

    data: Path | None = None
    embedding: str = MINILM
    least_votes: float | None = None
    mean_rating: float | None = MIDDLE

    def check(self) -> None:
        """Raises `InvalidParameter` for what is out of range."""
        if self.least_votes is not None and not 0 <= self.least_votes < math.inf:
            raise InvalidParameter(f"--least-votes must be a finite number from 0, not {self.least_votes:g}")
        if self.mean_rating is not None and not 0 <= self.mean_rating <= 10:
            raise InvalidParameter(f"--mean-rating must lie in [0, 10], or be mean, not {self.mean_rating:g}")


@dataclass(frozen=True)
class Built:
    """What a build did: the films, and how many texts, of films and of their genres, were embedded anew."""

    films: Films
    embedded: int


def read_films(options: BuildOptions) -> Films:
    """The films of the source, with `weighted` ratings, `text` and its `tokens`; too long texts are left out."""
    films = read_movies(options.data) if options.data else read_bokeh_films()
    if films.table.empty:
        raise DataError(f"of {films.read:,} rows none is a film that can be used; most often: {commonest(films)}")
    table = films.table
    weighted = weighted_ratings(table["rating"], table["votes"], options.least_votes, options.mean_rating)
    table = table.assign(weighted=weighted)
    table["text"] = combined_info(table)
    table["tokens"] = token_counts(table["text"].tolist())
    made = Films(films.source, table, films.dropped)
    return made.without(table["tokens"] > LONGEST, f"over {LONGEST:,} tokens")


def commonest(films: Films) -> str:
    return str(films.dropped["reason"].value_counts().index[0])


def build_catalogue(options: BuildOptions, out: Path, tell: Callable[[int, int], None]) -> Built:
    """Make the catalogue in `out`, and keep the embeddings beside it.

    Args:
        tell: takes how many texts are embedded, and of how many.

    Raises:
        RecSimError: of any kind; `RunFolderError` where another build runs there. The old catalogue is as it was.
    """
    options.check()
    embedder = find_embedder(options.embedding)
    lancedb()
    with locked(out):
        films = read_films(options)
        try:
            vectors, new = film_vectors(films.table, embedder, out / EMBEDDINGS, tell)
            with whole(out / FOLDER, ABOUT) as part:
                write(films, vectors, options, part)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"the catalogue could not be written to {out}: {str(error).strip().splitlines()[0]}; what was there is "
                f"as it was, and what is embedded is kept"
            ) from error
    return Built(films, new)


def write(films: Films, vectors: np.ndarray, options: BuildOptions, folder: Path) -> None:
    """The table with its indices, what was left out, and what the catalogue is made of."""
    import pyarrow as pa

    width = vectors.shape[1]
    columns = {name: pa.array(values.tolist()) for name, values in films.table.items()}
    columns[INDEXED] = pa.array([indexed_words(text) for text in films.table["text"]])
    columns["genres"] = pa.array([list(genres) for genres in films.table["genres"]], pa.list_(pa.string()))
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width)
    ids = films.table["id"].to_numpy()
    columns["nearest"] = pa.array([ids[near] for near in nearest(vectors)], pa.list_(pa.int64()))
    folder.mkdir(parents=True)
    library = lancedb()
    table = library.connect(folder / "lancedb").create_table(TABLE, pa.table(columns))
    table.create_index(INDEXED, config=library.index.FTS())
    films.dropped.to_csv(folder / DROPPED, index=False)
    (folder / ABOUT).write_text(json.dumps(about(films, width, options), indent=1) + "\n", encoding="utf-8")


def about(films: Films, width: int, options: BuildOptions) -> dict[str, Any]:
    """What the catalogue is made of."""
    return {
        "version": VERSION, "source": films.source, "embedding": options.embedding, "width": width,
        "least_votes": options.least_votes, "mean_rating": options.mean_rating,
        "read": films.read, "kept": len(films.table), "dropped": reasons(films),
    }  # fmt: skip


def reasons(films: Films) -> dict[str, int]:
    """How many rows were left out, by reason, the commonest first."""
    return {str(reason): int(count) for reason, count in films.dropped["reason"].value_counts().items()}
