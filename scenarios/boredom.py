"""Too much of a topic bores people for a while: SARDINE (Deffayet et al., 2024)."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsim_env.errors import DataError, InvalidParameter
from recsim_env.fields import Field
from recsim_env.parameters import param
from recsim_env.scenario import Item, Items, Responses, Rng, Scenario, Scratch, Slate, User
from scenarios import bored_planner
from scenarios.bored_user import (
    FEWEST_TOPICS,
    MOST_TOPICS,
    BoredomType,
    ClickModel,
    Influence,
    draw_taste,
    feel,
    follow_clicks,
    is_clicked,
    logit,
    monotony,
    remember,
    tire,
)

LIKED = 0.4  # how likely a user likes a topic


def draw_items(num_items: int, num_topics: int, seed: int) -> np.ndarray:
    """(items, topics) float64 of length 1: uniform weights of two or three topics, drawn for each item."""
    rng = np.random.default_rng(seed)
    topics = rng.integers(2, 4, size=(num_items, 1))
    ranks = rng.random((num_items, num_topics)).argsort(axis=1).argsort(axis=1)
    vectors = np.where(ranks < topics, 1.0 - rng.random((num_items, num_topics)), 0.0)
    lengths: np.ndarray = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths


def load_items(path: str, num_items: int, num_topics: int) -> np.ndarray:
    """(items, topics) float64 from a file of `np.save`.

    Raises:
        DataError: it is missing, no such file, of another shape, or holds no vectors that can be told apart.
    """
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"Boredom.items: {path} cannot be read as a .npy file of numbers: {error}") from error
    if not isinstance(vectors, np.ndarray) or vectors.dtype.kind not in "fiu":
        raise DataError(f"Boredom.items: {path} must hold one array of real numbers; write it with np.save")
    if vectors.shape != (num_items, num_topics):
        wanted = f"num_items={num_items} and num_topics={num_topics}"
        raise DataError(f"Boredom.items: {path} has the shape {vectors.shape}, which does not fit {wanted}; set them")
    if not np.isfinite(vectors).all() or not vectors.any():
        raise DataError(f"Boredom.items: {path} must hold finite numbers that are not all 0")
    return vectors.astype(np.float64)


@dataclass(frozen=True)
class Boredom(Scenario):
    """People click what matches their taste, and lose interest where a topic got too many of their last clicks."""

    num_candidates: int = param(100, "items on offer at a step: all, or so many drawn anew", low=1, high=100_000)
    slate_size: int = param(10, "items shown at a step", low=1, high=1000)
    num_items: int = param(1000, "items of the catalogue", low=1, high=100_000)
    num_topics: int = param(10, "topics of items and of tastes", low=3, high=1000)
    items: str = param("", "path of a .npy file with the items' vectors (num_items, num_topics); else they are drawn")
    items_seed: int = param(0, "what items are drawn with where there is no file", low=0)
    session_steps: int = param(100, "steps of a session, after the first slate", low=1, high=5000)
    offset: float = param(0.65, "the match at which relevance is a half", low=-10, high=10, fit=(0.0, 1.0))
    slope: float = param(100.0, "how sharply relevance rises with the match", low=0, high=1e6, fit=(1.0, 200.0))
    click_model: ClickModel = param(ClickModel.TD_PBM, "which places are looked at")
    gamma: float = param(0.85, "chance to look at a place, to the power of its rank", low=0, high=1, fit=(0.3, 1.0))
    diversity_penalty: float = param(
        1.0, "what relevance is divided by in a slate of too much of a topic", low=1, high=1e6
    )
    same_topic: int = param(4, "how often a main topic must stand in a slate to be too much", low=1)
    threshold: int = param(5, "remembered clicks on a topic that bore; above window: none do", low=1, fit=(2, 11))
    window: int = param(10, "clicks that are remembered", low=1, high=1000)
    memory: int = param(5, "steps for which they are remembered", low=1)
    timeout: int = param(5, "steps for which one is bored", low=1)
    boredom_type: BoredomType = param(BoredomType.CHURN_AND_RETURN, "what boredom takes away")
    bored_share: float = param(1.0, "what each bored topic leaves of relevance; 0.5 halves it", low=0, high=1)
    omega: float = param(1.0, "how much of a taste clicks leave as it is; 1: clicks have no influence", low=0, high=1)
    influence: Influence = param(Influence.AS_RELEASED, "how clicks move a taste where omega is below 1")

    first_slate = "random"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_candidates > self.num_items:
            rule = f"Boredom.num_candidates must be at most num_items ({self.num_items})"
            raise InvalidParameter(f"{rule}, not {self.num_candidates}")

    @cached_property
    def vectors(self) -> np.ndarray:
        """(items, topics) float64. `DataError`: the file `items` is missing, damaged or of another shape."""
        if self.items:
            return load_items(self.items, self.num_items, self.num_topics)
        return draw_items(self.num_items, self.num_topics, self.items_seed)

    @property
    def offer_is_fixed(self) -> bool:
        return self.num_candidates == self.num_items

    @property
    def scratch_size(self) -> int:
        return self.num_topics

    def user_fields(self) -> Sequence[Field]:
        topics, window = self.num_topics, self.window
        return [
            Field("hist", shape=topics, low=0, high=1, seen=True, about="remembered clicks on a topic / threshold"),
            Field("mood", shape=topics, low=-1, high=1, about="the taste, less what boredom takes from it"),
            Field("taste", shape=topics, low=-1, high=1, about="of length 1"),
            Field("bored", shape=topics, low=0, high=self.timeout, integer=True, unit="steps", about="left of boredom"),
            Field("keenness", low=0, high=1, about="what boredom leaves of relevance"),
            Field("click_topics", shape=window, low=-1, high=topics - 1, integer=True, about="ring of the last clicks"),
            Field("click_steps", shape=window, low=0, high=self.session_steps, integer=True, unit="steps"),
            Field("clicks", low=0, integer=True, about="in this session, those on the first slate among them"),
            Field("clock", low=0, high=self.session_steps + 1, integer=True, unit="steps", about="slates shown"),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [Field("id", low=0, high=self.num_items - 1, integer=True, seen=True)]

    def response_fields(self) -> Sequence[Field]:
        low, high = min(0.0, float(self.vectors.min())), max(0.0, float(self.vectors.max()))
        return [
            Field("clicked", low=0, high=1, seen=True),
            Field("vector", shape=self.num_topics, low=low, high=high, seen=True, about="of the item that was shown"),
        ]

    def catalogue(self) -> np.ndarray:
        return self.vectors.astype(np.float32)

    def tables(self) -> Mapping[str, np.ndarray]:
        """What verbs read of N items and K topics."""
        liked = [math.comb(self.num_topics, k) * (LIKED / (1 - LIKED)) ** k for k in range(MOST_TOPICS + 1)]
        return {
            "vectors": self.vectors,  # (N, K)
            "scaled": self.vectors / np.linalg.norm(self.vectors, axis=1).max(),  # (N, K) none longer than 1
            "main_topic": self.vectors.argmax(axis=1),  # (N,)
            "liked_shares": np.array(liked[FEWEST_TOPICS:], float),  # how likely so many topics are liked, up to scale
        }

    def arrive(self, user: User, rng: Rng) -> None:
        draw_taste(self, user, rng)
        for slot in range(self.window):
            user.click_topics[slot] = -1
        feel(self, user)

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        item = 0
        for position in range(len(items)):  # in order of id; all sets of so many items are equally likely
            left, wanted = self.num_items - item, len(items) - position
            luck = rng.uniform() if wanted < left else 0.0
            skipped = (left - wanted) / left  # how likely all items up to this one are passed over (Vitter, 1984)
            while skipped > luck:
                item += 1
                left -= 1
                skipped *= (left - wanted) / left
            items[position].id = item
            item += 1

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        divisor = monotony(self, items, slate, scratch)
        for place in range(len(slate)):
            item = items[slate[place]].id
            if is_clicked(self, user, item, divisor, place, len(slate), rng):
                responses[place].clicked = 1.0
            for topic in range(self.num_topics):
                responses[place].vector[topic] = self.vectors[item, topic]

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        before = user.clicks
        remember(self, user, items, slate, responses)
        user.clock += 1
        tire(self, user)
        if user.clicks > before and self.omega < 1.0:
            follow_clicks(self, user, items, slate, responses)
        feel(self, user)

    def left(self, user: User) -> bool:
        return bool(user.clock > self.session_steps)

    def appeal(self, user: User, item: Item) -> float:
        return logit(self, user, item.id)  # in the order of relevance, which is 1 for many items where slope is high

    def plan(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        return bored_planner.plan(self, observation)
