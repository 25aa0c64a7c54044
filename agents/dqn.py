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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.experience import Transition
from agents.network_agent import NetworkAgent
from agents.networks import CandidateNetwork, UserNetwork
from agents.off_policy import OffPolicyConfig, OffPolicyTraining
from agents.torch_tools import initialise, one_thread, seeded
from agents.values import best_places, in_parts
from recsim_env.agent import Log, Ranker, WorldSpec, softened, top_slates
from recsim_env.env import Observation
from recsim_env.errors import InvalidParameter
from recsim_env.parameters import param


@dataclass(frozen=True)
class DQNConfig(OffPolicyConfig):
    """Settings of `dqn`."""

    double: bool = param(True, "whether the network chooses the next slate that the target network values")
    dueling: bool = param(False, "whether the user's value is learnt apart from the candidates' advantages")
    prioritized: float = param(
        0.0, "exponent of priorities in replay; 0 draws evenly, 0.6 is the paper's", low=0, high=1
    )
    importance: float = param(0.4, "exponent that weighs priorities out again at first; it rises to 1", low=0, high=1)


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


class DQN(NetworkAgent, Ranker):
    """Values of candidates by a network, learnt off-policy from replayed transitions."""

    Config = DQNConfig

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec, means=True)
        if config.prioritized == 0.0 and config.importance != DQNConfig.__dataclass_fields__["importance"].default:
            raise InvalidParameter("dqn: importance weighs priorities out, and changes nothing with prioritized=0")
        network = QNetwork(*self.widths, config.hidden, config.dueling)
        initialise(network, seeded(config.seed, torch.device("cpu")))
        self.learn_with(network)

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """See `OffPolicyTraining`."""
        with one_thread():
            Training(self, envs, steps, log).run()

    @torch.inference_mode()
    def scores(self, observation: Observation) -> np.ndarray:
        """(n, C) values of the candidates, in units of the scaled reward."""
        features = self.features
        inputs = features.users(observation), features.offered(observation), features.allowed(observation)
        return np.asarray(in_parts(self.network, *inputs).cpu().numpy())


class Training(OffPolicyTraining):
    """Learns the values of slates, the mean of their items', from returns of `n_step` steps."""

    def __init__(self, agent: DQN, envs: Any, steps: int, log: Log) -> None:
        super().__init__(agent, envs, steps, log, agent.config.prioritized)
        self.policy = agent

    def explore(self, observation: Observation) -> np.ndarray:
        scores = softened(self.policy.scores(observation), self.epsilon, self.rng)
        return top_slates(scores, observation, self.agent.spec.slate_size)

    def keep(self, t: Transition) -> None:
        """What was seen and shown, and what may be shown next."""
        users, now = self.agent.features.users, {}
        shown = self.offers.items(self.offers.at(t.observation, t.slates))
        if self.config.dueling:
            now = {f"offered_{name}": part for name, part in self.offers.keep(t.observation).items()}
        following = {f"next_{name}": part for name, part in self.offers.keep(t.following).items()}
        following["next_users"] = users(t.following)
        self.remember(t, {**now, "users": users(t.observation), "shown": shown}, following)

    def update(self) -> dict[str, Tensor]:
        places = self.replay.draw(self.config.batch, self.generator)
        beta = self.config.importance + (1.0 - self.config.importance) * self.share
        found = self.learn(places, self.replay.weights(places, beta))
        self.replay.tell(places, found.pop("errors"))
        return found

    def learn_from(self, places: Tensor, *more: Tensor) -> dict[str, Tensor]:
        """See `OffPolicyTraining`; `more` are the transitions' weights (n,)."""
        batch, (weights,) = self.replay[places], more
        offered = self._part(batch, "offered_") if self.config.dueling else (None, None)
        values = self.agent.network.of_some(batch["users"], batch["shown"], *offered).mean(1)
        errors = values - self._targets(batch)
        loss = (weights * errors.square()).mean()
        self.descend(loss)
        return {"train/loss": loss.detach(), "errors": errors.detach()}

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
