"""A recommender that reads descriptions (TextCNN: Kim, 2014; or an LSTM: Hochreiter and Schmidhuber, 1997).

TextCNN: filters over 3, 4 and 5 words, each one's maximum over the text, and a layer above them. The LSTM's states are
averaged over the text. Words have vectors of their own, learnt from nothing. The rest is in `agents.content`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor, nn

from agents.content import ContentConfig, ContentRecommender
from agents.words import ABSENT, UNKNOWN, commonest, numbered
from recsim_env.parameters import param

SPANS = (3, 4, 5)  # words that a filter sees


class Body(IntEnum):
    """What reads a text."""

    CNN = 0
    LSTM = 1


@dataclass(frozen=True)
class ContentTextConfig(ContentConfig):
    """Settings of `content_text`."""

    body: Body = param(Body.LSTM, "what reads a text")
    words: int = param(6000, "words that are told apart at most", low=1)
    length: int = param(60, "words of a text that are read", low=max(SPANS))
    word_vector: int = param(64, "width of a word's vector", low=1)
    filters: int = param(64, "of each span of the CNN", low=1)


class TextCNN(nn.Module):
    """Numbers of words (n, length) to (n, vector)."""

    def __init__(self, words: int, word_vector: int, filters: int, vector: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, word_vector, padding_idx=ABSENT)
        self.spans = nn.ModuleList(nn.Conv1d(word_vector, filters, span) for span in SPANS)
        self.above = nn.Linear(filters * len(SPANS), vector)

    def forward(self, numbers: Tensor) -> Tensor:
        words = self.words(numbers).transpose(1, 2)
        found = [span(words).relu().amax(dim=2) for span in self.spans]
        return torch.relu(self.above(torch.cat(found, dim=1)))


class TextLSTM(nn.Module):
    """Numbers of words (n, length) to (n, vector)."""

    def __init__(self, words: int, word_vector: int, vector: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, word_vector, padding_idx=ABSENT)
        self.cell = nn.LSTM(word_vector, vector, batch_first=True)

    def forward(self, numbers: Tensor) -> Tensor:
        there = (numbers != ABSENT).float()[..., None]
        states = self.cell(self.words(numbers))[0]
        mean: Tensor = (states * there).sum(dim=1) / there.sum(dim=1).clamp(min=1.0)
        return mean


class ContentText(ContentRecommender):
    """Ranks candidates by their descriptions."""

    Config = ContentTextConfig

    def inputs(self) -> np.ndarray:
        config = self.config
        return numbered(self.content.texts, commonest(self.content.texts, config.words), config.length)

    def body(self) -> nn.Module:
        config, words = self.config, self.config.words + UNKNOWN + 1
        if config.body == Body.LSTM:
            return TextLSTM(words, config.word_vector, config.vector)
        return TextCNN(words, config.word_vector, config.filters, config.vector)
