"""The first session of every logged user, checked against the world that is to explain it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from recsim_env.errors import DataError
from recsim_env.layout import build_layout
from recsim_env.log_checks import check_answers, check_log, check_where, told
from recsim_env.logs import OBSERVED, Interactions
from recsim_env.scenario import Scenario

FEWEST = 200  # sessions; what fewer say is mostly luck


@dataclass(frozen=True)
class Sessions:
    """First sessions, one after another.

    Attributes:
        log: their rows by user and step, from step 0 on.
        starts: (n + 1,) the row at which each session starts, and the number of rows.
        cut: steps at which all sessions are cut. Where the log stopped in the middle of a first session, all are
            cut there: to keep only those that ended would keep the short ones.
    """

    log: Interactions
    starts: np.ndarray
    cut: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def owner(self) -> np.ndarray:
        """(T,) the session of each row."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def part(self, chosen: np.ndarray) -> Sessions:
        """The chosen sessions, by place, in their order."""
        keep = np.zeros(len(self), bool)
        keep[chosen] = True
        lengths = np.diff(self.starts)[keep]
        return Sessions(take(self.log, keep[self.owner]), np.r_[0, np.cumsum(lengths)], self.cut)

    def split(self, share: float, seed: int) -> tuple[Sessions, Sessions]:
        """Two parts at random; the second holds `share` of the sessions."""
        order = np.random.default_rng(seed).permutation(len(self))
        held = max(1, round(share * len(self)))
        return self.part(order[held:]), self.part(order[:held])


def take(log: Interactions, rows: np.ndarray) -> Interactions:
    """The rows of a log, by place or mask."""
    return replace(log, **{f.name: rows_of(getattr(log, f.name), rows) for f in fields(log)})


def rows_of(values: Any, rows: np.ndarray) -> Any:
    if isinstance(values, Mapping):
        return {name: part[rows] for name, part in values.items()}
    return values[rows]


def first_sessions(log: Interactions, scenario: Scenario) -> Sessions:
    """The users' first sessions.

    Raises:
        DataError: the log is of another world or shape, holds too few sessions that begin at step 0, or no click.
    """
    check_world(log, scenario)
    users, place = np.unique(log.user, return_inverse=True)  # ids are any whole numbers
    first = np.full(len(users), log.session.max(initial=0), log.session.dtype)
    np.minimum.at(first, place, log.session)
    wanted = np.zeros_like(first) if scenario.keeps_user else first  # who comes back is not as they first were
    log = take(log, np.flatnonzero(log.session == wanted[place]))
    log = take(log, np.lexsort((log.step, log.user)))
    edges = np.flatnonzero(np.r_[True, log.user[1:] != log.user[:-1], True]) if len(log) else np.zeros(1, int)
    sessions = cut_at_the_shortest(whole_from_the_start(Sessions(log, edges, scenario.horizon)))
    if len(sessions) < FEWEST:
        raise DataError(f"this needs {FEWEST} users' first sessions from step 0 on, but the log holds {len(sessions)}")
    if not (sessions.log.responses["clicked"] > 0).any():
        raise DataError("nothing in the log was clicked, so it does not say what users like")
    return sessions


def whole_from_the_start(sessions: Sessions) -> Sessions:
    """The sessions whose steps run 0, 1, 2, … without a gap."""
    place = np.arange(len(sessions.log)) - sessions.starts[sessions.owner]
    wrong = np.bincount(sessions.owner, sessions.log.step != place, len(sessions))
    return sessions.part(np.flatnonzero(wrong == 0))


def cut_at_the_shortest(sessions: Sessions) -> Sessions:
    """The same, cut where the first unfinished one stops."""
    lengths, last = np.diff(sessions.starts), sessions.starts[1:] - 1
    unfinished = ~(sessions.log.terminated[last] | sessions.log.truncated[last])
    if not unfinished.any():
        return sessions
    cut = int(lengths[unfinished].min())
    kept = take(sessions.log, sessions.log.step < cut)
    return Sessions(kept, np.r_[0, np.cumsum(np.minimum(lengths, cut))], cut)


# -- is it this world? ---------------------------------------------------------------------------------


def check_world(log: Interactions, scenario: Scenario) -> None:
    """Raise `DataError` where columns, shapes or values do not fit the scenario, or no log at all."""
    name = type(scenario).__name__
    given, wanted = sorted(log.responses), sorted(scenario.response_dtype.names or ())
    if given != wanted:
        raise DataError(
            f"the log's responses are {', '.join(given)}, but {name}'s are {', '.join(wanted)}: is it another world's?"
        )
    shown = log.slates.shape[1:]
    if shown != (scenario.slate_size,):
        raise DataError(
            f"the log's slates have {shown[0] if shown else 1} places, but {name}'s slate_size is {scenario.slate_size}"
        )
    check_log(log)
    for key in build_layout(scenario, observe="partial", history=0, totals=False).keys:
        seen = log.observations.get(key.name)
        if seen is None:
            raise DataError(
                f"the log has no column observed_{key.name}, which {name} shows: is it another world's log?"
            )
        if seen.shape[1:] != key.shape:
            raise DataError(f"the log's {key.name} have the shape {seen.shape[1:]}, but {name}'s have {key.shape}")
        whole = key.name in ("candidate_ids", "user_id", "mask")
        check_where(OBSERVED + key.name, seen, (key.low, key.high), whole=whole)
    check_where("slates", log.slates, (0, scenario.num_candidates - 1))
    if "mask" in log.observations:
        allowed = np.take_along_axis(log.observations["mask"], log.slates, axis=1) > 0
        told(allowed, "slates", log.slates, "show only what observed_mask allows")
    check_answers(log, scenario.response_fields(), name)


def is_random(log: Interactions, scenario: Scenario) -> bool:
    """Whether the log's propensities are those of random slates without repeats."""
    allowed = np.full(len(log), scenario.num_candidates)
    if "mask" in log.observations:
        allowed = (log.observations["mask"] > 0).sum(axis=1)
    left = np.maximum(allowed[:, None] - np.arange(scenario.slate_size), 1)
    return bool(np.allclose(log.place_propensities, 1.0 / left, rtol=1e-6))
