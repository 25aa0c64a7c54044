"""Whether a log can be one: every column of numbers that such a column may hold, told by column and row."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsim_env.errors import DataError
from recsim_env.logs import ANSWERED, OBSERVED, Interactions


def check_log(log: Interactions) -> None:
    """Raise `DataError` where a log holds what no log of any world can."""
    check_lengths(log)
    for name in ("user", "session", "step", "slates"):
        check_whole(name, getattr(log, name), lowest=None if name == "user" else 0)
    for name in ("terminated", "truncated"):
        if getattr(log, name).dtype.kind != "b":
            raise DataError(f"the log's {name} must be true or false, not {getattr(log, name).dtype}")
    for name, values in {**log.columns(), "rewards": log.rewards}.items():
        check_finite(name, values)
    check_where("place_propensities", log.place_propensities, (0, 1), open_below=True)
    told(log.propensities > 0, "propensity", log.propensities, "be above 0; those of its places multiply to 0")
    check_slates(log.slates)
    check_steps(log)


def check_lengths(log: Interactions) -> None:
    """Raise `DataError` where columns have other lengths or shapes than the rewards and slates."""
    wanted = {name: (len(log), *values.shape[1:]) for name, values in log.columns().items() if name != "propensity"}
    plain = ("user", "session", "step", "rewards", "terminated", "truncated")
    wanted |= {name: (len(log),) for name in plain}
    wanted |= {"place_propensities": (len(log), *log.slates.shape[1:2]), "slates": (len(log), *log.slates.shape[1:2])}
    for name, shape in wanted.items():
        values = log.columns()[name]
        if values.shape != shape or (name == "slates" and values.ndim != 2):
            raise DataError(f"the log's {name} must have the shape {shape}, not {values.shape}")


def told(right: np.ndarray, column: str, values: np.ndarray, rule: str) -> None:
    """Raise `DataError` with the column, rule, value and row of the first value that is not right."""
    if not right.all():
        row, *place = (int(k) for k in np.argwhere(~right)[0])
        where = f"row {row}" + (f", place {', '.join(map(str, place))}" if place else "")
        value = values[(row, *place)] if values.ndim > len(place) else values[row]
        raise DataError(f"the log's {column} must {rule}, not {value} ({where}, counted from 0); correct or remove it")


def check_finite(column: str, values: np.ndarray) -> None:
    """Raise `DataError` where a column holds something else than finite numbers."""
    if values.dtype.kind not in "biuf":
        raise DataError(f"the log's {column} must be numbers, not {values.dtype}")
    told(np.isfinite(values), column, values, "be finite")


def check_whole(column: str, values: np.ndarray, lowest: int | None) -> None:
    """Raise `DataError` where a column is not of whole numbers (int64 and the like), or below the lowest."""
    if values.dtype.kind not in "iu":
        raise DataError(f"the log's {column} must be whole numbers of 64 bits at most, not {values.dtype} (row 0)")
    if lowest is not None:
        told(values >= lowest, column, values, f"be {lowest} or more")


def check_where(
    column: str, values: np.ndarray, bounds: tuple[Any, Any], whole: bool = False, open_below: bool = False
) -> None:
    """Raise `DataError` where a value lies outside the bounds, or is not whole and should be."""
    low, high = bounds
    text = f"lie in {'(' if open_below else '['}{np.min(low):g}, {np.max(high):g}]"
    told((values > low if open_below else values >= low) & (values <= high), column, values, text)
    if whole:
        told(values == np.floor(values), column, values, "be whole")


def check_slates(slates: np.ndarray) -> None:
    """Raise `DataError` where a slate shows a candidate twice."""
    ordered = np.sort(slates, axis=1)
    told((ordered[:, 1:] != ordered[:, :-1]).all(axis=1), "slates", slates, "hold each position once")


def check_steps(log: Interactions) -> None:
    """Raise `DataError` where a step of a user's session stands twice, or one follows its session's end."""
    order = np.lexsort((log.step, log.session, log.user))
    user, session, step = log.user[order], log.session[order], log.step[order]
    same = (user[1:] == user[:-1]) & (session[1:] == session[:-1])
    ended = (log.terminated | log.truncated)[order][:-1]
    for wrong, rule in (
        (same & (step[1:] == step[:-1]), "stand once for each user and session"),
        (same & ended, "end with the one that ends its session"),
    ):
        right = np.ones(len(log), bool)
        right[order[1:][wrong]] = False
        told(right, "step", log.step, rule)


def check_seen(log: Interactions, space: Any, name: str) -> None:
    """Raise `DataError` where a log lacks what an agent sees, or holds what it cannot see.

    Args:
        log: the log.
        space: the agent's observations, a Dict of boxes.
        name: of the agent.
    """
    for key, box in space.spaces.items():
        seen = log.observations.get(key)
        if seen is None or seen.shape[1:] != box.shape:
            raise DataError(f"the log lacks the {key} that {name} sees; log it with `collect --seen-by`")
        check_finite(OBSERVED + key, seen)
        check_where(OBSERVED + key, seen, (box.low, box.high), whole=key.endswith(("_id", "_ids")))


def check_answers(log: Interactions, fields: Any, world: str) -> None:
    """Raise `DataError` where a response is what no field of the scenario allows.

    The range of a number that is seen says what a recommender sees of it, not what it can be: only `clicked`, whole
    numbers, categories and what is not seen are held against it.
    """
    for field in fields:
        values = log.responses[field.name]
        shape = (*log.slates.shape, *([field.shape] if field.shape else []))
        if values.shape != shape:
            raise DataError(
                f"the log's {ANSWERED}{field.name} must have the shape {shape} in {world}, not {values.shape}"
            )
        low, high = (0, field.categories - 1) if field.categories else (field.low, field.high)
        if field.whole or not field.seen or field.name == "clicked":
            check_where(ANSWERED + field.name, values, (low, high), whole=field.whole)
