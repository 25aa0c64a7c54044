"""What the sequence models share: a session as a sequence of vectors, and a softmax over the item that comes next.

A step of the session becomes x_t: the sum of the vectors of the items that were liked, each weighted by its label,
and a linear map of the mean vector of those that were shown without being liked. A subclass turns x_0 … x_t into a
state h_t; x_0, which is learnt, says that nothing was seen before. Items are compared with the query W h_t + U u_t,
where u_t is what is seen of the user before the slate: their logits are its product with their vectors, the same as
in x_t, plus a bias of theirs. Vectors and biases are linear in the items' features, and ids have a part of their own.

The loss is the cross entropy of what was liked, among all that was on offer. Cross entropy over many items ranks well,
one drawn negative for each positive does not (Petrov and Macdonald, 2023; Klenitskiy and Vasilev, 2023). Where every
item is always on offer, 1,000 that are drawn for each update stand for all.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.embeddings import Embedding, hidden
from agents.fitting import Batch, Fit
from agents.impressions import Context, Impressions
from agents.items import History
from agents.supervised import NeuralConfig, NeuralRecommender
from agents.torch_tools import Dropout
from recsim_env.agent import WorldSpec
from recsim_env.errors import AgentError
from recsim_env.parameters import param


@dataclass(frozen=True)
class SequenceConfig(NeuralConfig):
    """Settings of the sequence models."""

    history: int = param(20, "steps of the session that are seen", low=1)
    width: int = param(64, "of items' vectors and of states", low=1)
    batch: int = param(64, "stretches of sessions an update", low=1)
    unknown_id: float = param(
        0.1, "how often an id is hidden in training, so that new ids can be served", low=0, high=1
    )
    sampled: int = param(
        1000, "items drawn in each update to stand for all others where every item is always on offer; 0: all", low=0
    )
    totals: bool = param(False, "whether the session's sums so far are seen")


class NextItem(nn.Module):
    """Steps to inputs, by `sequence` to states, and these to queries.

    Args:
        ids: how many item ids there are; 0: none.
        features, users: how many numbers are known of an item, and of a user.
        width: of vectors and states.
        sequence: x (n, L, width), in order of time, to states (n, L, width), each of its own step and those before.
        dropout: of inputs and of states.
    """

    def __init__(
        self, ids: int, features: int, users: int, width: int, sequence: nn.Module, dropout: nn.Module
    ) -> None:
        super().__init__()
        self.vectors, self.biases = Embedding(ids, features, width), Embedding(ids, features, 1)
        self.start = nn.Parameter(torch.zeros(1, width))
        self.passed = nn.Linear(width, width)
        self.sequence, self.dropout = sequence, dropout
        self.query = nn.Linear(width, width)
        self.user = nn.Linear(users, width, bias=False) if users else None

    def forward(self, ids: Tensor, features: Tensor, worth: Tensor, shown: Tensor) -> Tensor:
        """States (n, L + 1, width) before each of the slates (n, L, S) and after the last.

        Args:
            ids, features: of the items.
            worth: their labels, 0 where not liked.
            shown: whether there was an item; padding comes behind.
        """
        vectors = self.vectors(ids, features)
        passed = (shown & (worth <= 0)).float()[..., None]
        mean = (vectors * passed).sum(2) / passed.sum(2).clamp(min=1.0)
        x = (vectors * worth[..., None]).sum(2) + self.passed(mean) * passed.amax(2)
        x = torch.cat([self.start.expand(len(x), 1, -1), x], dim=1)
        states: Tensor = self.sequence(self.dropout(x))
        return states

    def queries(self, states: Tensor, users: Tensor) -> Tensor:
        """(n, width) from states (n, width) and users (n, U)."""
        queries: Tensor = self.query(self.dropout(states))
        return queries if self.user is None else queries + self.user(users)


class SequenceRecommender(NeuralRecommender):
    """Ranks candidates by how likely they come next; a subclass gives `sequence`.

    Attributes:
        shares: (items,) how often each comes in the log that is fitted.
    """

    Config = SequenceConfig
    network: NextItem

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.shares = np.full(self.index.size, 1.0 / self.index.size)
        if not self.index.steps:
            raise AgentError(
                f"{type(self).__name__} reads the session's history, and the observations of this world hold none; "
                f"make it with history={config.history}"
            )

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"history": config.history, "totals": config.totals}

    @property
    def window(self) -> int:
        """The steps that are seen, and the one that comes next."""
        return self.index.steps + 1

    @abstractmethod
    def sequence(self) -> nn.Module:
        """The model of sequences; see `NextItem`."""

    def build(self) -> NextItem:
        ids, dropout = self.index.size if self.index.has_ids else 0, Dropout(self.config.dropout, self.generator)
        return NextItem(ids, self.item_width, self.encoder.user_width, self.config.width, self.sequence(), dropout)

    def initialise(self) -> None:
        """Vectors of features begin as long as those of ids; biases of items at 0."""
        super().initialise()
        with torch.no_grad():
            if self.network.vectors.features is not None:
                self.network.vectors.features.weight.mul_(self.config.width**-0.5)
            for value in self.network.biases.parameters():
                value.zero_()

    def before_fit(self, fit: Fit, first: bool) -> None:
        """Tell which ids will be known, and count how often items come."""
        for embedding in (self.network.vectors, self.network.biases):
            embedding.learn(fit.log.items[~fit.held])
        counts = np.bincount(fit.log.items[~fit.held].ravel(), minlength=self.index.size) + 1.0
        self.shares = counts / counts.sum()

    def states(self, history: History) -> Tensor:
        """(n, L + 1, width) before each step of (n, L), padding behind, and after the last."""
        items = np.maximum(history.items, 0)
        worth = np.maximum(history.labels, 0.0) / (1.0 if self.classifies else self.label_scale)
        states: Tensor = self.network(
            self.ids(items),
            self.item_inputs(items, history.features),
            torch.as_tensor(worth, device=self.device, dtype=torch.float32),
            torch.as_tensor(history.items >= 0, device=self.device),
        )
        return states

    def ids(self, items: np.ndarray) -> Tensor:
        """Numbers for the network; some hidden while it is fitted."""
        ids = torch.as_tensor(items, device=self.device)
        return hidden(ids, self.config.unknown_id, self.generator) if self.network.training else ids

    def loss(self, batch: Batch) -> Tensor:
        """The mean cross entropy of what was liked, weighted by the labels, of all steps where anything was."""
        log, rows = batch.log, moved(batch.rows, in_front(batch.rows < 0))
        liked = np.where(rows[..., None] < 0, 0.0, log.weights(rows))
        owners, steps = np.nonzero((liked > 0).any(axis=2))
        states = self.states(log.shown(rows[:, :-1]))[owners, steps]
        targets, weights = rows[owners, steps], torch.as_tensor(liked[owners, steps], device=self.device).float()
        queries = self.network.queries(states, self.user_inputs(log.context(targets)))
        if log.offered.shape[1]:
            total = self.among_offered(queries, log, targets, weights)
        else:
            total = self.among_all(queries, log.items[targets], weights, batch.rng)
        return total / weights.sum().clamp(min=1e-9)

    def among_offered(self, queries: Tensor, log: Impressions, targets: np.ndarray, weights: Tensor) -> Tensor:
        """() summed, of what the rows `targets` (P,) showed, among it and what else was on offer."""
        items = np.concatenate([log.items[targets], log.offered[targets]], axis=1)
        features = np.concatenate([log.features[targets], log.offered_features[targets]], axis=1)
        absent = torch.as_tensor(items < 0, device=self.device)
        logits = self.logits(queries, np.maximum(items, 0), features).masked_fill(absent, -torch.inf)
        return -(logits.log_softmax(dim=1)[:, : weights.shape[1]] * weights).sum()

    def among_all(self, queries: Tensor, items: np.ndarray, weights: Tensor, rng: np.random.Generator) -> Tensor:
        """() summed, of items (P, S), each against all others, or those drawn that stand for them.

        They are drawn by how often they come, and count the more the less they are drawn (Bengio and Senecal, 2008).
        """
        (vectors, biases), numbers = self.every_item(), torch.as_tensor(items, device=self.device)
        if not self.config.sampled:
            chances = torch.addmm(biases, queries, vectors.T).log_softmax(dim=1)
            return -(chances.gather(1, numbers) * weights).sum()
        drawn, excess = self.drawn(rng)
        own = torch.einsum("pd,psd->ps", queries, nn.functional.embedding(numbers, vectors)) + biases[numbers]
        logits, rest = queries @ vectors[drawn].T + biases[drawn] - excess, []
        for place in range(items.shape[1]):
            itself = numbers[:, place, None] == drawn
            rest.append(logits.masked_fill(itself, -torch.inf).logsumexp(dim=1))
        return ((torch.logaddexp(own, torch.stack(rest, dim=1)) - own) * weights).sum()

    def drawn(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Items (k,) that stand for all, and the log of how many times too often each is drawn (k,)."""
        items = rng.choice(self.index.size, self.config.sampled, p=self.shares)
        excess = np.log(self.config.sampled * self.shares[items])
        return torch.as_tensor(items, device=self.device), torch.as_tensor(excess, device=self.device).float()

    def every_item(self) -> tuple[Tensor, Tensor]:
        """Vectors (items, width) and biases (items,) of all ids, where nothing else is seen of candidates."""
        items = np.arange(self.index.size)
        known = self.item_inputs(items, np.zeros((self.index.size, 0), np.float32))
        ids = self.ids(items)
        return self.network.vectors(ids, known), self.network.biases(ids, known)[:, 0]

    def logits(self, queries: Tensor, items: np.ndarray, features: np.ndarray) -> Tensor:
        """(n, k) of items (n, k) for queries (n, width)."""
        if self.index.own:
            ids, known = self.ids(items), self.item_inputs(items, features)
            vectors, biases = self.network.vectors(ids, known), self.network.biases(ids, known)[..., 0]
            return torch.einsum("nd,nkd->nk", queries, vectors) + biases
        numbers, (every, bias) = torch.as_tensor(items, device=self.device), self.every_item()
        if items.shape[1] >= self.index.size:
            return (queries @ every.T + bias).gather(1, numbers)
        vectors = nn.functional.embedding(numbers, every)
        return torch.einsum("nd,nkd->nk", queries, vectors) + bias[numbers]

    def values(self, context: Context, items: np.ndarray, features: np.ndarray) -> Tensor:
        shown = np.any(context.history.items >= 0, axis=2)
        order, past = in_front(np.logical_not(shown)), context.history
        history = History(*(moved(part, order) for part in (past.items, past.features, past.labels, past.clicked)))
        states = self.states(history)[np.arange(len(items)), shown.sum(axis=1)]
        return self.logits(self.network.queries(states, self.user_inputs(context)), items, features)


def in_front(absent: np.ndarray) -> np.ndarray:
    """(n, L) the order that moves padding (n, L) bool behind all else: then no step is seen by those before it."""
    return np.argsort(absent, axis=1, kind="stable")


def moved(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Values (n, L, …) in order (n, L)."""
    return values[np.arange(len(values))[:, None], order]
