"""Texts as numbers of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

ABSENT, UNKNOWN = 0, 1  # behind a text's end, and a word that is not among the commonest
WORD = re.compile(r"[a-z0-9']+")


def words_of(text: str) -> list[str]:
    """The words, in small letters."""
    return WORD.findall(text.lower())


def commonest(texts: Sequence[str], count: int) -> dict[str, int]:
    """The numbers, from 2 on, of the words that most texts hold, `count` at most, each of two texts or more."""
    counts = Counter(word for text in texts for word in set(words_of(text)))
    known = sorted((word for word, n in counts.items() if n > 1), key=lambda word: (-counts[word], word))
    return {word: place for place, word in enumerate(known[:count], start=UNKNOWN + 1)}


def numbered(texts: Sequence[str], numbers: dict[str, int], length: int) -> np.ndarray:
    """(texts, length) int64 the numbers of each text's first words."""
    found = np.full((len(texts), length), ABSENT)
    for row, text in enumerate(texts):
        words = words_of(text)[:length]
        found[row, : len(words)] = [numbers.get(word, UNKNOWN) for word in words]
    return found
