"""A variational autoencoder over what a user liked (Liang et al., 2018), from which new users can be drawn.

The encoder gives mean and variance of a code z; the loss of a user is the variational bound,

    - E log p(liked | z, user) + beta KL(N(mean, variance) || N(0, 1)),    z = mean + deviation * noise,

with the likelihood of `agents.bags`, in ratings that of all that the user liked, and beta growing from 0 to its cap
over the first updates. Users are served by z = mean. What is known of a user enters encoder and decoder, so that z
tells what the history adds to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agents.bags import Bag, BagConfig, BagRecommender
from agents.fitting import Batch, Fit
from recsim_env.errors import InvalidParameter
from recsim_env.parameters import param


@dataclass(frozen=True)
class VAEConfig(BagConfig):
    """Settings of `vae`."""

    beta: float = param(0.2, "cap of the KL term's weight; 1 is the bound itself, less ranks better", low=0)
    anneal: int = param(500, "updates of the first fit over which the weight grows to its cap; 0: none", low=0)


class VAE(BagRecommender):
    """Ranks candidates as the mean code says, and draws new histories from the prior.

    Attributes:
        annealing: whether the KL term's weight still grows; it does in the first fit.
    """

    Config = VAEConfig
    moments = 2
    annealing = True

    def before_fit(self, fit: Fit, first: bool) -> None:
        self.annealing = first

    def code(self, bag: Bag, users: Tensor) -> Tensor:
        return self.posterior(bag, users)[0]

    def posterior(self, bag: Bag, users: Tensor) -> tuple[Tensor, Tensor]:
        """(n, latent) the code's mean and the logarithm of its variance."""
        mean, log_variance = self.network.encode(bag, users).chunk(2, dim=1)
        return mean, log_variance

    def loss(self, batch: Batch) -> Tensor:
        """The bound with the weight that the update has; in validation with the cap, and the mean code."""
        examples, fitted = self.examples(batch), self.network.training
        mean, log_variance = self.posterior(examples.bag, examples.users)
        codes = reparameterised(mean, log_variance, self.generator) if fitted else mean
        surprise, asked = self.surprise(examples, codes)
        weight = self.kl_weight(batch.updates) if fitted else self.config.beta
        return (surprise + weight * divergence(mean, log_variance).sum()) / asked

    def kl_weight(self, updates: int) -> float:
        """Of the KL term after so many updates of this fit."""
        if not (self.annealing and self.config.anneal):
            return float(self.config.beta)
        return float(self.config.beta * min(1.0, updates / self.config.anneal))

    def sample(
        self,
        users: int,
        length: int,
        rng: np.random.Generator,
        known: np.ndarray | None = None,
        again: bool = False,
    ) -> np.ndarray:
        """New users' histories: codes from the prior, then items from the decoder's distribution over all of them.

        Where items have no ids they are kinds (see `index`), as liked if all kinds were on offer.

        Args:
            users: how many.
            length: items of each.
            rng: the luck.
            known: (users, U) what is known of them, as in `Context.users`; by default they are average in all.
            again: whether an item may come twice; else each is drawn from what those before it leave.

        Returns:
            (users, length) item numbers.

        Raises:
            InvalidParameter: there are fewer items than `length`, and none may come twice.
        """
        numbers = self.index.size if self.index.has_ids else len(self.index.clusters)
        if not again and length > numbers:
            raise InvalidParameter(
                f"length must be at most {numbers}, the items there are, not {length}; or again=True"
            )
        about = self.user_scale.mean[None].repeat(users, axis=0) if known is None else known
        codes = self.floats(rng.standard_normal((users, self.config.latent)))
        with torch.inference_mode():
            wanted = self.network.decode(codes, self.floats(self.user_scale(about)))
            chances = (wanted @ self.every_vector()[:numbers].T).double().softmax(dim=1).cpu().numpy()
        if again:
            return drawn(chances, length, rng)
        luck = rng.exponential(size=chances.shape)  # who waits least at rates `chances`: draws without replacement
        return np.argsort(luck / np.maximum(chances, 1e-300), axis=1)[:, :length]


def drawn(chances: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(n, count) columns drawn with replacement by their chances (n, k)."""
    limits = np.cumsum(chances, axis=1)
    luck = rng.random((len(chances), count)) * limits[:, -1:]
    return np.stack([np.searchsorted(*row, side="right") for row in zip(limits, luck, strict=True)])


def reparameterised(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """A draw from N(mean, variance) that gradients pass through."""
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    return mean + (0.5 * log_variance).exp() * noise


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(n,) KL(N(mean, variance) || N(0, 1)) of codes (n, latent)."""
    return 0.5 * (mean**2 + log_variance.exp() - log_variance - 1.0).sum(dim=1)
