"""Where everything seen stands in an observation: one row of float32 a user, and its parts by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces

from recsim_env.errors import ScenarioError
from recsim_env.fields import Field
from recsim_env.form import CATEGORY, NUMBER, PLAN, PLAN_NAMES, WHOLE, Form, Plan, Sizes
from recsim_env.scenario import Scenario

SPECIAL = ("id", "allowed")
MEMORY = ("history", "history_ids", "totals")
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Key:
    """One part of an observation: columns [start, start + size) of the row, shown as `shape`.

    Attributes:
        value: (*shape,) where it is always the same. It has no columns then, and is given to many users as one
            read-only array that says the same of each.
    """

    name: str
    start: int
    shape: tuple[int, ...]
    low: np.ndarray
    high: np.ndarray
    value: np.ndarray | None = None

    @cached_property
    def size(self) -> int:
        return math.prod(self.shape)

    def of_one(self, row: np.ndarray) -> np.ndarray:
        """The part of one row (width,), as a view of the key's shape; a value is copied."""
        if self.value is not None:
            return self.value.copy()
        part = row[self.start : self.start + self.size]
        return part if len(self.shape) == 1 else part.reshape(self.shape)

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The part of rows (n, width), as a view (n, *shape)."""
        if self.value is not None:
            return np.broadcast_to(self.value, (len(rows), *self.shape))
        return rows[:, self.start : self.start + self.size].reshape(len(rows), *self.shape)


@dataclass(frozen=True)
class Layout:
    """The keys of a world's observations and what fills them: the loop's constants, and its arguments."""

    keys: tuple[Key, ...]
    form: Form
    plan: Plan
    width: int

    @property
    def memory_width(self) -> int:
        """How many numbers of an observation are history and totals."""
        return sum(key.size for key in self.keys if key.name in MEMORY)

    def split(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        return {key.name: key.of(rows) for key in self.keys}

    def space(self) -> spaces.Dict:
        return spaces.Dict({k.name: spaces.Box(k.low, k.high, k.shape, np.float32) for k in self.keys})


def seen_of(fields: Sequence[Field], seen: bool = True) -> list[Field]:
    return [f for f in fields if f.seen == seen and f.name not in SPECIAL]


def word_of(fields: Sequence[Field], name: str) -> int:
    """The first 8-byte word of a field in its record, or -1."""
    names = [f.name for f in fields]
    return sum(f.words for f in fields[: names.index(name)]) if name in names else -1


def columns_of(
    fields: Sequence[Field], chosen: Sequence[Field], noise: float
) -> tuple[list[list[int]], list[list[float]]]:
    """Rows of columns and bounds for the chosen fields, offsets from 0; `noise` is a share of each field's range."""
    columns, bounds, offset = [], [], 0
    for field in chosen:
        kind = CATEGORY if field.categories else WHOLE if field.whole else NUMBER
        low, high = field.bounds
        for word in range(word_of(fields, field.name), word_of(fields, field.name) + field.words):
            columns.append([word, offset, kind])
            bounds.append([low, high, noise * (high - low) if noise > 0 else 0.0])
            offset += field.width // field.words
    return columns, bounds


def bounds_of(fields: Sequence[Field]) -> np.ndarray:
    """(2, width): the low and high of each observed number."""
    pairs = [field.bounds for field in fields for _ in range(field.width)]
    return np.clip(np.array(pairs, float).reshape(-1, 2).T, -LARGEST, LARGEST)


class LayoutBuilder:
    """Lays keys side by side; a key of width 0 is left out."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.width = 0

    def add(self, name: str, shape: tuple[int, ...], bounds: np.ndarray, value: np.ndarray | None = None) -> int:
        """Add a key whose last axis has `bounds` (2, last); its offset, or -1 where it has no columns.

        With a `value` the key is always that, and has none.
        """
        if 0 in shape:
            return -1
        low, high = (np.broadcast_to(side, shape).astype(np.float32) for side in bounds)
        if value is not None:
            value = value.reshape(shape).astype(np.float32)
            value.flags.writeable = False
            self.keys.append(Key(name, -1, shape, low, high, value))
            return -1
        self.keys.append(Key(name, self.width, shape, low, high))
        self.width += self.keys[-1].size
        return self.keys[-1].start


def with_zero(bounds: np.ndarray) -> np.ndarray:
    """The bounds, widened to hold the zeros of a slate not yet shown."""
    return np.stack([np.minimum(bounds[0], 0.0), np.maximum(bounds[1], 0.0)])


def id_bounds(fields: Sequence[Field], lowest: float) -> np.ndarray:
    """(2, 1): the range of a record's id; (2, 0) where it has none."""
    return np.array([[lowest, f.high] for f in fields if f.name == "id"], float).reshape(-1, 2).T


def total_bounds(scenario: Scenario, response: np.ndarray) -> np.ndarray:
    """(2, 1 + 2 R): steps, sums over shown places, sums over clicked places."""
    most = float(scenario.horizon + 1)
    sums = with_zero(response) * scenario.slate_size * most
    return np.concatenate([[[0.0], [most]], sums, sums], axis=1)


def build_layout(scenario: Scenario, *, observe: str, history: int, totals: bool) -> Layout:
    """The layout of a scenario's observations with these options.

    Raises:
        ScenarioError: nothing is seen.
    """
    users, items, replies = scenario.user_fields(), scenario.item_fields(), scenario.response_fields()
    anonymous = observe == "responses"
    seen_users = [] if anonymous else seen_of(users)
    groups = [seen_users, seen_of(items), seen_of(replies), seen_of(users, False), seen_of(items, False)]
    bounds = [bounds_of(group) for group in groups]
    build = LayoutBuilder()
    fixed = fixed_parts(scenario)
    offsets = add_seen(build, scenario, bounds, anonymous, fixed)
    offsets |= add_memory(build, scenario, bounds, history, totals)
    offsets |= add_hidden(build, scenario, bounds, observe == "full", fixed)
    if not build.keys:
        raise ScenarioError(f"{type(scenario).__name__}: no field is seen, so there is nothing to observe")
    noises = [scenario.noise, scenario.noise, 0.0, 0.0, 0.0]
    owners = [users, items, replies, users, items]
    tables = [columns_of(f, g, noise) for f, g, noise in zip(owners, groups, noises, strict=True)]
    stops = np.cumsum([len(columns) for columns, _ in tables]).tolist()
    form = Form(
        sizes_of(scenario, stops, [side.shape[1] for side in bounds], history),
        tuple((word, offset, kind) for columns, _ in tables for word, offset, kind in columns),
        frozenset(key for key, start in offsets.items() if start >= 0),
        noisy=scenario.noise > 0,
        own_items=not scenario.offer_is_fixed,
        shows_items=not fixed,
        first_slate=scenario.first_slate == "random",
        keeps_user=scenario.keeps_user,
        clicked_whole=next(f.whole for f in replies if f.name == "clicked"),
        pays_late=scenario.reward_delay > 0,
    )
    limits = np.array([row for _, rows in tables for row in rows], float).reshape(-1, 3)
    return Layout(tuple(build.keys), form, Plan(plan_numbers(scenario, offsets), limits), build.width)


def sizes_of(scenario: Scenario, stops: Sequence[int], widths: Sequence[int], history: int) -> Sizes:
    """stops, widths: of what is seen of a user, an item and a response, and of what is hidden of a user and an item."""
    users, items, replies = scenario.user_fields(), scenario.item_fields(), scenario.response_fields()
    user_stop, item_stop, response_stop, hidden_user_stop, hidden_item_stop = stops
    return Sizes(
        user_stop=user_stop,
        item_stop=item_stop,
        response_stop=response_stop,
        hidden_user_stop=hidden_user_stop,
        hidden_item_stop=hidden_item_stop,
        item_width=widths[1],
        response_width=widths[2],
        hidden_item_width=widths[4],
        user_id_word=word_of(users, "id"),
        item_id_word=word_of(items, "id"),
        allowed_word=word_of(items, "allowed"),
        clicked_word=word_of(replies, "clicked"),
        response_words=sum(f.words for f in replies),
        slate_size=scenario.slate_size,
        history_steps=history,
    )


def plan_numbers(scenario: Scenario, offsets: Mapping[str, int]) -> Any:
    """() PLAN."""
    memory = max(0, min((offsets[key] for key in MEMORY if offsets[key] >= 0), default=0))
    numbers = {**offsets, "memory": memory, "horizon": scenario.horizon, "scratch_size": scenario.scratch_size}
    return np.array([tuple(int(numbers[name]) for name in PLAN_NAMES)], PLAN)[0]


def fixed_parts(scenario: Scenario) -> dict[str, np.ndarray]:
    """What is seen of candidates that are always the same, by key; empty where they change, or noise lies on them."""
    if not scenario.offer_is_fixed or scenario.noise > 0:
        return {}
    items, fields = scenario.fixed_items[0], scenario.item_fields()
    parts = {
        "candidates": numbers_of(items, fields, seen_of(fields)),
        "hidden_candidates": numbers_of(items, fields, seen_of(fields, False)),
    }
    names = {"id": "candidate_ids", "allowed": "mask"}
    return parts | {names[f.name]: np.minimum(items[f.name], f.high) for f in fields if f.name in names}


def numbers_of(records: np.ndarray, fields: Sequence[Field], chosen: Sequence[Field]) -> np.ndarray:
    """(n, width): the chosen fields of records (n,), as the loop writes them into observations."""
    shown = np.zeros((len(records), sum(field.width for field in chosen)))
    everyone, words = np.arange(len(records)), records.view(np.float64).reshape(len(records), -1)
    for (word, offset, kind), (low, high, _) in zip(*columns_of(fields, chosen, 0.0), strict=True):
        values = words[:, word] if kind == NUMBER else words[:, word].view(np.int64)
        if kind == CATEGORY:
            shown[everyone, offset + values] = 1.0
        else:
            shown[:, offset] = np.clip(values, low, high)
    return shown


def add_seen(
    build: LayoutBuilder,
    scenario: Scenario,
    bounds: list[np.ndarray],
    anonymous: bool,
    fixed: Mapping[str, np.ndarray],
) -> dict[str, int]:
    """What every recommender sees; where users are anonymous, nothing of them but their responses."""
    user_ids, item_ids = id_bounds([] if anonymous else scenario.user_fields(), 0), id_bounds(scenario.item_fields(), 0)
    count, slate = scenario.num_candidates, scenario.slate_size
    masked = int(word_of(scenario.item_fields(), "allowed") >= 0)
    return {
        "user": build.add("user", (bounds[0].shape[1],), bounds[0]),
        "user_id": build.add("user_id", (user_ids.shape[1],), user_ids),
        "candidates": build.add("candidates", (count, bounds[1].shape[1]), bounds[1], fixed.get("candidates")),
        "candidate_ids": build.add("candidate_ids", (count * item_ids.shape[1],), item_ids, fixed.get("candidate_ids")),
        "response": build.add("response", (slate, bounds[2].shape[1]), with_zero(bounds[2])),
        "mask": build.add("mask", (count * masked,), np.array([[0.0], [1.0]]), fixed.get("mask")),
    }


def add_memory(
    build: LayoutBuilder, scenario: Scenario, bounds: list[np.ndarray], history: int, totals: bool
) -> dict[str, int]:
    """The last steps and the session's totals, when asked for."""
    place = np.concatenate([with_zero(bounds[1]), with_zero(bounds[2])], axis=1)
    shown = np.tile(place, scenario.slate_size)
    ids = np.tile(id_bounds(scenario.item_fields(), -1), scenario.slate_size)
    sums = total_bounds(scenario, bounds[2])
    return {
        "history": build.add("history", (history, shown.shape[1]), shown),
        "history_ids": build.add("history_ids", (history, ids.shape[1]), ids),
        "totals": build.add("totals", (sums.shape[1] * int(totals),), sums),
    }


def add_hidden(
    build: LayoutBuilder, scenario: Scenario, bounds: list[np.ndarray], full: bool, fixed: Mapping[str, np.ndarray]
) -> dict[str, int]:
    """The hidden state and each candidate's appeal, for oracles and ablations."""
    count, hidden = scenario.num_candidates, bounds[4].shape[1] * int(full)
    appeals = count * int(full and scenario.overrides("appeal"))
    return {
        "hidden_user": build.add("hidden_user", (bounds[3].shape[1] * int(full),), bounds[3]),
        "hidden_candidates": build.add("hidden_candidates", (count, hidden), bounds[4], fixed.get("hidden_candidates")),
        "appeal": build.add("appeal", (appeals,), np.array([[-LARGEST], [LARGEST]])),
    }
