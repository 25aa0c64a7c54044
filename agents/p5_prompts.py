"""Recommendation as language (P5: Geng et al., 2022): what is asked about users and items, and what the answers are.

Each item and each user is a word of its own, item_12 and user_7. A pair is a question and its answer, both texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from agents.words import words_of
from recsim_env.content import Content

Pair = tuple[str, str]
NEW_USER, YES, NO = "user_new", "yes", "no"
PLOT_WORDS, LISTED = 20, 20  # words of a text that are told; candidates that a question lists
WORDING = (
    "watched next would they like why because is like choose from what which happens in nobody knows yet . ? "
    f"{YES} {NO} {NEW_USER}"
)


def item_word(item: int) -> str:
    """The word that stands for an item."""
    return f"item_{item}"


def user_word(user: int) -> str:
    """The word that stands for a user; -1 is one who is not known."""
    return NEW_USER if user < 0 else f"user_{user}"


def past(user: int, liked: Iterable[int]) -> str:
    """What a question starts with: who asks, and what they liked, the latest last."""
    return f"{user_word(user)} watched {' '.join(map(item_word, liked))}"


def next_question(user: int, liked: Iterable[int]) -> str:
    """Sequential recommendation; the answer is an item."""
    return f"{past(user, liked)} . next ?"


def choice_question(user: int, liked: Iterable[int], offered: Sequence[int]) -> str:
    """Direct selection; the answer is one of those that are offered."""
    return f"{past(user, liked)} . choose from {' '.join(map(item_word, offered))} ?"


def rating_pair(user: int, liked: Iterable[int], item: int, label: float, classifies: bool) -> Pair:
    """How the item is answered: yes or no to a click, a half-rounded number to an amount."""
    answer = (YES if label > 0 else NO) if classifies else f"{round(2 * label) / 2:g}"
    return f"{past(user, liked)} . would they like {item_word(item)} ?", answer


def why_question(user: int, liked: Iterable[int], item: int) -> str:
    """Explanation."""
    return f"{past(user, liked)} . why {item_word(item)} ?"


def explanation(liked: Sequence[int], item: int, content: Content) -> str:
    """Why: the kinds that the item has in common with the last liked item that has any, or else its kinds."""
    own = set(content.kinds_of[item])
    for other in reversed(liked):
        common = sorted(own & set(content.kinds_of[other]))
        if common:
            return f"because {item_word(item)} is {kind_words(common, content)} like {item_word(other)}"
    return f"because {item_word(item)} is {kind_words(content.kinds_of[item], content)}"


def kind_words(kinds: Iterable[int], content: Content) -> str:
    """Names of kinds as words."""
    return " ".join(word for kind in kinds for word in words_of(content.kinds[kind]))


def catalogue_pairs(content: Content, rng: np.random.Generator) -> list[Pair]:
    """One of three questions about each item: what it is, and which item has this name, or this plot."""
    pairs, kinds_of_question = [], rng.integers(3, size=len(content.titles))
    for item, (title, text, kind) in enumerate(zip(content.titles, content.texts, kinds_of_question, strict=True)):
        word, plot = item_word(item), " ".join(words_of(text)[:PLOT_WORDS])
        name = f"{' '.join(words_of(title))} {kind_words(content.kinds_of[item], content)}".strip()
        told = (f"what is {word} ?", name), (f"which is {name} ?", word), (f"what happens in {plot} ?", word)
        pairs.append(told[kind])
    return pairs


def liked_items(items: np.ndarray, labels: np.ndarray, most: int) -> list[list[int]]:
    """Of histories (n, H, S), the last `most` items with positive labels, in order of time."""
    rows, there = items.reshape(len(items), -1), ((labels > 0) & (items >= 0)).reshape(len(items), -1)
    return [row[mine][-most:].tolist() for row, mine in zip(rows, there, strict=True)]
