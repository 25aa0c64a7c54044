"""Neural collaborative filtering (He et al., 2017): a generalised matrix factorisation beside a perceptron.

Trained on logged impressions to predict the world's label of an item shown to a user. Where users and items
have ids, both halves embed the ids; everywhere they embed the features.
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
from agents.random_slates import RandomSlates
from agents.torch_tools import Dropout, find_device, initialise, one_thread, seeded, set_weights, weights_of
from recsim_env.agent import AgentConfig, Log, Ranker, WorldSpec
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.logs import Interactions, collect
from recsim_env.parameters import param


@dataclass(frozen=True)
class NCFConfig(AgentConfig):
    """Settings of `ncf`."""

    embedding: int = param(16, "width of each embedding", low=1)
    hidden: int = param(32, "width of the perceptron's hidden layer", low=1)
    learning_rate: float = param(2e-3, "of AdamW", low=0)
    weight_decay: float = param(1e-2, "of AdamW", low=0)
    dropout: float = param(0.1, "in the perceptron", low=0, high=0.9)
    batch: int = param(512, "impressions an update", low=1)
    epochs: int = param(20, "passes over the log at most", low=1)
    patience: int = param(3, "epochs without a better validation loss before it stops", low=1)
    validation: float = param(0.1, "share of the log's sessions kept for validation", low=0.01, high=0.5)
    unknown_id: float = param(
        0.1, "how often an id is hidden in training, so that new ids can be served", low=0, high=1
    )
    totals: bool = param(False, "whether the session's sums so far are seen")
    device: str = param("auto", "auto, cpu or cuda")


class Embedding(nn.Module):
    """An id and features to one vector; id 0 stands for unknown."""

    def __init__(self, ids: int, width: int, embedding: int) -> None:
        super().__init__()
        self.ids = nn.Embedding(ids + 1, embedding) if ids else None
        self.features = nn.Linear(width, embedding)

    def forward(self, ids: Tensor, features: Tensor) -> Tensor:
        embedded: Tensor = self.features(features)
        return embedded if self.ids is None else embedded + self.ids(ids)


class NeuMF(nn.Module):
    """Users (n, …) and items (n, k, …) to (n, k) logits."""

    def __init__(
        self, users: tuple[int, int], items: tuple[int, int], config: NCFConfig, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.gmf_user, self.gmf_item = Embedding(*users, config.embedding), Embedding(*items, config.embedding)
        self.mlp_user, self.mlp_item = Embedding(*users, config.embedding), Embedding(*items, config.embedding)
        self.mlp = nn.Sequential(
            nn.ReLU(), Dropout(config.dropout, generator), nn.Linear(2 * config.embedding, config.hidden), nn.ReLU()
        )
        self.output = nn.Linear(config.embedding + config.hidden, 1)

    def forward(self, user_ids: Tensor, users: Tensor, item_ids: Tensor, items: Tensor) -> Tensor:
        product = self.gmf_user(user_ids, users)[:, None] * self.gmf_item(item_ids, items)
        item = self.mlp_item(item_ids, items)
        user = self.mlp_user(user_ids, users)[:, None].expand_as(item)
        mixed = self.mlp(torch.cat([user, item], dim=-1))
        logits: Tensor = self.output(torch.cat([product, mixed], dim=-1))[..., 0]
        return logits


class NCF(Ranker):
    """Ranks candidates by the predicted label of showing them."""

    Config = NCFConfig
    learns = True

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.encoder, self.device = Encoder(spec), find_device(config.device)
        label = next(f for f in spec.responses if f.name == spec.label)
        self.classifies = (label.low, label.high) == (0, 1)
        self.user_scale = Standardiser(self.encoder.user_width)
        self.item_scale = Standardiser(self.encoder.item_width)
        users = (self.encoder.num_users, self.encoder.user_width)
        items = (self.encoder.num_items, self.encoder.item_width)
        generator = seeded(config.seed, self.device)
        self.network = NeuMF(users, items, config, generator).to(self.device).eval()
        initialise(self.network, generator)

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals}

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Spend the budget on a log of random slates, then fit it.

        Raises:
            AgentError: the budget does not reach for one step of all users.
        """
        if steps < envs.num_envs:
            raise AgentError(f"ncf needs a budget of at least one step of its {envs.num_envs} users, not {steps}")
        behaviour = RandomSlates(AgentConfig(), self.spec)
        logged = collect(envs, behaviour, steps, np.random.default_rng(self.config.seed))
        with one_thread():
            Fit(self, logged, log).run()

    def inputs(self, observation: Observation) -> list[Tensor]:
        """User ids, users, item ids and items as the network takes them; ids are 1 higher, 0 is unknown."""
        n, count = len(next(iter(observation.values()))), self.spec.num_candidates
        user_ids = self.encoder.user_ids(observation) + 1 if self.encoder.num_users else np.zeros(n, np.int64)
        item_ids = self.encoder.item_ids(observation) + 1 if self.encoder.num_items else np.zeros((n, count), np.int64)
        users = self.user_scale(self.encoder.users(observation))
        items = self.item_scale(self.encoder.items(observation))
        return [torch.as_tensor(x, device=self.device) for x in (user_ids, users, item_ids, items)]

    def scores(self, observation: Observation) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(self.network(*self.inputs(observation)).cpu().numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        scales = {"user_mean": self.user_scale.mean, "user_scale": self.user_scale.scale}
        scales |= {"item_mean": self.item_scale.mean, "item_scale": self.item_scale.scale}
        return {**scales, **weights_of(self.network)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.user_scale.mean, self.user_scale.scale = arrays["user_mean"], arrays["user_scale"]
        self.item_scale.mean, self.item_scale.scale = arrays["item_mean"], arrays["item_scale"]
        set_weights(self.network, arrays)


class Fit:
    """Fits an `NCF` to logged impressions, with a validation split by session and early stopping."""

    def __init__(self, agent: NCF, logged: Interactions, log: Log) -> None:
        self.agent, self.log = agent, log
        self.config: NCFConfig = agent.config
        self.rng = np.random.default_rng(self.config.seed + 1)
        self.generator = seeded(self.config.seed + 2, agent.device)
        observation = logged.observations
        agent.user_scale.fit(agent.encoder.users(dict(observation)))
        shown = at_slates(agent.encoder.items(dict(observation)), logged.slates)
        agent.item_scale.fit(shown.reshape(-1, shown.shape[-1]))
        user_ids, users, item_ids, items = agent.inputs(dict(observation))
        slates = torch.as_tensor(logged.slates, device=agent.device)
        rows = torch.arange(len(slates), device=agent.device)[:, None]
        self.inputs = [user_ids, users, item_ids[rows, slates], items[rows, slates]]
        self.labels = self._labels(logged.responses[agent.spec.label])
        self.fitted, self.validated = self._split(logged)

    def _labels(self, values: np.ndarray) -> Tensor:
        """(T, S): as they are where they are clicks, standardised where they are amounts."""
        if not self.agent.classifies:
            values = (values - values.mean()) / (values.std() or 1.0)
        return torch.as_tensor(values, dtype=torch.float32, device=self.agent.device)

    def _split(self, logged: Interactions) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers to fit and to validate on: whole sessions."""
        sessions = np.unique(np.stack([logged.user, logged.session]), axis=1, return_inverse=True)[1].ravel()
        held = self.rng.random(sessions.max() + 1) < self.config.validation
        held[self.rng.integers(len(held))] = True
        fitted = np.flatnonzero(~held[sessions])
        return (fitted if len(fitted) else np.arange(len(logged))), np.flatnonzero(held[sessions])

    def run(self) -> None:
        network = self.agent.network
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )
        best, weights, waited = np.inf, deepcopy(network.state_dict()), 0
        for _ in range(self.config.epochs):
            self.log.scalar("train/loss", self._epoch(optimiser))
            loss = self._validation_loss()
            self.log.scalar("train/validation_loss", loss)
            waited += 1
            if loss < best:
                best, weights, waited = loss, deepcopy(network.state_dict()), 0
            if waited >= self.config.patience:
                break
        network.load_state_dict(weights)

    def _loss(self, rows: np.ndarray, hide: bool) -> Tensor:
        user_ids, users, item_ids, items = (part[rows] for part in self.inputs)
        if hide:
            user_ids, item_ids = self._hide(user_ids), self._hide(item_ids)
        logits = self.agent.network(user_ids, users, item_ids, items)
        measure = nn.functional.binary_cross_entropy_with_logits if self.agent.classifies else nn.functional.mse_loss
        return measure(logits, self.labels[rows])

    def _hide(self, ids: Tensor) -> Tensor:
        chance = torch.rand(ids.shape, generator=self.generator, device=ids.device)
        return torch.where(chance < self.config.unknown_id, torch.zeros_like(ids), ids)

    def _epoch(self, optimiser: torch.optim.Optimizer) -> float:
        """One pass over the fitted rows; the mean loss."""
        order, losses = self.rng.permutation(self.fitted), []
        self.agent.network.train()
        for start in range(0, len(order), self.config.batch):
            loss = self._loss(order[start : start + self.config.batch], hide=True)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
        self.agent.network.eval()
        return float(np.mean(losses))

    @torch.no_grad()
    def _validation_loss(self) -> float:
        parts = np.array_split(self.validated, max(1, len(self.validated) // 4096))
        return float(sum(self._loss(rows, hide=False).item() * len(rows) for rows in parts) / len(self.validated))
