"""Neural collaborative filtering (He et al., 2017): a generalised matrix factorisation beside a perceptron.

NeuMF predicts the world's label of an item shown to a user. Where users and items have ids, both halves embed
the ids; everywhere they embed the features. With `history` each user's embeddings have the mean vector of what was
liked before added to them (after Koren, 2008), by which strangers are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.embeddings import Embedding, hidden
from agents.fitting import Batch, Fit
from agents.impressions import Context
from agents.liked import Liked
from agents.supervised import NeuralConfig, NeuralRecommender
from agents.torch_tools import Dropout
from recsim_env.errors import AgentError
from recsim_env.parameters import param

FIRST_IDS = 0.01  # standard deviation of the first vectors of ids


@dataclass(frozen=True)
class NCFConfig(NeuralConfig):
    """Settings of `ncf`."""

    embedding: int = param(16, "width of each embedding", low=1)
    hidden: int = param(32, "width of the perceptron's hidden layer", low=1)
    negatives: int = param(
        0, "items not shown that are drawn for each positive label; 0: what was shown without one is negative", low=0
    )
    pretrain: bool = param(False, "whether each half is fitted alone before both together")
    unknown_id: float = param(
        0.1, "how often an id is hidden in training, so that new ids can be served", low=0, high=1
    )
    totals: bool = param(False, "whether the session's sums so far are seen")
    history: int = param(0, "past steps of the session of which it is seen what was liked", low=0, high=10_000)


class Half(nn.Module):
    """Users or items as the two halves take them: ids (…,) and features (…, F) to (…, embedding) and (…, hidden).

    The second is what the perceptron's hidden layer gets from this side: of embeddings side by side, a layer is the
    sum of a layer over each, so that no pair is ever concatenated.
    """

    def __init__(self, ids: int, features: int, config: NCFConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.gmf, self.mlp = (Embedding(ids, features, config.embedding) for _ in range(2))
        self.dropout = Dropout(config.dropout, generator)
        self.layer = nn.Linear(config.embedding, config.hidden)

    def learn(self, ids: np.ndarray) -> None:
        """These ids will be fitted."""
        self.gmf.learn(ids)
        self.mlp.learn(ids)

    def forward(self, ids: Tensor, features: Tensor, *more: Tensor) -> tuple[Tensor, Tensor]:
        """`more`: (…, embedding) twice, to be added to the embeddings of the one half and of the other."""
        gmf, mlp = self.gmf(ids, features), self.mlp(ids, features)
        if more:
            gmf, mlp = gmf + more[0], mlp + more[1]
        return gmf, self.layer(self.dropout(torch.relu(mlp)))


class NeuMF(nn.Module):
    """Halves of users (n, …) and of items (n, k, …) to (n, k) logits.

    The last layer over both halves is the sum of a layer over each, so that each can be fitted alone. `liked` are the
    (ids, features) of past items, whose vectors are for the one half and for the other.
    """

    def __init__(
        self,
        users: tuple[int, int],
        items: tuple[int, int],
        liked: tuple[int, int],
        config: NCFConfig,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.users, self.items = Half(*users, config, generator), Half(*items, config, generator)
        self.gmf_output, self.mlp_output = nn.Linear(config.embedding, 1), nn.Linear(config.hidden, 1)
        self.halves: tuple[str, ...] = ("gmf", "mlp")
        self.liked: Any = nn.ModuleList(Liked(*liked, config.embedding) for _ in self.halves if config.history)

    def forward(self, users: tuple[Tensor, Tensor], items: tuple[Tensor, Tensor]) -> Tensor:
        """Products of embeddings, weighted, and a perceptron over them; or one of the two."""
        parts = []
        if "gmf" in self.halves:
            parts.append(self.gmf_output(users[0][:, None] * items[0]))
        if "mlp" in self.halves:
            parts.append(self.mlp_output(torch.relu(users[1][:, None] + items[1])))
        logits: Tensor = torch.stack(parts).sum(dim=0)[..., 0]
        return logits

    def combine(self) -> None:
        """After each half was fitted alone: their mean."""
        with torch.no_grad():
            for output in (self.gmf_output, self.mlp_output):
                output.weight.mul_(0.5)
                output.bias.mul_(0.5)


class NCF(NeuralRecommender):
    """Ranks candidates by the predicted label of showing them."""

    Config = NCFConfig
    uses_user_ids = True
    network: NeuMF

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals, "history": config.history}

    def build(self) -> NeuMF:
        users = (self.encoder.num_users, self.encoder.user_width)
        items = (self.index.size if self.index.has_ids else 0, self.item_width)
        return NeuMF(users, items, (self.index.size, self.item_width), self.config, self.generator)

    def initialise(self) -> None:
        """As every network; vectors of ids start near 0, as in the paper, so that rare ones do not stand out."""
        super().initialise()
        for half in (self.network.users, self.network.items):
            half.gmf.draw_ids(FIRST_IDS, self.generator)
            half.mlp.draw_ids(FIRST_IDS, self.generator)
        for liked in self.network.liked:
            liked.vectors.draw_ids(FIRST_IDS, self.generator)

    def before_fit(self, fit: Fit, first: bool) -> None:
        """Tell which ids will be known; fit each half alone if asked for.

        Raises:
            AgentError: nothing in the log is negative, and no negatives are drawn.
        """
        if not (self.config.negatives or fit.log.offered.shape[1]) and (fit.log.labels > 0).all():
            raise AgentError("this log holds nothing but positive labels, so ncf needs negatives (4, say), not 0")
        self.network.users.learn(fit.log.user_ids[~fit.held])
        self.network.items.learn(fit.log.items[~fit.held])
        for liked in self.network.liked:
            liked.vectors.learn(fit.log.items[~fit.held])
        if self.config.pretrain and first:
            for half in ("gmf", "mlp"):
                self.network.halves = (half,)
                fit.run()
            self.network.halves = ("gmf", "mlp")
            self.network.combine()

    def users(self, context: Context) -> tuple[Tensor, Tensor]:
        """The halves of users (n,)."""
        ids = torch.as_tensor(context.user_ids, device=self.device)
        more = [liked(context.history, *self.every_item()) for liked in self.network.liked]
        halves: tuple[Tensor, Tensor] = self.network.users(self.hide(ids), self.user_inputs(context), *more)
        return halves

    def items(self, items: np.ndarray, features: np.ndarray) -> tuple[Tensor, Tensor]:
        """The halves of items (…,) with features (…, F) of their own."""
        ids = torch.as_tensor(items, device=self.device)
        halves: tuple[Tensor, Tensor] = self.network.items(self.hide(ids), self.item_inputs(items, features))
        return halves

    def hide(self, ids: Tensor) -> Tensor:
        """The ids, some of them hidden while it is fitted."""
        return hidden(ids, self.config.unknown_id, self.generator) if self.network.training else ids

    def values(self, context: Context, items: np.ndarray, features: np.ndarray) -> Tensor:
        if self.index.own:
            halves = self.items(items, features)
        else:  # ids alone: each item once
            size, places = self.index.size, torch.as_tensor(items, device=self.device)
            gmf, mlp = self.items(np.arange(size), np.zeros((size, 0), np.float32))
            halves = gmf[places], mlp[places]
        logits: Tensor = self.network(self.users(context), halves)
        return logits

    def loss(self, batch: Batch) -> Tensor:
        return self.pairwise_loss(batch) if self.config.negatives else self.shown_loss(batch)

    def shown_loss(self, batch: Batch) -> Tensor:
        """Cross entropy of clicks, or the squared error of standardised amounts, over all that was shown."""
        log, rows = batch.log, batch.rows
        logits = self.network(
            self.users(log.context(rows, self.config.history)), self.items(log.items[rows], log.features[rows])
        )
        labels = torch.as_tensor((log.labels[rows] - self.label_mean) / self.label_scale, device=self.device)
        measure = nn.functional.binary_cross_entropy_with_logits if self.classifies else nn.functional.mse_loss
        return measure(logits, labels.float())

    def pairwise_loss(self, batch: Batch) -> Tensor:
        """Cross entropy of positive labels against drawn negatives, weighted by the label (equation 7)."""
        log = batch.log
        owners, places = np.nonzero(log.labels[batch.rows] > 0)
        rows = batch.rows[owners]
        others, features = batch.negatives(rows, self.config.negatives, self.index.size)
        items = np.concatenate([log.items[rows, places][:, None], others], axis=1)
        features = np.concatenate([log.features[rows, places][:, None], features], axis=1)
        logits = self.network(
            self.users(log.context(rows, self.config.history)), self.items(np.maximum(items, 0), features)
        )
        targets = torch.zeros_like(logits)
        targets[:, 0] = 1.0
        weights = torch.as_tensor((items >= 0) * log.labels[rows, places][:, None], device=self.device)
        losses = weights * nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return losses.sum() / weights.sum().clamp(min=1e-9)
