"""A recurrent network over a session (Hochreiter and Schmidhuber, 1997; GRU4Rec: Hidasi et al., 2016).

h_t = LSTM(x_t, h_{t-1}), or GRU(x_t, h_{t-1}), of what was shown and how it was answered; the softmax over what comes
next, and the loss, are those of `agents.sequences`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor, nn

from agents.sequences import SequenceConfig, SequenceRecommender
from recsim_env.parameters import param


class Cell(IntEnum):
    """What carries the state from step to step."""

    LSTM = 0
    GRU = 1


CELLS = {Cell.LSTM: nn.LSTM, Cell.GRU: nn.GRU}


@dataclass(frozen=True)
class LSTMConfig(SequenceConfig):
    """Settings of `lstm`."""

    cell: Cell = param(Cell.LSTM, "what carries the state from step to step")


class Recurrence(nn.Module):
    """x (n, L, width) to the states after each step, (n, L, width)."""

    def __init__(self, width: int, cell: Cell) -> None:
        super().__init__()
        self.cell = CELLS[cell](width, width, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        states: Tensor = self.cell(x)[0]
        return states


class LSTM(SequenceRecommender):
    """Shows the items that it thinks come next, by a recurrent network."""

    Config = LSTMConfig

    def sequence(self) -> Recurrence:
        return Recurrence(self.config.width, self.config.cell)

    def initialise(self) -> None:
        """As ever, but an LSTM begins with its forget gates open (Jozefowicz et al., 2015)."""
        super().initialise()
        recurrence, width = self.network.sequence, self.config.width
        if isinstance(recurrence, Recurrence) and self.config.cell == Cell.LSTM:
            with torch.no_grad():
                recurrence.cell.bias_ih_l0[width : 2 * width].fill_(1.0)
