"""A denoising autoencoder over what a user liked (Liang et al., 2018, Mult-DAE; before it Sedhain et al., 2015).

The bag x of what is given, scaled to length 1 and with a share of it hidden, becomes a code, and the code the scores
of items: z = A tanh(W x + V u), d = tanh(B z + C u), u being what is known of the user and the mean of the features
of what they liked. In ratings all that was liked is asked for, what was hidden and what was not, as in the paper; in a
simulator only what was not given: see `agents.bags` for the loss.
"""

from __future__ import annotations

from torch import Tensor

from agents.bags import BagRecommender
from agents.fitting import Batch


class Autoencoder(BagRecommender):
    """Ranks candidates by how likely they are among what a user with this history likes."""

    def loss(self, batch: Batch) -> Tensor:
        examples = self.examples(batch)
        surprise, asked = self.surprise(examples, self.code(examples.bag, examples.users))
        return surprise / asked
