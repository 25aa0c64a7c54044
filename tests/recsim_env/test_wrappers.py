"""Wrappers: flat observations, slates as one number, scores to a slate, and the interaction budget."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.vector.utils import batch_space
from stable_baselines3.common.env_checker import check_env

from recsim_env import RecEnv, RecVectorEnv, find_world, make_env, make_vector_env
from recsim_env.errors import BudgetSpent, InvalidAction, InvalidParameter
from recsim_env.wrappers import (
    DiscreteSlates,
    FlatObservation,
    FlatVectorObservation,
    InteractionBudget,
    ScoresToSlate,
    slate_of_number,
)
from tests.recsim_env.test_env import Shelf
from tests.worlds import TinyWorld, data_free_ids, data_free_worlds

MEMORY = {"history": 2, "totals": True}


def shelf(**values: Any) -> RecEnv:
    return make_env(Shelf(**values), jit=False)


def state_bytes(env: RecEnv | RecVectorEnv) -> list[bytes]:
    return [part.tobytes() for part in env.simulator.state]


# -- flat observations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", data_free_worlds())
def test_a_flat_observation_is_its_parts_in_the_order_of_the_space(text: str) -> None:
    plain, flat = (make_env(text, observe="full", **MEMORY) for _ in range(2))
    flat = FlatObservation(flat)
    parts, one = plain.reset(seed=1)[0], flat.reset(seed=1)[0]
    action = np.arange(plain.scenario.slate_size) if plain.scenario.slate_size > 1 else 0
    for _ in range(3):
        assert np.array_equal(one, np.concatenate([parts[key].ravel() for key in plain.observation_space]))
        assert np.array_equal(one, spaces.flatten(plain.observation_space, parts))  # Gymnasium's own
        assert one.dtype == np.float32
        assert flat.observation_space.contains(one)
        parts, one = plain.step(action)[0], flat.step(action)[0]


@pytest.mark.parametrize("text", data_free_worlds())
def test_the_bounds_of_a_flat_observation_are_those_of_its_parts(text: str) -> None:
    env = make_env(text, observe="full", **MEMORY)
    assert FlatObservation(env).observation_space == spaces.flatten_space(env.observation_space)


@pytest.mark.parametrize("watched", [{}, {"slate_size": 1}, MEMORY], ids=str)
@pytest.mark.parametrize("gymnasium_id", data_free_ids())
def test_flat_worlds_pass_the_checks_of_stable_baselines3(gymnasium_id: str, watched: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*symmetric and normalized Box action space")
        check_env(FlatObservation(gymnasium.make(gymnasium_id, **watched)))
        check_env(DiscreteSlates(FlatObservation(gymnasium.make(gymnasium_id, **{"slate_size": 2, **watched}))))
        check_env(ScoresToSlate(FlatObservation(gymnasium.make(gymnasium_id, **watched))))


@pytest.mark.parametrize("text", data_free_worlds())
def test_flat_observations_of_many_are_those_of_each(text: str) -> None:
    watched = {"observe": "full", "horizon": 2, "first_user": 3, **MEMORY}
    plain, flat = make_vector_env(text, 3, **watched), FlatVectorObservation(make_vector_env(text, 3, **watched))
    one = plain.single_observation_space
    assert flat.single_observation_space == spaces.flatten_space(one)
    assert flat.observation_space == batch_space(flat.single_observation_space, 3)
    slates = plain.action_space.sample()
    assert_rows(one, flat.reset(seed=1)[0], plain.reset(seed=1)[0])
    for _ in range(4):
        observation, rewards, terminated, truncated, info = plain.step(slates)
        rows, *others, its = flat.step(slates)
        assert_rows(one, rows, observation)
        assert rows in flat.observation_space
        assert all(map(np.array_equal, others, (rewards, terminated, truncated)))
        assert its.keys() == info.keys()
        for i in range(3):
            last = info["final_obs"][i] if "final_obs" in info else None
            assert last is None or np.array_equal(its["final_obs"][i], spaces.flatten(one, last))
            assert (last is None) == ("final_obs" not in its or its["final_obs"][i] is None)


def assert_rows(space: spaces.Space[Any], rows: np.ndarray, observation: Any) -> None:
    """Whether each row is what Gymnasium makes of that user's observation, as float32."""
    for i, row in enumerate(rows):
        assert np.array_equal(row, spaces.flatten(space, {key: part[i] for key, part in observation.items()}))
    assert rows.dtype == np.float32


def test_flat_observations_of_many_with_ids_and_a_mask_through_other_wrappers() -> None:
    plain = make_vector_env(Shelf(steps=2), 4, jit=False, **MEMORY)
    flat = FlatVectorObservation(InteractionBudget(make_vector_env(Shelf(steps=2), 4, jit=False, **MEMORY), 100))
    assert {"mask", "candidate_ids", "user_id", "history", "totals"} <= plain.single_observation_space.keys()
    assert_rows(plain.single_observation_space, flat.reset(seed=1)[0], plain.reset(seed=1)[0])
    assert np.array_equal(flat.action_masks(), plain.action_masks())
    slates = np.tile([0, 1, 2], (4, 1))
    for _ in range(3):
        assert_rows(plain.single_observation_space, flat.step(slates)[0], plain.step(slates)[0])


def test_what_is_flat_already_is_refused() -> None:
    flat, flat_many = FlatObservation(shelf()), FlatVectorObservation(make_vector_env(Shelf(), 2, jit=False))
    for again in (lambda: FlatObservation(flat), lambda: FlatVectorObservation(flat_many)):
        with pytest.raises(InvalidParameter, match="flat observations are made of a Dict of keys, and these are Box"):
            again()


# -- made again from a spec ------------------------------------------------------------------------------


@pytest.mark.parametrize("json", [False, True], ids=["spec", "json"])
@pytest.mark.parametrize(
    "wrap",
    [FlatObservation, DiscreteSlates, ScoresToSlate, lambda env: DiscreteSlates(FlatObservation(env))],
    ids=["flat", "numbers", "scores", "both"],
)
def test_wrapped_environments_are_made_again_from_their_spec(wrap: Callable[..., Any], json: bool) -> None:
    env = wrap(gymnasium.make("recsim_env/LongTermSatisfaction-v0", num_candidates=5, slate_size=2, jit=False))
    spec = EnvSpec.from_json(env.spec.to_json()) if json else env.spec
    again = gymnasium.make(spec)
    assert str(again) == str(env)
    assert again.unwrapped.scenario == env.unwrapped.scenario
    assert (again.observation_space, again.action_space) == (env.observation_space, env.action_space)
    many = gymnasium.make_vec(spec, num_envs=2, vectorization_mode="sync")
    assert many.single_action_space == env.action_space


# -- slates as one number --------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "places"), [(5, 1), (5, 2), (4, 3), (4, 4), (1, 1)])
def test_each_ordered_slate_is_one_number(count: int, places: int) -> None:
    slates = [tuple(slate_of_number(n, count, places).tolist()) for n in range(math.perm(count, places))]
    assert slates == list(itertools.permutations(range(count), places))


def test_a_number_shows_its_slate() -> None:
    env = DiscreteSlates(shelf(forbidden=0))
    assert env.action_space == spaces.Discrete(4 * 3 * 2)
    for number, slate in enumerate(itertools.permutations(range(4), 3)):
        env.reset(seed=0)
        info = env.step(np.int64(number))[4]
        assert info["shown"].tolist() == list(slate)
        assert info["repaired"] == 0


def test_a_number_of_a_slate_of_one_is_a_position() -> None:
    env = DiscreteSlates(make_env(TinyWorld(), jit=False))
    env.reset(seed=0)
    assert env.step(1)[1] == 0.3


def test_the_mask_of_numbers_allows_the_slates_of_allowed_candidates() -> None:
    for wrap in (DiscreteSlates, lambda env: DiscreteSlates(FlatObservation(env))):
        env = wrap(shelf())
        with pytest.raises(ResetNeeded):
            env.action_masks()
        env.reset(seed=0)
        allowed = env.unwrapped.action_masks()[:4]
        slates = itertools.permutations(range(4), 3)
        assert env.action_masks().tolist() == [all(allowed[p] for p in slate) for slate in slates]
        assert env.step(int(env.action_masks().argmax()))[4]["repaired"] == 0


@pytest.mark.parametrize("forbidden", [0, 2], ids=["nothing is masked", "too few are allowed"])
def test_the_mask_of_numbers_is_true_where_it_tells_no_slates_apart(forbidden: int) -> None:
    env = DiscreteSlates(shelf(forbidden=forbidden))
    env.reset(seed=0)
    assert env.action_masks().shape == (24,)
    assert env.action_masks().all()


def test_too_many_slates_are_refused_with_their_number() -> None:
    with pytest.raises(InvalidParameter) as caught:
        DiscreteSlates(shelf(num_candidates=50, slate_size=4))
    assert str(caught.value) == (
        "DiscreteSlates allows 1000000 slates at most, and 4 of 50 candidates make 5527200; "
        "use fewer candidates, a shorter slate, or ScoresToSlate"
    )
    assert DiscreteSlates(shelf(num_candidates=50, slate_size=3)).action_space.n == 50 * 49 * 48


@pytest.mark.parametrize("action", [-1, 24, 1.0, True, np.nan, "1", None, [1], [0, 1, 2]], ids=repr)
def test_what_is_no_number_of_a_slate_is_refused_and_nothing_is_simulated(action: Any) -> None:
    env = DiscreteSlates(shelf())
    env.reset(seed=0)
    before = state_bytes(env.unwrapped)
    with pytest.raises(InvalidAction, match="an action is one whole number from 0 to 23, not "):
        env.step(action)
    assert state_bytes(env.unwrapped) == before


# -- scores to a slate -----------------------------------------------------------------------------------


def test_the_highest_scores_make_the_slate_best_first() -> None:
    env = ScoresToSlate(shelf(forbidden=0))
    assert env.action_space == spaces.Box(-1, 1, (4,), np.float32)
    for scores in itertools.permutations([-0.5, 0.0, 0.25, 1.0]):
        env.reset(seed=0)
        info = env.step(np.array(scores, np.float32))[4]
        assert [scores[position] for position in info["shown"]] == [1.0, 0.25, 0.0]


def test_equal_scores_go_to_the_lower_position() -> None:
    env = ScoresToSlate(shelf(forbidden=0, num_candidates=50, slate_size=9))
    env.reset(seed=0)
    scores = np.tile(np.array([0.0, 0.5], np.float32), 25)
    assert env.step(scores)[4]["shown"].tolist() == [1, 3, 5, 7, 9, 11, 13, 15, 17]


def test_masked_candidates_come_last_whatever_their_score() -> None:
    env = ScoresToSlate(shelf(steps=50))
    observation, _ = env.reset(seed=0)
    for _ in range(20):
        masked = int(observation["mask"].argmin())
        scores = np.full(4, -1.0, np.float32)
        scores[masked] = 1.0
        ids = observation["candidate_ids"]
        observation, *_, info = env.step(scores)
        assert ids[masked] not in info["shown"]
        assert info["repaired"] == 0


def test_scores_of_a_slate_of_one_choose_one_position() -> None:
    env = ScoresToSlate(FlatObservation(make_env(TinyWorld(), jit=False)))
    env.reset(seed=0)
    assert env.step(np.array([-1.0, 1.0], np.float32))[1] == 0.3


@pytest.mark.parametrize(
    "action", [[0, 1, np.nan, 0], [0.0, 1.0, 0.0], 0.5, [[0.0] * 4], ["0"] * 4, [True] * 4, None], ids=repr
)
def test_what_are_no_scores_is_refused_and_nothing_is_simulated(action: Any) -> None:
    env = ScoresToSlate(shelf())
    env.reset(seed=0)
    before = state_bytes(env.unwrapped)
    with pytest.raises(InvalidAction, match=r"an action is \(4,\) scores without NaN, not "):
        env.step(action)
    assert state_bytes(env.unwrapped) == before


# -- the interaction budget ------------------------------------------------------------------------------


def test_a_step_beyond_the_budget_is_refused_and_nothing_is_simulated() -> None:
    envs = make_vector_env(TinyWorld(), 4, jit=False)
    limited = InteractionBudget(envs, 11)
    limited.reset(seed=0)
    for spent in (4, 8):
        limited.step(np.zeros(4, int))
        assert limited.spent == spent
    before = state_bytes(envs)
    message = r"a step of 4 users would exceed the budget of 11 user-steps \(8 spent\)"
    for _ in range(2):
        with pytest.raises(BudgetSpent, match=message):
            limited.step(np.zeros(4, int))
    assert limited.spent == 8
    assert state_bytes(envs) == before


def test_a_budget_can_be_spent_to_the_last_step() -> None:
    limited = InteractionBudget(make_vector_env(TinyWorld(), 4, jit=False), 8)
    limited.reset(seed=0)
    limited.step(np.zeros(4, int))
    limited.reset(seed=0)  # a reset costs nothing and gives nothing back
    limited.step(np.zeros(4, int))
    with pytest.raises(BudgetSpent):
        limited.step(np.zeros(4, int))


def test_a_refused_action_costs_nothing() -> None:
    limited = InteractionBudget(make_vector_env(TinyWorld(), 2, jit=False), 10)
    limited.reset(seed=0)
    with pytest.raises(InvalidAction):
        limited.step([0, 7])
    assert limited.spent == 0


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="must be 0 user-steps or more, not -1"):
        InteractionBudget(make_vector_env(TinyWorld(), 2, jit=False), -1)


def test_a_budget_changes_nothing_else() -> None:
    scenario = find_world("long_term_satisfaction").make(session_steps=3)
    plain, limited = make_vector_env(scenario, 3), InteractionBudget(make_vector_env(scenario, 3), 100)
    plain.reset(seed=6), limited.reset(seed=6)
    slates = np.tile([4, 2], (3, 1))
    for _ in range(5):
        ours, others = limited.step(slates), plain.step(slates)
        assert all(np.array_equal(ours[0][key], others[0][key]) for key in others[0])
        assert np.array_equal(ours[1], others[1])
        assert ours[4].keys() == others[4].keys()
