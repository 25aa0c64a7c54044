"""What any world can take up: noise of what is observed, rewards that come late, users of whom nothing is seen."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from recsim_env import Field, Scenario, make_vector_env
from recsim_env.checks import check_scenario
from recsim_env.env import Observation, RecVectorEnv
from recsim_env.errors import InvalidParameter
from recsim_env.registration import find_world
from recsim_env.scenario import Items, Responses, Rng, Scratch, Slate, User
from recsim_env.simulator import Options
from tests.worlds import data_free_worlds

USERS, STEPS, NOISE, DELAY = 300, 12, 0.05, 3


@dataclass(frozen=True)
class Lamp(Scenario):
    """Users of a mood from 0 to 10 like bright lamps, and leave at random."""

    num_candidates: int = 5
    slate_size: int = 2
    serial: int = 0

    def user_fields(self) -> Sequence[Field]:
        return [
            Field("mood", low=0, high=10, seen=True),
            Field("kind", categories=3, seen=True),
            Field("id", integer=True, low=0, high=99, seen=True),
            Field("gone", integer=True),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [Field("light", low=-1, high=1, seen=True), Field("colour", categories=4, seen=True)]

    def arrive(self, user: User, rng: Rng) -> None:
        user.mood, user.kind, user.id = 10.0 * rng.uniform(), rng.integer(3), rng.integer(100)

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].light, items[position].colour = 2.0 * rng.uniform() - 1.0, rng.integer(4)

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            responses[place].clicked = rng.uniform() < 0.5 + 0.4 * items[slate[place]].light

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.mood = min(10.0, user.mood + 0.1)
        user.gone = rng.uniform() < 0.15

    def left(self, user: User) -> bool:
        return user.gone == 1


@dataclass
class Seen:
    """What came back of every step: observations (T + 1), rewards, ends and engagements (T, n)."""

    observations: list[Observation]
    rewards: np.ndarray
    ended: np.ndarray
    engagement: np.ndarray


def watch(history: int = 0, jit: bool = True, n: int = USERS, first: int = 0, **parameters: Any) -> Seen:
    envs = RecVectorEnv(Lamp(**parameters), n, Options(history=history, jit=jit, first_user=first))
    observation, _ = envs.reset(seed=3)
    observations, rewards, ended, engagement = [observation], [], [], []
    for _ in range(STEPS):
        observation, reward, terminated, _, info = envs.step(np.tile([3, 1], (n, 1)))
        observations.append(observation)
        rewards.append(reward)
        ended.append(terminated)
        engagement.append(info["session"]["engagement"] if "session" in info else np.zeros(n))
    return Seen(observations, np.array(rewards), np.array(ended), np.array(engagement))


def stacked(seen: Seen, key: str) -> np.ndarray:
    return np.stack([observation[key] for observation in seen.observations])


@pytest.fixture(scope="module")
def clear() -> Seen:
    return watch(history=2)


@pytest.fixture(scope="module")
def noisy() -> Seen:
    return watch(history=2, noise=NOISE)


def noise_is(shift: np.ndarray, inside: np.ndarray, sd: float) -> bool:
    """Whether the shifts of values that no bound cuts are normal around 0 with this deviation."""
    values = shift[inside]
    error = sd / np.sqrt(len(values))
    return bool(abs(values.mean()) < 4 * error and abs(values.std() - sd) < 4 * error)


@pytest.mark.parametrize(("key", "column", "low", "high"), [("user", 0, 0, 10), ("candidates", 0, -1, 1)])
def test_noise_is_a_share_of_the_range(
    clear: Seen, noisy: Seen, key: str, column: int, low: float, high: float
) -> None:
    true, blurred = stacked(clear, key)[..., column], stacked(noisy, key)[..., column]
    sd = NOISE * (high - low)
    inside = (true > low + 5 * sd) & (true < high - 5 * sd)
    assert noise_is(blurred - true, inside, sd)
    assert not noise_is(blurred - true, inside, 1.1 * sd)
    assert not noise_is(blurred - true + 0.1 * sd, inside, sd)
    assert blurred.min() >= low
    assert blurred.max() <= high


def test_noise_leaves_categories_ids_and_lives_alone(clear: Seen, noisy: Seen) -> None:
    assert np.array_equal(stacked(clear, "user")[..., 1:], stacked(noisy, "user")[..., 1:])
    assert np.array_equal(stacked(clear, "candidates")[..., 1:], stacked(noisy, "candidates")[..., 1:])
    for key in ("user_id", "response"):
        assert np.array_equal(stacked(clear, key), stacked(noisy, key))
    assert np.array_equal(clear.rewards, noisy.rewards)


def test_a_candidate_looks_the_same_in_the_history_as_on_offer(noisy: Seen) -> None:
    """Else the mean of two looks would take the noise away."""
    for before, after, ended in zip(noisy.observations, noisy.observations[1:], noisy.ended, strict=False):
        last = after["history"][:, -1].reshape(USERS, 2, -1)[:, :, :5]
        assert np.array_equal(last[~ended], before["candidates"][:, [3, 1]][~ended])


def test_noise_is_luck_like_any_other(noisy: Seen) -> None:
    alone = watch(history=2, noise=NOISE, n=1, first=17)
    plain = watch(history=2, noise=NOISE, n=3, jit=False)
    for key in noisy.observations[0]:
        assert np.array_equal(stacked(noisy, key)[:, 17:18], stacked(alone, key))
        assert np.array_equal(stacked(noisy, key)[:, :3], stacked(plain, key))


def paid_late(earned: Seen, paid: Seen, delay: int) -> bool:
    """Whether each reward came `delay` steps later, or at the session's end if that was sooner."""
    expected = np.zeros_like(earned.rewards)
    for user in range(USERS):
        ends = np.flatnonzero(earned.ended[:, user])
        for step in range(STEPS):
            end = ends[ends >= step]
            due = min(step + delay, end[0] if len(end) else STEPS)
            if due < STEPS:
                expected[due, user] += earned.rewards[step, user]
    return bool(np.allclose(expected, paid.rewards, atol=1e-9))


def test_a_reward_comes_late_and_none_is_lost(clear: Seen) -> None:
    late = watch(reward_delay=DELAY)
    assert paid_late(clear, late, DELAY)
    assert not paid_late(clear, late, DELAY - 1)
    assert np.array_equal(clear.engagement, late.engagement)


def test_a_longer_delay_than_the_session_pays_all_at_its_end(clear: Seen) -> None:
    assert paid_late(clear, watch(reward_delay=1000), 1000)


def test_late_rewards_are_the_same_in_plain_python() -> None:
    compiled, plain = watch(reward_delay=DELAY, n=4), watch(reward_delay=DELAY, n=4, jit=False)
    assert np.array_equal(compiled.rewards, plain.rewards)


def test_with_responses_alone_nothing_of_the_user_is_seen() -> None:
    envs = RecVectorEnv(Lamp(), 2, Options(observe="responses"))
    observation, _ = envs.reset(seed=3)
    assert set(observation) == {"candidates", "response"}
    observation, *_ = envs.step([[0, 1], [0, 1]])
    assert envs.single_observation_space.contains({key: values[0] for key, values in observation.items()})


def test_the_users_of_ended_sessions_are_kept_as_they_were() -> None:
    envs = RecVectorEnv(Lamp(), USERS, Options(observe="full"))
    envs.reset(seed=3)
    for _ in range(STEPS):
        *_, terminated, _, info = envs.step(np.tile([3, 1], (USERS, 1)))
        assert (envs.simulator.ended == np.flatnonzero(terminated)).all()
        for user, as_they_were in zip(envs.simulator.ended, envs.simulator.ended_users, strict=True):
            assert as_they_were["gone"] == 1
            assert info["final_obs"][user]["user"][0] == np.float32(as_they_were["mood"])
        assert not envs.simulator.state.users["gone"][terminated].any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"noise": -0.1}, "noise must lie in"),
        ({"reward_delay": -1}, "reward_delay must lie in"),
        ({"reward_delay": 1.5}, "reward_delay must be a whole number"),
        ({"observe": "nothing"}, "partial, full, responses"),
    ],
)
def test_wrong_values_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        make_vector_env("interest_evolution", **parameters)


class Parrot(Lamp):
    """Users whose verbs hold what cannot be compiled: texts, lists, a library."""

    compiles = False

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        said = " ".join(["yes" if items[slate[place]].light > 0 else "no" for place in range(len(slate))])
        for place, word in enumerate(re.findall(r"\w+", said)):
            responses[place].clicked = float(word == "yes")


def test_a_world_that_does_not_compile_is_played_as_plain_python() -> None:
    envs = make_vector_env(Parrot(), num_envs=3)
    before, _ = envs.reset(seed=3)
    *_, info = envs.step(np.tile([3, 1], (3, 1)))
    assert np.array_equal(info["clicked"], before["candidates"][:, [3, 1], 0] > 0)
    notes = check_scenario(Parrot(), users=3, steps=10)
    assert any("only plain Python plays it" in note for note in notes)


@pytest.mark.parametrize("serial", [2**63, -(2**63) - 1])
def test_a_whole_number_fits_64_bits(serial: int) -> None:
    with pytest.raises(InvalidParameter, match=f"Lamp.serial must fit 64 bits .*, not {serial}"):
        make_vector_env(Lamp(serial=serial), 2)
    assert make_vector_env(Lamp(serial=2**63 - 1), 2).reset(seed=0)


@pytest.mark.parametrize("text", data_free_worlds())
def test_every_number_of_a_built_in_world_has_bounds(text: str) -> None:
    """So that none makes a reward that is no number any more."""
    world = find_world(text).make()
    for field in dataclasses.fields(world):
        if isinstance(getattr(world, field.name), float) and field.name != "noise":  # of what is seen, inside its range
            assert math.isfinite(field.metadata["low"]) and math.isfinite(field.metadata["high"]), field.name


def test_engagement_that_would_overflow_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"choc_mean must lie in \[-20, 20\], not 1000"):
        find_world("long_term_satisfaction").make(choc_mean=1000)
