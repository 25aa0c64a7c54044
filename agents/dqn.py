"""Deep Q-learning (Mnih et al., 2015) for many users at once, with the improvements that are known to matter.

Each is a setting: double targets (van Hasselt et al., 2016), a dueling network (Wang et al., 2016), n-step returns
and prioritized replay (Schaul et al., 2016); `offline` learns from a log of random slates. One network scores each
candidate from what is known of the user and the candidate's features. A slate of several items is worth the mean of
its items (a value decomposition, Sunehag et al., 2018), so that the best slate is the top items; a slate of one is
plain DQN.

Of the next step's candidates at most `next_candidates` are kept, a random sample: the maximum in a target is then over
the sample, and in a world with no more candidates it is exact.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.experience import Transition, check_discount, interact
from agents.networks import CandidateNetwork, Features, UserNetwork
from agents.random_slates import RandomSlates
from agents.replay import Offers, Replay, n_step
from agents.torch_tools import (
    find_device,
    initialise,
    moments_of,
    one_thread,
    seeded,
    set_moments,
    set_weights,
    weights_of,
)
from agents.values import best_places, falling_epsilon, fit_scales, in_parts
from recsim_env.agent import AgentConfig, Log, Ranker, WorldSpec, softened, top_slates
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.parameters import param


@dataclass(frozen=True)
class DQNConfig(AgentConfig):
    """Settings of `dqn`."""

    double: bool = param(True, "whether the network chooses the next slate that the target network values")
    dueling: bool = param(False, "whether the user's value is learnt apart from the candidates' advantages")
    n_step: int = param(1, "steps of rewards before the value of what follows is believed", low=1)
    prioritized: float = param(
        0.0, "exponent of priorities in replay; 0 draws evenly, 0.6 is the paper's", low=0, high=1
    )
    importance: float = param(0.4, "exponent that weighs priorities out again at first; it rises to 1", low=0, high=1)
    offline: bool = param(False, "whether it learns from a log of random slates, without playing itself")
    hidden: int = param(32, "width of the two hidden layers", low=1)
    gamma: float = param(0.99, "discount of the next step; 1 only where sessions are not cut", low=0, high=1)
    learning_rate: float = param(3e-3, "of AdamW; falls linearly to a tenth", low=0)
    weight_decay: float = param(0.1, "of AdamW", low=0)
    batch: int = param(512, "transitions an update", low=1)
    updates: int = param(4, "updates a step of all users", low=1)
    replay: int = param(100_000, "transitions kept; offline all are", low=1)
    next_candidates: int = param(64, "candidates of the next step kept; where there are more, a sample", low=1)
    warm_up: float = param(0.03, "share of the budget played at random before learning", low=0, high=0.5)
    tau: float = param(0.02, "how far the target network moves toward the network at an update", low=0, high=1)
    epsilon: float = param(
        0.05, "exploration at the end; it falls linearly from 1 over a third of the budget", low=0, high=1
    )
    totals: bool = param(True, "whether the session's sums so far are seen: memory where state is hidden")
    history: int = param(0, "how many past steps are seen", low=0)
    device: str = param("auto", "auto, cpu or cuda")


class QNetwork(nn.Module):
    """Values of candidates; dueling: the user's value, and how far a candidate is above the mean on offer."""

    def __init__(self, user_width: int, item_width: int, hidden: int, dueling: bool) -> None:
        super().__init__()
        self.candidates = CandidateNetwork(user_width, item_width, hidden)
        self.user = UserNetwork(user_width, hidden) if dueling else None

    def forward(self, users: Tensor, items: Tensor, allowed: Tensor) -> Tensor:
        """(n, K) of all candidates on offer (n, K, F), of which `allowed` (n, K) bool may be shown."""
        scores: Tensor = self.candidates(users, items)
        return scores + self._level(users, scores, allowed)

    def of_some(self, users: Tensor, some: Tensor, items: Tensor | None, allowed: Tensor | None) -> Tensor:
        """(n, S) of `some` (n, S, F) of the candidates on offer, which only a dueling network needs."""
        scores: Tensor = self.candidates(users, some)
        if items is None or allowed is None:
            return scores
        return scores + self._level(users, self.candidates(users, items), allowed)

    def _level(self, users: Tensor, scores: Tensor, allowed: Tensor) -> Tensor | float:
        """(n, 1) the user's value less the mean advantage; 0 where the network is not dueling."""
        if self.user is None:
            return 0.0
        means = (scores * allowed).sum(1) / allowed.sum(1).clamp(min=1)
        return (self.user(users) - means)[:, None]


class DQN(Ranker):
    """Values of candidates by a network, learnt off-policy from replayed transitions."""

    Config = DQNConfig
    learns = True

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.device = find_device(config.device)
        self.features, self.reward_scale = Features(spec, self.device), 1.0
        widths = self.features.user_width, self.features.item_width
        self.network = QNetwork(*widths, config.hidden, config.dueling)
        initialise(self.network, seeded(config.seed, torch.device("cpu")))
        self.network.to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals, "history": config.history}

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Play at random for the warm-up, then epsilon-greedily, with updates after each step of all users.

        Offline, all is played at random, and then there are as many updates. Who goes on from earlier training plays
        the warm-up by what it learnt, and explores no more than at the end.

        Raises:
            AgentError: the budget does not reach for the warm-up, or gamma is 1 though sessions are cut.
        """
        check_discount(self.config.gamma, self.spec)
        with one_thread():
            Training(self, envs, steps, log).run()

    @torch.inference_mode()
    def scores(self, observation: Observation) -> np.ndarray:
        """(n, C) values of the candidates, in units of the scaled reward."""
        inputs = self.features.users(observation), self.features.items(observation), self.features.allowed(observation)
        return np.asarray(in_parts(self.network, *inputs).cpu().numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        learnt = {**weights_of(self.network), **moments_of(self.optimiser)}
        return {**learnt, **self.features.arrays(), "reward_scale": np.array(self.reward_scale)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.features.restore(arrays)
        self.reward_scale = float(arrays["reward_scale"])
        set_weights(self.network, arrays)
        set_moments(self.optimiser, arrays)


@dataclass(frozen=True)
class Step:
    """One step of n users until it is known what came of it: what was seen, and what is seen after it."""

    transition: Transition
    now: dict[str, Tensor]
    following: dict[str, Tensor]


class Training:
    """What a `DQN` needs only while it learns: replay and target network."""

    def __init__(self, agent: DQN, envs: Any, steps: int, log: Log) -> None:
        self.agent, self.envs, self.log = agent, envs, log
        self.config: DQNConfig = agent.config
        self.rng = np.random.default_rng([self.config.seed, agent.played])
        self.rounds = steps // envs.num_envs
        if not self.rounds:
            raise AgentError(f"dqn needs a budget of at least one step of its {envs.num_envs} users, not {steps}")
        self.warm_up = max(1, int(self.rounds * self.config.warm_up))
        self.random = RandomSlates(AgentConfig(), agent.spec)
        self.begins, self.played, self.learnt = agent.played == 0, 0, 0
        capacity = max(steps if self.config.offline else min(self.config.replay, steps), envs.num_envs)
        self.replay = Replay(capacity, agent.device, self.config.prioritized)
        # A stream of its own: self.rng draws the log that supervised agents with this seed gather too.
        own = np.random.default_rng([self.config.seed, agent.played, 1])
        self.generator = seeded(int(own.integers(2**62)), agent.device)
        self.target = deepcopy(agent.network).requires_grad_(False)
        self.recent: deque[Step] = deque(maxlen=self.config.n_step)

    @property
    def share(self) -> float:
        """How much of the training is done, from 0 to 1."""
        return min(1.0, (self.warm_up + self.learnt) / self.rounds)

    def run(self) -> None:
        steps = interact(self.envs, self._choose, self.rounds * self.envs.num_envs)
        first = [self._count(t) for t in islice(steps, self.warm_up)]
        if self.begins:
            fit_scales(self.agent.features, [t.observation for t in first])
            self.agent.reward_scale = float(np.concatenate([t.rewards for t in first]).std()) or 1.0
        self.offers = Offers(self.agent.features, self.config.next_candidates, self.rng)
        for t in first:
            self._keep(t)
        for t in steps:
            self._keep(self._count(t))
            if not self.config.offline:
                self._learn()
        if self.config.offline:
            for _ in range(self.rounds - self.warm_up):
                self._learn()

    def _count(self, t: Transition) -> Transition:
        self.played += 1
        self.agent.played += self.envs.num_envs
        return t

    def _choose(self, observation: Observation) -> np.ndarray:
        if self.config.offline or (self.begins and self.played < self.warm_up):
            return self.random.act(observation, self.rng)
        epsilon = falling_epsilon(self.config.epsilon, self.share if self.begins else 1.0, 1 / 3)
        scores = softened(self.agent.scores(observation), epsilon, self.rng)
        return top_slates(scores, observation, self.agent.spec.slate_size)

    def _keep(self, t: Transition) -> None:
        """Put the step that is now N steps ago into the replay, with what came of it."""
        users, now = self.agent.features.users, {}
        shown = self.offers.items(self.offers.at(t.observation, t.slates))
        if self.config.dueling:
            now = {f"offered_{name}": part for name, part in self.offers.keep(t.observation).items()}
        following = {f"next_{name}": part for name, part in self.offers.keep(t.following).items()}
        following["next_users"] = users(t.following)
        self.recent.append(Step(t, {**now, "users": users(t.observation), "shown": shown}, following))
        if len(self.recent) == self.config.n_step:
            self.replay.add(self._oldest())

    def _oldest(self) -> dict[str, Tensor]:
        """The oldest of the recent steps as rows of the replay."""
        names = ("rewards", "terminated", "ended")
        rewards, terminated, ended = (np.stack([getattr(s.transition, name) for s in self.recent]) for name in names)
        returns, last, discounts = n_step(rewards, terminated, ended, self.config.gamma)
        numbers = {"rewards": returns / self.agent.reward_scale, "discounts": discounts}
        told = {name: torch.as_tensor(values, dtype=torch.float32) for name, values in numbers.items()}
        ends, users = (torch.as_tensor(x, device=self.agent.device) for x in (last, np.arange(len(last))))
        parts = {name: torch.stack([step.following[name] for step in self.recent]) for name in self.recent[0].following}
        after = {name: part[ends, users] for name, part in parts.items()}
        return {**self.recent[0].now, **after, **told}

    def _learn(self) -> None:
        self.learnt += 1
        if len(self.replay):
            losses = [self._update() for _ in range(self.config.updates)]
            self.log.scalar("train/loss", float(torch.stack(losses).mean()))

    def _update(self) -> Tensor:
        """One step of the optimiser; the loss."""
        network, optimiser, share = self.agent.network, self.agent.optimiser, self.share
        for group in optimiser.param_groups:
            group["lr"] = self.config.learning_rate * (1.0 - 0.9 * share)
        places = self.replay.draw(self.config.batch, self.generator)
        batch = self.replay[places]
        offered = self._part(batch, "offered_") if self.config.dueling else (None, None)
        values = network.of_some(batch["users"], batch["shown"], *offered).mean(1)
        errors = values - self._targets(batch)
        beta = self.config.importance + (1.0 - self.config.importance) * share
        loss = (self.replay.weights(places, beta) * errors.square()).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        self.replay.tell(places, errors.detach())
        with torch.no_grad():
            for old, new in zip(self.target.parameters(), network.parameters(), strict=True):
                old.lerp_(new, self.config.tau)
        return loss.detach()

    def _part(self, batch: Mapping[str, Tensor], prefix: str) -> tuple[Tensor, Tensor]:
        """Features (n, K, F) of candidates in a batch, and which of them are allowed."""
        kept = {name.removeprefix(prefix): part for name, part in batch.items() if name.startswith(prefix)}
        return self.offers.items(kept), kept["allowed"]

    @torch.no_grad()
    def _targets(self, batch: Mapping[str, Tensor]) -> Tensor:
        """r + discount times the target network's value of the best next slate by the network (double) or by itself."""
        users, (items, allowed) = batch["next_users"], self._part(batch, "next_")
        chooser = self.agent.network if self.config.double else self.target
        best = best_places(chooser(users, items, allowed), allowed, self.agent.spec.slate_size)
        some = items.gather(1, best[..., None].expand(-1, -1, items.shape[2]))
        offer = (items, allowed) if self.config.dueling else (None, None)
        return batch["rewards"] + batch["discounts"] * self.target.of_some(users, some, *offer).mean(1)
