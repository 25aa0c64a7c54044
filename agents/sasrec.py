"""Self-attention over a session (SASRec: Kang and McAuley, 2018).

Each step looks at itself and the steps before it: softmax(Q K^T / sqrt(width) + mask) V, the mask being -inf for
what comes later, then a point-wise feed-forward network, both with a residual connection around them and layer
normalisation before them. Positions are learnt vectors, counted from the start of what is seen. The softmax over what
comes next, and the loss, are those of `agents.sequences`; Kang and McAuley's loss has one drawn negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from agents.sequences import SequenceConfig, SequenceRecommender
from agents.torch_tools import Dropout
from recsim_env.errors import InvalidParameter
from recsim_env.parameters import param

FIRST = 0.05  # deviation of the first vectors of items, by their ids and by their features


@dataclass(frozen=True)
class SASRecConfig(SequenceConfig):
    """Settings of `sasrec`."""

    blocks: int = param(2, "attention, and then a feed-forward network, so many times", low=1)
    heads: int = param(2, "parts of the width that attend on their own; they divide it", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise InvalidParameter(f"SASRecConfig.heads must divide width ({self.width}), not {self.heads}")


def attend(queries: Tensor, keys: Tensor, values: Tensor, dropout: nn.Module) -> Tensor:
    """Scaled dot products (n, heads, L, d) of each step with itself and those before it, as (n, heads, L, d)."""
    length = queries.shape[2]
    later = torch.ones(length, length, dtype=torch.bool, device=queries.device).triu(1)
    products = queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5
    weights: Tensor = dropout(products.masked_fill(later, -torch.inf).softmax(dim=3))
    return weights @ values


class Block(nn.Module):
    """Attention and a feed-forward network, each x + dropout(f(norm(x)))."""

    def __init__(self, width: int, heads: int, dropout: nn.Module) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before_attention, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries, self.keys, self.values = (nn.Linear(width, width) for _ in range(3))
        self.mixed = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, width), nn.ReLU(), dropout, nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.before_attention(x)))
        fed: Tensor = x + self.dropout(self.feed(self.before_feed(x)))
        return fed

    def attention(self, x: Tensor) -> Tensor:
        """(n, L, width) of all heads."""
        layers = (self.queries, self.keys, self.values)
        queries, keys, values = (layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in layers)
        mixed: Tensor = self.mixed(attend(queries, keys, values, self.dropout).transpose(1, 2).flatten(2))
        return mixed


class SelfAttention(nn.Module):
    """x (n, L, width), times sqrt(width), to states (n, L, width), L at most `longest`."""

    def __init__(self, longest: int, config: SASRecConfig, dropout: nn.Module) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(longest, config.width))
        self.blocks = nn.Sequential(*(Block(config.width, config.heads, dropout) for _ in range(config.blocks)))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor) -> Tensor:
        x = x * x.shape[2] ** 0.5 + self.positions[: x.shape[1]]
        states: Tensor = self.norm(self.blocks(x))
        return states


class SASRec(SequenceRecommender):
    """Shows the items that it thinks come next, by self-attention."""

    Config = SASRecConfig

    def sequence(self) -> SelfAttention:
        return SelfAttention(self.window, self.config, Dropout(self.config.dropout, self.generator))

    def initialise(self) -> None:
        """Layer normalisation begins as such, and the blocks add little (half of what He et al. draw).

        Items' vectors begin near 0: the states have length sqrt(width), so that with longer vectors the first logits
        are far apart by luck, and those of rare items stay so.
        """
        super().initialise()
        vectors = self.network.vectors
        vectors.draw_ids(FIRST, self.generator)
        with torch.no_grad():
            if vectors.features is not None:
                vectors.features.weight.normal_(0.0, FIRST * self.item_width**-0.5, generator=self.generator)
            for value in self.network.sequence.blocks.parameters():  # type: ignore[union-attr]
                value.mul_(0.5)
            for module in self.network.modules():
                if isinstance(module, nn.LayerNorm):
                    module.weight.fill_(1.0)
