"""Fitting a network to a log: epochs, held-out loss and ranking, early stopping, the best weights restored.

Early stopping costs what is held out. `Fit.on_all` fits all of the log, with no validation, for as many epochs as
early stopping found best.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from agents.impressions import Context, Impressions, split
from agents.ranking import ndcg, rows_to_rank
from recsim_env.agent import Log

VALIDATION_BATCH = 4096  # rows at once, divided by the steps of a window
SMALLEST = 1e-9  # how much better counts as better


@dataclass(frozen=True)
class Batch:
    """What a loss is asked for.

    Attributes:
        log: the impressions.
        rows: (B,) row numbers, or (B, L) of windows, -1 in front where one is shorter.
        rng: for negatives and the like; the same numbers in every validation.
        updates: of this fit so far, for what is annealed.
        pairs: which sessions show which items in the rows that are fitted, see `Impressions.pairs`.
    """

    log: Impressions
    rows: np.ndarray
    rng: np.random.Generator
    updates: int
    pairs: np.ndarray

    def negatives(self, rows: np.ndarray, count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Items (n, count) that rows (n,) did not show, and their features; see `Impressions.negatives`."""
        return self.log.negatives(rows, count, size, self.rng, self.pairs)


class Learner(Protocol):
    """What the fit needs of an agent; see `agents.supervised.NeuralRecommender`."""

    config: Any
    network: nn.Module

    @property
    def window(self) -> int:
        """The longest stretch of a session that an example is; 0: single steps."""

    def loss(self, batch: Batch) -> Tensor:
        """() the mean over the batch."""

    def score(self, context: Context, items: np.ndarray, features: np.ndarray) -> np.ndarray:
        """(n, k)."""


class Fit:
    """One fit of an agent's network; each `run` starts AdamW anew and goes on from the weights as they are.

    Args:
        agent: what is fitted; its `window` is the longest stretch of a session that an example is, 0: single steps.
        log: the impressions.
        by: how they are divided, see `split`.
        size, history: how many items there are, and how many past steps the agent sees.
        rng: the order of examples, the division, negatives.
        tell: where `train/loss`, `train/validation_loss` and `train/validation_ndcg` go, once an epoch.

    Attributes:
        held: (T,) bool, the rows that are held out.
        lengths: how many epochs gave the best weights, of each `run` so far.
    """

    def __init__(
        self, agent: Learner, log: Impressions, by: str, size: int, history: int, rng: np.random.Generator, tell: Log
    ) -> None:
        self.agent, self.log, self.rng, self.tell = agent, log, rng, tell
        self.size, self.history, self.updates = size, history, 0
        self.lengths: list[int] = []
        self.held = split(log, agent.config.validation, rng, by)
        self.fitted, self.validated = self._examples(~self.held), self._examples(self.held)
        self.pairs = log.pairs(~self.held)
        self.ranked = rows_to_rank(log, self.held, size, rng)
        self.draws = int(rng.integers(2**63))

    def _examples(self, among: np.ndarray) -> np.ndarray:
        """(N,) rows or (N, L) windows of rows."""
        return self.log.windows(self.agent.window, among) if self.agent.window else np.flatnonzero(among)

    def run(self) -> None:
        """Epochs until the ranking of held-out steps has not improved for `patience` of them.

        Where no held-out step has a positive label to rank, the validation loss decides.
        """
        network, config, best, length = self.agent.network, self.agent.config, -np.inf, 0
        weights, optimiser = deepcopy(network.state_dict()), self._optimiser()
        for epoch in range(1, config.epochs + 1):
            self.tell.scalar("train/loss", self._epoch(optimiser))
            quality = self._validate()
            if quality > best + SMALLEST:
                best, weights, length = quality, deepcopy(network.state_dict()), epoch
            if epoch - length >= config.patience:
                break
        network.load_state_dict(weights)
        self.lengths.append(length)

    def on_all(self) -> Fit:
        """The fit of the whole log: nothing is held out, and each `run` is as long as that of this fit was best."""
        return Refit(self)

    def _optimiser(self) -> torch.optim.Optimizer:
        config = self.agent.config
        return torch.optim.AdamW(
            self.agent.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def _batch(self, examples: np.ndarray, rng: np.random.Generator) -> Batch:
        if examples.ndim == 2:  # leave out the steps that no window of the batch has
            examples = examples[:, int((examples >= 0).any(axis=0).argmax()) :]
        return Batch(self.log, examples, rng, self.updates, self.pairs)

    def _epoch(self, optimiser: torch.optim.Optimizer) -> float:
        """One pass over the fitted examples; the mean loss."""
        order, size, losses = self.rng.permutation(len(self.fitted)), self.agent.config.batch, []
        self.agent.network.train()
        for start in range(0, len(order), size):
            loss = self.agent.loss(self._batch(self.fitted[order[start : start + size]], self.rng))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            self.updates += 1
            losses.append(loss.detach())
        self.agent.network.eval()
        return float(torch.stack(losses).mean())

    def _validate(self) -> float:
        """Log the held-out loss and ranking; what decides."""
        loss = self._validation_loss()
        self.tell.scalar("train/validation_loss", loss)
        if not len(self.ranked):
            return -loss
        quality = ndcg(self.agent.score, self.log, self.ranked, self.size, self.history)
        self.tell.scalar("train/validation_ndcg", quality)
        return quality

    @torch.no_grad()
    def _validation_loss(self) -> float:
        rng, total = np.random.default_rng(self.draws), 0.0
        size = max(1, VALIDATION_BATCH // max(1, self.agent.window))
        for start in range(0, len(self.validated), size):
            examples = self.validated[start : start + size]
            total += float(self.agent.loss(self._batch(examples, rng))) * len(examples)
        return total / len(self.validated)


class Refit(Fit):
    """A fit of the whole log, in place of one that stopped early; its curve is `train/refit_loss`.

    Args:
        found: the fit that stopped early; its runs come again in their order.
    """

    def __init__(self, found: Fit) -> None:
        self.agent, self.log, self.rng, self.tell = found.agent, found.log, found.rng, found.tell
        self.size, self.history, self.updates = found.size, found.history, 0
        self.lengths = list(found.lengths)
        self.held = np.zeros(len(found.log), bool)
        self.fitted, self.pairs = self._examples(~self.held), self.log.pairs(~self.held)

    def run(self) -> None:
        """As many epochs as were best in the same run of the fit that stopped early."""
        optimiser = self._optimiser()
        for _ in range(self.lengths.pop(0)):
            self.tell.scalar("train/refit_loss", self._epoch(optimiser))
