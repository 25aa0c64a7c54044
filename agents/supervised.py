"""What supervised recommenders share: they play, log, and fit the log to predict the world's label."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from agents.encoding import Encoder, Standardiser
from agents.fitting import Batch, Fit
from agents.impressions import Context, Impressions
from agents.items import ItemIndex
from agents.journal import Journal, Softened
from agents.torch_tools import TorchDefaults, find_device, initialise, one_thread, seeded, set_weights, weights_of
from recsim_env.agent import AgentConfig, Log, Ranker, WorldSpec
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.parameters import param

SCALED_ROWS = 20_000  # rows that means and deviations are taken from


@dataclass(frozen=True)
class SupervisedConfig(AgentConfig):
    """Settings of every supervised recommender."""

    rounds: int = param(1, "shares of the budget after each of which it is fitted; the next is played with it", low=1)
    epsilon: float = param(0.2, "share of random slates in what it plays once it was fitted", low=0.01, high=1)
    item_clusters: int = param(100, "kinds of items at most, where items have no ids", low=1)


class Supervised(TorchDefaults, Ranker):
    """Plays, logs and fits; a subclass gives `fit` and `score`.

    Attributes:
        encoder: what is known of users (no history: that is in `Context`).
        index: items by number.
    """

    Config: ClassVar[type[SupervisedConfig]] = SupervisedConfig
    learns = True

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.encoder = Encoder(spec, leave_out=("history",))
        self.index = ItemIndex(spec, config.item_clusters)

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """In each of `rounds` shares of the budget play on and fit all that this call logged.

        An agent that was never trained plays its first share at random; all else is played by its own scores, with
        a share of `epsilon` random slates.

        Raises:
            AgentError: the budget does not reach for a step of all users in each round.
        """
        total, n = steps // envs.num_envs, envs.num_envs
        if total < self.config.rounds:
            raise AgentError(
                f"{type(self).__name__} needs a budget of at least one step of its {n} users in each of its "
                f"{self.config.rounds} rounds, not {steps} user-steps"
            )
        with one_thread():
            self._rounds(envs, total, log)

    def _rounds(self, envs: Any, total: int, log: Log) -> None:
        """Play `total` steps of all users, and fit after each round."""
        rng = np.random.default_rng([self.config.seed, self.played])
        journal = Journal(
            envs, self.spec, self.encoder, self.index, np.random.default_rng([self.config.seed, self.played, 2])
        )
        logged: list[Impressions] = []
        for k in range(self.config.rounds):
            share = total * (k + 1) // self.config.rounds - total * k // self.config.rounds
            epsilon = self.config.epsilon if self.played else 1.0
            new = journal.play(share, Softened(self.spec, self.scores, epsilon, rng))
            logged = [Impressions.join([*logged, new])]
            self.played += len(new)
            self.fit(logged[0], log)

    @abstractmethod
    def fit(self, impressions: Impressions, log: Log) -> None:
        """Learn from a log, going on from what was learnt; random numbers come from (`config.seed`, `played`)."""

    @abstractmethod
    def score(self, context: Context, items: np.ndarray, features: np.ndarray) -> np.ndarray:
        """(n, k): how much users (n,) would like items (n, k) with features (n, k, F) of their own now."""

    def context(self, observation: Observation) -> Context:
        """What an observation tells of its users."""
        users = self.encoder.users(observation)
        ids = self.encoder.user_ids(observation) if self.encoder.num_users else np.full(len(users), -1)
        return Context(users, ids, self.index.of_history(observation))

    def scores(self, observation: Observation) -> np.ndarray:
        items, features = self.index.of_candidates(observation), self.index.own_features(observation)
        return self.score(self.context(observation), items, features)

    def arrays(self) -> dict[str, np.ndarray]:
        return self.index.arrays()

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.index.restore(arrays)


@dataclass(frozen=True)
class NeuralConfig(SupervisedConfig):
    """Settings of every supervised recommender with a network."""

    learning_rate: float = param(2e-3, "of AdamW", low=0)
    weight_decay: float = param(1e-2, "of AdamW", low=0)
    dropout: float = param(0.1, "share of numbers that are hidden in training", low=0, high=0.9)
    batch: int = param(512, "examples an update", low=1)
    epochs: int = param(20, "passes over the log at most", low=1)
    patience: int = param(3, "epochs without a better ranking of held-out steps before it stops", low=1)
    validation: float = param(0.1, "share of the log that is held out", low=0.01, high=0.5)
    refit: bool = param(
        False, "whether it is then fitted anew to the whole log, for as many epochs as were best; twice the work"
    )
    device: str = param("auto", "auto, cpu or cuda")


class NeuralRecommender(Supervised):
    """A supervised recommender with a network; a subclass gives `build`, `loss` and `values`.

    Attributes:
        uses_user_ids: whether users' ids are inputs: then each user is fitted, and sessions or steps are held out.
        window: an example is a stretch of so many steps of a session at most; 0: one step.
        generator: for dropout and other noise of the network; seeded anew at each fit.
        label_mean, label_scale: of the first log's labels, to standardise amounts with; 0 and 1 for clicks.
        scaled: whether it was fitted before: scales are taken once.
    """

    Config: ClassVar[type[NeuralConfig]] = NeuralConfig
    uses_user_ids: ClassVar[bool] = False

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.device = find_device(config.device)
        self.generator = seeded(config.seed, self.device)
        label = next(f for f in spec.responses if f.name == spec.label)
        self.classifies = (label.low, label.high) == (0, 1)
        self.item_width = self.known_width()
        self.user_scale = Standardiser(self.encoder.user_width)
        self.item_scale = Standardiser(self.item_width)
        self.label_mean, self.label_scale, self.scaled = 0.0, 1.0, False
        with torch.random.fork_rng(devices=[]):  # modules draw from torch's global generator when they are made
            self.network = self.build().to(self.device).eval()
        self.initialise()

    @property
    def window(self) -> int:
        return 0

    @abstractmethod
    def build(self) -> nn.Module:
        """The network, as big as `encoder`, `index` and `config` say; its weights are drawn again by `initialise`."""

    def initialise(self) -> None:
        """Draw the network's first weights from `generator`."""
        initialise(self.network, self.generator)

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """() the mean loss of a batch."""

    @abstractmethod
    def values(self, context: Context, items: np.ndarray, features: np.ndarray) -> Tensor:
        """(n, k) as `score`, on the device."""

    def score(self, context: Context, items: np.ndarray, features: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(self.values(context, items, features).cpu().numpy())

    def fit(self, impressions: Impressions, log: Log) -> None:
        """Fit with early stopping; the optimiser starts anew in each fit, the weights go on.

        With `refit` the weights go back to those before, and are fitted to the whole log, held-out rows too.
        """
        rng = np.random.default_rng([self.config.seed, self.played, 1])
        self.generator.manual_seed(int(rng.integers(2**63)))
        first = not self.scaled
        if first:
            self._scale(impressions, rng)
        with one_thread():
            weights = deepcopy(self.network.state_dict()) if self.config.refit else {}
            fit = Fit(self, impressions, self.division(impressions), self.index.size, self.index.steps, rng, log)
            self.before_fit(fit, first)
            fit.run()
            if self.config.refit:
                self.network.load_state_dict(weights)
                fit = fit.on_all()
                self.before_fit(fit, first)
                fit.run()

    def before_fit(self, fit: Fit, first: bool) -> None:
        """What is to be done before the epochs, in the first fit or a later one; `fit.held` rows are not to be used.

        With `refit` it is done again for the whole log, and leaves nothing of the first time behind.
        """

    def division(self, impressions: Impressions) -> str:
        """Whom to hold out (see `split`): users; where ids are inputs, sessions, or the steps of users' only ones."""
        if not (self.uses_user_ids and self.encoder.num_users):
            return "user"
        return "session" if len(impressions.lengths) > len(np.unique(impressions.user)) else "last"

    def _scale(self, log: Impressions, rng: np.random.Generator) -> None:
        """Means and deviations, of a sample of the first log."""
        rows = rng.integers(len(log), size=min(len(log), SCALED_ROWS))
        self.user_scale.fit(log.users[rows])
        known = self.known_of(log.items[rows], log.features[rows])
        self.item_scale.fit(known.reshape(math.prod(known.shape[:-1]), self.item_width))
        if not self.classifies:
            self.label_mean, self.label_scale = float(log.labels.mean()), float(log.labels.std()) or 1.0
        self.scaled = True

    def known_width(self) -> int:
        """How many numbers `known_of` gives of an item."""
        return self.index.own + (self.index.features.shape[1] if self.index.has_ids else 0)

    def known_of(self, items: np.ndarray, features: np.ndarray) -> np.ndarray:
        """(…, F) all that is known of items: features of their own, and of ids what the catalogue holds."""
        if not self.index.has_ids:
            return features
        return np.concatenate([features, self.index.features[items]], axis=-1)

    def user_inputs(self, context: Context) -> Tensor:
        """(n, U) standardised."""
        return torch.as_tensor(self.user_scale(context.users), device=self.device)

    def item_inputs(self, items: np.ndarray, features: np.ndarray) -> Tensor:
        """(…, F) standardised; `items` must not hold -1."""
        return torch.as_tensor(self.item_scale(self.known_of(items, features)), device=self.device)

    def every_item(self) -> tuple[Tensor, Tensor]:
        """(size,) numbers and (size, F) inputs; kinds are their centres, ids with features of their own average."""
        own = self.item_scale.mean[: self.index.own] if self.index.has_ids else self.index.features
        numbers, features = np.arange(self.index.size), np.broadcast_to(own, (self.index.size, self.index.own))
        return torch.as_tensor(numbers, device=self.device), self.item_inputs(numbers, features)

    def arrays(self) -> dict[str, np.ndarray]:
        scales = {**self.user_scale.arrays("user"), **self.item_scale.arrays("item")}
        labels = {"label_mean": np.array(self.label_mean), "label_scale": np.array(self.label_scale)}
        return {**super().arrays(), **scales, **labels, "scaled": np.array(self.scaled), **weights_of(self.network)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(arrays)
        self.user_scale.restore("user", arrays)
        self.item_scale.restore("item", arrays)
        self.label_mean, self.label_scale = float(arrays["label_mean"]), float(arrays["label_scale"])
        self.scaled = bool(arrays["scaled"])
        set_weights(self.network, arrays)
