"""A simulated user in memory: records of the life and of a step's result, and the arrays that outlive a step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LIFE = np.dtype(
    (
        np.record,
        np.dtype(
            [
                ("root", np.uint64),  # the user's key
                ("key", np.uint64),  # the session's key
                ("session", np.int64),
                ("step", np.int64),
                ("engagement", np.float64),
                ("clicks", np.float64),
            ],
            align=True,
        ),
    )
)


RESULT = np.dtype(
    (
        np.record,
        np.dtype(
            [
                ("reward", np.float64),
                ("repaired", np.int64),
                ("engagement", np.float64),  # this and the next two of the session so far
                ("length", np.int64),
                ("clicks", np.float64),
                ("terminated", np.bool_),
                ("truncated", np.bool_),
                # A gap without a name would hold anything, and records are compared as bytes.
                ("gap", np.uint16),
                ("gap2", np.uint32),
            ],
            align=True,
        ),
    )
)


class State(NamedTuple):
    """Everything that outlives a step, n users. The words are the records' memory as 8-byte numbers."""

    users: np.ndarray  # (n,)
    items: np.ndarray  # (n, C); the loop gets (1, C) where the offer is fixed
    responses: np.ndarray  # (n, S)
    user_words: np.ndarray  # (n, words)
    item_words: np.ndarray  # (n C, words) or (C, words)
    response_words: np.ndarray  # (n S, words)
    slates: np.ndarray  # (n, S) int64, as shown
    memory: np.ndarray  # (n, M) history, history_ids and totals, as observed
    lives: np.ndarray  # (n,) LIFE
    pending: np.ndarray  # (n, D) rewards that are earned and not yet paid, a ring of the last D steps
