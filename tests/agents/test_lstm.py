"""The recurrent recommender learns what follows from the last two items, and not without its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import Tensor

from agents.lstm import LSTM, LSTMConfig, Recurrence
from recsim_env.agent import NoLog
from recsim_env.errors import InvalidParameter
from tests.agents.sessions import SEEN, accuracy, popular_accuracy, sessions, spec

PEOPLE = 1500
SETTINGS = {"history": SEEN, "width": 32, "epochs": 6, "learning_rate": 0.01, "dropout": 0.0, "unknown_id": 0.0}


def fitted(ids: bool = True, **settings: Any) -> LSTM:
    agent = LSTM(LSTMConfig(**{**SETTINGS, **settings}), spec(PEOPLE, ids))
    agent.fit(sessions(PEOPLE, ids), NoLog())
    return agent


@pytest.mark.parametrize("settings", [{}, {"cell": "gru"}])
def test_learns_what_follows(settings: dict[str, Any]) -> None:
    assert accuracy(fitted(**settings)) > 0.95


def test_learns_what_follows_from_features_where_items_have_no_ids() -> None:
    assert accuracy(fitted(ids=False), ids=False) > 0.95


def test_popularity_does_not_tell_what_follows() -> None:
    assert popular_accuracy() < 0.3


def test_a_state_that_is_not_carried_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the state starts anew at each step."""

    def forgetful(self: Recurrence, x: Tensor) -> Tensor:
        return self.cell(x.reshape(-1, 1, x.shape[2]))[0].reshape(x.shape)

    monkeypatch.setattr(Recurrence, "forward", forgetful)
    assert accuracy(fitted()) < 0.6


def test_forget_gates_begin_open_and_a_gru_has_none() -> None:
    agents = [LSTM(LSTMConfig(width=4, cell=cell), spec(1)) for cell in ("lstm", "gru")]
    biases = [agent.network.sequence.cell.bias_ih_l0.detach().numpy() for agent in agents]  # type: ignore[union-attr]
    assert np.array_equal(biases[0], [0] * 4 + [1] * 4 + [0] * 8) and not biases[1].any()
    with pytest.raises(InvalidParameter, match="cell"):
        LSTMConfig(cell="elman")
