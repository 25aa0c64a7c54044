"""Policies for Stable-Baselines3 that score every candidate with one shared network, and the users they train with.

Its own networks read an observation as one row of numbers and have an output an action: what is learnt of the
candidate at position 3 says nothing of position 4, and they stay at what random slates earn. Here each observation
is taken apart again, and the output for a candidate depends on the user and on that candidate's features alone.
This module imports Stable-Baselines3, which takes seconds; `agents.sb3` imports it when a model is made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from sb3_contrib.tqc.policies import TQCPolicy
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import Tensor, nn

from agents.encoding import Encoder, Standardiser
from recsim_env.agent import Log, WorldSpec
from recsim_env.env import Observation, allowed_slates
from recsim_env.sb3 import SB3VecEnv

MASKS = "action_masks"  # what sb3-contrib asks an environment for


class Reader(nn.Module):
    """Rows of an observation's keys side by side (n, width) to standardised users (n, U) and items (n, C, F).

    The scales are no part of a network's weights: all networks of a model read with the same.
    """

    user_mean: Tensor
    user_scale: Tensor
    item_mean: Tensor
    item_scale: Tensor
    catalogue: Tensor

    def __init__(self, spec: WorldSpec) -> None:
        super().__init__()
        self.encoder, start = Encoder(spec), 0
        self.columns: dict[str, slice] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for name, space in spec.observation_space.spaces.items():
            self.shapes[name] = space.shape or ()
            self.columns[name] = slice(start, start + int(np.prod(self.shapes[name])))
            start = self.columns[name].stop
        for name, width in (("user", self.encoder.user_width), ("item", self.encoder.item_width)):
            self.register_buffer(f"{name}_mean", torch.zeros(width), persistent=False)
            self.register_buffer(f"{name}_scale", torch.ones(width), persistent=False)
        catalogue = np.zeros((0, 0), np.float32) if spec.catalogue is None else spec.catalogue
        self.register_buffer("catalogue", torch.as_tensor(catalogue), persistent=False)

    def set_scales(self, users: Standardiser, items: Standardiser) -> None:
        """Read with these scales from now on."""
        for name, scale in (("user", users), ("item", items)):
            getattr(self, f"{name}_mean").copy_(torch.as_tensor(scale.mean))
            getattr(self, f"{name}_scale").copy_(torch.as_tensor(scale.scale))

    def part(self, rows: Any, name: str) -> Any:
        """(n, *shape) the key `name` of rows, numpy's or torch's."""
        return rows[:, self.columns[name]].reshape(len(rows), *self.shapes[name])

    def users(self, rows: Tensor) -> Tensor:
        """(n, U)."""
        parts = [rows[:, self.columns[name]] for name in self.encoder.keys]
        known = torch.cat(parts, dim=1) if parts else rows[:, :0]
        return ((known - self.user_mean) / self.user_scale).clamp(-10.0, 10.0)

    def items(self, rows: Tensor) -> Tensor:
        """(n, C, F)."""
        parts = [self.part(rows, "candidates")] if "candidates" in self.columns else []
        if self.encoder.catalogue is not None:
            parts.append(self.catalogue[self.part(rows, "candidate_ids").long()])
        known = torch.cat(parts, dim=2)
        return ((known - self.item_mean) / self.item_scale).clamp(-10.0, 10.0)


class CandidateScores(nn.Module):
    """Rows (n, width) to (n, outputs, C): the product of what is wanted and of what an item is, for each output.

    The last layer starts at 0: all candidates are alike at first, as good as their value is unknown.
    """

    def __init__(self, reader: Reader, hidden: int, outputs: int) -> None:
        super().__init__()
        self.reader, self.outputs, self.hidden = reader, outputs, hidden
        users, items = reader.encoder.user_width, reader.encoder.item_width
        self.wanted = body(users, hidden, outputs * (hidden + 1))
        self.item = nn.Sequential(nn.Linear(items, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        last = self.wanted[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, rows: Tensor) -> Tensor:
        wanted = self.wanted(self.reader.users(rows)).view(len(rows), self.outputs, self.hidden + 1)
        items = self.item(self.reader.items(rows))
        products: Tensor = wanted[..., 1:] @ items.transpose(1, 2) / self.hidden**0.5
        return products + wanted[..., :1]


def body(width: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    )


class MeanOfItems(nn.Module):
    """Rows (n, width) to (n, outputs * A): of each slate the mean of what its items are worth at their places."""

    table: Tensor

    def __init__(self, reader: Reader, hidden: int, table: np.ndarray, outputs: int = 1) -> None:
        super().__init__()
        self.places, self.outputs = table.shape[1], outputs
        self.scores = CandidateScores(reader, hidden, outputs * self.places)
        self.register_buffer("table", torch.as_tensor(table), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        scores = self.scores(rows).unflatten(1, (self.outputs, self.places))
        at_places = [scores[:, :, place, self.table[:, place]] for place in range(self.places)]
        return torch.stack(at_places).mean(0).flatten(1)


class PooledValue(nn.Module):
    """Rows and scores of the candidates side by side to (n, outputs): what is worth showing slates by these scores."""

    def __init__(self, reader: Reader, hidden: int, outputs: int, candidates: int) -> None:
        super().__init__()
        self.reader, self.candidates = reader, candidates
        self.user = nn.Linear(reader.encoder.user_width, hidden)
        self.item = nn.Linear(reader.encoder.item_width + 1, hidden, bias=False)
        self.value = body(hidden, hidden, outputs)

    def forward(self, rows_and_scores: Tensor) -> Tensor:
        rows, scores = rows_and_scores[:, : -self.candidates], rows_and_scores[:, -self.candidates :]
        items = torch.cat([self.reader.items(rows), scores[:, :, None]], dim=2)
        each = torch.relu(self.user(self.reader.users(rows))[:, None] + self.item(items))
        found: Tensor = self.value(each.mean(1))
        return found


class Latent(nn.Module):
    """What an actor-critic of Stable-Baselines3 calls its extractor: logits for the actor, a vector for the critic."""

    latent_dim_pi = 1  # of a layer that is replaced at once: one of its true width would hold (S C)^2 numbers

    def __init__(self, reader: Reader, hidden: int, places: int) -> None:
        super().__init__()
        self.reader, self.latent_dim_vf = reader, hidden
        self.scores = CandidateScores(reader, hidden, places)
        self.value_body = nn.Sequential(body(reader.encoder.user_width, hidden, hidden), nn.ReLU())

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward_actor(rows), self.forward_critic(rows)

    def forward_actor(self, rows: Tensor) -> Tensor:
        """(n, S * C) logits, place by place."""
        return self.scores(rows).flatten(1)

    def forward_critic(self, rows: Tensor) -> Tensor:
        """(n, hidden)."""
        found: Tensor = self.value_body(self.reader.users(rows))
        return found


class Scored:
    """A policy's settings of its own: how it reads observations, and what its numbers stand for.

    Args:
        reader: of the observations.
        hidden: the width of its networks' layers.
        table: (A, S) the slate of each action; empty where actions are no numbers of slates.
    """

    def __init__(self, *args: Any, reader: Reader, hidden: int, table: np.ndarray, **others: Any) -> None:
        self.given = (reader, hidden, table)  # no attribute that is a module may be set before torch's own __init__
        super().__init__(*args, **others)


class LogitsMixin(Scored):
    """Actor and critic of PPO and its kin: logits (n, S * C)."""

    def _build_mlp_extractor(self) -> None:
        reader, hidden, _ = self.given
        places = len(getattr(self.action_space, "nvec", [0]))  # type: ignore[attr-defined]
        self.mlp_extractor = Latent(reader, hidden, places)

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)  # type: ignore[misc]
        self.action_net = nn.Identity()
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[attr-defined]

    def numbers(self, rows: Tensor) -> Tensor:
        """(n, S * C) logits."""
        return self.mlp_extractor.forward_actor(rows)


class Logits(LogitsMixin, ActorCriticPolicy):  # type: ignore[misc]
    """For PPO, A2C and TRPO."""


class MaskedLogits(LogitsMixin, MaskableActorCriticPolicy):  # type: ignore[misc]
    """For MaskablePPO."""


class Values(Scored, DQNPolicy):
    """For DQN: Q (n, A)."""

    def make_q_net(self) -> Any:
        network = super().make_q_net()
        network.q_net = MeanOfItems(*self.given)  # type: ignore[assignment]
        return network.to(self.device)

    def numbers(self, rows: Tensor) -> Tensor:
        """(n, A) values."""
        return self.q_net(rows)


class Quantiles(Scored, QRDQNPolicy):
    """For QRDQN: quantiles of the return, (n, quantiles, A)."""

    def make_quantile_net(self) -> Any:
        network = super().make_quantile_net()
        network.quantile_net = MeanOfItems(*self.given, network.n_quantiles)  # type: ignore[assignment]
        return network.to(self.device)

    def numbers(self, rows: Tensor) -> Tensor:
        """(n, A) values."""
        return self.quantile_net(rows).mean(1)


class CriticsMixin(Scored):
    """Critics of SAC and its kin, and an actor that scores each candidate from -1 to 1."""

    def make_critic(self, features_extractor: Any = None) -> Any:
        critic, (reader, hidden, _) = super().make_critic(features_extractor), self.given  # type: ignore[misc]
        for k in range(len(critic.q_networks)):
            outputs = getattr(critic, "n_quantiles", 1)
            critic.q_networks[k] = PooledValue(reader, hidden, outputs, critic.action_space.shape[0])
            setattr(critic, f"qf{k}", critic.q_networks[k])
        return critic.to(self.device)  # type: ignore[attr-defined]

    def numbers(self, rows: Tensor) -> Tensor:
        """(n, C) scores."""
        return self.actor._predict(rows, deterministic=True)  # type: ignore[attr-defined]


class GaussianScoresMixin(CriticsMixin):
    """An actor with a mean and a deviation for each candidate."""

    def make_actor(self, features_extractor: Any = None) -> Any:
        actor, (reader, hidden, _) = super().make_actor(features_extractor), self.given  # type: ignore[misc]
        actor.latent_pi = CandidateScores(reader, hidden, 2)
        actor.mu, actor.log_std = Output(0), Output(1)
        return actor.to(self.device)  # type: ignore[attr-defined]


class Output(nn.Module):
    """(n, k, C) to (n, C): one of k outputs."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.index]


class SoftScores(GaussianScoresMixin, SACPolicy):
    """For SAC."""


class SoftQuantileScores(GaussianScoresMixin, TQCPolicy):
    """For TQC."""


class SureScores(CriticsMixin, TD3Policy):
    """For TD3 and DDPG: an actor without chance."""

    def make_actor(self, features_extractor: Any = None) -> Any:
        actor, (reader, hidden, _) = super().make_actor(features_extractor), self.given
        actor.mu = nn.Sequential(CandidateScores(reader, hidden, 1), Output(0), nn.Tanh())
        return actor.to(self.device)


class Users(SB3VecEnv):
    """Users to train with: actions as an algorithm of Stable-Baselines3 makes them, rewards in units of `scale`.

    Args:
        envs: a vector environment.
        actions: its `space`, and `slates(actions, observation)`, the slates (n, S) that they mean.
        reader: of the observations.
        scale: what rewards are divided by.
    """

    def __init__(self, envs: Any, actions: Any, reader: Reader, scale: float) -> None:
        super().__init__(envs)
        self.action_space, self.meaning, self.reader, self.scale = actions.space, actions, reader, scale
        self._mask: Observation = {}

    def reset(self) -> np.ndarray:
        return self._see(super().reset())

    def step_async(self, actions: np.ndarray) -> None:
        super().step_async(self.meaning.slates(actions, self._mask))

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        rows, rewards, ended, infos = super().step_wait()
        return self._see(rows), rewards / np.float32(self.scale), ended, infos

    def has_attr(self, attr_name: str) -> bool:
        """Whether the users have an attribute; `action_masks` where not every candidate is allowed."""
        return "mask" in self.reader.columns if attr_name == MASKS else super().has_attr(attr_name)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """A method's result for each user; of `action_masks` each user's row, wrapped as the users may be."""
        if method_name == MASKS:
            return list(allowed_slates(self._mask, len(self.action_space.nvec)))  # type: ignore[attr-defined]
        return super().env_method(method_name, *args, indices=indices, **kwargs)

    def _see(self, rows: np.ndarray) -> np.ndarray:
        self._mask = {"mask": self.reader.part(rows, "mask")} if "mask" in self.reader.columns else {}
        return rows


class ToLog(KVWriter):
    """Passes on what an algorithm measures of its learning."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
        for name, value in key_values.items():
            if name.startswith("train/"):
                self.log.scalar(name, float(value))

    def close(self) -> None:
        """Nothing is open."""


def logger_to(log: Log) -> Logger:
    """A logger of Stable-Baselines3 that writes no files and prints nothing."""
    return Logger(folder=None, output_formats=[ToLog(log)])
