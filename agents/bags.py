"""Bags: what a user liked, as an unordered sum. An encoder is given it, and a decoder is asked for it.

An example is a stretch of a session. Of each step that is asked for, with a positive label, the decoder is asked for
what was liked:

    loss = - sum of w_i log softmax(scores of what was on offer)_i,    scores = d(code, user)' v_i

over what was liked (w_i is the label in units of the mean, weighted by inverse propensities), where v_i is linear in
the item's features, and items with numbers have a part of their own. Where everything is always on offer, as in a
table of ratings, that is the multinomial likelihood of Liang et al. (2018): all steps are given, a share hidden by
dropout, and all are asked for. Where each step has an offer of its own, what is given tells which of it was chosen, and
nothing is learnt about others: there how many steps are given is drawn, and so is which, and only the others are asked
for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from agents.fitting import Batch
from agents.impressions import Context, Impressions
from agents.items import History
from agents.supervised import NeuralConfig, NeuralRecommender
from agents.torch_tools import Dropout, initialise
from recsim_env.parameters import param


class Asked(IntEnum):
    """Which steps of an example the decoder is asked for."""

    AUTO = 0
    WHOLE = 1
    REST = 2


@dataclass(frozen=True)
class BagConfig(NeuralConfig):
    """Settings of recommenders over bags."""

    history: int = param(20, "steps of the session that are seen, and the longest stretch that is an example", low=1)
    hidden: int = param(64, "width of the encoder's and the decoder's hidden layer", low=1)
    latent: int = param(32, "width of the code", low=1)
    batch: int = param(64, "stretches of sessions an update", low=1)
    learning_rate: float = param(1e-3, "of AdamW", low=0)
    weight_decay: float = param(0.3, "of AdamW", low=0)
    dropout: float = param(0.5, "share of a bag that is hidden in training", low=0, high=0.9)
    asked: Asked = param(
        Asked.AUTO,
        "whole: all steps, given ones too, as Liang et al. do; rest: those not given; auto: whole where everything is "
        "always on offer",
    )
    features: bool = param(True, "whether items' features are read; false: items are numbers alone, as in the paper")
    half_life: float = param(0.0, "steps after which what was liked counts half; 0: it counts while it is seen", low=0)
    totals: bool = param(False, "whether the session's sums so far are seen")


class Bag(NamedTuple):
    """What n users liked.

    Attributes:
        items, worth: (E,) item numbers and the sums of their labels, user by user; each user's have length 1.
        starts: (n,) where each user's entries start.
        liked: (n, F + 1) the mean of the standardised features of what was liked, by label, and 1; all 0 of nothing.
    """

    items: Tensor
    worth: Tensor
    starts: Tensor
    liked: Tensor


class Examples(NamedTuple):
    """Stretches of B sessions: what of them is given, and what is asked for.

    Attributes:
        log: what their rows are of.
        bag: of what is given.
        users: (B, U) standardised, what was known of the user before the first step that is asked for.
        owners, rows: (Q,) the stretch and the row of each step that is asked for; something was liked there.
    """

    log: Impressions
    bag: Bag
    users: Tensor
    owners: np.ndarray
    rows: np.ndarray


class BagCoder(nn.Module):
    """Encodes bags and users; decodes codes and users to what items' vectors are multiplied with.

    Args:
        size: how many items there are.
        users, items: how many numbers are known of a user, and of an item.
        codes: how many numbers the encoder gives.
        config: the widths, and the share of a bag that is hidden in training.
        generator: for what is hidden.
    """

    def __init__(
        self, size: int, users: int, items: int, codes: int, config: BagConfig, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.bags = nn.Parameter(torch.empty(size, config.hidden))
        self.known = nn.Linear(items + 1 + users, config.hidden)
        self.coder = nn.Linear(config.hidden, codes)
        self.decoder = nn.Linear(config.latent + users, config.hidden)
        self.numbers = nn.Parameter(torch.empty(size, config.hidden + 1))
        self.features = nn.Parameter(torch.empty(items, config.hidden + 1))
        self.dropout = Dropout(config.dropout, generator)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the first weights; all items are alike at first, and of ids that are never on offer features speak."""
        initialise(self, generator)
        with torch.no_grad():
            self.numbers.zero_()
            self.features.zero_()

    def encode(self, bag: Bag, users: Tensor) -> Tensor:
        """(n, codes)."""
        worth = self.dropout(bag.worth)
        summed = nn.functional.embedding_bag(bag.items, self.bags, bag.starts, mode="sum", per_sample_weights=worth)
        codes: Tensor = self.coder(torch.tanh(summed + self.known(torch.cat([bag.liked, users], dim=1))))
        return codes

    def decode(self, codes: Tensor, users: Tensor) -> Tensor:
        """(n, hidden + 1), the last of them 1."""
        hidden = torch.tanh(self.decoder(torch.cat([codes, users], dim=1)))
        return torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=1)

    def vectors(self, items: Tensor, features: Tensor) -> Tensor:
        """(…, hidden + 1) of items (…,) with standardised features (…, F); the last is the item's own popularity."""
        return self.numbers[items] + features @ self.features


class BagRecommender(NeuralRecommender):
    """Ranks candidates by what the decoder makes of a code; a subclass gives the loss, and says what a code is.

    Attributes:
        moments: how many numbers the encoder gives for each number of a code.
    """

    Config = BagConfig
    moments: ClassVar[int] = 1
    network: BagCoder

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"history": config.history, "totals": config.totals}

    @property
    def window(self) -> int:
        return int(self.config.history)

    def build(self) -> BagCoder:
        codes = self.moments * self.config.latent
        return BagCoder(self.index.size, self.encoder.user_width, self.item_width, codes, self.config, self.generator)

    def initialise(self) -> None:
        self.network.initialise(self.generator)

    def known_width(self) -> int:
        return super().known_width() if self.config.features else 0

    def known_of(self, items: np.ndarray, features: np.ndarray) -> np.ndarray:
        return super().known_of(items, features) if self.config.features else features[..., :0]

    def code(self, bag: Bag, users: Tensor) -> Tensor:
        """(n, latent) as it is served."""
        return self.network.encode(bag, users)

    def values(self, context: Context, items: np.ndarray, features: np.ndarray) -> Tensor:
        users = self.user_inputs(context)
        wanted = self.network.decode(self.code(self.bag(context.history), users), users)
        if not self.index.own and items.shape[1] >= self.index.size:
            return (wanted @ self.every_vector().T).gather(1, torch.as_tensor(items, device=self.device))
        return torch.einsum("nd,nkd->nk", wanted, self.vectors(items, features))

    def vectors(self, items: np.ndarray, features: np.ndarray) -> Tensor:
        """(…, hidden + 1) of items (…,) >= 0 with features (…, own) of their own."""
        return self.network.vectors(torch.as_tensor(items, device=self.device), self.item_inputs(items, features))

    def every_vector(self) -> Tensor:
        """(size, hidden + 1) by number (see `every_item`)."""
        return self.network.vectors(*self.every_item())

    def bag(self, history: History) -> Bag:
        """The bag of a history of n users."""
        owners, steps, places = np.nonzero((history.items >= 0) & (history.labels > 0))
        items, worth = history.items[owners, steps, places], history.labels[owners, steps, places]
        if self.config.half_life:
            worth = worth * 0.5 ** (ages(history)[owners, steps] / self.config.half_life)
        n, entries = len(history.items), len(owners)
        sums = csr_matrix((worth, (owners, items)), shape=(n, self.index.size))
        lengths = np.sqrt(np.asarray(sums.multiply(sums).sum(axis=1)))[:, 0]
        shares = csr_matrix((worth, (owners, np.arange(entries))), shape=(n, entries))
        known = self.item_scale(self.known_of(items, history.features[owners, steps, places]))
        known = np.concatenate([known, np.ones((entries, 1), np.float32)], axis=1)
        liked = (shares @ known) / np.maximum(np.asarray(shares.sum(axis=1)), 1e-9)
        return Bag(
            items=torch.as_tensor(sums.indices, dtype=torch.int64, device=self.device),
            worth=self.floats(sums.data / np.repeat(lengths, np.diff(sums.indptr))),
            starts=torch.as_tensor(sums.indptr[:-1], dtype=torch.int64, device=self.device),
            liked=self.floats(liked),
        )

    def floats(self, values: np.ndarray) -> Tensor:
        """The same as float32 on the device."""
        return torch.as_tensor(values, dtype=torch.float32, device=self.device)

    def examples(self, batch: Batch) -> Examples:
        """Give each stretch and ask for all of it, or divide it in two, and give one part; see `asked`."""
        log, rows = batch.log, batch.rows
        present = rows >= 0
        given, asked = (present, present) if self.whole(log) else divide(present, batch.rng)
        first = rows[np.arange(len(rows)), asked.argmax(axis=1)]
        owners, steps = np.nonzero(asked)
        wanted = rows[owners, steps]
        liked = (log.labels[wanted] > 0).any(axis=1)
        bag = self.bag(log.shown(np.where(given, rows, -1)))
        return Examples(log, bag, self.user_inputs(log.context(first)), owners[liked], wanted[liked])

    def whole(self, log: Impressions) -> bool:
        """Whether all steps of a stretch are asked for."""
        if self.config.asked == Asked.AUTO:
            return not log.offered.shape[1]
        return bool(self.config.asked == Asked.WHOLE)

    def surprise(self, examples: Examples, codes: Tensor) -> tuple[Tensor, Tensor]:
        """() the loss summed over all that was liked and is asked for, and () how much that is, in mean labels."""
        weights = self.floats(examples.log.weights(examples.rows))
        weights = weights / weights[weights > 0].mean()
        total = weights.sum().clamp(min=1e-9)
        if not len(examples.rows):
            return codes.sum() * 0.0, total  # a batch where nothing was liked teaches nothing
        among = self.among_offered if examples.log.offered.shape[1] else self.among_all
        return -(among(examples, codes) * weights).sum(), total

    def among_offered(self, examples: Examples, codes: Tensor) -> Tensor:
        """(Q, S) the log probabilities of what was shown, among it and what else was offered."""
        log, rows = examples.log, examples.rows
        owners = torch.as_tensor(examples.owners, device=self.device)
        wanted = self.network.decode(codes[owners], self.user_inputs(log.context(rows)))
        items = np.concatenate([log.items[rows], log.offered[rows]], axis=1)
        features = np.concatenate([log.features[rows], log.offered_features[rows]], axis=1)
        scores = torch.einsum("nd,nkd->nk", wanted, self.vectors(np.maximum(items, 0), features))
        absent = torch.as_tensor(items < 0, device=self.device)
        return scores.masked_fill(absent, -torch.inf).log_softmax(dim=1)[:, : log.items.shape[1]]

    def among_all(self, examples: Examples, codes: Tensor) -> Tensor:
        """(Q, S) the same among all items; a stretch has one distribution, by what was known when it began."""
        chances = (self.network.decode(codes, examples.users) @ self.every_vector().T).log_softmax(dim=1)
        owners = torch.as_tensor(examples.owners, device=self.device)
        return chances[owners[:, None], torch.as_tensor(examples.log.items[examples.rows], device=self.device)]


def ages(history: History) -> np.ndarray:
    """(n, H) how many steps came after each; empty ones are not counted."""
    shown = history.items.max(axis=2) >= 0
    later: np.ndarray = np.cumsum(shown[:, ::-1], axis=1)[:, ::-1] - 1
    return later


def divide(present: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which of the steps (B, L) that are present are given, and which are asked for: at least one of each row.

    How many are given is uniform from none to all but one.
    """
    count = np.floor(rng.random(len(present)) * present.sum(axis=1))
    order = np.where(present, rng.random(present.shape), 1.0).argsort(axis=1).argsort(axis=1)
    given = present & (order < count[:, None])
    return given, present & ~given
