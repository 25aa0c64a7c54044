"""Impressions: the compact log that supervised agents fit, from playing or from a table of ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces
from scipy.sparse import csr_matrix

from agents.items import History
from recsim_env.agent import WorldSpec
from recsim_env.errors import DataError
from recsim_env.fields import Field


@dataclass(frozen=True)
class Context:
    """What is known of n users before a slate is chosen.

    Attributes:
        users: (n, U) float32 numbers known of the user, as the `Encoder` reads them (no history among them).
        user_ids: (n,) int64, -1 where users have none.
        history: the slates shown before in this session.
    """

    users: np.ndarray
    user_ids: np.ndarray
    history: History


@dataclass(frozen=True)
class Impressions:
    """T user-steps: what was known, shown and answered, and some of what else was on offer.

    Attributes:
        user, session, step: (T,) int64 whose step it was; logs that are joined number users and sessions alike.
        users: (T, U) float32 as in `Context`.
        user_ids: (T,) int64, -1 where users have none.
        items: (T, S) int64 numbers by an `ItemIndex`.
        features: (T, S, F) float32 seen of the candidates themselves; F is 0 where only ids are seen.
        labels, clicked: (T, S) float32.
        propensities: (T, S) float32, the chance that this candidate stood somewhere in the slate.
        uniform: (T,) float32, what that chance is under random slates.
        explored: (T,) bool, whether the slate was drawn at random.
        offered: (T, K) int32 a sample of the other allowed candidates, -1 where there was none; K is 0 where
            every item is always on offer.
        offered_features: (T, K, F) float32.
    """

    user: np.ndarray
    session: np.ndarray
    step: np.ndarray
    users: np.ndarray
    user_ids: np.ndarray
    items: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    clicked: np.ndarray
    propensities: np.ndarray
    uniform: np.ndarray
    explored: np.ndarray
    offered: np.ndarray
    offered_features: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def join(cls, logs: Sequence[Impressions]) -> Impressions:
        """Several logs of the same sessions as one."""
        if len(logs) == 1:
            return logs[0]
        return cls(**{f.name: np.concatenate([getattr(log, f.name) for log in logs]) for f in fields(cls)})

    @classmethod
    def of_ratings(cls, users: np.ndarray, items: np.ndarray, labels: np.ndarray | None = None) -> Impressions:
        """Ratings (T,) in order of time: each is a step that showed one item, each user has one session.

        Args:
            users: whole numbers from 0.
            items: whole numbers from 0.
            labels: what each is worth; by default 1.

        Raises:
            DataError: the columns have several lengths.
        """
        if not len(users) == len(items) == len(users if labels is None else labels):
            raise DataError(f"ratings need columns of one length, not {len(users)} users and {len(items)} items")
        count = len(users)
        order = np.argsort(users, kind="stable")
        first = np.searchsorted(users[order], users[order])
        step = np.empty(count, np.int64)
        step[order] = np.arange(count) - first
        worth = np.ones(count, np.float32) if labels is None else np.array(labels, np.float32)
        worth = worth[:, None]
        return cls(
            user=np.asarray(users, np.int64), session=np.zeros(count, np.int64), step=step,
            users=np.zeros((count, 0), np.float32),
            user_ids=np.asarray(users, np.int64), items=np.asarray(items, np.int64)[:, None],
            features=np.zeros((count, 1, 0), np.float32), labels=worth, clicked=(worth > 0).astype(np.float32),
            propensities=np.ones((count, 1), np.float32), uniform=np.ones(count, np.float32),
            explored=np.zeros(count, bool), offered=np.zeros((count, 0), np.int32),
            offered_features=np.zeros((count, 0, 0), np.float32),
        )  # fmt: skip

    @cached_property
    def order(self) -> np.ndarray:
        """(T,) the rows by user, session and step."""
        return np.lexsort((self.step, self.session, self.user))

    @cached_property
    def groups(self) -> np.ndarray:
        """(T,) int64 the number of each row's session, from 0, counted in `order`."""
        user, session = self.user[self.order], self.session[self.order]
        new = np.r_[True, (user[1:] != user[:-1]) | (session[1:] != session[:-1])] if len(self) else np.zeros(0, bool)
        groups = np.empty(len(self), np.int64)
        groups[self.order] = np.cumsum(new) - 1
        return groups

    @cached_property
    def place(self) -> np.ndarray:
        """(T,) where each row stands in `order`."""
        place = np.empty(len(self), np.int64)
        place[self.order] = np.arange(len(self))
        return place

    @cached_property
    def lengths(self) -> np.ndarray:
        """(sessions,) logged steps of each session."""
        return np.bincount(self.groups)

    def before(self, rows: np.ndarray, steps: int) -> np.ndarray:
        """(n, steps) the rows of the same session that came before each row, newest last, -1 where there is none."""
        starts = (np.cumsum(self.lengths) - self.lengths)[self.groups[rows]]
        places = self.place[rows][:, None] + np.arange(-steps, 0)
        return np.where(places >= starts[:, None], self.order[np.maximum(places, 0)], -1)

    def windows(self, steps: int, among: np.ndarray | None = None) -> np.ndarray:
        """(W, steps) row numbers: each session cut into stretches, in order, -1 in front where one is shorter.

        Args:
            steps: the longest stretch.
            among: (T,) bool, which rows to take; by default all.
        """
        rows = self.order if among is None else self.order[among[self.order]]
        groups = self.groups[rows]
        within = np.arange(len(rows)) - np.searchsorted(groups, groups)
        starts = np.flatnonzero(within % steps == 0)
        sizes = np.diff(np.r_[starts, len(rows)])
        windows = np.full((len(starts), steps), -1)
        windows[np.repeat(np.arange(len(starts)), sizes), within % steps + np.repeat(steps - sizes, sizes)] = rows
        return windows

    def shown(self, rows: np.ndarray) -> History:
        """The slates of rows (n, H); -1 stands for nothing."""
        absent = (rows < 0)[..., None]
        return History(
            items=np.where(absent, -1, self.items[rows]),
            features=np.where(absent[..., None], np.float32(0), self.features[rows]),
            labels=np.where(absent, np.float32(0), self.labels[rows]),
            clicked=np.where(absent, np.float32(0), self.clicked[rows]),
        )

    def context(self, rows: np.ndarray, history: int = 0) -> Context:
        """What was known before rows (n,), with so many steps of history."""
        return Context(self.users[rows], self.user_ids[rows], self.shown(self.before(rows, history)))

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """(n, S): labels, 0 where negative, as much as they would have counted under random slates.

        An item that the policy liked to show is shown more often, and each time counts less (inverse propensities).
        """
        correction = self.uniform[rows][..., None] / self.propensities[rows]
        return np.maximum(self.labels[rows], 0.0) * correction

    def pairs(self, among: np.ndarray) -> np.ndarray:
        """Sorted numbers of (session, item) for all that rows (T,) bool show; see `negatives`."""
        return np.unique(self.groups[among, None] * self._most + self.items[among])

    @cached_property
    def _most(self) -> int:
        return int(self.items.max()) + 1

    def negatives(
        self, rows: np.ndarray, count: int, size: int, rng: np.random.Generator, pairs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Items (n, count) and their features that rows (n,) had on offer and did not show; -1 where a draw failed.

        Where everything is on offer, items are drawn uniformly of all `size`, and a draw fails where it is one of
        `pairs`: those of the rows that are fitted. (To spare held-out ones too would tell which they are.)
        """
        if self.offered.shape[1]:
            places = rng.integers(self.offered.shape[1], size=(len(rows), count))
            return self.offered[rows[:, None], places].astype(np.int64), self.offered_features[rows[:, None], places]
        items = rng.integers(size, size=(len(rows), count))
        numbers = np.where(items < self._most, self.groups[rows][:, None] * self._most + items, -1)
        found = np.minimum(np.searchsorted(pairs, numbers), len(pairs) - 1)
        items = np.where(pairs[found] == numbers, -1, items)
        return items, np.zeros((*items.shape, self.features.shape[2]), np.float32)

    def bags(self, size: int, by_user: bool = False) -> csr_matrix:
        """(sessions or users, size) the sum of positive labels by item; rows as `groups`, or users in order."""
        owners = np.unique(self.user, return_inverse=True)[1] if by_user else self.groups
        worth = np.maximum(self.labels, 0.0)
        places = (np.repeat(owners, self.items.shape[1]), self.items.ravel())
        bags = csr_matrix((worth.ravel(), places), shape=(int(owners.max()) + 1, size))
        bags.eliminate_zeros()
        return bags


def bag_of(history: History, size: int) -> np.ndarray:
    """(n, size) float32: the sum of positive labels by item in a history."""
    bags = np.zeros((len(history.items), size), np.float32)
    owners, steps, places = np.nonzero(history.items >= 0)
    worth = np.maximum(history.labels[owners, steps, places], 0.0)
    np.add.at(bags, (owners, history.items[owners, steps, places]), worth)
    return bags


def split(log: Impressions, share: float, rng: np.random.Generator, by: str) -> np.ndarray:
    """(T,) bool: which rows are held out to validate on.

    Args:
        log: at least 2 rows.
        share: how much to hold out.
        rng: draws who.
        by: "user": whole users; "session": whole sessions; "last": the last steps of each session.
            With too few users for the share, sessions; with too few sessions, last steps.

    Raises:
        DataError: there are not two rows to divide.
    """
    if len(log) < 2:
        raise DataError(f"a log needs at least 2 user-steps to fit and to validate on, not {len(log)}")
    for rule, owners in (("user", log.user), ("session", log.groups)):
        if by == rule:
            distinct = np.unique(owners)
            held = rng.permutation(distinct)[: round(share * len(distinct))]
            if len(held):
                return np.isin(owners, held)
            by = "session" if by == "user" else "last"
    left = log.lengths[log.groups] - 1 - (log.place - (np.cumsum(log.lengths) - log.lengths)[log.groups])
    held = left < np.round(share * log.lengths)[log.groups]
    held[log.order[-1]] = True
    return held


def ratings_spec(
    catalogue: np.ndarray, people: int, slate_size: int, history: int, extra: dict[str, spaces.Space[Any]] | None = None
) -> WorldSpec:
    """The spec of a recommender over a table of ratings, to use agents without a simulator.

    Every item of `catalogue` (items, F) is always a candidate; `history_ids` hold what the user rated before.

    Args:
        catalogue: (items, F) float32.
        people: how many user ids there are.
        slate_size: how many items to recommend.
        history: how many past ratings are seen; 0: none.
        extra: more that is seen of users, such as `user`.
    """
    items = len(catalogue)
    seen: dict[str, spaces.Space[Any]] = dict(extra or {})
    seen["user_id"] = spaces.Box(0, people - 1, (1,), np.float32)
    seen["candidate_ids"] = spaces.Box(0, items - 1, (items,), np.float32)
    if history:
        seen["history_ids"] = spaces.Box(-1, items - 1, (history, 1), np.float32)
    clicked = Field("clicked", low=0, high=1, seen=True)
    return WorldSpec(
        spaces.Dict(seen), items, slate_size, np.asarray(catalogue, np.float32), "clicked", (clicked,), history or 1
    )
