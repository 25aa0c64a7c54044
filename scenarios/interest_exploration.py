"""Users of hidden types and items of topics, where it can pay to find out who is there (RecSim, Ie et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsim_env.choice import multinomial_logit
from recsim_env.errors import InvalidParameter
from recsim_env.fields import Field
from recsim_env.parameters import param, to_float
from recsim_env.scenario import Item, Items, Responses, Rng, Scenario, Scratch, Slate, User

STEEPEST = 10.0  # means of logarithms lie within, so that no score is too large for a number
FARTHEST = 10.0  # standard deviations; draws end near 8


def read_rows(text: str, parameter: str) -> np.ndarray:
    """(rows, columns): numbers from text, with commas between them and semicolons between rows."""
    try:
        return np.array([[to_float(number) for number in row.split(",")] for row in text.split(";")])
    except ValueError:
        raise InvalidParameter(
            f"InterestExploration.{parameter} must be numbers with commas between them and semicolons between rows "
            f"of one length, as in '0.1,0.7;0.7,0.1', not {text!r}"
        ) from None


def read_shares(text: str, parameter: str) -> np.ndarray:
    """(k,) shares of 0 or more, not all 0."""
    rows = read_rows(text, parameter)
    if len(rows) != 1 or (rows < 0).any() or not rows.any():
        rule = "one row of shares, each 0 or more and not all 0"
        raise InvalidParameter(f"InterestExploration.{parameter} must be {rule}, as in '0.3,0.7', not {text!r}")
    return rows[0]


def read_means(text: str, parameter: str, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) means of logarithms."""
    means = read_rows(text, parameter)
    if means.shape != (rows, columns):
        rule = f"{rows} x {columns} numbers: a column for each of topic_shares"
        rule += ", a row for each of type_shares" if rows > 1 else ""
        found = f"{means.shape[0]} x {means.shape[1]} in {text!r}"
        raise InvalidParameter(f"InterestExploration.{parameter} must be {rule}, not {found}")
    if np.abs(means).max() > STEEPEST:
        span = f"[{-STEEPEST:g}, {STEEPEST:g}]"
        raise InvalidParameter(f"InterestExploration.{parameter} must hold numbers in {span}, not {text!r}")
    return means


def score(user: User, item: Item) -> float:
    """What the item adds to the slate in the user's eyes; no click has a score too."""
    return user.affinities[item.topic] + item.quality


@dataclass(frozen=True)
class InterestExploration(Scenario):
    """Nothing changes a user; who shows only what most people like never learns who likes something else.

    Type shares, topic shares and means are texts of numbers, such as `type_shares="0.3,0.7"`; how many there are
    says how many types and topics the world has. Sessions end only by the horizon.
    """

    slate_size: int = param(2, "items shown at a step", low=1, high=1000)
    horizon: int = param(60, "steps after which we stop looking at a session (truncated)", low=1)
    type_shares: str = param("0.3,0.7", "how common each type of user is")
    topic_shares: str = param("0.2,0.8", "how common each topic of items is")
    affinity_means: str = param(
        "0.1,0.7;0.7,0.1", "mean log affinity: a row for each type of user, in it a number for each topic"
    )
    affinity_sd: float = param(0.1, "spread of log affinity within a type", low=0, high=2)
    quality_means: str = param("0.8,0.2", "mean log quality of each topic")
    quality_sd: float = param(0.1, "spread of log quality within a topic", low=0, high=2)
    no_click_logit: float = param(5.0, "the logit of choosing nothing", low=-1e6, high=1e6)

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.numbers  # so that a wrong text is refused where it was given

    @cached_property
    def numbers(self) -> Mapping[str, np.ndarray]:
        """The texts as arrays: types (T,), topics (K,), affinity (T, K), quality (K,).

        Raises:
            InvalidParameter: a text that is not numbers, or of another shape than the shares say.
        """
        types, topics = (read_shares(getattr(self, name), name) for name in ("type_shares", "topic_shares"))
        return {
            "types": types,
            "topics": topics,
            "affinity": read_means(self.affinity_means, "affinity_means", len(types), len(topics)),
            "quality": read_means(self.quality_means, "quality_means", 1, len(topics))[0],
        }

    def user_fields(self) -> Sequence[Field]:
        return [
            Field("kind", categories=len(self.numbers["types"]), about="the type"),
            Field("affinities", shape=len(self.numbers["topics"]), low=0, about="to each topic; stay as they are"),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [
            Field("topic", categories=len(self.numbers["topics"]), seen=True),
            Field("quality", low=0, high=self.best_quality, seen=True),
        ]

    def response_fields(self) -> Sequence[Field]:
        return [
            Field("clicked", low=0, high=1, seen=True),
            Field("quality", low=0, high=self.best_quality, seen=True, about="also of what was not clicked"),
            Field("topic", categories=len(self.numbers["topics"]), seen=True),
        ]

    @property
    def best_quality(self) -> float:
        """Above every quality that is drawn."""
        return math.exp(float(self.numbers["quality"].max()) + FARTHEST * self.quality_sd)

    def tables(self) -> Mapping[str, np.ndarray]:
        """Shares of types and topics, and the means that go with them; see `numbers`."""
        return self.numbers

    def arrive(self, user: User, rng: Rng) -> None:
        user.kind = rng.categorical(self.types)
        for topic in range(len(user.affinities)):
            user.affinities[topic] = rng.lognormal(self.affinity[user.kind, topic], self.affinity_sd)

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            topic = rng.categorical(self.topics)
            items[position].topic = topic
            items[position].quality = rng.lognormal(self.quality[topic], self.quality_sd)

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            scratch[place] = score(user, items[slate[place]])
            responses[place].quality = items[slate[place]].quality
            responses[place].topic = items[slate[place]].topic
        chosen = multinomial_logit(scratch, self.no_click_logit, rng)
        if chosen >= 0:
            responses[chosen].clicked = 1.0

    def appeal(self, user: User, item: Item) -> float:
        return score(user, item)
