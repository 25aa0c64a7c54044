"""SlateQ (Ie et al., 2019): the value of a slate from the values of what may be clicked in it, learnt off-policy.

It assumes that a user clicks at most one item of a slate, and that reward and transition depend on that item alone (on
nothing else of the slate). The first is checked on the slates played at random, and so is that a slate without a click
always brings the same reward; a world that breaks either is refused. A session goes on after a slate without a click,
and what follows has a value: that of the null item, which stands in every slate of the paper. The agent that its
authors released learns from clicked steps alone and takes no click for 0; `null=False` does the same.

`clicks="independent"` is a method of this project, and not SlateQ: for users who click each item or not, whatever else
they click. The value of a slate is then a sum over its items (see `agents.click_values`); with `context` an item's
worth depends on what is above it, and slates are built place by place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.choice_values import ChoiceValues
from agents.click_values import ClickValues
from agents.experience import Transition
from agents.network_agent import NetworkAgent
from agents.off_policy import OffPolicyConfig, OffPolicyTraining
from agents.profiles import Profiles
from agents.slate_values import Offer, ranks
from agents.torch_tools import initialise, one_thread, seeded
from recsim_env.agent import Log, WorldSpec
from recsim_env.env import Observation
from recsim_env.errors import AgentError, InvalidParameter
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
class SlateQConfig(OffPolicyConfig):
    """Settings of `slate_q`. Of many candidates those are kept for the next step that are worth most alone."""

    gamma: float = param(1.0, "discount of the next step; 1 only where sessions are not cut", low=0, high=1)
    clicks: Clicks = param(
        Clicks.SINGLE,
        "single: users click one item at most, as in the paper; independent: each by itself, our own method",
    )
    choice: Choice = param(Choice.LEARNT, "single: the choice model, learnt from clicks or told by the world")
    null: bool = param(
        True,
        "single: whether no click has a value, as in the paper; false equals the released agent: loss on clicked steps",
    )
    optimise: Optimise = param(Optimise.EXACT, "single: how the best slate is found")
    context: bool = param(True, "independent: whether an item's worth depends on what is above it")
    target: Target = param(Target.Q, "whose slate follows: the best, or the behaviour policy's")


class SlateQ(NetworkAgent):
    """Slates by the value of what may be clicked in them."""

    Config = SlateQConfig

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec, means=True)
        refuse_unused(config)
        self.given = config.choice == Choice.GIVEN
        if self.given and spec.choice_logits is None:
            raise AgentError("slate_q: this world tells no choice model of single clicks; use choice=learnt")
        if config.next_candidates < spec.slate_size:
            raise AgentError(
                f"slate_q: next_candidates must be at least the slate's {spec.slate_size} places, "
                f"not {config.next_candidates}"
            )
        self.profiles = Profiles(spec, self.features)
        network: ChoiceValues | ClickValues
        if config.clicks == Clicks.SINGLE:
            network = ChoiceValues(
                *self.widths, spec.slate_size, config.hidden, config.null, config.optimise.name.lower()
            )
        else:
            sizes = self.profiles.count, spec.slate_size, config.hidden
            network = ClickValues(*self.widths, *sizes, config.context, config.next_candidates)
        places = network.places.detach().clone()
        initialise(network, seeded(config.seed, torch.device("cpu")))
        with torch.no_grad():
            network.places.copy_(places)
        self.learn_with(network)

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """See `OffPolicyTraining`.

        Raises:
            AgentError: also where the world's clicks are not what is assumed.
        """
        with one_thread():
            Training(self, envs, steps, log).run()

    def offer(self, observation: Observation) -> Offer:
        """The candidates on offer; of ids each once."""
        features, logits = self.features, None
        if self.given and self.spec.choice_logits is not None:
            logits = torch.as_tensor(self.spec.choice_logits(observation), dtype=torch.float32, device=self.device)
        items, profiles = features.offered(observation), self.profiles(observation)
        users, allowed = features.users(observation), features.allowed(observation)
        return Offer(users, items, allowed, logits, features.raw_items(items), profiles)

    @torch.inference_mode()
    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        offer = self.offer(observation)
        return np.asarray(self.network.best(offer, self.spec.slate_size).cpu().numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        return {**super().arrays(), "profiles_scale": self.profiles.scale}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(arrays)
        self.profiles.scale = arrays["profiles_scale"]


class Training(OffPolicyTraining):
    """Learns the values of outcomes, and the choice model from what was clicked."""

    def __init__(self, agent: SlateQ, envs: Any, steps: int, log: Log) -> None:
        super().__init__(agent, envs, steps, log)
        self.policy = agent

    def begin(self, first: list[Transition]) -> None:
        check_clicks(self.config.clicks, first)
        super().begin(first)
        self.policy.profiles.fit([t.observation for t in first])
        if self.config.gamma < 1.0:
            self.agent.reward_scale /= 1.0 - self.config.gamma  # values are then about as large as rewards were

    def explore(self, observation: Observation) -> np.ndarray:
        drawn = self.random.act(observation, self.rng)
        explored = self.rng.random(len(drawn)) < self.epsilon
        return np.where(explored[:, None], drawn, self.policy.act(observation, self.rng))

    @torch.no_grad()
    def keep(self, t: Transition) -> None:
        """Put a step of all users into the replay: what was shown and clicked, and what may be shown next."""
        agent, following = self.policy, self.policy.offer(t.following)
        worth = None
        if agent.spec.num_candidates > self.config.next_candidates:
            worth = agent.network.worth(following).cpu().numpy()
        now = {f"shown_{name}": part for name, part in self.offers.at(t.observation, t.slates).items()}
        after = {f"next_{name}": part for name, part in self.offers.keep(t.following, worth).items()}
        after |= {"next_users": following.users, "next_profiles": following.profiles}
        before = agent.offer(t.observation)
        now |= {"users": before.users, "profiles": before.profiles}
        if before.logits is not None and following.logits is not None:
            shown = torch.as_tensor(t.slates, device=agent.device)
            now["shown_logits"], after["next_logits"] = before.logits.gather(1, shown), following.logits
        told = {"clicked": t.info["clicked"], "paid": t.rewards / agent.reward_scale}
        now |= {name: torch.as_tensor(np.array(values, np.float32)) for name, values in told.items()}
        self.remember(t, now, after)

    def update(self) -> dict[str, Tensor]:
        places = self.replay.draw(self.config.batch, self.generator)
        return self.learn(places, *(self._explored(len(places)) if self.config.target == Target.SARSA else ()))

    def _explored(self, count: int) -> tuple[Tensor, Tensor]:
        """(count, K) what random slates are ranked by, and (count,) bool: who follows them."""
        shape, device = (count, self.replay.parts["next_allowed"].shape[1]), self.agent.device
        chance = torch.rand(shape, generator=self.generator, device=device)
        return chance, torch.rand(count, generator=self.generator, device=device) < self.epsilon

    def learn_from(self, places: Tensor, *more: Tensor) -> dict[str, Tensor]:
        """See `OffPolicyTraining`; `more` is what SARSA explores with."""
        batch = self.replay[places]
        shown, targets = self._offer(batch, "shown_"), self._targets(batch, *more)
        losses = self.agent.network.losses(shown, batch["clicked"], batch["paid"], targets)
        self.descend(torch.stack(list(losses.values())).sum())
        return {f"train/{name}": loss.detach() for name, loss in losses.items()}

    def _offer(self, batch: Mapping[str, Tensor], prefix: str) -> Offer:
        """What was shown, or what was on offer next."""
        kept = {name.removeprefix(prefix): part for name, part in batch.items() if name.startswith(prefix)}
        items, (users, profiles) = (
            self.offers.items(kept),
            (kept.get(name, batch[name]) for name in ("users", "profiles")),
        )
        allowed = kept.get("allowed", torch.ones_like(items[..., 0], dtype=torch.bool))
        return Offer(users, items, allowed, kept.get("logits"), self.agent.features.raw_items(items), profiles)

    @torch.no_grad()
    def _targets(self, batch: Mapping[str, Tensor], *explored: Tensor) -> Tensor:
        """r + discount times the target network's value of what follows: the network's best slate, or also others."""
        following = self._offer(batch, "next_")
        slates = self.agent.network.best(following, self.agent.spec.slate_size)
        if explored:
            chance, those = explored
            slates = torch.where(those[:, None], ranks(chance, following.allowed, slates.shape[1]), slates)
        values = self.target.value(following, slates)
        return batch["rewards"] + batch["discounts"] * values


def refuse_unused(config: SlateQConfig) -> None:
    """Refuse settings that the other kind of clicks is for: they would change nothing.

    Raises:
        InvalidParameter: one of them is not at its default.
    """
    single = config.clicks == Clicks.SINGLE
    for name in ("context",) if single else ("choice", "null", "optimise"):
        if getattr(config, name) != SlateQConfig.__dataclass_fields__[name].default:
            rule = f"slate_q: {name} is for clicks={'independent' if single else 'single'}"
            raise InvalidParameter(
                f"{rule}, and changes nothing with clicks={config.clicks.name.lower()}; leave it out"
            )


def check_clicks(clicks_are: Clicks, played: list[Transition]) -> None:
    """Refuse a world whose random slates show that clicks are not what is assumed.

    Raises:
        AgentError: several clicks in a slate where one at most is assumed, or rewards without a click that differ; no
            slate with several clicks where independent ones would have brought many.
    """
    clicked = np.concatenate([t.info["clicked"] for t in played]) > 0
    rewards, clicks = np.concatenate([t.rewards for t in played]), clicked.sum(axis=1)
    if clicks_are == Clicks.SINGLE:
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
