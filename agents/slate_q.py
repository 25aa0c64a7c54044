"""SlateQ (Ie et al., 2019): the value of a slate from the values of what may be clicked in it, learnt off-policy.

It assumes that a user clicks at most one item of a slate, and that reward and transition depend on that item alone (on
nothing else of the slate). The first is checked on the slates played at random, and so is that a slate without a click
always brings the same reward; a world that breaks either is refused. A session goes on after a slate without a click,
and what follows has a value, which the published agents leave out (`null=False`).

`clicks="independent"` is for users who click each item or not, whatever else they click: the value of a slate is then
a sum over its items (see `agents.slate_values`); with `context` an item's worth depends on what is above it, and
slates are built place by place.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.experience import Transition, check_discount, interact
from agents.networks import Features
from agents.random_slates import RandomSlates
from agents.replay import Offers, Replay
from agents.slate_values import ChoiceValues, ClickValues, Items, Offer, ranks
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
from agents.values import falling_epsilon, fit_scales
from recsim_env.agent import Agent, AgentConfig, Log, WorldSpec
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.parameters import param

SURPRISES = 10.0  # slates with several clicks to be expected, where there are none, before clicks count as dependent


class Clicks(IntEnum):
    """How many items of a slate users click."""

    SINGLE = 0
    INDEPENDENT = 1


class Target(IntEnum):
    """Whose slate follows in a target: the best one, or the behaviour policy's."""

    Q = 0
    SARSA = 1


class Optimise(IntEnum):
    """How the best slate is found where at most one item is clicked."""

    TOP_K = 0
    GREEDY = 1
    EXACT = 2


class Choice(IntEnum):
    """Where the choice model comes from: the world tells it, or it is learnt from clicks."""

    LEARNT = 0
    GIVEN = 1


@dataclass(frozen=True)
class SlateQConfig(AgentConfig):
    """Settings of `slate_q`."""

    clicks: Clicks = param(Clicks.SINGLE, "whether users click one item at most, or each by itself")
    choice: Choice = param(Choice.LEARNT, "single: the choice model, learnt from clicks or told by the world")
    null: bool = param(True, "single: whether what follows a slate without a click has a value")
    optimise: Optimise = param(Optimise.EXACT, "single: how the best slate is found")
    context: bool = param(True, "independent: whether an item's worth depends on what is above it")
    target: Target = param(Target.Q, "whose slate follows: the best, or the behaviour policy's")
    offline: bool = param(False, "whether it learns from a log of random slates, without playing itself")
    hidden: int = param(32, "width of the hidden layers", low=1)
    gamma: float = param(1.0, "discount of the next step; 1 only where sessions are not cut", low=0, high=1)
    learning_rate: float = param(3e-3, "of AdamW; falls linearly to a tenth", low=0)
    weight_decay: float = param(0.1, "of AdamW", low=0)
    batch: int = param(512, "transitions an update", low=1)
    updates: int = param(4, "updates a step of all users", low=1)
    replay: int = param(100_000, "transitions kept; offline all are", low=1)
    next_candidates: int = param(64, "candidates of the next step kept: those worth most by themselves", low=1)
    warm_up: float = param(0.03, "share of the budget played at random before learning", low=0, high=0.5)
    tau: float = param(0.02, "how far the target network moves toward the network at an update", low=0, high=1)
    epsilon: float = param(
        0.05, "exploration at the end; it falls linearly from 1 over a third of the budget", low=0, high=1
    )
    totals: bool = param(True, "whether the session's sums so far are seen: memory where state is hidden")
    history: int = param(0, "how many past steps are seen", low=0)
    device: str = param("auto", "auto, cpu or cuda")


class SlateQ(Agent):
    """Slates by the value of what may be clicked in them."""

    Config = SlateQConfig
    learns = True

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.given = config.choice == Choice.GIVEN
        if self.given and (spec.choice_logits is None or config.clicks == Clicks.INDEPENDENT):
            raise AgentError("slate_q: this world tells no choice model of single clicks; use choice=learnt")
        if config.next_candidates < spec.slate_size:
            raise AgentError(
                f"slate_q: next_candidates must be at least the slate's {spec.slate_size} places, "
                f"not {config.next_candidates}"
            )
        self.device = find_device(config.device)
        self.features, self.reward_scale = Features(spec, self.device, means=True), 1.0
        widths = self.features.user_width, self.features.item_width, spec.slate_size, config.hidden
        self.network: ChoiceValues | ClickValues
        if config.clicks == Clicks.SINGLE:
            self.network = ChoiceValues(*widths, config.null, config.optimise.name.lower())
        else:
            self.network = ClickValues(*widths, config.context)
        places = self.network.places.detach().clone()
        initialise(self.network, seeded(config.seed, torch.device("cpu")))
        with torch.no_grad():
            self.network.places.copy_(places)
        self.network.to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals, "history": config.history}

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Play at random for the warm-up, then epsilon-greedily, with updates after each step of all users.

        Offline, all is played at random, and then there are as many updates. Who goes on from earlier training plays
        the warm-up by what it learnt, and explores no more than at the end.

        Raises:
            AgentError: the budget does not reach for a step of all users, gamma is 1 though sessions are cut, or the
                world's clicks are not what is assumed.
        """
        check_discount(self.config.gamma, self.spec)
        with one_thread():
            Training(self, envs, steps, log).run()

    def offer(self, observation: Observation) -> Offer:
        """The candidates on offer; of ids each once."""
        features, logits = self.features, None
        if self.given and self.spec.choice_logits is not None:
            logits = torch.as_tensor(self.spec.choice_logits(observation), dtype=torch.float32, device=self.device)
        if "candidates" in observation:
            items = Items.of(features.items(observation))
        else:
            ids = torch.as_tensor(features.encoder.item_ids(observation), device=self.device)
            items = Items(features.catalogue, ids)
        return Offer(features.users(observation), items, features.allowed(observation), logits)

    @torch.inference_mode()
    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return np.asarray(self.network.best(self.offer(observation), self.spec.slate_size).cpu().numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        learnt = {**weights_of(self.network), **moments_of(self.optimiser)}
        return {**learnt, **self.features.arrays(), "reward_scale": np.array(self.reward_scale)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.features.restore(arrays)
        self.reward_scale = float(arrays["reward_scale"])
        set_weights(self.network, arrays)
        set_moments(self.optimiser, arrays)


class Training:
    """What a `SlateQ` needs only while it learns: replay and target network."""

    def __init__(self, agent: SlateQ, envs: Any, steps: int, log: Log) -> None:
        self.agent, self.envs, self.log = agent, envs, log
        self.config: SlateQConfig = agent.config
        self.rng = np.random.default_rng([self.config.seed, agent.played])
        self.rounds = steps // envs.num_envs
        if not self.rounds:
            raise AgentError(f"slate_q needs a budget of at least one step of its {envs.num_envs} users, not {steps}")
        self.warm_up = max(1, int(self.rounds * self.config.warm_up))
        self.random = RandomSlates(AgentConfig(), agent.spec)
        self.begins, self.played, self.learnt = agent.played == 0, 0, 0
        capacity = max(steps if self.config.offline else min(self.config.replay, steps), envs.num_envs)
        self.replay = Replay(capacity, agent.device)
        own = np.random.default_rng([self.config.seed, agent.played, 1])
        self.generator = seeded(int(own.integers(2**62)), agent.device)
        self.target = deepcopy(agent.network).requires_grad_(False)

    @property
    def share(self) -> float:
        """How much of the training is done, from 0 to 1."""
        return min(1.0, (self.warm_up + self.learnt) / self.rounds)

    @property
    def epsilon(self) -> float:
        return falling_epsilon(self.config.epsilon, self.share if self.begins else 1.0, 1 / 3)

    def run(self) -> None:
        steps = interact(self.envs, self._choose, self.rounds * self.envs.num_envs)
        first = [self._count(t) for t in islice(steps, self.warm_up)]
        if self.begins:
            check_clicks(self.config, first)
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
        drawn = self.random.act(observation, self.rng)
        if self.config.offline or (self.begins and self.played < self.warm_up):
            return drawn
        explored = self.rng.random(len(drawn)) < self.epsilon
        return np.where(explored[:, None], drawn, self.agent.act(observation, self.rng))

    @torch.no_grad()
    def _keep(self, t: Transition) -> None:
        """Put a step of all users into the replay: what was shown and clicked, and what may be shown next."""
        agent, following = self.agent, self.agent.offer(t.following)
        worth = None
        if agent.spec.num_candidates > self.config.next_candidates:
            worth = agent.network.worth(following).cpu().numpy()
        rows = {f"shown_{name}": part for name, part in self.offers.at(t.observation, t.slates).items()}
        rows |= {f"next_{name}": part for name, part in self.offers.keep(t.following, worth).items()}
        rows |= {"users": agent.features.users(t.observation), "next_users": following.users}
        if following.logits is not None:
            now = agent.offer(t.observation).logits
            assert now is not None
            shown = torch.as_tensor(t.slates, device=agent.device)
            rows |= {"shown_logits": now.gather(1, shown), "next_logits": following.logits}
        told = {"clicked": t.info["clicked"], "rewards": t.rewards / agent.reward_scale, "goes_on": ~t.terminated}
        self.replay.add(rows | {name: torch.as_tensor(np.array(x, np.float32)) for name, x in told.items()})

    def _learn(self) -> None:
        self.learnt += 1
        losses = torch.stack([self._update() for _ in range(self.config.updates)]).mean(0)
        self.log.scalar("train/choice_loss", float(losses[0]))
        self.log.scalar("train/loss", float(losses[1]))

    def _update(self) -> Tensor:
        """One step of the optimiser; (2,) the losses of the choice model and of the values."""
        network, optimiser = self.agent.network, self.agent.optimiser
        for group in optimiser.param_groups:
            group["lr"] = self.config.learning_rate * (1.0 - 0.9 * self.share)
        batch = self.replay[self.replay.draw(self.config.batch, self.generator)]
        choice, values = network.losses(self._offer(batch, "shown_"), batch["clicked"], self._targets(batch))
        optimiser.zero_grad(set_to_none=True)
        (choice + values).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        with torch.no_grad():
            for old, new in zip(self.target.parameters(), network.parameters(), strict=True):
                old.lerp_(new, self.config.tau)
        return torch.stack([choice.detach(), values.detach()])

    def _offer(self, batch: Mapping[str, Tensor], prefix: str) -> Offer:
        """What was shown, or what was on offer next."""
        kept = {name.removeprefix(prefix): part for name, part in batch.items() if name.startswith(prefix)}
        users = kept.get("users", batch["users"])
        items = Items.of(self.offers.items(kept)) if "own" in kept else Items(self.offers.catalogue, kept["ids"].long())
        allowed = kept.get("allowed", torch.ones_like(items.rows_of, dtype=torch.bool))
        return Offer(users, items, allowed, kept.get("logits"))

    @torch.no_grad()
    def _targets(self, batch: Mapping[str, Tensor]) -> Tensor:
        """r + gamma times the target network's value of the slate that follows: the network's best, or also others."""
        following = self._offer(batch, "next_")
        slates = self.agent.network.best(following, self.agent.spec.slate_size)
        if self.config.target == Target.SARSA:
            chance = torch.rand(following.items.rows_of.shape, generator=self.generator, device=self.agent.device)
            explored = torch.rand(len(slates), generator=self.generator, device=self.agent.device) < self.epsilon
            drawn = ranks(chance, following.allowed, slates.shape[1])
            slates = torch.where(explored[:, None], drawn, slates)
        values = self.target.value(following, slates)
        return batch["rewards"] + self.config.gamma * batch["goes_on"] * values


def check_clicks(config: SlateQConfig, played: list[Transition]) -> None:
    """Refuse a world whose random slates show that clicks are not what is assumed.

    Raises:
        AgentError: several clicks in a slate where one at most is assumed, or rewards without a click that differ; no
            slate with several clicks where independent ones would have brought many.
    """
    clicked = np.concatenate([t.info["clicked"] for t in played]) > 0
    rewards, clicks = np.concatenate([t.rewards for t in played]), clicked.sum(axis=1)
    if config.clicks == Clicks.SINGLE:
        if clicks.max() > 1:
            raise AgentError(
                f"slate_q assumes at most one click a slate, but this world's users clicked {clicks.max()} items of "
                "one; try clicks=independent"
            )
        without = rewards[clicks == 0]
        if len(without) and np.ptp(without) > 1e-9:
            raise AgentError(
                "slate_q assumes that the reward depends on the clicked item alone, but slates without a click "
                f"brought rewards from {without.min():g} to {without.max():g}"
            )
        return
    rates = clicked.mean(axis=0)
    several = len(clicks) * (1.0 - np.prod(1.0 - rates) * (1.0 + (rates / (1.0 - rates + 1e-12)).sum()))
    if clicked.shape[1] > 1 and clicks.max() <= 1 and several > SURPRISES:
        raise AgentError(
            "slate_q with clicks=independent assumes that items are clicked whatever else is, but none of "
            f"{len(clicks):,} slates got two clicks where about {several:.0f} should have; use clicks=single"
        )
