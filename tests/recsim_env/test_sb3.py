"""Stable-Baselines3: the same lives through its VecEnv, its agents run in every world, and they learn patience."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import VectorWrapper
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize, VecVideoRecorder

from recsim_env import Options, Purpose, RecEnv, RecVectorEnv, Scenario, find_world, make_vector_env
from recsim_env.errors import InvalidAction, InvalidParameter
from recsim_env.sb3 import SB3VecEnv
from recsim_env.wrappers import DiscreteSlates, FlatObservation, InteractionBudget
from tests.recsim_env.test_env import Shelf
from tests.worlds import LEVELS, TinyWorld, data_free_ids, data_free_worlds, tiny_optimum, tiny_policy_value

torch.set_num_threads(1)

Policy = Callable[[np.ndarray], np.ndarray]  # flat observations -> actions


# -- the same lives --------------------------------------------------------------------------------------


def flat(env: RecVectorEnv, observation: Any) -> np.ndarray:
    """Gymnasium's own flattening of one observation."""
    flattened: np.ndarray = spaces.flatten(env.single_observation_space, observation)
    return flattened


def flat_rows(env: RecVectorEnv, observation: Any) -> np.ndarray:
    return np.array([flat(env, {k: v[i] for k, v in observation.items()}) for i in range(env.num_envs)])


def assert_same_lives(scenario: Scenario, options: Options, steps: int) -> set[tuple[bool, bool]]:
    """How sessions ended: (terminated, truncated)."""
    plain, ours = RecVectorEnv(scenario, 5, options), SB3VecEnv(RecVectorEnv(scenario, 5, options))
    assert ours.observation_space == spaces.flatten_space(plain.single_observation_space)
    assert ours.action_space == plain.single_action_space
    rng, seen = np.random.default_rng(0), set()
    ours.seed(9)
    assert np.array_equal(ours.reset(), flat_rows(plain, plain.reset(seed=9)[0]))
    for _ in range(steps):
        places = (5,) if scenario.slate_size == 1 else (5, scenario.slate_size)
        slates = rng.integers(scenario.num_candidates, size=places)
        after, rewards, terminated, truncated, info = plain.step(slates)
        observations, its_rewards, dones, infos = ours.step(slates)
        assert np.array_equal(observations, flat_rows(plain, after))
        assert np.array_equal(its_rewards, rewards.astype(np.float32))
        assert its_rewards.dtype == np.float32
        assert np.array_equal(dones, terminated | truncated)
        for i in range(5):
            if not dones[i]:
                assert infos[i] == {}
                continue
            seen.add((bool(terminated[i]), bool(truncated[i])))
            assert np.array_equal(infos[i]["terminal_observation"], flat(plain, info["final_obs"][i]))
            assert infos[i]["TimeLimit.truncated"] is bool(truncated[i] and not terminated[i])
            session = info["session"]
            assert infos[i]["episode"] == {"r": session["engagement"][i], "l": session["length"][i]}
    return seen


@pytest.mark.parametrize("text", data_free_worlds())
def test_every_world_lives_the_same_through_stable_baselines3(text: str) -> None:
    options = Options(history=2, totals=True, observe="full")
    assert assert_same_lives(find_world(text).make(), options, 105)  # over the longest sessions of a fixed length
    assert assert_same_lives(find_world(text).make(slate_size=1, horizon=5), options, 12)


def test_sessions_that_were_cut_are_told_from_those_that_ended() -> None:
    plain = Options(jit=False)
    assert assert_same_lives(TinyWorld(leave=0.2, horizon=4), plain, 40) == {(True, False), (False, True), (True, True)}
    assert assert_same_lives(Shelf(steps=3, horizon=3), plain, 10) == {(True, True)}
    assert assert_same_lives(Shelf(steps=9, horizon=3), plain, 10) == {(False, True)}


def test_a_reset_without_a_seed_starts_the_next_sessions() -> None:
    envs, ours = make_vector_env(TinyWorld(), 20, jit=False), SB3VecEnv(make_vector_env(TinyWorld(), 20, jit=False))
    assert ours.seed(4) == [4] * 20
    ours.reset()
    envs.reset(seed=4)
    assert np.array_equal(ours.reset(), flat_rows(envs, envs.reset()[0]))


def test_what_stable_baselines3_asks_of_its_environments() -> None:
    envs = make_vector_env(Shelf(), 3, jit=False)
    ours = SB3VecEnv(envs)
    ours.seed(0)
    ours.reset()
    assert ours.get_attr("num_envs") == [3, 3, 3]
    assert ours.get_attr("num_envs", [0, 2]) == [3, 3]
    assert ours.get_attr("num_envs", 1) == [3]
    assert ours.env_is_wrapped(gymnasium.Wrapper) == [False] * 3
    assert np.array_equal(ours.env_method("action_masks"), envs.action_masks())
    assert np.array_equal(ours.env_method("action_masks", indices=[2]), envs.action_masks()[[2]])
    with pytest.raises(InvalidParameter, match="cannot set 'num_envs' of some"):
        ours.set_attr("num_envs", 4)
    assert VecNormalize(ours).reset().shape == (3, *ours.observation_space.shape)


def shelf_envs(n: int = 3, **values: Any) -> SB3VecEnv:
    return SB3VecEnv(make_vector_env(Shelf(), n, jit=False, **values))


def test_indices_name_users() -> None:
    envs = make_vector_env(Shelf(), 3, jit=False)
    ours = SB3VecEnv(envs)
    ours.reset()
    masks = envs.action_masks()
    assert np.array_equal(ours.env_method("action_masks", indices=-1), masks[[2]])
    assert np.array_equal(ours.env_method("action_masks", indices=np.array([2, 0])), masks[[2, 0]])
    assert ours.get_attr("action_space", [1]) == [envs.single_action_space]
    assert ours.get_attr("observation_space", 0) == [envs.single_observation_space]
    for ask in (lambda: ours.get_attr("num_envs", 3), lambda: ours.env_method("action_masks", indices=[0, 3])):
        with pytest.raises(IndexError):
            ask()
    with pytest.raises(InvalidParameter, match="cannot call 'snapshot' of some"):
        ours.env_method("snapshot", indices=[0])
    assert len(ours.env_method("snapshot")) == 3


def test_attributes_and_wrappers_are_found_below_vector_wrappers() -> None:
    ours = SB3VecEnv(InteractionBudget(make_vector_env(Shelf(), 2, jit=False, render_mode="ansi"), 10))
    ours.reset()
    assert ours.get_attr("spent") == [0, 0]
    assert ours.get_attr("scenario", 0) == [Shelf()]
    assert not ours.has_attr("nothing")
    assert ours.env_is_wrapped(InteractionBudget) == [True, True]
    assert ours.env_is_wrapped(VectorWrapper, 1) == [True]
    assert ours.env_is_wrapped(gymnasium.Wrapper, [0]) == [False]
    assert "user 1" in ours.env_method("render", indices=1)[0]
    assert ours.unwrapped is ours
    assert ours.getattr_depth_check("reset", True) == "recsim_env.sb3.SB3VecEnv"


def test_masks_are_there_in_any_world() -> None:
    ours = SB3VecEnv(make_vector_env(TinyWorld(), 3, jit=False))
    assert is_masking_supported(ours)
    with pytest.raises(ResetNeeded):
        ours.env_method("action_masks")
    ours.reset()
    assert get_action_masks(ours).tolist() == [[True, True]] * 3


@pytest.mark.parametrize("wrap", [FlatObservation, lambda env: DiscreteSlates(FlatObservation(env))])
def test_maskable_ppo_learns_in_a_world_with_a_mask_and_in_one_without(wrap: Callable[..., Any]) -> None:
    for scenario in (Shelf(), TinyWorld()):
        env = wrap(RecEnv(scenario, Options(jit=False)))
        model = MaskablePPO("MlpPolicy", env, n_steps=16, batch_size=16, n_epochs=1, **SMALL).learn(32)
        assert finite(model)


def test_pictures_of_the_first_nine_users_are_one_picture() -> None:
    ours = shelf_envs(10, render_mode="rgb_array")
    ours.reset()
    images = ours.get_images()
    assert [image.shape for image in images] == [(540, 960, 3)] * 9
    assert ours.render_mode == "rgb_array"
    assert ours.metadata["render_modes"] == ["ansi", "rgb_array"]
    assert ours.render().shape == (3 * 540, 3 * 960, 3)
    assert np.array_equal(ours.env_method("render", indices=2)[0], images[2])


def test_there_are_no_pictures_without_their_render_mode() -> None:
    ours = shelf_envs(render_mode="ansi")
    ours.reset()
    with pytest.warns(UserWarning, match="no pictures with render_mode 'ansi': pass 'rgb_array'"):
        assert ours.get_images() == [None] * 3
    assert [f"user {i}," in text for i, text in enumerate(ours.env_method("render"))] == [True] * 3


def test_a_film_is_recorded(tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    film = VecVideoRecorder(shelf_envs(1, render_mode="rgb_array"), str(tmp_path), lambda step: step == 0, 2)
    assert film.frames_per_sec == RecVectorEnv.metadata["render_fps"]
    film.reset()
    for _ in range(2):
        film.step(np.array([[0, 1, 2]]))
    film.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]


def test_options_of_a_reset_are_refused_not_ignored() -> None:
    ours = shelf_envs()
    for none in (None, {}, [{}, {}, {}]):
        ours.set_options(none)
    for some in ({"minutes": 3}, [{}, {"minutes": 3}, {}]):
        with pytest.raises(InvalidParameter, match="reset takes no options"):
            ours.set_options(some)


def test_a_seed_is_checked_when_it_is_given_and_none_is_a_new_one() -> None:
    ours = shelf_envs()
    for seed in (-1, "1", 1.5):
        with pytest.raises(InvalidParameter, match="seed must be"):
            ours.seed(seed)
    first, second = ours.seed(), ours.seed()
    assert first != second
    fresh = ours.reset()
    ours.seed(second[0])
    assert np.array_equal(ours.reset(), fresh)
    assert ours.reset_infos == [{}] * 3


def test_a_step_is_waited_for_once() -> None:
    ours = shelf_envs()
    ours.reset()
    slates = np.tile([0, 1, 2], (3, 1))
    ours.step_async(slates)
    ours.step_wait()
    with pytest.raises(InvalidAction, match=r"call step_async\(actions\) before step_wait"):
        ours.step_wait()
    ours.step_async(slates)
    ours.reset()  # cancels the step
    with pytest.raises(InvalidAction, match="no step is under way"):
        ours.step_wait()
    ours.close()


# -- its agents run in every world -----------------------------------------------------------------------

SMALL: dict[str, Any] = {"seed": 0, "device": "cpu", "policy_kwargs": {"net_arch": [16]}}


def finite(model: BaseAlgorithm) -> bool:
    return all(bool(torch.isfinite(p).all()) for p in model.policy.parameters())


@pytest.mark.parametrize("gymnasium_id", data_free_ids())
def test_ppo_runs_2000_steps_in_every_world(gymnasium_id: str) -> None:
    env = FlatObservation(gymnasium.make(gymnasium_id, totals=True, horizon=100))
    model = PPO("MlpPolicy", env, n_steps=500, batch_size=250, n_epochs=2, **SMALL).learn(2000)
    assert model.num_timesteps == 2000
    assert len(model.ep_info_buffer or ()) > 5  # it saw sessions end
    assert finite(model)


@pytest.mark.parametrize("gymnasium_id", data_free_ids())
def test_ppo_runs_on_dictionaries_and_on_many_users(gymnasium_id: str) -> None:
    env = gymnasium.make(gymnasium_id, history=2)
    assert finite(PPO("MultiInputPolicy", env, n_steps=100, batch_size=100, n_epochs=1, **SMALL).learn(100))
    envs = SB3VecEnv(gymnasium.make_vec(gymnasium_id, num_envs=20, horizon=50).unwrapped)
    model = PPO("MlpPolicy", envs, n_steps=25, batch_size=250, n_epochs=2, **SMALL).learn(2000)
    assert model.num_timesteps == 2000
    assert len(model.ep_info_buffer or ()) > 5
    assert finite(model)


@pytest.mark.parametrize("gymnasium_id", data_free_ids())
def test_dqn_runs_2000_steps_in_every_world(gymnasium_id: str) -> None:
    env = DiscreteSlates(FlatObservation(gymnasium.make(gymnasium_id, num_candidates=5, slate_size=2)))
    model = DQN("MlpPolicy", env, learning_starts=200, train_freq=8, buffer_size=2000, **SMALL).learn(2000)
    assert model.num_timesteps == 2000
    assert finite(model)
    envs = SB3VecEnv(gymnasium.make_vec(gymnasium_id, num_envs=20, num_candidates=5, slate_size=1).unwrapped)
    model = DQN("MlpPolicy", envs, learning_starts=200, train_freq=1, buffer_size=2000, **SMALL).learn(2000)
    assert model.num_timesteps == 2000
    assert finite(model)


# -- and they learn patience -----------------------------------------------------------------------------

USERS = 500
WORLD = TinyWorld()
BAR = 0.9


def engagement(policy: Policy) -> float:
    """The mean over the first sessions of 500 users whom nobody trained on."""
    envs = SB3VecEnv(RecVectorEnv(WORLD, USERS, Options(purpose=Purpose.TEST)))
    envs.seed(0)
    observation = envs.reset()
    total, there = np.zeros(USERS), np.ones(USERS, bool)
    while there.any():
        observation, rewards, dones, _ = envs.step(policy(observation))
        total += rewards * there
        there &= ~dones
    return float(total.mean())


def of_levels(actions: list[int]) -> Policy:
    """The policy that shows `actions[level]`; the level stands last in a flat observation."""
    return lambda observation: np.array(actions)[observation[:, -LEVELS:].argmax(axis=1)]


def actions_of(model: BaseAlgorithm) -> list[int]:
    """What the model shows at each level, right after a meal."""
    before = np.tile(np.array([1, 0, 0, 1, 1, 0.3]), (LEVELS, 1))  # candidates, response
    rows = np.hstack([before, np.eye(LEVELS)]).astype(np.float32)
    actions: list[int] = model.predict(rows, deterministic=True)[0].tolist()
    return actions


def test_the_optimum_is_known_and_greed_is_far_below_it() -> None:
    optimum, patient = tiny_optimum(WORLD), [1, 0, 0, 0, 0]
    assert optimum == pytest.approx(max(tiny_policy_value(WORLD, [a, b, c, 0, 0]) for a, b, c in np.ndindex(2, 2, 2)))
    assert optimum == pytest.approx(tiny_policy_value(WORLD, patient))
    for actions in (patient, [0] * 5, [1] * 5):
        assert engagement(of_levels(actions)) == pytest.approx(tiny_policy_value(WORLD, actions), rel=0.05)
    assert tiny_policy_value(WORLD, [0] * 5) < 0.25 * optimum
    assert tiny_policy_value(WORLD, [1] * 5) < 0.5 * optimum


COMMON: dict[str, Any] = {
    "device": "cpu",
    "gamma": 0.97,
    "learning_rate": 3e-3,
    "policy_kwargs": {"net_arch": [32]},
}


def one_user() -> FlatObservation:
    return FlatObservation(RecEnv(WORLD))


def many_users() -> SB3VecEnv:
    return SB3VecEnv(RecVectorEnv(WORLD, 1024))


def ppo(seed: int) -> BaseAlgorithm:
    model = PPO("MlpPolicy", one_user(), n_steps=512, batch_size=128, n_epochs=8, ent_coef=0.01, seed=seed, **COMMON)
    return model.learn(10_000)


def ppo_of_many(seed: int) -> BaseAlgorithm:
    model = PPO("MlpPolicy", many_users(), n_steps=8, batch_size=1024, n_epochs=8, ent_coef=0.01, seed=seed, **COMMON)
    return model.learn(200_000)


def dqn(seed: int) -> BaseAlgorithm:
    model = DQN(
        "MlpPolicy", one_user(), seed=seed, buffer_size=10_000, learning_starts=500, train_freq=4, batch_size=128,
        target_update_interval=200, exploration_fraction=0.4, **COMMON,
    )  # fmt: skip
    return model.learn(10_000)


def dqn_of_many(seed: int) -> BaseAlgorithm:
    model = DQN(
        "MlpPolicy", many_users(), seed=seed, buffer_size=100_000, learning_starts=2000, train_freq=1, gradient_steps=8,
        batch_size=256, target_update_interval=1024, exploration_fraction=0.5, **COMMON,
    )  # fmt: skip
    return model.learn(300_000)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("train", [ppo, ppo_of_many, dqn, dqn_of_many], ids=lambda train: train.__name__)
def test_agents_reach_nine_tenths_of_the_optimum(train: Callable[[int], BaseAlgorithm], seed: int) -> None:
    model, optimum = train(seed), tiny_optimum(WORLD)
    reached = engagement(lambda observation: model.predict(observation, deterministic=True)[0])
    assert reached >= BAR * optimum
    assert tiny_policy_value(WORLD, actions_of(model)) >= BAR * optimum  # without the luck of 500 sessions
