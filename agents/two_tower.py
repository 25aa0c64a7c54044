"""Two towers (Yi et al., 2019): users and items as vectors of one space, fitted by a softmax over the batch.

Everything known of the user goes into one tower: features of state and context, such as age and region, the id, and
with `history` the mean vector of what was liked before (Covington et al., 2016), by which strangers are known. All that
is known of the item goes into the other: features, the catalogue's, the id, and where the world has them its text,
picture and people; see `agents.side_information`. The softmax says which item got the positive label, the other
positives of the batch being what it is told from; these come as often as they are popular, which the correction takes
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.embeddings import Embedding, hidden
from agents.fitting import Batch, Fit
from agents.impressions import Context, Impressions
from agents.items import History
from agents.liked import Liked
from agents.side_information import side_information
from agents.supervised import NeuralConfig, NeuralRecommender
from agents.torch_tools import Dropout
from recsim_env.agent import WorldSpec
from recsim_env.parameters import param


@dataclass(frozen=True)
class TwoTowerConfig(NeuralConfig):
    """Settings of `two_tower`."""

    embedding: int = param(32, "width of the vectors that are compared", low=1)
    hidden: int = param(64, "width of each tower's hidden layer", low=1)
    temperature: float = param(0.1, "what the cosine of two vectors is divided by", low=0.001)
    log_q: bool = param(True, "whether the softmax is corrected for popular items being in more batches")
    unknown_id: float = param(
        0.1, "how often an id is hidden in training, so that new ids can be served", low=0, high=1
    )
    totals: bool = param(False, "whether the session's sums so far are seen")
    history: int = param(0, "past steps of the session of which it is seen what was liked", low=0, high=10_000)
    content: bool = param(True, "whether items' texts, pictures and people are seen, in worlds that have them")


class Tower(nn.Module):
    """Ids (…,) and features (…, F) to vectors (…, embedding) of length 1."""

    def __init__(self, ids: int, features: int, config: TwoTowerConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.embedding = Embedding(ids, features, config.hidden)
        self.layers = nn.Sequential(
            nn.ReLU(), Dropout(config.dropout, generator), nn.Linear(config.hidden, config.embedding)
        )

    def forward(self, ids: Tensor, features: Tensor, more: Tensor | float = 0.0) -> Tensor:
        """`more` (…, hidden) is added to what ids and features come to."""
        return nn.functional.normalize(self.layers(self.embedding(ids, features) + more), dim=-1)


class Towers(nn.Module):
    """One for users, one for items, each with (ids, features); `liked` (ids, features) are vectors of past items."""

    def __init__(
        self,
        users: tuple[int, int],
        items: tuple[int, int],
        liked: tuple[int, int],
        config: TwoTowerConfig,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.user, self.item = Tower(*users, config, generator), Tower(*items, config, generator)
        self.liked = Liked(*liked, config.hidden) if config.history else None


class TwoTower(NeuralRecommender):
    """Ranks candidates by the cosine of their vectors with the user's.

    Attributes:
        side: (items, F) what their content says, None without any.
        correction: (items,) the log of how often each comes in batches, over how often it was on show.
    """

    Config = TwoTowerConfig
    uses_user_ids = True
    network: Towers

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        content = spec.content() if config.content else None
        self.side = None if content is None else side_information(content)
        super().__init__(config, spec)
        self.correction = np.zeros(self.index.size, np.float32)

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals, "history": config.history}

    def known_width(self) -> int:
        return super().known_width() + (0 if self.side is None else self.side.shape[1])

    def known_of(self, items: np.ndarray, features: np.ndarray) -> np.ndarray:
        known = super().known_of(items, features)
        return known if self.side is None else np.concatenate([known, self.side[items]], axis=-1)

    def build(self) -> Towers:
        users = (self.encoder.num_users, self.encoder.user_width)
        items = (self.index.size if self.index.has_ids else 0, self.item_width)
        return Towers(users, items, (self.index.size, self.item_width), self.config, self.generator)

    def before_fit(self, fit: Fit, first: bool) -> None:
        """Tell which ids will be known, and count how often items come."""
        self.network.user.embedding.learn(fit.log.user_ids[~fit.held])
        self.network.item.embedding.learn(fit.log.items[~fit.held])
        if self.network.liked is not None:
            self.network.liked.vectors.learn(fit.log.items[~fit.held])
        if self.config.log_q:
            self.correction = log_frequencies(fit.log, ~fit.held, self.index.size)

    def loss(self, batch: Batch) -> Tensor:
        """The mean over positive labels, weighted by them; as many in one softmax as `config.batch` says."""
        owners, places = np.nonzero(batch.log.labels[batch.rows] > 0)
        rows, size = batch.rows[owners], self.config.batch
        weights = torch.as_tensor(batch.log.weights(rows)[np.arange(len(rows)), places], device=self.device)
        users, items = self.positives(batch.log, rows, places)
        codes = torch.as_tensor(self.correction[batch.log.items[rows, places]], device=self.device)
        total = users.sum() * 0.0  # a batch without positive labels teaches nothing
        for k in range(0, len(rows), size):
            part = slice(k, k + size)
            total = total + softmax_loss(users[part] @ items[part].T, codes[part], weights[part])
        return total / weights.sum().clamp(min=1e-9)

    def positives(self, log: Impressions, rows: np.ndarray, places: np.ndarray) -> tuple[Tensor, Tensor]:
        """Vectors of users, and of the items at places (P,) of rows (P,), divided by the temperature."""
        numbers, features = log.items[rows, places], log.features[rows, places]
        context, item_ids = log.context(rows, self.config.history), torch.as_tensor(numbers, device=self.device)
        user_ids = torch.as_tensor(context.user_ids, device=self.device)
        if self.network.training:
            user_ids = hidden(user_ids, self.config.unknown_id, self.generator)
            item_ids = hidden(item_ids, self.config.unknown_id, self.generator)
        users = self.network.user(user_ids, self.user_inputs(context), self.liked(context.history))
        return users / self.config.temperature, self.network.item(item_ids, self.item_inputs(numbers, features))

    def liked(self, history: History) -> Tensor | float:
        """(n, hidden) of what was liked before; 0 where no history is seen."""
        return 0.0 if self.network.liked is None else self.network.liked(history, *self.every_item())

    def values(self, context: Context, items: np.ndarray, features: np.ndarray) -> Tensor:
        user_ids, numbers = torch.as_tensor(context.user_ids, device=self.device), torch.as_tensor(items)
        users = self.network.user(user_ids, self.user_inputs(context), self.liked(context.history))
        numbers = numbers.to(self.device)
        if self.index.own:
            vectors = self.network.item(numbers, self.item_inputs(items, features))
            return torch.einsum("nd,nkd->nk", users, vectors)
        vectors = self.network.item(*self.every_item())  # ids alone: each item's vector once
        return (users @ vectors.T).gather(1, numbers)

    def arrays(self) -> dict[str, np.ndarray]:
        return {**super().arrays(), "correction": self.correction}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(arrays)
        self.correction = arrays["correction"]


def log_frequencies(log: Impressions, among: np.ndarray, size: int) -> np.ndarray:
    """(size,) the log of each item's positive labels, over its shows where not everything is always on offer.

    Positive labels count as often as they come in batches, shows as `Impressions.weights` counts them. One of each
    is added, so that items that never came have a number. (Yi et al. estimate the frequency in a stream; a log is
    there as a whole.)
    """
    items = log.items[among]
    positive = np.bincount(items[log.labels[among] > 0], minlength=size) + 1.0
    if not log.offered.shape[1]:
        return np.log(positive).astype(np.float32)
    shows = log.uniform[among][:, None] / log.propensities[among]
    shown = np.bincount(items.ravel(), shows.ravel(), minlength=size) + 1.0
    return np.log(positive / shown).astype(np.float32)


def softmax_loss(logits: Tensor, log_q: Tensor, weights: Tensor) -> Tensor:
    """() the summed cross entropy of pairs: user i's item i against the items of all, logits (P, P) less log_q (P,)."""
    return -(weights * (logits - log_q).log_softmax(dim=1).diagonal()).sum()
