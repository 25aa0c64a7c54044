"""A recommender that looks at pictures: a convolutional network (LeCun et al., 1998) over posters.

Three blocks of a 3 x 3 convolution and a maximum over 2 x 2, the mean over what is left of the picture, and a layer
above it. The rest is in `agents.content`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from agents.content import ContentConfig, ContentRecommender
from recsim_env.parameters import param


@dataclass(frozen=True)
class ContentImageConfig(ContentConfig):
    """Settings of `content_image`."""

    filters: int = param(16, "of the first block; each block has twice those of the one before", low=1)


class PictureCNN(nn.Module):
    """Pictures (n, H, W, 3) uint8 to (n, vector)."""

    def __init__(self, filters: int, vector: int) -> None:
        super().__init__()
        widths = (3, filters, 2 * filters, 4 * filters)
        blocks = [
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
            for before, after in pairwise(widths)
        ]
        self.blocks = nn.Sequential(*blocks)
        self.above = nn.Linear(widths[-1], vector)

    def forward(self, pictures: Tensor) -> Tensor:
        light = pictures.float().permute(0, 3, 1, 2) / 127.5 - 1.0
        return torch.relu(self.above(self.blocks(light).mean(dim=(2, 3))))


class ContentImage(ContentRecommender):
    """Ranks candidates by their pictures."""

    Config = ContentImageConfig

    def inputs(self) -> np.ndarray:
        return self.content.pictures()

    def body(self) -> nn.Module:
        return PictureCNN(self.config.filters, self.config.vector)
