"""What recommenders by content share: a network reads each item, and a session is a sequence of what it read.

The reader is fitted first, to tell an item's main kind (a film's genre) from its text or picture; 10 % of the items are
held out to stop it early and to say how well it can. Its last hidden layer is then all that is known of an item: ids,
numbers of the catalogue, and how often an item was liked are not looked at, so that an item that nobody has seen yet is
ranked like any other. Sessions are read by a recurrent network (`agents.lstm`), with the loss of `agents.sequences`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.impressions import Impressions
from agents.lstm import Cell, Recurrence
from agents.sequences import NextItem, SequenceConfig, SequenceRecommender
from agents.torch_tools import Dropout, initialise, one_thread, set_weights, weights_of
from recsim_env.agent import Log, WorldSpec
from recsim_env.content import Content
from recsim_env.errors import AgentError
from recsim_env.parameters import param

HELD_OUT = 0.1  # of the items
READ_AT_ONCE = 512


@dataclass(frozen=True)
class ContentConfig(SequenceConfig):
    """Settings of recommenders by content."""

    unknown_id: float = param(0.0, "0: no id is looked at, so that none is hidden", low=0, high=0)
    vector: int = param(64, "width of what the reader makes of an item", low=1)
    reader_epochs: int = param(20, "passes over the items at most", low=1)
    reader_batch: int = param(64, "items an update of the reader", low=1)
    reader_rate: float = param(1e-3, "of its AdamW", low=0)
    reader_dropout: float = param(0.3, "share of its numbers that are hidden in training", low=0, high=0.9)


class Reader(nn.Module):
    """A body that makes (n, vector) of inputs, and what tells the kinds, (n, kinds), from it."""

    def __init__(self, body: nn.Module, vector: int, kinds: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.body, self.dropout = body, Dropout(dropout, generator)
        self.kinds = nn.Linear(vector, kinds)

    def forward(self, inputs: Tensor) -> Tensor:
        kinds: Tensor = self.kinds(self.dropout(self.body(inputs)))
        return kinds


class ContentRecommender(SequenceRecommender):
    """Ranks candidates by their content; a subclass gives `inputs` and `body`.

    Attributes:
        content: of the world's items.
        reader: the network that reads an item.
        vectors: (items, vector) float32, what it made of each; zeros before it was fitted.
        kind_accuracy: the share of held-out items whose main kind it tells; nan before it was fitted.
    """

    Config = ContentConfig
    needs = "content"

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        content = spec.content()
        if content is None:
            raise AgentError(
                f"{type(self).__name__} reads the items' texts or pictures, and this world has none; movieharbor does"
            )
        self.content: Content = content
        super().__init__(config, spec)
        with torch.random.fork_rng(devices=[]):
            body = self.body()
        kinds = len(content.kinds)
        self.reader = Reader(body, config.vector, kinds, config.reader_dropout, self.generator).to(self.device)
        initialise(self.reader, self.generator)
        self.vectors = np.zeros((self.index.size, config.vector), np.float32)
        self.kind_accuracy = np.nan

    @abstractmethod
    def inputs(self) -> np.ndarray:
        """(items, …) what the body takes of each item."""

    @abstractmethod
    def body(self) -> nn.Module:
        """Inputs (n, …) to (n, vector)."""

    def known_width(self) -> int:
        return int(self.config.vector)

    def known_of(self, items: np.ndarray, features: np.ndarray) -> np.ndarray:
        return self.vectors[items]

    def sequence(self) -> Recurrence:
        return Recurrence(self.config.width, Cell.GRU)

    def build(self) -> NextItem:
        dropout = Dropout(self.config.dropout, self.generator)
        return NextItem(0, self.item_width, self.encoder.user_width, self.config.width, self.sequence(), dropout)

    def fit(self, impressions: Impressions, log: Log) -> None:
        """Read the catalogue, the first time; then as ever."""
        if not self.scaled:
            with one_thread():
                self.read(log)
        super().fit(impressions, log)

    def read(self, log: Log) -> None:
        """Fit the reader, and let it read every item."""
        rng, kinds = np.random.default_rng([self.config.seed, 3]), self.content.main_kinds
        self.generator.manual_seed(int(rng.integers(2**63)))
        inputs = torch.as_tensor(self.inputs(), device=self.device)
        known = rng.permutation(np.flatnonzero(kinds >= 0))
        held, fitted = np.split(known, [max(1, int(HELD_OUT * len(known)))])
        weights, self.kind_accuracy = deepcopy(self.reader.state_dict()), -1.0
        waited = 0
        for loss in self._epochs(inputs, torch.as_tensor(kinds, device=self.device), fitted, rng):
            accuracy, waited = float((self._kinds(inputs[held]) == kinds[held]).mean()), waited + 1
            log.scalar("train/kind_loss", loss)
            log.scalar("train/kind_accuracy", accuracy)
            if accuracy > self.kind_accuracy:
                weights, self.kind_accuracy, waited = deepcopy(self.reader.state_dict()), accuracy, 0
            if waited >= self.config.patience:
                break
        self.reader.load_state_dict(weights)
        self.vectors = np.concatenate([part.cpu().numpy() for part in self._parts(self.reader.body, inputs)])

    def _epochs(self, inputs: Tensor, kinds: Tensor, fitted: np.ndarray, rng: np.random.Generator) -> Iterator[float]:
        """The mean cross entropy of each epoch, while it is asked for."""
        config = self.config
        optimiser = torch.optim.AdamW(self.reader.parameters(), config.reader_rate, weight_decay=config.weight_decay)
        for _ in range(config.reader_epochs):
            self.reader.train()
            order, losses = rng.permutation(fitted), []
            for start in range(0, len(order), config.reader_batch):
                part = order[start : start + config.reader_batch]
                loss = nn.functional.cross_entropy(self.reader(inputs[part]), kinds[part])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                losses.append(loss.detach())
            self.reader.eval()
            yield float(torch.stack(losses).mean())

    def _kinds(self, inputs: Tensor) -> np.ndarray:
        """(n,) the likeliest kind of each."""
        return np.concatenate([part.argmax(dim=1).cpu().numpy() for part in self._parts(self.reader, inputs)])

    def _parts(self, network: nn.Module, inputs: Tensor) -> Iterator[Tensor]:
        """What a network makes of inputs, a part at a time."""
        with torch.inference_mode():
            for part in torch.split(inputs, READ_AT_ONCE):
                yield network(part)

    def arrays(self) -> dict[str, np.ndarray]:
        read = {f"reader.{name}": value for name, value in weights_of(self.reader).items()}
        return {**super().arrays(), **read, "vectors": self.vectors, "kind_accuracy": np.array(self.kind_accuracy)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(arrays)
        set_weights(self.reader, {name.removeprefix("reader."): value for name, value in arrays.items()})
        self.vectors, self.kind_accuracy = arrays["vectors"], float(arrays["kind_accuracy"])
