"""Any algorithm of Stable-Baselines3 (Raffin et al., 2021) and sb3-contrib, as `sb3:NAME`; `sb3` alone is PPO.

The algorithm, its exploration, replay and updates are the library's; the networks are not: one network scores each
candidate from what is known of the user and the candidate's features (see `sb3_policies`). A slate is, by algorithm,
the number of an ordered slate (DQN, QRDQN; its value the mean of its items' values at their places), a choice at
each place, where the environment repairs repeats (PPO, MaskablePPO, A2C, TRPO), or the candidates of the highest
scores (SAC, TD3, DDPG, TQC).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from itertools import permutations
from math import perm
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces

from agents.encoding import Encoder, Standardiser
from agents.experience import Transition, check_discount, interact
from agents.sb3_weights import learnt_of, set_learnt
from agents.torch_tools import TorchDefaults, find_device, one_thread, own_randomness
from recsim_env.agent import Agent, AgentConfig, Log, WorldSpec, top_slates
from recsim_env.env import Observation
from recsim_env.errors import AgentError, UnknownName, unknown
from recsim_env.parameters import param
from recsim_env.wrappers import flat_space, flatten

SLATES_AT_MOST = 1000  # ordered slates that DQN and QRDQN number


@dataclass(frozen=True)
class SB3Config(AgentConfig):
    """Settings that every algorithm has."""

    hidden: int = param(32, "width of the networks' hidden layers", low=1)
    learning_rate: float = param(3e-3, "of the algorithm's optimisers; falls linearly to a tenth", low=0)
    gamma: float = param(0.99, "discount of the next step; 1 only where sessions are not cut", low=0, high=1)
    normalise: bool = param(True, "whether what is observed and rewards are scaled, as the first steps tell")
    warm_up: float = param(0.02, "share of the budget played at random for these scales", low=0, high=0.5)
    totals: bool = param(True, "whether the session's sums so far are seen: memory where state is hidden")
    history: int = param(0, "how many past steps are seen", low=0)
    device: str = param("auto", "auto, cpu or cuda")


OWN = {field.name for field in fields(SB3Config)} - {"learning_rate", "gamma"}  # not arguments of an algorithm


@dataclass(frozen=True)
class TRPOConfig(SB3Config):
    """Settings of `sb3:TRPO`."""

    n_steps: int = param(32, "steps of all users before an update; more where that makes whole rollouts", low=1)
    gae_lambda: float = param(0.98, "of advantages: 0 bootstraps after a step, 1 at a rollout's end", low=0, high=1)
    batch_size: int = param(256, "user-steps of an update of the critic", low=2)


@dataclass(frozen=True)
class A2CConfig(SB3Config):
    """Settings of `sb3:A2C`."""

    n_steps: int = param(5, "steps of all users before an update; more where that makes whole rollouts", low=1)
    gae_lambda: float = param(0.98, "of advantages: 0 bootstraps after a step, 1 at a rollout's end", low=0, high=1)
    ent_coef: float = param(0.02, "weight of the policy's entropy", low=0)


@dataclass(frozen=True)
class PPOConfig(A2CConfig):
    """Settings of `sb3:PPO` and `sb3:MaskablePPO`."""

    n_steps: int = param(32, "steps of all users before an update; more where that makes whole rollouts", low=1)
    batch_size: int = param(256, "user-steps of an update", low=2)
    n_epochs: int = param(5, "passes over a rollout", low=1)
    clip_range: float = param(0.2, "how far the policy's probabilities move in an update", low=0)


@dataclass(frozen=True)
class ReplayConfig(SB3Config):
    """Settings of the algorithms with a replay."""

    buffer_size: int = param(50_000, "transitions kept", low=1)
    batch_size: int = param(256, "transitions of an update", low=1)
    gradient_steps: int = param(4, "updates a step of all users", low=1)
    tau: float = param(0.02, "how far the target network moves toward the network at an update", low=0, high=1)
    n_steps: int = param(5, "steps after which values bootstrap", low=1)
    weight_decay: float = param(0.1, "of AdamW", low=0)
    learning_starts: int = param(1000, "user-steps played at random before the first update", low=0)


@dataclass(frozen=True)
class DQNConfig(ReplayConfig):
    """Settings of `sb3:DQN`."""

    exploration_fraction: float = param(0.33, "share of the budget over which exploration falls from 1", low=0, high=1)
    exploration_final_eps: float = param(0.05, "exploration from there on", low=0, high=1)


@dataclass(frozen=True)
class QRDQNConfig(DQNConfig):
    """Settings of `sb3:QRDQN`."""

    n_quantiles: int = param(20, "quantiles of the return", low=1)


@dataclass(frozen=True)
class SoftConfig(ReplayConfig):
    """Settings of `sb3:SAC` and `sb3:TQC`."""

    target_entropy: float = param(-1.0, "the entropy of scores that is aimed at, a candidate", low=-20, high=1)


@dataclass(frozen=True)
class SureConfig(ReplayConfig):
    """Settings of `sb3:TD3` and `sb3:DDPG`."""

    noise: float = param(0.3, "standard deviation of what is added to scores to explore", low=0)


class Numbers:
    """Actions that are numbers of ordered slates; `table` (A, S) holds them."""

    def __init__(self, spec: WorldSpec) -> None:
        count, places = spec.num_candidates, spec.slate_size
        if perm(count, places) > SLATES_AT_MOST:
            raise AgentError(
                f"DQN and QRDQN of Stable-Baselines3 number the ordered slates, {SLATES_AT_MOST} at most, and "
                f"{places} of {count} candidates make {perm(count, places)}; use sb3:PPO, a shorter slate, or dqn"
            )
        self.table = np.array(list(permutations(range(count), places)), np.int64)
        self.space = spaces.Discrete(len(self.table))

    def slates(self, actions: np.ndarray, observation: Observation) -> np.ndarray:
        """(n, S) the slates that the algorithm's actions mean."""
        return self.table[actions]

    def best(self, numbers: np.ndarray, observation: Observation) -> np.ndarray:
        """(n, S) by values (n, A); slates of fewer masked candidates first."""
        if "mask" in observation:
            numbers = numbers - 1e9 * (observation["mask"] <= 0)[:, self.table].sum(axis=2)
        return self.table[numbers.argmax(axis=1)]


class Places:
    """Actions that are a position at each place."""

    table = np.zeros((0, 0), np.int64)

    def __init__(self, spec: WorldSpec) -> None:
        self.count, self.places = spec.num_candidates, spec.slate_size
        self.space = spaces.MultiDiscrete([self.count] * self.places)

    def slates(self, actions: np.ndarray, observation: Observation) -> np.ndarray:
        return actions

    def best(self, numbers: np.ndarray, observation: Observation) -> np.ndarray:
        """(n, S) by logits (n, S * C): at each place the likeliest that is not shown above."""
        logits = numbers.reshape(-1, self.places, self.count)
        allowed = np.array(observation["mask"] > 0) if "mask" in observation else np.ones_like(logits[:, 0], bool)
        left = np.where(allowed, 0.0, -1e9)
        slates = np.zeros(logits.shape[:2], np.int64)
        for place in range(self.places):
            slates[:, place] = (logits[:, place] + left).argmax(axis=1)
            left[np.arange(len(left)), slates[:, place]] = -np.inf
        return slates


class Scores:
    """Actions that are scores (C,) from -1 to 1, the highest of which make the slate."""

    table = np.zeros((0, 0), np.int64)

    def __init__(self, spec: WorldSpec) -> None:
        self.places = spec.slate_size
        self.space = spaces.Box(-1.0, 1.0, (spec.num_candidates,), np.float32)

    def slates(self, actions: np.ndarray, observation: Observation) -> np.ndarray:
        return top_slates(actions, observation, self.places)

    best = slates


@dataclass(frozen=True)
class Algorithm:
    """Where an algorithm is found, and how it is used here.

    Attributes:
        package: that it is imported from.
        policy: the class in `sb3_policies`.
        actions: what its actions mean.
        config: the class of its settings.
        more: further arguments of it, from the settings and the numbers of candidates and users.
    """

    package: str
    policy: str
    actions: type[Numbers | Places | Scores]
    config: type[SB3Config]
    more: Callable[[Any, int, int], dict[str, Any]] = lambda config, count, users: {}


def every_step(config: Any, count: int, users: int) -> dict[str, Any]:
    """Updates, and a move of the target network, after each step of all users."""
    return {"train_freq": 1, "target_update_interval": users}


def entropy_of_all(config: Any, count: int, users: int) -> dict[str, Any]:
    return {"train_freq": 1, "target_entropy": config.target_entropy * count}


def noisy(config: Any, count: int, users: int) -> dict[str, Any]:
    noise = importlib.import_module("stable_baselines3.common.noise")
    return {"train_freq": 1, "action_noise": noise.NormalActionNoise(np.zeros(count), np.full(count, config.noise))}


BASE, CONTRIB = "stable_baselines3", "sb3_contrib"
ALGORITHMS = {
    "PPO": Algorithm(BASE, "Logits", Places, PPOConfig),
    "A2C": Algorithm(BASE, "Logits", Places, A2CConfig),
    "DDPG": Algorithm(BASE, "SureScores", Scores, SureConfig, noisy),
    "DQN": Algorithm(BASE, "Values", Numbers, DQNConfig, every_step),
    "MaskablePPO": Algorithm(CONTRIB, "MaskedLogits", Places, PPOConfig),
    "QRDQN": Algorithm(CONTRIB, "Quantiles", Numbers, QRDQNConfig, every_step),
    "SAC": Algorithm(BASE, "SoftScores", Scores, SoftConfig, entropy_of_all),
    "TD3": Algorithm(BASE, "SureScores", Scores, SureConfig, noisy),
    "TQC": Algorithm(CONTRIB, "SoftQuantileScores", Scores, SoftConfig, entropy_of_all),
    "TRPO": Algorithm(CONTRIB, "Logits", Places, TRPOConfig),
}
LEFT_OUT = {
    "ARS": "it judges policies by whole sessions, so that it cannot keep within user-steps",
    "CrossQ": "it depends on batch normalisation, which networks that score candidates one by one do not have",
    "HER": "it needs goals, and users have none",
    "RecurrentPPO": "it remembers between steps, and an agent acts on what it observes; use sb3:PPO with history",
}


class SB3(TorchDefaults, Agent):
    """An algorithm of Stable-Baselines3, scoring candidates with one shared network."""

    Config = PPOConfig
    learns = True
    variants: ClassVar[tuple[str, ...]] = tuple(ALGORITHMS)
    algorithm: ClassVar[str] = "PPO"

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.encoder, self.device = Encoder(spec), find_device(config.device)
        self.user_scale = Standardiser(self.encoder.user_width)
        self.item_scale = Standardiser(self.encoder.item_width)
        self.reward_scale = 1.0
        self.actions = ALGORITHMS[self.algorithm].actions(spec)
        self.library = importlib.import_module("agents.sb3_policies")
        self.reader = self.library.Reader(spec).to(self.device)
        with own_randomness(config.seed):
            self.model = self._model(1, 1)

    @classmethod
    def variant(cls, name: str) -> type[Agent]:
        """The agent of one algorithm, such as DQN.

        Raises:
            UnknownName: there is no such algorithm here.
        """
        return agent_of(name)

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals, "history": config.history}

    def _model(self, rounds: int, users: int) -> Any:
        """A model with new weights, to be trained for so many steps of so many users."""
        used, config = ALGORITHMS[self.algorithm], self.config
        given = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in OWN}
        if "buffer_size" in given:
            given["buffer_size"] = min(config.buffer_size, rounds * users)
        else:
            given["n_steps"] = self._rollout(rounds)
        given["learning_rate"] = lambda remaining: config.learning_rate * (0.1 + 0.9 * remaining)
        given |= used.more(config, self.spec.num_candidates, users)
        given.pop("noise", None)
        policy = {"reader": self.reader, "hidden": config.hidden, "table": self.actions.table, "net_arch": []}
        if "n_quantiles" in given:
            policy["n_quantiles"] = given.pop("n_quantiles")
        if "weight_decay" in given:
            policy["optimizer_class"] = torch.optim.AdamW
            policy["optimizer_kwargs"] = {"weight_decay": given.pop("weight_decay")}
        kind = getattr(importlib.import_module(used.package), self.algorithm)
        model = kind(
            getattr(self.library, used.policy), None, device=self.device, policy_kwargs=policy,
            _init_setup_model=False, **given,
        )  # fmt: skip
        model.observation_space, model.action_space = flat_space(self.spec.observation_space), self.actions.space
        model.n_envs = users
        model._setup_model()
        return model

    def _rollout(self, rounds: int) -> int:
        """Steps of a rollout so that whole rollouts of at least `n_steps`, where there are as many, fill the rounds."""
        return max(1, rounds // max(1, rounds // self.config.n_steps))

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Play at random for the scales, then let the algorithm learn.

        Raises:
            AgentError: the budget does not reach for two steps of all users, or gamma is 1 though sessions are cut.
        """
        check_discount(self.config.gamma, self.spec)
        n, rounds = envs.num_envs, steps // envs.num_envs
        if rounds < 2:
            raise AgentError(f"sb3:{self.algorithm} needs at least two steps of its {n} users, {2 * n}, not {steps}")
        rng = np.random.default_rng([self.config.seed, self.played])
        warm_up = max(1, int(rounds * self.config.warm_up)) if self.config.normalise and not self.played else 0
        if warm_up:
            self._scale(envs, n * warm_up, rng)
        with one_thread(), own_randomness(int(rng.integers(2**31))):
            self._learn(envs, rounds - warm_up, log)
        self.played += n * rounds

    def _scale(self, envs: Any, steps: int, rng: np.random.Generator) -> None:
        """Take the scales of users, items and rewards from random slates."""
        shape = (envs.num_envs, self.spec.num_candidates)

        def at_random(observation: Observation) -> np.ndarray:
            return top_slates(rng.random(shape), observation, self.spec.slate_size)

        first = list(interact(envs, at_random, steps))
        self.user_scale.fit(np.concatenate([self.encoder.users(t.observation) for t in first]))
        items = np.concatenate([self.encoder.items(t.observation) for t in first])
        self.item_scale.fit(items.reshape(-1, items.shape[-1]))
        if isinstance(self.actions, Places):  # gradients of actor and critic are clipped together: values must be small
            self.reward_scale = deviation_of_returns(first, self.config.gamma)
        else:
            self.reward_scale = float(np.std([t.rewards for t in first])) or 1.0
        self.reader.set_scales(self.user_scale, self.item_scale)

    def _learn(self, envs: Any, rounds: int, log: Log) -> None:
        model, total = self._model(rounds, envs.num_envs), rounds * envs.num_envs
        set_learnt(model, learnt_of(self.model))
        if self.played:  # what was learnt is not forgotten: no play at random, and no exploration from 1
            vars(model).update({"learning_starts": 0} if hasattr(model, "learning_starts") else {})
            if hasattr(model, "exploration_final_eps"):
                model.exploration_schedule = lambda _: model.exploration_final_eps
        self.actions.space.seed(int(np.random.randint(2**31)))  # noqa: NPY002 - its own, see own_randomness
        model.set_env(self.library.Users(envs, self.actions, self.reader, self.reward_scale))
        model.set_logger(self.library.logger_to(log))
        self.model = model  # validation sees it learn
        whole = rounds % getattr(model, "n_steps", 1) == 0 if hasattr(model, "rollout_buffer") else True
        masks = {"use_masking": "mask" in self.reader.columns} if self.algorithm == "MaskablePPO" else {}
        model.learn(total, callback=lambda *_: whole or model.num_timesteps < total, **masks)
        model.env = model.replay_buffer = model.rollout_buffer = None

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """(n, S) what the policy finds best, without chance."""
        rows = flatten(self.spec.observation_space, observation, 1)
        with torch.inference_mode():
            numbers = self.model.policy.numbers(torch.as_tensor(rows, device=self.device))
        return self.actions.best(numbers.cpu().numpy(), observation)

    def arrays(self) -> dict[str, np.ndarray]:
        scales = {**self.user_scale.arrays("user"), **self.item_scale.arrays("item")}
        return {**scales, "reward_scale": np.array(self.reward_scale), **learnt_of(self.model)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.user_scale.restore("user", arrays)
        self.item_scale.restore("item", arrays)
        self.reward_scale = float(arrays["reward_scale"])
        self.reader.set_scales(self.user_scale, self.item_scale)
        set_learnt(self.model, arrays)


def deviation_of_returns(transitions: list[Transition], gamma: float) -> float:
    """The standard deviation of discounted rewards since each session's beginning; values are then of a size of 1."""
    so_far, returns = np.zeros(len(transitions[0].rewards)), []
    for t in transitions:
        so_far = gamma * so_far + t.rewards
        returns.append(so_far)
        so_far = np.where(t.ended, 0.0, so_far)
    return float(np.std(returns)) or 1.0


@cache
def agent_of(name: str) -> type[SB3]:
    """The class of `sb3:NAME`.

    Raises:
        UnknownName: there is no such algorithm; with the nearest name, or why it is left out.
    """
    if name in LEFT_OUT:
        raise UnknownName(f"sb3:{name} is left out: {LEFT_OUT[name]}")
    if name not in ALGORITHMS:
        raise unknown("algorithm of sb3", name, ALGORITHMS)
    members = {"algorithm": name, "Config": ALGORITHMS[name].config, "__module__": __name__}
    about = f"{name} of Stable-Baselines3, scoring candidates with one shared network."
    return type(f"SB3{name}", (SB3,), {**members, "__doc__": about})
