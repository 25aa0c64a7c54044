"""The environments: Gymnasium's contract over every registered world, and what each promise of ours means."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import recsim_env.pool
from recsim_env import (
    Field,
    Options,
    Purpose,
    RecEnv,
    RecVectorEnv,
    Scenario,
    find_world,
    make_env,
    make_vector_env,
    param,
)
from recsim_env.env import Observation
from recsim_env.errors import InvalidAction, InvalidParameter, UnknownName
from recsim_env.scenario import Items, Responses, Rng, Scratch, Slate, User
from recsim_env.wrappers import DiscreteSlates, FlatObservation, FlatVectorObservation, InteractionBudget
from tests.worlds import MEAL, SNACK, TinyWorld, data_free_ids, data_free_worlds

PLAIN = Options(jit=False)
MEMORY = {"history": 3, "totals": True}


@dataclass(frozen=True)
class Shelf(Scenario):
    """Some candidates are not allowed; a response tells which item was shown. Sessions last `steps`."""

    num_candidates: int = param(4, "items on offer at a step", low=1, high=50)
    slate_size: int = param(3, "items shown at a step", low=1, high=50)
    forbidden: int = param(1, "how many candidates are not allowed", low=0, high=50)
    steps: int = param(4, "steps of a session", low=1)

    def user_fields(self) -> Sequence[Field]:
        return [
            Field("id", integer=True, low=0, high=999),
            Field("age", low=0, high=10, seen=True, unit="steps"),
            Field("secret", low=0, high=1),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [
            Field("id", integer=True, low=0, high=999),
            Field("allowed", integer=True, low=0, high=1),
            Field("weight", low=0, high=1, seen=True),
            Field("hidden_weight", low=0, high=1),
        ]

    def response_fields(self) -> Sequence[Field]:
        return [
            Field("clicked", low=0, high=1, seen=True),
            Field("shown", integer=True, low=0, high=999, seen=True),
            Field("colour", categories=3, seen=True),
            Field("heat", low=0.5, high=2, seen=True),
        ]

    def arrive(self, user: User, rng: Rng) -> None:
        user.id = rng.integer(1000)
        user.secret = rng.uniform()

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        first = rng.integer(self.num_candidates)
        for position in range(len(items)):
            items[position].id = 100 * int(user.age) + position
            items[position].weight = rng.uniform()
            items[position].hidden_weight = rng.uniform()
            items[position].allowed = 1
        for k in range(self.forbidden):
            items[(first + k) % self.num_candidates].allowed = 0

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            responses[place].clicked = 1.0 if rng.uniform() < 0.5 else 0.0
            responses[place].shown = items[slate[place]].id
            responses[place].colour = rng.integer(3)
            responses[place].heat = rng.normal(1.0, 1.0)  # beyond its range now and then

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.age += 1.0

    def left(self, user: User) -> bool:
        return user.age >= self.steps


@dataclass(frozen=True)
class Welcome(TinyWorld):
    """The tiny world, whose sessions start with a random slate."""

    first_slate = "random"


@dataclass(frozen=True)
class WelcomeShelf(Shelf):
    first_slate = "random"


def made(text: str, **values: Any) -> Scenario:
    return find_world(text).make(**values)


def random_slates(rng: np.random.Generator, scenario: Scenario, n: int) -> np.ndarray:
    """(n, S), repeats among them."""
    return rng.integers(scenario.num_candidates, size=(n, scenario.slate_size))


def equal(one: Any, other: Any) -> bool:
    """Whether two observations or infos hold the same keys and equal values."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray) and one.dtype == object:
        return len(one) == len(other) and all(map(equal, one, other))
    return np.array_equal(one, other)


def row(values: Any, i: int) -> Any:
    """User i of batched values."""
    return {key: row(part, i) for key, part in values.items()} if isinstance(values, dict) else values[i]


def play(env: RecVectorEnv, steps: int, seed: int = 3) -> Iterator[tuple[Any, ...]]:
    """Random slates from a fresh reset; yields (observation before, what `step` gave)."""
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    for _ in range(steps):
        result = env.step(random_slates(rng, env.scenario, env.num_envs))
        yield observation, *result
        observation = result[0]


# -- Gymnasium's contract --------------------------------------------------------------------------------

WATCHED: list[dict[str, Any]] = [
    {"slate_size": 1},
    {"slate_size": 2, **MEMORY},
    {"observe": "full", "render_mode": "ansi"},
    {"render_mode": "rgb_array"},
]


def of_world(text: str) -> dict[str, Any]:
    """Keywords of `gymnasium.make` for a world by name."""
    name, _, preset = text.partition(":")
    ids = dict(zip([w for w in data_free_worlds() if ":" not in w], data_free_ids(), strict=True))
    return {"id": ids[name], **({"preset": preset} if preset else {})}


@pytest.mark.parametrize("watched", WATCHED, ids=lambda watched: ",".join(map(str, watched)))
@pytest.mark.parametrize("text", data_free_worlds())
def test_every_world_passes_gymnasiums_checks_without_a_warning(text: str, watched: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(**of_world(text), **watched)
        check_env(env.unwrapped)


@pytest.mark.parametrize("scenario", [TinyWorld(), Shelf(), Shelf(slate_size=1), Welcome(), WelcomeShelf()], ids=str)
def test_the_worlds_of_these_tests_pass_gymnasiums_checks(scenario: Scenario) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*unable to test alternative render modes")  # it has no id
        check_env(make_env(scenario, observe="full", jit=False, **MEMORY), skip_render_check=True)


@pytest.mark.parametrize("text", data_free_worlds())
def test_gymnasium_makes_our_environments(text: str) -> None:
    env = gymnasium.make(**of_world(text), history=2)
    envs = gymnasium.make_vec(**of_world(text), num_envs=3, history=2)
    assert isinstance(env.unwrapped, RecEnv)
    assert isinstance(envs.unwrapped, RecVectorEnv)
    assert envs.num_envs == 3
    assert env.unwrapped.scenario == envs.unwrapped.scenario == made(text)
    assert env.unwrapped.options == envs.unwrapped.options == Options(history=2)
    assert envs.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert env.observation_space == envs.single_observation_space
    assert env.action_space == envs.single_action_space


@pytest.mark.parametrize("text", data_free_worlds())
def test_observations_of_many_lie_in_their_space(text: str) -> None:
    env = make_vector_env(text, 20, observe="full", **MEMORY)
    for observation, *_ in play(env, 25):
        assert env.observation_space.contains(observation)


def test_a_slate_of_one_is_one_position() -> None:
    assert make_env(TinyWorld(), jit=False).action_space == gymnasium.spaces.Discrete(2)
    assert make_env(Shelf(), jit=False).action_space == gymnasium.spaces.MultiDiscrete([4, 4, 4])


def test_one_place_takes_positions_with_and_without_an_axis_of_places() -> None:
    results = []
    for actions in ([MEAL, SNACK, MEAL], [[MEAL], [SNACK], [MEAL]]):
        env = make_vector_env(TinyWorld(), 3, jit=False)
        env.reset(seed=0)
        results.append(env.step(np.array(actions)))
    assert equal(results[0][0], results[1][0])
    assert results[0][1].tolist() == results[1][1].tolist() == [0.3, 1.0, 0.3]


# -- one user is a batch of one --------------------------------------------------------------------------


def session_of_one(env: RecEnv, observation: Any, slates: Iterator[np.ndarray]) -> list[tuple[Any, ...]]:
    """(observation, reward, terminated, truncated, info) of each step of a session; first its beginning."""
    told: list[tuple[Any, ...]] = [(observation, 0.0, False, False, {})]
    while not (told[-1][2] or told[-1][3]):
        action = next(slates)[0]
        told.append(env.step(action if env.scenario.slate_size > 1 else action[0]))
    return told


def session_of_place(env: RecVectorEnv, observation: Any, slates: Iterator[np.ndarray]) -> tuple[list[Any], Any]:
    """The same of place 0 of many users, and the observation of its next session."""
    told: list[tuple[Any, ...]] = [(row(observation, 0), 0.0, False, False, {})]
    while True:
        after, *numbers, info = env.step(next(slates))
        ended = info.pop("_session", np.zeros(env.num_envs, bool))
        session, final, also = info.pop("session", None), info.pop("final_obs", None), info.pop("_final_obs", ended)
        own = row(info, 0)
        assert equal(ended, also)
        if ended[0]:
            told.append((final[0], *(part[0] for part in numbers), own | {"session": row(session, 0)}))
            return told, after
        told.append((row(after, 0), *(part[0] for part in numbers), own))


def slates_for(scenario: Scenario, n: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(8)
    while True:
        yield random_slates(rng, scenario, n)


def assert_one_is_place_0(scenario: Scenario, options: Options, first_reset: dict[str, Any]) -> None:
    one, many = RecEnv(scenario, options), RecVectorEnv(scenario, 4, options)
    its, theirs = slates_for(scenario, 4), slates_for(scenario, 4)
    before, before_many = one.reset(**first_reset)[0], many.reset(**first_reset)[0]
    for _ in range(3):  # later sessions: a bare reset is what the autoreset did
        told = session_of_one(one, before, its)
        expected, before_many = session_of_place(many, before_many, theirs)
        assert len(told) == len(expected)
        for ours, other in zip(told, expected, strict=True):
            assert equal(ours[0], other[0])
            assert ours[1:4] == other[1:4]
            assert equal(ours[4], other[4])
        before = one.reset()[0]
        assert equal(before, row(before_many, 0))


@pytest.mark.parametrize("text", data_free_worlds())
def test_one_user_is_place_0_of_many(text: str) -> None:
    assert_one_is_place_0(made(text), Options(observe="full", **MEMORY), {"seed": 12})


@pytest.mark.parametrize("scenario", [TinyWorld(horizon=9), Shelf(), WelcomeShelf(), Shelf(steps=1)], ids=str)
def test_one_user_is_place_0_of_many_in_the_worlds_of_these_tests(scenario: Scenario) -> None:
    assert_one_is_place_0(scenario, Options(jit=False, observe="full", **MEMORY), {"seed": 12})


def test_a_bare_reset_in_the_middle_starts_the_next_session() -> None:
    scenario = Shelf()
    one, many = RecEnv(scenario, PLAIN), RecVectorEnv(scenario, 2, PLAIN)
    one.reset(seed=4)
    one.step([0, 1, 2])
    many.reset(seed=4)
    assert equal(one.reset()[0], row(many.reset()[0], 0))


def test_a_reset_with_a_seed_starts_anew_and_seeds_differ() -> None:
    env = make_env(Shelf(), jit=False)
    first = env.reset(seed=4)[0]
    env.reset()
    assert equal(first, env.reset(seed=4)[0])
    assert not equal(first, env.reset(seed=5)[0])
    assert not equal(first, env.reset(seed=4 + 2**64)[0])


def test_without_any_seed_two_environments_differ() -> None:
    assert not equal(make_env(Shelf(), jit=False).reset()[0], make_env(Shelf(), jit=False).reset()[0])


# -- the end of a session --------------------------------------------------------------------------------


def test_sessions_tell_their_engagement_length_and_click_rate_where_they_ended() -> None:
    n, scenario = 50, TinyWorld(leave=0.2)
    env = RecVectorEnv(scenario, n, PLAIN)
    engagement, length, endings = np.zeros(n), np.zeros(n, int), 0
    for before, after, rewards, terminated, truncated, info in play(env, 40):
        ended = terminated | truncated
        engagement += rewards
        length += 1
        keys = {"session", "_session", "final_obs", "_final_obs"}
        assert keys & info.keys() == (keys if ended.any() else set())
        if ended.any():
            session, endings = info["session"], endings + ended.sum()
            assert np.array_equal(info["_session"], ended)
            assert np.array_equal(info["_final_obs"], ended)
            assert np.array_equal(session["engagement"], np.where(ended, engagement, 0.0))
            assert np.array_equal(session["length"], np.where(ended, length, 0))
            assert np.array_equal(session["click_rate"], np.where(ended, 1.0, 0.0))
            assert [final is None for final in info["final_obs"]] == (~ended).tolist()
        for i in np.flatnonzero(ended):  # the last observation of this session, then the first of the next
            final = info["final_obs"][i]
            assert env.single_observation_space.contains(final)
            assert final["response"][0, 1] == np.float32(rewards[i])
            assert abs(final["user"].argmax() - before["user"][i].argmax()) <= 1
            assert not after["response"][i].any()
        engagement[ended], length[ended] = 0.0, 0
    assert endings > 100


def test_click_rate_counts_clicks_a_step() -> None:
    env = make_env(Shelf(forbidden=0, steps=9), jit=False)
    env.reset(seed=1)
    clicks, over = 0.0, False
    while not over:
        _, _, over, _, info = env.step([0, 1, 2])
        clicks += info["clicked"].sum()
    assert clicks > 0
    assert info["session"]["click_rate"] == clicks / 9


def test_gymnasiums_own_statistics_are_ours() -> None:
    env, told = RecordEpisodeStatistics(RecVectorEnv(TinyWorld(leave=0.3), 5, PLAIN)), 0
    env.reset(seed=0)
    for _ in range(20):
        info = env.step(np.zeros(5, int))[4]
        if "session" in info:
            told += info["_session"].sum()
            assert np.array_equal(info["_episode"], info["_session"])
            assert np.array_equal(info["episode"]["r"], info["session"]["engagement"])
            assert np.array_equal(info["episode"]["l"], info["session"]["length"])
    assert told > 20


def endings(scenario: Scenario) -> tuple[int, bool, bool]:
    """Length of a session, and how it ended."""
    env = RecEnv(scenario, PLAIN)
    env.reset(seed=0)
    for step in itertools.count(1):
        _, _, terminated, truncated, info = env.step(np.arange(scenario.slate_size))
        if terminated or truncated:
            assert info["session"]["length"] == step
            return step, terminated, truncated
    raise AssertionError


@pytest.mark.parametrize(
    ("steps", "horizon", "expected"),
    [(4, 5000, (4, True, False)), (9, 4, (4, False, True)), (4, 4, (4, True, True)), (1, 5000, (1, True, False))],
)
def test_left_is_terminated_and_the_horizon_is_truncated(
    steps: int, horizon: int, expected: tuple[int, bool, bool]
) -> None:
    assert endings(Shelf(steps=steps, horizon=horizon)) == expected


@pytest.mark.parametrize("text", data_free_worlds())
def test_a_small_horizon_truncates_every_world(text: str) -> None:
    env, cut = make_vector_env(text, 20, horizon=2), 0
    for *_, truncated, info in play(env, 6):
        lengths = info["session"]["length"] if "session" in info else np.zeros(20, int)
        assert np.array_equal(truncated, lengths == 2)
        cut += truncated.sum()
    assert cut > 20


def test_stepping_needs_a_session() -> None:
    env, many = make_env(Shelf(steps=1), jit=False), make_vector_env(Shelf(), 2, jit=False)
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step([0, 1, 2])
    with pytest.raises(ResetNeeded, match="call reset"):
        many.step([[0, 1, 2]] * 2)
    env.reset(seed=0)
    assert env.step([0, 1, 2])[2]
    with pytest.raises(ResetNeeded, match="no session is running"):
        env.step([0, 1, 2])
    env.reset()
    env.step([0, 1, 2])


# -- whose arrays they are -------------------------------------------------------------------------------


def held_arrays_change(scenario: Scenario, options: Options) -> bool:
    """Whether anything that 30 steps returned is another thing at the end."""
    held, kept = [], []
    for told in play(RecVectorEnv(scenario, 8, options), 30):
        held += told
        kept += deepcopy(told)
    return not all(map(equal, held, kept))


def test_what_is_held_is_never_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not held_arrays_change(TinyWorld(leave=0.1), PLAIN)
    assert not held_arrays_change(Shelf(), Options(jit=False, **MEMORY))
    monkeypatch.setattr(recsim_env.pool, "unheld", lambda arrays, references: arrays[0] if arrays else None)
    assert held_arrays_change(Shelf(), PLAIN)  # a pool that gives away what is held


def test_a_view_keeps_its_array() -> None:
    pool = recsim_env.pool.ArrayPool((4, 2), np.float32)
    first = pool.take()
    first[:] = 1
    view, at = first[1:, :1], id(first)
    del first
    for _ in range(6):
        pool.take()[:] = 2
    assert (view == 1).all()
    del view
    assert id(pool.take()) == at  # and is used again once nobody holds it


def test_the_dictionary_of_an_observation_is_its_holders() -> None:
    one, many = make_env(Shelf(), jit=False), make_vector_env(Shelf(), 1, jit=False)
    for env, slate in ((one, [0, 1, 2]), (many, [[0, 1, 2]])):
        env.reset(seed=0)[0].clear()
        assert env.action_masks().sum() == 9
        env.step(slate)[0].clear()
        assert env.action_masks().sum() == 9


# -- repairs ---------------------------------------------------------------------------------------------


def repaired_slate(action: Sequence[int], allowed: np.ndarray) -> list[int]:
    """What must be shown: a repeated or masked position becomes the lowest allowed one not in the slate."""
    shown: list[int] = []
    for position in action:
        good = allowed[position] and position not in shown
        left = [c for c in range(len(allowed)) if allowed[c] and c not in shown]
        shown.append(position if good else left[0])
    return shown


def test_repeated_and_masked_positions_are_repaired_and_counted() -> None:
    actions = np.array(list(itertools.product(range(4), repeat=3)))
    env = make_vector_env(Shelf(), len(actions), jit=False)
    observation, _ = env.reset(seed=0)
    masks = observation["mask"] > 0
    assert np.array_equal(env.action_masks(), np.tile(masks, 3))
    assert (masks.sum(axis=1) == 3).all()
    assert len({tuple(mask) for mask in masks}) == 4
    info = env.step(actions)[4]
    expected = np.array([repaired_slate(action, mask) for action, mask in zip(actions.tolist(), masks, strict=True)])
    assert np.array_equal(info["shown"], expected)  # the first step's ids are positions
    assert np.array_equal(info["repaired"], (expected != actions).sum(axis=1))
    assert 0 < (info["repaired"] == 0).sum() < len(actions)


def test_where_too_few_are_allowed_every_other_place_counts_as_repaired() -> None:
    env = make_env(Shelf(forbidden=3), jit=False)
    observation, _ = env.reset(seed=0)
    only = int(observation["mask"].argmax())
    assert env.step([only] * 3)[4]["repaired"] == 2


def test_masks_of_one_user_are_the_observations() -> None:
    env = make_env(Shelf(), jit=False)
    observation, _ = env.reset(seed=0)
    assert np.array_equal(env.action_masks(), np.tile(observation["mask"] > 0, 3))
    observation = env.step([0, 1, 2])[0]
    assert np.array_equal(env.action_masks(), np.tile(observation["mask"] > 0, 3))


def test_a_world_where_all_is_allowed_has_no_mask_and_allows_every_position() -> None:
    env = make_env(TinyWorld(), jit=False)
    observation, _ = env.reset(seed=0)
    assert "mask" not in observation
    assert env.action_masks().tolist() == [True, True]
    envs = make_vector_env(Shelf(forbidden=0), 2, jit=False)
    envs.reset(seed=0)
    assert envs.action_masks().shape == (2, 3 * 4)
    assert envs.action_masks().all()


@pytest.mark.parametrize("scenario", [TinyWorld(), Shelf()], ids=["no mask", "mask"])
def test_masks_need_a_session(scenario: Scenario) -> None:
    for make in (make_env, make_vector_env):
        env = make(scenario, jit=False)
        with pytest.raises(ResetNeeded, match="no candidates are on offer: call reset"):
            env.action_masks()
        env.restore(_snapshot(make, scenario))
        assert env.action_masks().any()


def _snapshot(make: Callable[..., Any], scenario: Scenario) -> Any:
    other = make(scenario, jit=False)
    other.reset(seed=0)
    return other.snapshot()


# -- a first slate ---------------------------------------------------------------------------------------


def test_a_first_slate_is_seen_and_remembered_but_neither_rewarded_nor_counted() -> None:
    env = make_vector_env(Welcome(leave=0.001), 40, jit=False, **MEMORY)
    observation, _ = env.reset(seed=2)
    assert (observation["response"][:, 0, 0] == 1).all()
    assert set(observation["response"][:, 0, 1].tolist()) == {1.0, float(np.float32(0.3))}  # both were shown
    assert (observation["totals"][:, 0] == 1).all()
    assert np.array_equal(observation["totals"][:, 2], observation["response"][:, 0, 1])
    assert (observation["history"][:, :-1] == 0).all()
    assert np.array_equal(observation["history"][:, -1, 2:], observation["response"][:, 0])
    engagement, length, ended_once = np.zeros(40), np.zeros(40, int), 0
    for _, after, rewards, terminated, _, info in play(env, 30):
        engagement += rewards
        length += 1
        for i in np.flatnonzero(terminated):
            assert info["session"]["engagement"][i] == engagement[i]
            assert info["session"]["length"][i] == length[i]
            assert info["session"]["click_rate"][i] == 1.0
            assert info["final_obs"][i]["totals"][0] == length[i] + 1
            assert after["response"][i, 0, 0] == 1  # the next session starts with one too
            engagement[i], length[i], ended_once = 0.0, 0, ended_once + 1
    assert ended_once > 40


def test_a_first_slate_changes_the_user_before_the_first_observation() -> None:
    welcomed, plain = (make_vector_env(w, 200, jit=False) for w in (Welcome(), TinyWorld()))
    one, other = (env.reset(seed=2)[0] for env in (welcomed, plain))
    moved = one["user"].argmax(axis=1) - other["user"].argmax(axis=1)
    snack = one["response"][:, 0, 1] == 1
    level = other["user"].argmax(axis=1)
    assert np.array_equal(moved, np.clip(level + np.where(snack, -1, 1), 0, 4) - level)


def test_no_two_steps_of_a_session_share_their_luck() -> None:
    env, plain = (make_vector_env(w, 10, jit=False) for w in (WelcomeShelf(), Shelf()))
    observations = [plain.reset(seed=2)[0], env.reset(seed=2)[0]]  # first what the first slate was chosen from
    observations += [env.step(np.tile([0, 1, 2], (10, 1)))[0] for _ in range(3)]
    for one, other in itertools.combinations(observations, 2):
        assert (one["candidates"] != other["candidates"]).all()
    for one, other in itertools.combinations(observations[1:], 2):
        assert not (one["response"] == other["response"]).all(axis=(1, 2)).any()


def test_without_a_first_slate_nothing_was_answered_yet() -> None:
    observation, _ = make_vector_env(TinyWorld(), 5, jit=False, **MEMORY).reset(seed=0)
    assert not observation["response"].any()
    assert not observation["history"].any()
    assert not observation["totals"].any()


# -- what is observed ------------------------------------------------------------------------------------


def encoded(fields: Sequence[Field], values: Callable[[str], np.ndarray], n: int) -> np.ndarray:
    """(n, width): the seen fields of single numbers as a recommender sees them, written independently of the loop."""
    columns = [np.zeros((n, 0))]
    for field in fields:
        if field.seen and field.name not in ("id", "allowed"):
            value = values(field.name).reshape(n, -1)
            if field.categories:
                value = (value[:, :, None] == np.arange(field.categories)).reshape(n, -1)
            columns.append(np.clip(value, *field.bounds))
    return np.concatenate(columns, axis=1, dtype=np.float64)


def of_response(scenario: Scenario, info: dict[str, Any], place: int) -> np.ndarray:
    return encoded(scenario.response_fields(), lambda name: info[name][:, place], len(info["repaired"]))


WORLDS = [*data_free_worlds(), "shelf"]


def memory_env(text: str, n: int, **options: Any) -> RecVectorEnv:
    if text == "shelf":
        return make_vector_env(Shelf(forbidden=0, num_candidates=6), n, jit=False, **options)
    return make_vector_env(text, n, **options)


@pytest.mark.parametrize("text", WORLDS)
def test_responses_are_seen_encoded_and_clipped_and_told_raw(text: str) -> None:
    env = memory_env(text, 6)
    for _, after, *_, info in play(env, 20):
        running = ~info.get("_session", np.zeros(6, bool))
        for place in range(env.scenario.slate_size):
            expected = of_response(env.scenario, info, place).astype(np.float32)
            seen = after["response"][:, place] if expected.size else expected
            assert np.array_equal(seen[running], expected[running])


@pytest.mark.parametrize("text", WORLDS)
def test_totals_are_the_sums_of_what_was_told(text: str) -> None:
    env, n = memory_env(text, 6, totals=True), 6
    first = int(env.scenario.first_slate == "random")  # counted, and seen in `response`
    expected = np.zeros(0)
    for before, after, *_, info in play(env, 70):
        if not expected.size:
            expected = before["totals"].astype(float)
            assert starts_right(before, np.ones(n, bool), first)
        parts = [of_response(env.scenario, info, place) for place in range(env.scenario.slate_size)]
        clicked = [part * info["clicked"][:, [place]] for place, part in enumerate(parts)]
        expected += np.concatenate([np.ones((n, 1)), sum(parts), sum(clicked)], axis=1)
        ended = info.get("_session", np.zeros(n, bool))
        for i in range(n):
            seen = info["final_obs"][i]["totals"] if ended[i] else after["totals"][i]
            np.testing.assert_allclose(seen, expected[i], rtol=1e-5, atol=1e-6)
        assert starts_right(after, ended, first)
        expected[ended] = after["totals"][ended]


def starts_right(observation: Observation, started: np.ndarray, first: int) -> bool:
    """Whether the totals of sessions that just started count the first slate where there was one, and nothing else."""
    totals = observation["totals"][started]
    shown = observation["response"][started].sum(axis=1) if first else np.zeros((len(totals), 0))
    return bool((totals[:, 0] == first).all()) and np.allclose(totals[:, 1 : 1 + shown.shape[1]], shown, rtol=1e-5)


@pytest.mark.parametrize("text", WORLDS)
def test_history_holds_the_last_slates_in_order_and_zeros_before(text: str) -> None:
    env, n, rng = memory_env(text, 6, history=4), 6, np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    if "history" not in observation:
        pytest.skip("neither items nor responses are seen")
    first = int(env.scenario.first_slate == "random")  # then the last row holds it
    expected = observation["history"].copy()
    assert not expected[:, : len(expected[0]) - first].any()
    for _ in range(70):
        slates = np.argsort(rng.random((n, env.scenario.num_candidates)), axis=1)[:, : env.scenario.slate_size]
        offered = observation.get("candidates", np.zeros((n, env.scenario.num_candidates, 0)))
        observation, *_, info = env.step(slates)
        places = [
            part
            for place in range(env.scenario.slate_size)
            for part in (offered[np.arange(n), slates[:, place]], of_response(env.scenario, info, place))
        ]
        expected = np.concatenate([expected[:, 1:], np.concatenate(places, axis=1)[:, None]], axis=1, dtype=np.float32)
        ended = info.get("_session", np.zeros(n, bool))
        for i in np.flatnonzero(ended):
            assert np.array_equal(info["final_obs"][i]["history"], expected[i])
        assert not observation["history"][ended, : len(expected[0]) - first].any()
        expected[ended] = observation["history"][ended]
        assert np.array_equal(observation["history"], expected)


def test_ids_of_users_candidates_and_history() -> None:
    env = make_env(Shelf(forbidden=0, steps=9), jit=False, history=2)
    observation, _ = env.reset(seed=0)
    assert observation["user_id"].tolist() == [env.simulator.state.users["id"][0]]
    assert observation["candidate_ids"].tolist() == [0, 1, 2, 3]
    assert (observation["history_ids"] == -1).all()
    observation = env.step([2, 0, 1])[0]
    assert observation["candidate_ids"].tolist() == [100, 101, 102, 103]
    assert observation["history_ids"].tolist() == [[-1, -1, -1], [2, 0, 1]]
    observation = env.step([3, 1, 0])[0]
    assert observation["history_ids"].tolist() == [[2, 0, 1], [103, 101, 100]]


HIDDEN = {"hidden_user", "hidden_candidates", "appeal"}


@pytest.mark.parametrize("text", data_free_worlds())
def test_hidden_state_is_seen_only_in_full(text: str) -> None:
    partial, full = make_vector_env(text, 4), make_vector_env(text, 4, observe="full")
    one, other = partial.reset(seed=0)[0], full.reset(seed=0)[0]
    assert not HIDDEN & one.keys()
    assert HIDDEN & other.keys()
    assert equal(one, {name: values for name, values in other.items() if name not in HIDDEN})


def test_the_hidden_keys_hold_the_hidden_fields() -> None:
    env = make_vector_env(Shelf(), 4, observe="full", jit=False)
    observation, _ = env.reset(seed=0)
    state = env.simulator.state
    assert np.array_equal(observation["hidden_user"][:, 0], state.users["secret"].astype(np.float32))
    hidden = state.items["hidden_weight"].astype(np.float32)
    assert np.array_equal(observation["hidden_candidates"][:, :, 0], hidden)
    assert "appeal" not in observation  # the world does not say
    tiny, _ = make_env(TinyWorld(), observe="full", jit=False).reset(seed=0)
    assert tiny["appeal"].tolist() == [1.0, float(np.float32(0.3))]


# -- errors ----------------------------------------------------------------------------------------------

BAD_SLATES: list[tuple[Any, str]] = [
    ([0, 1, 4], r"a slate holds candidate 4, but there are 4 candidates \(0 to 3\)"),
    ([0, -1, 2], "a slate holds candidate -1, but there are 4"),
    (np.array([0, 1, 2**63], np.uint64), "a slate holds candidate 9223372036854775808"),
    ([0, 1], r"an action has the shape (\(3,\) \(places of the slate\), not \(2,\)|\(2, 3\) \(users)"),
    ([0, 1, 2, 3], "an action has the shape"),
    (2, "an action has the shape"),
    ([[0, 1, 2]], "an action has the shape"),
    ([], "whole numbers from 0 to 3"),
    ([0.0, 1.0, 2.0], "whole numbers from 0 to 3"),
    ([0, 1, np.nan], "whole numbers from 0 to 3"),
    ([True, False, True], "whole numbers from 0 to 3"),
    (["0", "1", "2"], "whole numbers from 0 to 3"),
    ([None, 1, 2], "whole numbers from 0 to 3"),
    (None, "whole numbers from 0 to 3"),
]


def state_bytes(env: RecEnv | RecVectorEnv) -> list[bytes]:
    return [part.tobytes() for part in env.simulator.state]


@pytest.mark.parametrize(("action", "words"), BAD_SLATES, ids=lambda value: repr(value)[:30])
def test_an_action_that_is_no_slate_is_refused_and_nothing_is_simulated(action: Any, words: str) -> None:
    env = make_env(Shelf(), jit=False)
    env.reset(seed=0)
    env.step([0, 1, 2])
    before = state_bytes(env)
    with pytest.raises(InvalidAction, match=words):
        env.step(action)
    assert state_bytes(env) == before
    env.step([0, 1, 2])
    assert state_bytes(env) != before


@pytest.mark.parametrize(("action", "words"), BAD_SLATES[:-1], ids=lambda value: repr(value)[:30])
def test_one_bad_slate_among_many_is_refused_and_nothing_is_simulated(action: Any, words: str) -> None:
    env = make_vector_env(Shelf(), 2, jit=False)
    env.reset(seed=0)
    before = state_bytes(env)
    with pytest.raises(InvalidAction, match=words):
        env.step([np.zeros_like(action), action])
    assert state_bytes(env) == before


def test_one_position_out_of_many_users_is_found() -> None:
    env = make_vector_env("long_term_satisfaction", 1000)
    env.reset(seed=0)
    slates = np.zeros((1000, 2), np.int64)
    slates[777, 1] = 20
    before = state_bytes(env)
    with pytest.raises(InvalidAction, match="a slate holds candidate 20, but there are 20 candidates"):
        env.step(slates)
    assert state_bytes(env) == before


@pytest.mark.parametrize("seed", [-1, 1.5, "1", [1, 2], np.nan])
@pytest.mark.parametrize("make", [make_env, make_vector_env])
def test_a_bad_seed_is_refused(make: Callable[..., Any], seed: Any) -> None:
    with pytest.raises(InvalidParameter, match="seed must be"):
        make(TinyWorld(), jit=False).reset(seed=seed)


def test_any_whole_number_is_a_seed() -> None:
    env = make_env(Shelf(), jit=False)
    for seed in (0, 7, 2**63, 2**64 + 7, 2**100):
        assert equal(env.reset(seed=seed)[0], make_env(Shelf(), jit=False).reset(seed=seed)[0])
    assert equal(env.reset(seed=np.uint8(7))[0], env.reset(seed=7)[0])


@pytest.mark.parametrize("gymnasium_id", data_free_ids())
def test_an_unknown_keyword_is_refused_with_the_nearest_name(gymnasium_id: str) -> None:
    with pytest.raises(UnknownName, match=r"'slate_sise'; did you mean 'slate_size'\?"):
        gymnasium.make(gymnasium_id, slate_sise=2)
    with pytest.raises(UnknownName, match=r"'histori'; did you mean 'history'\?"):
        gymnasium.make_vec(gymnasium_id, num_envs=2, histori=2)


def test_an_unknown_keyword_is_a_type_error_as_of_any_function() -> None:
    words = "unexpected keyword argument 'frameskip'"
    name = "recsim_env/LongTermSatisfaction-v0"
    for make in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(TypeError, match=words):
            make(name, frameskip=1)
    for ours in (make_env, make_vector_env):
        for scenario in ("long_term_satisfaction", TinyWorld()):
            with pytest.raises(TypeError, match=words):
                ours(scenario, frameskip=1)


# -- what others ask an environment for ------------------------------------------------------------------


def test_a_vector_environment_tells_how_sessions_follow_each_other() -> None:
    envs = gymnasium.make_vec("recsim_env/LongTermSatisfaction-v0", num_envs=2)
    assert envs.autoreset_mode is envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    for wrap in (FlatVectorObservation, lambda envs: InteractionBudget(envs, 8)):
        assert wrap(envs).autoreset_mode is AutoresetMode.SAME_STEP


MADE: list[dict[str, Any]] = [
    {"preset": "hard", "num_candidates": 7, "slate_size": 2, "history": 1, "purpose": Purpose.TEST},
    {"scenario": "examples/coffee_shop.py:CoffeeShop", "slate_size": 2},
]


@pytest.mark.parametrize("json", [False, True], ids=["spec", "json"])
@pytest.mark.parametrize("values", MADE, ids=["keywords", "file"])
def test_environments_are_made_again_from_their_spec(values: dict[str, Any], json: bool) -> None:
    name = "recsim_env/LongTermSatisfaction-v0"
    one = gymnasium.make(name, jit=False, render_mode="ansi", **values)
    again = gymnasium.make(EnvSpec.from_json(one.spec.to_json()) if json else one.spec)
    assert again.unwrapped.scenario == one.unwrapped.scenario
    assert again.unwrapped.options == one.unwrapped.options
    assert (str(again), again.render_mode) == (str(one), "ansi")
    many = gymnasium.make_vec(name, num_envs=3, jit=False, **values)
    again_many = gymnasium.make_vec(EnvSpec.from_json(many.spec.to_json()) if json else many.spec)
    assert (again_many.num_envs, again_many.scenario) == (3, many.scenario)


def test_a_scenario_with_parameters_is_kept_by_a_spec_but_not_by_json() -> None:
    env = gymnasium.make("recsim_env/LongTermSatisfaction-v0", scenario=Shelf(steps=9), jit=False)
    assert gymnasium.make(env.spec).unwrapped.scenario == Shelf(steps=9)
    with pytest.raises(InvalidParameter, match=r"scenario must be a name, a file or a Scenario, not \{.*'steps': 9"):
        gymnasium.make(EnvSpec.from_json(env.spec.to_json()))


# -- pictures and text -----------------------------------------------------------------------------------


def test_a_picture_changes_with_the_user() -> None:
    env = make_env(Shelf(), render_mode="rgb_array", jit=False)
    env.reset(seed=0)
    pictures = [env.render()]
    for _ in range(2):
        env.step([0, 1, 2])
        pictures.append(env.render())
    for picture in pictures:
        assert (picture.ndim, picture.shape[2], picture.dtype) == (3, 3, np.uint8)
        assert picture.std() > 0
    assert len({picture.tobytes() for picture in pictures}) == 3
    assert np.array_equal(env.render(), pictures[-1])  # showing changes nothing


@pytest.mark.parametrize("text", data_free_worlds())
def test_text_names_the_users_fields_and_the_slate(text: str) -> None:
    env = make_env(text, render_mode="ansi")
    env.reset(seed=0)
    before = env.render()
    env.step(np.arange(env.scenario.slate_size) if env.scenario.slate_size > 1 else 0)
    after = env.render()
    for field in env.scenario.user_fields():
        assert field.name in before
        assert field.name in after
    assert ("no slate shown yet" in before) == (env.scenario.first_slate == "none")
    assert "step 1" in after
    assert f"place {env.scenario.slate_size}: candidate {env.scenario.slate_size - 1}: clicked" in after


def test_text_holds_values_and_units() -> None:
    env = make_env(Shelf(), render_mode="ansi", jit=False, first_user=7)
    env.reset(seed=0)
    env.step([0, 1, 2])
    text = env.render()
    assert "Shelf: user 7, session 0, step 1" in text
    assert "age          1 steps" in text
    assert f"secret       {env.simulator.state.users['secret'][0]:.3g}" in text


def test_a_first_slate_is_shown_in_text() -> None:
    env = make_env(Welcome(), render_mode="ansi", jit=False)
    env.reset(seed=0)
    assert "place 1: candidate" in env.render()


def test_many_users_are_shown_nine_at_most() -> None:
    env = make_vector_env(Shelf(), 12, render_mode="ansi", jit=False)
    env.reset(seed=0)
    shown = env.render()
    assert [f"user {i}," in text for i, text in enumerate(shown)] == [True] * 9


def test_a_render_mode_that_is_none_is_refused_and_none_warns() -> None:
    with pytest.raises(InvalidParameter, match="render_mode must be one of ansi, rgb_array, not 'human'"):
        make_env(TinyWorld(), render_mode="human", jit=False)
    env = make_env(TinyWorld(), jit=False)
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="without a render_mode"):
        assert env.render() is None


SATISFACTION = "recsim_env/LongTermSatisfaction-v0"


@pytest.mark.parametrize(("mode", "kind"), [("rgb_array_list", np.ndarray), ("ansi_list", str)])
def test_gymnasium_collects_pictures_and_texts(mode: str, kind: type) -> None:
    for wrap in (lambda env: env, FlatObservation, DiscreteSlates):
        env = wrap(gymnasium.make(SATISFACTION, num_candidates=4, slate_size=2, render_mode=mode, jit=False))
        env.reset(seed=0)
        env.step(1 if wrap is DiscreteSlates else [0, 1])
        shown = env.render()
        assert [type(one) for one in shown] == [kind, kind]
        assert env.render_mode == mode
    assert RecEnv.metadata["render_modes"] == ["ansi", "rgb_array"]  # no wrapper of Gymnasium's wrote into it


def test_gymnasium_shows_a_user_in_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with pytest.warns(UserWarning, match="HumanRendering wrapper is being applied"):
        env = FlatObservation(gymnasium.make(SATISFACTION, render_mode="human", jit=False))
    env.reset(seed=0)
    env.step([0, 1])
    assert env.render() is None
    assert env.get_wrapper_attr("window") is not None
    env.close()


def test_many_users_have_no_window_and_no_list() -> None:
    for mode in ("human", "rgb_array_list", "ansi_list"):
        with pytest.raises(
            InvalidParameter, match=f"not '{mode}' .*by wrappers for one user; gymnasium.make_vec has none"
        ):
            gymnasium.make_vec(SATISFACTION, num_envs=2, render_mode=mode)


@pytest.mark.parametrize("make", [make_env, make_vector_env])
def test_a_ragged_action_is_refused(make: Any) -> None:
    env = make(TinyWorld(), jit=False)
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match="each slate of one length"):
        env.step([[0], [0, 1]])


@pytest.mark.parametrize("make", [make_env, make_vector_env])
def test_reset_options_are_refused_not_ignored(make: Any) -> None:
    env = make(TinyWorld(), jit=False)
    env.reset(seed=0, options={})
    with pytest.raises(InvalidParameter, match="reset takes no options"):
        env.reset(seed=0, options={"minutes": 3})


@pytest.mark.parametrize("world", ["interest_evolution", "boredom:slate", "retention"])
def test_a_deep_copy_goes_on_as_its_original_and_apart(world: str) -> None:
    envs = make_vector_env(world, 20).unwrapped
    envs.reset(seed=3)
    slates = np.tile(np.arange(envs.scenario.slate_size), (20, 1))
    for _ in range(3):
        envs.step(slates)
    copied = deepcopy(envs)
    rewards = [[one.step(slates)[1] for _ in range(30)] for one in (envs, copied)]
    np.testing.assert_array_equal(*rewards)
