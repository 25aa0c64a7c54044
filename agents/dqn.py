"""Deep Q-learning (Mnih et al., 2015) with double targets (van Hasselt et al., 2016), for many users at once.

One network scores each candidate from what is known of the user and the candidate's features. A slate of
several items is worth the mean of its items (a value decomposition, Sunehag et al., 2018), so that the best
slate is the top items; a slate of one is plain DQN.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.encoding import Encoder, Standardiser, at_slates
from agents.experience import Transition, check_discount, interact
from agents.networks import CandidateNetwork
from agents.torch_tools import find_device, initialise, one_thread, seeded, set_weights, weights_of
from recsim_env.agent import AgentConfig, Log, Ranker, WorldSpec, softened, top_slates
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.parameters import param


@dataclass(frozen=True)
class DQNConfig(AgentConfig):
    """Settings of `dqn`."""

    hidden: int = param(32, "width of the two hidden layers", low=1)
    gamma: float = param(0.99, "discount of the next step; 1 only where sessions are not cut", low=0, high=1)
    learning_rate: float = param(3e-3, "of AdamW; falls linearly to a tenth", low=0)
    weight_decay: float = param(0.1, "of AdamW", low=0)
    batch: int = param(512, "transitions an update", low=1)
    updates: int = param(4, "updates a step of all users", low=1)
    replay: int = param(100_000, "transitions kept", low=1)
    warm_up: float = param(0.03, "share of the budget played at random before learning", low=0, high=0.5)
    tau: float = param(0.02, "how far the target network moves toward the network at an update", low=0, high=1)
    epsilon: float = param(
        0.05, "exploration at the end; it falls linearly from 1 over a third of the budget", low=0, high=1
    )
    totals: bool = param(True, "whether the session's sums so far are seen: memory where state is hidden")
    history: int = param(0, "how many past steps are seen", low=0)
    device: str = param("auto", "auto, cpu or cuda")


class Replay:
    """The last transitions, as arrays on the device."""

    def __init__(self, capacity: int, shapes: Mapping[str, tuple[int, ...]], device: torch.device) -> None:
        self.parts = {name: torch.zeros((capacity, *shape), device=device) for name, shape in shapes.items()}
        self.capacity, self.added = capacity, 0

    def add(self, rows: Mapping[str, np.ndarray]) -> None:
        """Keep n transitions, in the place of the oldest."""
        n = len(rows["rewards"])
        places = torch.arange(self.added, self.added + n) % self.capacity
        for name, part in self.parts.items():
            part[places] = torch.as_tensor(rows[name], dtype=part.dtype).to(part.device)
        self.added += n

    def sample(self, size: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Transitions drawn with replacement."""
        size_now = min(self.added, self.capacity)
        device = self.parts["rewards"].device
        places = torch.randint(size_now, (size,), generator=generator, device=device)
        return {name: part[places] for name, part in self.parts.items()}


class DQN(Ranker):
    """Values of candidates by a network, learnt off-policy from replayed transitions."""

    Config = DQNConfig
    learns = True

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.encoder, self.device = Encoder(spec), find_device(config.device)
        self.user_scale = Standardiser(self.encoder.user_width)
        self.item_scale = Standardiser(self.encoder.item_width)
        self.reward_scale = 1.0
        self.network = CandidateNetwork(self.encoder.user_width, self.encoder.item_width, config.hidden).to(self.device)
        initialise(self.network, seeded(config.seed, self.device))

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals, "history": config.history}

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Play at random for the warm-up, then epsilon-greedily, with updates after each step of all users.

        Raises:
            AgentError: the budget does not reach for the warm-up, or gamma is 1 though sessions are cut.
        """
        check_discount(self.config.gamma, self.spec)
        with one_thread():
            Training(self, envs, steps, log).run()

    def encode(self, observation: Observation) -> tuple[np.ndarray, np.ndarray]:
        """Standardised (n, U) and (n, C, F)."""
        return self.user_scale(self.encoder.users(observation)), self.item_scale(self.encoder.items(observation))

    def scores(self, observation: Observation) -> np.ndarray:
        """(n, C) values of the candidates, in units of the scaled reward."""
        users, items = self.encode(observation)
        with torch.inference_mode():
            values = self.network(
                torch.as_tensor(users, device=self.device), torch.as_tensor(items, device=self.device)
            )
        return np.asarray(values.cpu().numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        scales = {"user_mean": self.user_scale.mean, "user_scale": self.user_scale.scale}
        scales |= {"item_mean": self.item_scale.mean, "item_scale": self.item_scale.scale}
        return {**scales, "reward_scale": np.array(self.reward_scale), **weights_of(self.network)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.user_scale.mean, self.user_scale.scale = arrays["user_mean"], arrays["user_scale"]
        self.item_scale.mean, self.item_scale.scale = arrays["item_mean"], arrays["item_scale"]
        self.reward_scale = float(arrays["reward_scale"])
        set_weights(self.network, arrays)


class Training:
    """What a `DQN` needs only while it learns: replay, target network, optimiser."""

    def __init__(self, agent: DQN, envs: Any, steps: int, log: Log) -> None:
        self.agent, self.envs, self.steps, self.log = agent, envs, steps, log
        self.config: DQNConfig = agent.config
        self.rng = np.random.default_rng(self.config.seed)
        self.generator = seeded(self.config.seed + 1, agent.device)
        self.target = deepcopy(agent.network).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            agent.network.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )
        places, count = agent.spec.slate_size, agent.spec.num_candidates
        user, item = (agent.encoder.user_width,), agent.encoder.item_width
        shapes: dict[str, tuple[int, ...]] = {"users": user, "shown": (places, item), "rewards": (), "continues": ()}
        shapes |= {"next_users": user, "next_items": (count, item), "next_allowed": (count,)}
        self.replay = Replay(min(self.config.replay, max(steps, 1)), shapes, agent.device)
        self.played = 0

    def run(self) -> None:
        n = self.envs.num_envs
        warm_up = max(n, int(self.steps * self.config.warm_up) // n * n)
        first = list(interact(self.envs, self._choose_random, warm_up))
        if not first:
            raise AgentError(f"dqn needs a budget of at least one step of its {n} users, not {self.steps}")
        self._scale(first)
        for t in first:
            self._keep(t)
        self.played = warm_up
        for t in interact(self.envs, self._choose, self.steps - warm_up):
            self._keep(t)
            self.played += n
            losses = [self._update() for _ in range(self.config.updates)]
            self.log.scalar("train/loss", float(torch.stack(losses).mean()))

    def _scale(self, first: list[Transition]) -> None:
        agent = self.agent
        agent.user_scale.fit(np.concatenate([agent.encoder.users(t.observation) for t in first]))
        items = np.concatenate([agent.encoder.items(t.observation) for t in first])
        agent.item_scale.fit(items.reshape(-1, items.shape[-1]))
        agent.reward_scale = float(np.concatenate([t.rewards for t in first]).std()) or 1.0

    def _choose_random(self, observation: Observation) -> np.ndarray:
        users = len(next(iter(observation.values())))
        return top_slates(
            self.rng.random((users, self.agent.spec.num_candidates)), observation, self.agent.spec.slate_size
        )

    def _choose(self, observation: Observation) -> np.ndarray:
        epsilon = max(self.config.epsilon, 1.0 - 3.0 * self.played / self.steps)
        scores = softened(self.agent.scores(observation), epsilon, self.rng)
        return top_slates(scores, observation, self.agent.spec.slate_size)

    def _keep(self, t: Transition) -> None:
        users, items = self.agent.encode(t.observation)
        next_users, next_items = self.agent.encode(t.following)
        allowed = t.following.get("mask", np.ones(items.shape[:2], np.float32))
        self.replay.add(
            {
                "users": users, "shown": at_slates(items, t.slates),
                "next_users": next_users, "next_items": next_items, "rewards": t.rewards / self.agent.reward_scale,
                "continues": 1.0 - t.terminated, "next_allowed": allowed,
            }
        )  # fmt: skip

    def _update(self) -> Tensor:
        """One step of the optimiser; the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * (1.0 - 0.9 * self.played / self.steps)
        batch = self.replay.sample(self.config.batch, self.generator)
        values = self.agent.network(batch["users"], batch["shown"]).mean(1)
        loss = nn.functional.mse_loss(values, self._targets(batch))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.agent.network.parameters(), 10.0)
        self.optimiser.step()
        with torch.no_grad():
            for old, new in zip(self.target.parameters(), self.agent.network.parameters(), strict=True):
                old.lerp_(new, self.config.tau)
        return loss.detach()

    @torch.no_grad()
    def _targets(self, batch: Mapping[str, Tensor]) -> Tensor:
        """r + gamma times the target network's value of the slate that the network finds best."""
        scores = self.agent.network(batch["next_users"], batch["next_items"])
        scores = scores.masked_fill(batch["next_allowed"] <= 0, -torch.inf)
        best = scores.topk(self.agent.spec.slate_size, dim=1).indices
        rows = torch.arange(len(best), device=best.device)[:, None]
        values = self.target(batch["next_users"], batch["next_items"][rows, best]).mean(1)
        return batch["rewards"] + self.config.gamma * batch["continues"] * values
