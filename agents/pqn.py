"""Parallel Q(lambda) without a replay and without a target network (Gallici et al., 2024), for many users at once.

Many users play T steps, epsilon-greedily; their lambda returns, bootstrapped by the network's own greedy values, are
learnt from for some epochs, and thrown away. Normalised layers (Ba et al., 2016) keep this stable. The defaults are the
paper's for MinAtar: normalised layers, RAdam (Liu et al., 2020) without weight decay, lambda, exploration, rollouts and
minibatches. One network scores each candidate; a slate of several items is worth the mean of its items (a value
decomposition, Sunehag et al., 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.cuda_graphs import Repeated
from agents.experience import check_discount, with_final
from agents.network_agent import NetworkAgent
from agents.returns import lambda_returns
from agents.torch_tools import initialise, one_thread, seeded
from agents.values import best_value, falling_epsilon, fit_scales, in_parts, some_of
from recsim_env.agent import AgentConfig, Log, Ranker, WorldSpec, softened, top_slates
from recsim_env.env import Observation
from recsim_env.errors import AgentError, InvalidParameter
from recsim_env.parameters import param

KEPT_ROWS = 50_000  # users seen in the warm-up that the scales are fitted to at most


class Optimiser(IntEnum):
    """What follows the gradient."""

    RADAM = 0
    ADAMW = 1


@dataclass(frozen=True)
class PQNConfig(AgentConfig):
    """Settings of `pqn`; the defaults are those that the paper's authors published for MinAtar."""

    users: int = param(128, "users side by side in training", low=1)
    hidden: int = param(128, "width of the two hidden layers", low=1)
    normalise: bool = param(True, "whether the hidden layers are normalised")
    optimiser: Optimiser = param(Optimiser.RADAM, "radam, which knows no weight decay, or adamw")
    gamma: float = param(0.99, "discount of the next step; 1 only where sessions are not cut", low=0, high=1)
    trace: float = param(
        0.65, "lambda: 0 believes the value after a step, 1 waits for the rollout's end", low=0, high=1
    )
    rollout: int = param(32, "steps of all users between two rounds of learning", low=1)
    epochs: int = param(2, "times that a rollout is learnt from", low=1)
    batch: int = param(128, "user-steps an update", low=1)
    learning_rate: float = param(5e-4, "falls linearly to 0", low=0)
    weight_decay: float = param(0.0, "of adamw", low=0)
    warm_up: float = param(0.03, "share of the budget played at random first, to fit the scales", low=0, high=0.5)
    epsilon: float = param(0.05, "exploration at the end; it falls linearly from 1", low=0, high=1)
    exploring: float = param(0.1, "share of the budget over which exploration falls", low=0.001, high=1)
    totals: bool = param(True, "whether the session's sums so far are seen: memory where state is hidden")
    history: int = param(0, "how many past steps are seen", low=0)
    device: str = param("auto", "auto, cpu or cuda")


class ValueNetwork(nn.Module):
    """(n, U) users and (n, k, F) items to (n, k): a value of the user, and what each candidate adds to it.

    Apart, since the user's value is large and what a candidate adds is small.
    """

    def __init__(self, user_width: int, item_width: int, hidden: int, normalise: bool) -> None:
        super().__init__()
        self.user, self.item = nn.Linear(user_width, hidden), nn.Linear(item_width, hidden, bias=False)
        self.added, self.state = tail(hidden, normalise), tail(hidden, normalise)
        self.known = nn.Linear(user_width, hidden)

    def start(self, generator: torch.Generator) -> None:
        """Initial weights; the last layers' are 0, so that all values are 0 at first."""
        initialise(self, generator)
        for last in (self.added[-1], self.state[-1]):
            nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        for norm in (module for module in self.modules() if isinstance(module, nn.LayerNorm)):
            nn.init.ones_(norm.weight)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        added: Tensor = self.added(self.user(users)[:, None] + self.item(items))[..., 0]
        return added + self.state(self.known(users))


def tail(hidden: int, normalise: bool) -> nn.Sequential:
    """What follows the first linear layer: two hidden layers and one number."""

    def norm() -> nn.Module:
        return nn.LayerNorm(hidden) if normalise else nn.Identity()

    relu = nn.ReLU(inplace=True)
    return nn.Sequential(norm(), relu, nn.Linear(hidden, hidden), norm(), relu, nn.Linear(hidden, 1))


class PQN(NetworkAgent, Ranker):
    """Values of candidates by a network, learnt from the lambda returns of what was just played."""

    Config = PQNConfig

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec, means=True)
        if config.optimiser == Optimiser.RADAM and config.weight_decay:
            raise InvalidParameter(f"pqn: radam knows no weight decay ({config.weight_decay:g}); use optimiser=adamw")
        network = ValueNetwork(*self.widths, config.hidden, config.normalise)
        network.start(seeded(config.seed, torch.device("cpu")))
        self.learn_with(network, fused=True)
        if config.optimiser == Optimiser.RADAM:
            (group,) = self.optimiser.param_groups
            on_gpu = self.device.type == "cuda"
            self.optimiser = torch.optim.RAdam(group["params"], group["lr"], foreach=True, capturable=on_gpu)

    def slow(self, left: float) -> None:
        """Set the learning rate for a share `left` of the budget: it falls to 0."""
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(self.config.learning_rate * left)
            else:
                group["lr"] = self.config.learning_rate * left

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Play at random for the warm-up; then play rollouts, and learn from each one for some epochs.

        Who goes on from earlier training plays no warm-up, and explores no more than at the end.

        Raises:
            AgentError: the budget does not reach for the warm-up and a step, or gamma is 1 though sessions are cut.
        """
        check_discount(self.config.gamma, self.spec)
        with one_thread():
            Training(self, envs, steps, log).run()

    @torch.inference_mode()
    def scores(self, observation: Observation) -> np.ndarray:
        """(n, C) values of the candidates, in units of the scaled reward."""
        inputs = self.features.users(observation), self.features.offered(observation)
        return np.asarray(in_parts(self.network, *inputs).cpu().numpy())


@dataclass(frozen=True)
class Step:
    """One step of n users.

    Attributes:
        users, shown: (n, U) and (n, S, F) as the network takes them.
        value: (n,) of the best slate before the step, as the network believed.
        rewards: (n,) scaled.
        terminated, ended: (n,) bool.
        cut: (n,) bool, sessions that were cut: their `last_value` (n,) is that of their last observation.
    """

    users: Tensor
    shown: Tensor
    value: Tensor
    rewards: Tensor
    terminated: Tensor
    ended: Tensor
    cut: Tensor
    last_value: Tensor


class Training:
    """Plays and learns in turn."""

    def __init__(self, agent: PQN, envs: Any, steps: int, log: Log) -> None:
        self.agent, self.envs, self.log = agent, envs, log
        self.config: PQNConfig = agent.config
        self.rng = np.random.default_rng([self.config.seed, agent.played])
        self.generator = seeded(int(self.rng.integers(2**62)), agent.device)
        self.update = Repeated(self._update, agent.device)
        self.begins, self.rounds, self.played = agent.played == 0, steps // envs.num_envs, 0
        if self.rounds < 2:
            raise AgentError(f"pqn needs a budget of two steps of its {envs.num_envs} users at least, not {steps}")

    @property
    def share(self) -> float:
        """How much of the budget is played, from 0 to 1."""
        return self.played / self.rounds

    def run(self) -> None:
        observation, _ = self.envs.reset()
        if self.begins:
            observation = self._look(observation)
        while self.played < self.rounds:
            steps: list[Step] = []
            for _ in range(min(self.config.rollout, self.rounds - self.played)):
                step, observation = self._play(observation)
                steps.append(step)
            returns = self._returns(steps, self._value(observation))
            self._learn(torch.cat([s.users for s in steps]), torch.cat([s.shown for s in steps]), returns)

    def _step(self, slates: np.ndarray) -> Any:
        self.played += 1
        self.agent.played += self.envs.num_envs
        return self.envs.step(slates)

    def _look(self, observation: Observation) -> Observation:
        """Play at random and fit the scales: rewards by the spread of their returns, so that values are near 1."""
        rounds, places = max(1, int(self.rounds * self.config.warm_up)), self.agent.spec.slate_size
        seen: list[Observation] = []
        columns: tuple[list[Tensor], ...] = ([], [], [])  # rewards, terminated, ended
        for _ in range(rounds):
            seen.append(some_of(observation, max(1, KEPT_ROWS // rounds)))
            slates = top_slates(
                self.rng.random((self.envs.num_envs, self.agent.spec.num_candidates)), observation, places
            )
            observation, earned, over, cut, _ = self._step(slates)
            for column, values in zip(columns, (earned, over, over | cut), strict=True):
                column.append(torch.as_tensor(values))
        fit_scales(self.agent.features, seen)
        rewards, terminated, ended = (torch.stack(column) for column in columns)
        returns = lambda_returns(rewards, torch.zeros_like(rewards), terminated, ended, self.config.gamma, 1.0)
        self.agent.reward_scale = float(returns.std(correction=0)) or 1.0
        return observation

    @torch.no_grad()
    def _play(self, observation: Observation) -> tuple[Step, Observation]:
        """One step of all users, epsilon-greedily, and what is seen after it."""
        features, device, places = self.agent.features, self.agent.device, self.agent.spec.slate_size
        users, items = features.users(observation), features.offered(observation)
        scores = in_parts(self.agent.network, users, items)
        epsilon = falling_epsilon(self.config.epsilon, self.share if self.begins else 1.0, self.config.exploring)
        slates = top_slates(softened(scores.cpu().numpy(), epsilon, self.rng), observation, places)
        after, rewards, terminated, truncated, info = self._step(slates)
        shown = torch.as_tensor(slates, device=device)[..., None].expand(-1, -1, items.shape[2])
        cut, last_value = truncated & ~terminated, torch.zeros(len(users), device=device)
        if cut.any():
            final = with_final(after, info["final_obs"], cut)
            last_value[torch.as_tensor(cut, device=device)] = self._value({k: v[cut] for k, v in final.items()})
        step = Step(
            users=users,
            shown=items.expand(len(users), -1, -1).gather(1, shown),
            value=best_value(scores, features.allowed(observation), places),
            rewards=torch.as_tensor(rewards / self.agent.reward_scale, dtype=torch.float32, device=device),
            terminated=torch.as_tensor(terminated, device=device),
            ended=torch.as_tensor(terminated | truncated, device=device),
            cut=torch.as_tensor(cut, device=device),
            last_value=last_value,
        )
        return step, after

    @torch.no_grad()
    def _value(self, observation: Observation) -> Tensor:
        """(n,) of the best slate."""
        features = self.agent.features
        scores = in_parts(self.agent.network, features.users(observation), features.offered(observation))
        return best_value(scores, features.allowed(observation), self.agent.spec.slate_size)

    def _returns(self, steps: list[Step], value: Tensor) -> Tensor:
        """(N,) lambda returns of all steps; `value` (n,) is that of what was seen at last."""
        followed = [s.value for s in steps[1:]] + [value]
        next_values = [torch.where(s.cut, s.last_value, v) for s, v in zip(steps, followed, strict=True)]
        columns = (torch.stack([getattr(s, name) for s in steps]) for name in ("rewards", "terminated", "ended"))
        rewards, terminated, ended = columns
        config = self.config
        returns = lambda_returns(rewards, torch.stack(next_values), terminated, ended, config.gamma, config.trace)
        return returns.flatten()

    def _learn(self, users: Tensor, shown: Tensor, returns: Tensor) -> None:
        """Some epochs of minibatches."""
        self.agent.slow(1.0 - self.share)
        losses = []
        for _ in range(self.config.epochs):
            order = torch.randperm(len(returns), generator=self.generator, device=returns.device)
            for rows in torch.split(order, self.config.batch):
                losses.append(self.update(users[rows], shown[rows], returns[rows])["loss"])
        self.log.scalar("train/loss", float(torch.stack(losses).mean()))

    def _update(self, users: Tensor, shown: Tensor, returns: Tensor) -> dict[str, Tensor]:
        """One step of the optimiser toward the returns (n,) of what was shown."""
        loss = nn.functional.mse_loss(self.agent.network(users, shown).mean(1), returns)
        self.agent.descend(loss)
        return {"loss": loss.detach()}
