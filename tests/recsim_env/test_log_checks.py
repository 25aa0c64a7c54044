"""A log of one's own that cannot be one is told by column and row; every log of ours passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agents.random_slates import RandomSlates
from recsim_env import find_world, make_vector_env
from recsim_env.agent import AgentConfig, WorldSpec
from recsim_env.errors import DataError
from recsim_env.fitting.sessions import check_world, first_sessions, take
from recsim_env.log_checks import check_seen
from recsim_env.logs import Interactions, collect, joined_logs
from recsim_env.scenario import Scenario
from tests.recsim_env.test_env import Shelf
from tests.worlds import data_free_worlds


@pytest.fixture(scope="module")
def world() -> Shelf:
    return Shelf(forbidden=1, steps=4)


@pytest.fixture(scope="module")
def log(world: Scenario) -> Interactions:
    return logged(world, 250, 4)


def logged(world: Scenario, users: int, rounds: int, **options: Any) -> Interactions:
    envs = make_vector_env(world, users, **options)
    observation, _ = envs.reset(seed=5)
    policy = RandomSlates(AgentConfig(), WorldSpec.of(envs))
    return collect(envs, policy, rounds * users, np.random.default_rng(1), observation)


def put(log: Interactions, column: str, value: Any, place: Any = 5) -> Interactions:
    """The log with one number of a column changed."""
    part, _, key = column.partition(".")
    values = (getattr(log, part)[key] if key else getattr(log, part)).copy()
    values[place] = value
    return replace(log, **{part: {**getattr(log, part), key: values} if key else values})


@pytest.mark.parametrize("text", data_free_worlds())
def test_what_a_world_logs_is_a_log_of_it(text: str) -> None:
    world = find_world(text).make()
    check_world(logged(world, 20, 30, history=2, totals=True), world)


BAD: list[tuple[str, Any, Any, str]] = [
    # the column, what is put where, and words of the message
    ("place_propensities", -0.1, (5, 1), r"place_propensities must lie in \(0, 1\], not -0.1 \(row 5, place 1,"),
    ("place_propensities", 1.5, (5, 1), r"place_propensities must lie in \(0, 1\], not 1.5"),
    ("place_propensities", np.nan, (5, 1), "place_propensities must be finite, not nan"),
    ("place_propensities", 1e-200, 5, "propensity must be above 0"),
    ("rewards", np.inf, 5, r"rewards must be finite, not inf \(row 5,"),
    ("session", -1, 5, r"session must be 0 or more, not -1 \(row 5,"),
    ("step", -1, 5, r"step must be 0 or more, not -1 \(row 5,"),
    ("step", 2, slice(5, None, 250), r"step must stand once for each user and session, not 2 \(row 255,"),
    ("terminated", True, 5, r"step must end with the one that ends its session, not 1 \(row 255,"),
    ("slates", -1, (5, 0), r"slates must be 0 or more, not -1 \(row 5, place 0,"),
    ("slates", 99, (5, 0), r"slates must lie in \[0, \d+\], not 99 \(row 5, place 0,"),
    ("slates", 0, 5, r"slates must hold each position once, not \[0 0 0\] \(row 5,"),
    ("observations.candidate_ids", 1e6, (5, 0), r"observed_candidate_ids must lie in .* \(row 5, place 0,"),
    ("observations.candidate_ids", 0.5, (5, 0), "observed_candidate_ids must be whole, not 0.5"),
    ("observations.candidates", np.nan, (5, 0), r"observed_candidates must be finite, not nan \(row 5, place 0, 0,"),
    ("observations.mask", 0, 5, r"slates must show only what observed_mask allows, not \d+ \(row 5, place 0,"),
    ("responses.clicked", 7, (5, 0), r"response_clicked must lie in \[.*\], not 7.0 \(row 5, place 0,"),
    ("responses.clicked", np.nan, (5, 0), "response_clicked must be finite, not nan"),
]


@pytest.mark.parametrize(("column", "value", "place", "message"), BAD, ids=[message for *_, message in BAD])
def test_a_number_that_cannot_be_is_told_by_column_and_row(
    column: str, value: Any, place: Any, message: str, log: Interactions, world: Shelf
) -> None:
    with pytest.raises(DataError, match=f"the log's {message}"):
        check_world(put(log, column, value, place), world)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda log: {"user": log.user.astype(float)}, "user must be whole numbers of 64 bits at most, not float64"),
        (lambda log: {"user": log.user.astype(object)}, "user must be whole numbers"),
        (lambda log: {"slates": log.slates.astype(float)}, "slates must be whole numbers"),
        (lambda log: {"terminated": log.terminated.astype(int)}, "terminated must be true or false, not int64"),
        (lambda log: {"rewards": log.rewards.astype(str)}, "rewards must be numbers, not <U"),
        (lambda log: {"user": log.user[1:]}, r"user must have the shape \(1000,\), not \(999,\)"),
        (lambda log: {"place_propensities": log.place_propensities[:, :1]}, "place_propensities must have the shape"),
    ],
)
def test_columns_of_another_kind_are_told(change: Any, message: str, log: Interactions, world: Shelf) -> None:
    with pytest.raises(DataError, match=message):
        check_world(replace(log, **change(log)), world)


IDS = [lambda u: u * 10**12, lambda u: u + 2**62, lambda u: -1 - u, lambda u: u.astype(np.uint64) + np.uint64(2**63)]


@pytest.mark.parametrize("ids", IDS, ids=["sparse", "large", "negative", "above 2**63"])
def test_any_whole_numbers_are_ids_of_users(ids: Any, log: Interactions, world: Shelf) -> None:
    before, after = first_sessions(log, world), first_sessions(replace(log, user=ids(log.user)), world)
    assert len(after) == len(before) == 250
    assert after.log.rewards.sum() == pytest.approx(before.log.rewards.sum())


def test_rows_may_stand_in_any_order(log: Interactions, world: Shelf) -> None:
    halves = [np.arange(500, 1000), np.arange(500)]
    turned = joined_logs([take(log, rows) for rows in halves])
    assert np.array_equal(first_sessions(turned, world).log.rewards, first_sessions(log, world).log.rewards)


def test_what_an_agent_cannot_see_is_told(world: Shelf) -> None:
    seen = logged(world, 250, 4, history=2)
    space = WorldSpec.of(make_vector_env(world, 1, history=2)).observation_space
    check_seen(seen, space, "somebody")
    with pytest.raises(DataError, match=r"observed_history_ids must lie in .*, not 1000000.0 \(row 5, place 0, 0,"):
        check_seen(put(seen, "observations.history_ids", 1e6, (5, 0, 0)), space, "somebody")
    with pytest.raises(DataError, match="the log lacks the candidate_ids that somebody sees"):
        check_seen(replace(seen, observations={}), space, "somebody")
